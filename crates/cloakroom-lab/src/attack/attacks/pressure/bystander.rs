//! Somebody who is signed in and goes on working while something else presses on the server.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep, timeout};

use crate::attack::{
    plan::Found,
    stage::Stage,
    target::{Held, Person},
};

/// What the bystander has seen.
pub(super) struct Seen {
    asked: usize,
    failed: usize,
    worst: Duration,
}

/// A bystander who waits longer than this has been shut out. Unoptimised servers on two busy cores stay far below it.
const PATIENCE: Duration = Duration::from_millis(1500);

impl Seen {
    /// Whether the pressure was felt.
    pub(super) fn judged(&self, when: &str) -> Found {
        let evidence = format!(
            "{when}, a bystander asked {} times, waited {:.0} ms at most, and was refused or left {} times",
            self.asked,
            self.worst.as_secs_f64() * 1000.0,
            self.failed
        );
        if self.failed > 0 || self.worst > PATIENCE { Found::Worked(evidence) } else { Found::Refused(evidence) }
    }
}

/// Has a bystander ask while something goes on.
pub(super) async fn beside<T>(stage: &Stage, held: &Held, pressure: impl Future<Output = T>) -> Seen {
    beside_with(stage, held, pressure).await.0
}

/// The same, and what came of the other.
pub(super) async fn beside_with<T>(stage: &Stage, held: &Held, pressure: impl Future<Output = T>) -> (Seen, T) {
    let mut seen = Seen { asked: 0, failed: 0, worst: Duration::ZERO };
    tokio::pin!(pressure);
    loop {
        let began = Instant::now();
        let asking = async {
            sleep(Duration::from_millis(20)).await;
            timeout(Duration::from_secs(10), stage.target.verify(held)).await
        };
        tokio::pin!(asking);
        let mut done = None;
        let answer = loop {
            tokio::select! {
                answer = &mut asking => break answer,
                result = &mut pressure, if done.is_none() => done = Some(result),
            }
        };
        seen.asked += 1;
        seen.worst = seen.worst.max(began.elapsed());
        seen.failed += usize::from(!matches!(answer, Ok(Ok(answer)) if answer.is_ok()));
        if let Some(result) = done {
            return (seen, result);
        }
    }
}

/// Sign-ins with wrong passwords, all at once, each from another network: so many at an account that exists, and as many at
/// accounts that do not.
pub(super) async fn flood(stage: &Stage, owner: &Person, each: usize) {
    let people = (0..each * 2).map(|number| {
        let email = if number % 2 == 0 { owner.email.clone() } else { format!("{number}-{}", owner.email) };
        Person { email, at: stage.address(), ..owner.clone() }
    });
    let people = people.collect::<Vec<_>>();
    // What becomes of them is all the same.
    join_all(people.iter().map(|person| stage.target.try_sign_in(person, "not the right one 55", &stage.target.app)))
        .await;
}
