//! A flood of garbage.

use super::bystander::beside_with;
use futures_util::future::join_all;

use crate::attack::{
    http::Request,
    plan::{Attack, Expected, Found, Needs, Tried},
    stage::Stage,
    target::Held,
};

pub(in crate::attack) const ATTACK: Attack = Attack {
    id: "garbage-flood",
    title: "A flood of garbage",
    has: "nothing",
    does: "sends credentials that are none",
    gains: "a session made for each in the store, or an exception that takes the server down",
    source: "CWE-770; CWE-248; F010, F131",
    expected: Expected::EVERYWHERE,
    needs: Needs::Quiet,
    run: |stage| Box::pin(run(stage)),
};

async fn run(stage: &Stage) -> Tried {
    let owner = stage.person("owner");
    let held = stage.target.welcome(&owner).await?;
    let name = held.cookies.first().map_or("sid", |(name, _)| name.as_str()).to_owned();
    let flooding = async {
        let mut answers = Vec::new();
        for round in 0..12 {
            let garbage = (0..16).map(|number| {
                let text = "garbage.".repeat(number * 7 % 40 + 1) + &round.to_string();
                let request = Request::get(stage.target.verify_path());
                let cookie = number % 2 == 0;
                let request =
                    if cookie { request.header("cookie", format!("{name}={text}")) } else { request.bearer(&text) };
                stage.target.send(request)
            });
            answers.extend(join_all(garbage).await);
        }
        answers
    };
    let (seen, answers) = beside_with(stage, &held, flooding).await;
    let broken = answers.iter().filter(|answer| answer.as_ref().map_or(true, |answer| answer.status >= 500)).count();
    if broken > 0 {
        return Ok(Found::Worked(format!("{broken} of {} pieces of garbage broke something", answers.len())));
    }
    let kept = answers
        .iter()
        .flatten()
        .filter(|answer| !Held::of(answer).cookie().trim_end_matches(['=', ';', ' ']).is_empty());
    let kept = kept
        .filter(|answer| {
            answer
                .headers
                .get_all("set-cookie")
                .iter()
                .any(|line| !line.to_str().unwrap_or_default().contains("Max-Age=0"))
        })
        .count();
    if kept > 0 {
        return Ok(Found::Worked(format!("for {kept} of {} pieces of garbage a session was made", answers.len())));
    }
    Ok(seen.judged(&format!("while {} pieces of garbage were refused", answers.len())))
}
