//! What a try comes to, measured by what was declared beforehand.

use std::time::Duration;

use serde::Serialize;

use super::plan::{Expect, Found, Trouble};

/// What came of a try, as the report says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The attacker got what he wanted, or got it for longer than was declared.
    Succeeded,
    /// He did not.
    Failed,
    /// He got it for a while, no longer than was declared.
    Window,
    /// There is nothing of the kind to try.
    NotApplicable,
}

/// A try, judged.
#[derive(Clone, Debug)]
pub(super) struct Judged {
    pub(super) outcome: Outcome,
    pub(super) window: Option<Duration>,
    pub(super) evidence: String,
    /// Whether it ought not to be so: Cloakroom gave way, or the attack is no attack.
    pub(super) wrong: bool,
}

/// Judges a try. What could not be carried out counts as what must not be: a success against Cloakroom, a failure against the
/// careless login.
pub(super) fn judge(expected: Expect, longest: Duration, tried: Result<Found, Trouble>) -> Judged {
    let careless = matches!(expected, Expect::Succeeds);
    let (outcome, window, evidence) = match tried {
        Ok(Found::NotHere(why)) => (Outcome::NotApplicable, None, why),
        Ok(Found::Worked(evidence)) => (Outcome::Succeeded, None, evidence),
        Ok(Found::Refused(evidence)) => (Outcome::Failed, None, evidence),
        Ok(Found::WorkedFor(lasted, evidence)) => {
            let declared = matches!(expected, Expect::Window(..)) && lasted <= longest;
            (if declared { Outcome::Window } else { Outcome::Succeeded }, Some(lasted), evidence)
        }
        Err(trouble) => {
            let outcome = if careless { Outcome::Failed } else { Outcome::Succeeded };
            (outcome, None, format!("could not be carried out: {trouble}"))
        }
    };
    let evidence = match (expected, outcome) {
        (Expect::Window(_, why), Outcome::Window) => {
            format!("{evidence}; declared: {:.1} s at most, {why}", longest.as_secs_f64())
        }
        _ => evidence,
    };
    let wrong = if careless { outcome != Outcome::Succeeded } else { outcome == Outcome::Succeeded };
    Judged { outcome, window, evidence, wrong }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attack::plan::Bound;

    const SECOND: Duration = Duration::from_secs(1);
    const WINDOW: Expect = Expect::Window(Bound::Lag, "until the end is heard");

    fn judged(expected: Expect, tried: Result<Found, Trouble>) -> (Outcome, bool) {
        let judged = judge(expected, SECOND, tried);
        (judged.outcome, judged.wrong)
    }

    fn worked() -> Found {
        Found::Worked(String::new())
    }

    fn refused() -> Found {
        Found::Refused(String::new())
    }

    fn for_so_long(lasted: Duration) -> Found {
        Found::WorkedFor(lasted, String::new())
    }

    #[test]
    fn an_attack_that_fails_on_the_careless_login_is_a_defect() {
        assert_eq!(judged(Expect::Succeeds, Ok(worked())), (Outcome::Succeeded, false));
        assert_eq!(judged(Expect::Succeeds, Ok(for_so_long(SECOND))), (Outcome::Succeeded, false));
        assert_eq!(judged(Expect::Succeeds, Ok(refused())), (Outcome::Failed, true));
        assert_eq!(judged(Expect::Succeeds, Ok(Found::NotHere(String::new()))), (Outcome::NotApplicable, true));
        assert_eq!(judged(Expect::Succeeds, Err("no answer".into())), (Outcome::Failed, true));
    }

    #[test]
    fn only_a_declared_window_is_one_and_only_as_long_as_declared() {
        assert_eq!(judged(WINDOW, Ok(for_so_long(SECOND))), (Outcome::Window, false));
        assert_eq!(judged(WINDOW, Ok(for_so_long(SECOND * 2))), (Outcome::Succeeded, true));
        assert_eq!(judged(WINDOW, Ok(worked())), (Outcome::Succeeded, true));
        assert_eq!(judged(WINDOW, Ok(refused())), (Outcome::Failed, false));
        assert_eq!(judged(Expect::Fails, Ok(for_so_long(Duration::ZERO))), (Outcome::Succeeded, true));
    }

    #[test]
    fn what_could_not_be_carried_out_never_counts_for_cloakroom() {
        assert_eq!(judged(Expect::Fails, Err("no answer".into())), (Outcome::Succeeded, true));
        assert_eq!(judged(Expect::Fails, Ok(refused())), (Outcome::Failed, false));
    }
}
