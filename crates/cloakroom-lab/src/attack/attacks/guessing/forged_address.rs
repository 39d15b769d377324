//! A limit that believes X-Forwarded-For.

use serde_json::json;

use crate::attack::{
    http::Request,
    plan::{Attack, Expected, Needs, Tried},
    stage::{Stage, verdict},
};

pub(in crate::attack) const ATTACK: Attack = Attack {
    id: "forged-forwarded-for",
    title: "A limit that believes X-Forwarded-For",
    has: "a header",
    does: "says with each guess that it comes from somewhere else",
    gains: "as many guesses as he likes",
    source: "CVE-2024-47070; F112, F117",
    expected: Expected::EVERYWHERE,
    needs: Needs::Requests,
    run: |stage| Box::pin(run(stage)),
};

async fn run(stage: &Stage) -> Tried {
    const NAMES: [&str; 5] = ["x-forwarded-for", "forwarded", "x-real-ip", "cf-connecting-ip", "true-client-ip"];
    let victim = stage.person("victim");
    stage.target.sign_up(&victim).await?;
    let at = stage.address();
    // Cloakroom also counts by account, wherever guesses come from; so most go to others, and its count of networks decides.
    let at_victim = if stage.target.kind.is_careless() { 1 } else { 6 };
    for guess in 0..46 {
        let last = guess == 45;
        let email =
            if last || guess % at_victim == 0 { victim.email.clone() } else { format!("{guess}-{}", victim.email) };
        let password = if last { victim.password.clone() } else { format!("a guess of number {guess}") };
        let said = format!("10.{guess}.0.1");
        let body = json!({ "email": email, "password": password, "app": stage.target.app });
        let mut request = Request::post("/v1/login").json(&body).from(at);
        for name in NAMES {
            request = request.header(name, if name == "forwarded" { format!("for={said}") } else { said.clone() });
        }
        let answer = stage.target.send(request).await?;
        if last {
            return Ok(verdict(&answer, "the 46th guess, which is right, each as if from another network"));
        }
    }
    Err("there was no last guess".into())
}
