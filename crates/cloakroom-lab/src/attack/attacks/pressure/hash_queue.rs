//! A sign-in behind a full queue.

use std::time::Duration;

use super::bystander::flood;
use tokio::time::sleep;
use tokio::time::timeout;

use crate::attack::{
    plan::{Attack, Expected, Found, Needs, Tried},
    stage::Stage,
};

pub(in crate::attack) const ATTACK: Attack = Attack {
    id: "hash-queue-exhaustion",
    title: "A sign-in behind a full queue",
    has: "machines in many networks",
    does: "fills the queue of passwords that wait to be hashed",
    gains: "nobody can sign in, and nobody is told",
    source: "OWASP Denial of Service Cheat Sheet; CWE-770; F133",
    expected: Expected::EVERYWHERE,
    needs: Needs::Quiet,
    run: |stage| Box::pin(run(stage)),
};

async fn run(stage: &Stage) -> Tried {
    let owner = stage.person("owner");
    stage.target.sign_up(&owner).await?;
    let other = stage.person("other");
    stage.target.sign_up(&other).await?;
    let flooding = flood(stage, &other, 80);
    let asking = async {
        sleep(Duration::from_millis(150)).await;
        timeout(PATIENCE, stage.target.try_sign_in(&owner, &owner.password, &stage.target.app)).await
    };
    let ((), asked) = tokio::join!(flooding, asking);
    let after = stage.target.try_sign_in(&owner, &owner.password, &stage.target.app).await?;
    Ok(match asked {
        Ok(Ok(answer)) if answer.is_ok() && after.is_ok() => {
            Found::Refused(format!("the owner's sign-in took {:.2} s in the flood", answer.took.as_secs_f64()))
        }
        Ok(Ok(answer)) if answer.status == 503 && answer.headers.contains_key("retry-after") && after.is_ok() => {
            Found::Refused(format!(
                "the owner was told to come back in {} s, and could sign in afterwards",
                answer.header("retry-after")
            ))
        }
        Ok(Ok(answer)) => Found::Worked(format!(
            "the owner's sign-in was answered {}, the one afterwards {}",
            answer.said(),
            after.said()
        )),
        Ok(Err(trouble)) => Found::Worked(format!("the owner's sign-in: {trouble}")),
        Err(_) => Found::Worked(format!("the owner's sign-in was not answered in {} s", PATIENCE.as_secs_f64())),
    })
}

const PATIENCE: Duration = Duration::from_secs(3);
