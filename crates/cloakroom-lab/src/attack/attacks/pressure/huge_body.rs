//! A body of 8 MiB.

use serde_json::json;

use crate::attack::{
    http::Request,
    plan::{Attack, Expected, Found, Needs, Tried},
    stage::Stage,
};

pub(in crate::attack) const ATTACK: Attack = Attack {
    id: "huge-body",
    title: "A body of 8 MiB",
    has: "nothing",
    does: "sends a sign-in of 8 MiB",
    gains: "memory of the server, and time to read it, for each request",
    source: "CWE-770; F133",
    expected: Expected::EVERYWHERE,
    needs: Needs::Quiet,
    run: |stage| Box::pin(run(stage)),
};

async fn run(stage: &Stage) -> Tried {
    let body = json!({ "email": "x".repeat(8 << 20), "password": "y" });
    let answer = stage.target.send(Request::post("/v1/login").json(&body)).await;
    Ok(match answer {
        Ok(answer) if answer.status == 413 => Found::Refused(answer.said()),
        Ok(answer) => Found::Worked(format!("all of it was read, and answered {}", answer.said())),
        // The connection is closed while the rest is still being sent.
        Err(trouble) => Found::Refused(format!("cut off: {trouble}")),
    })
}
