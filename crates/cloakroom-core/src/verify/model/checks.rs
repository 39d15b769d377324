//! The checks: the design holds, and each flaw is found.

use stateright::{Checker, HasDiscoveries, Model};

use super::*;

/// The default lag; time goes on in steps of it.
const LAG: Duration = Duration::from_secs(2);

const NOTHING: Budget = Budget {
    ticks: 0,
    reads: 0,
    ends: 0,
    everywhere: 0,
    others: 0,
    logins: 0,
    renewals: 0,
    touches: 0,
    questions: 0,
    restarts: 0,
    losses: 0,
};

/// One session and its end, with requests, questions to the log and time falling anywhere between.
const END: Budget = Budget { ticks: 2, ends: 1, reads: 2, questions: 2, ..NOTHING };
/// The same with one request, and a server that dies.
const END_AND_CRASH: Budget = Budget { reads: 1, restarts: 1, ..END };
/// The same with a store that fails over.
const END_AND_FAILOVER: Budget = Budget { ticks: 1, questions: 1, losses: 1, restarts: 1, ..END };
/// An end while use of the session waits to be written.
const END_AND_USE: Budget = Budget { ticks: 1, reads: 1, questions: 1, touches: 1, ..END };
/// Everything of an account ends while somebody signs in.
const EVERYWHERE: Budget = Budget { ticks: 1, everywhere: 1, logins: 1, reads: 2, questions: 1, ..NOTHING };
/// Everything but one session ends while somebody signs in; the server may die.
const OTHERS: Budget = Budget { ticks: 1, others: 1, logins: 1, reads: 1, questions: 1, restarts: 1, ..NOTHING };
/// Tokens: a renewal runs beside an end.
const RENEWAL: Budget = Budget { ticks: 2, ends: 1, renewals: 1, questions: 2, ..NOTHING };
/// Tokens: a renewal and a login run beside an end of everything; the server may die.
const RENEWAL_EVERYWHERE: Budget =
    Budget { ticks: 1, ends: 0, everywhere: 1, logins: 1, questions: 1, restarts: 1, ..RENEWAL };
/// An end is held for long enough: minutes pass.
const MINUTES: Budget = Budget { ticks: 3, ends: 1, reads: 1, questions: 2, ..NOTHING };
const MINUTES_OF_TOKENS: Budget = Budget { reads: 0, renewals: 1, ..MINUTES };
const MINUTE: Duration = Duration::from_secs(60);

fn sessions(budget: Budget) -> Setup {
    Setup::new(Method::Session, LAG, budget)
}

fn tokens(budget: Budget) -> Setup {
    Setup::new(Method::Jwt, LAG, budget)
}

/// Tokens that live longer than a fact does.
fn long_tokens() -> Setup {
    let mut setup = Setup::new(Method::Jwt, MINUTE * 4, MINUTES_OF_TOKENS);
    Arc::make_mut(&mut setup.app).access_token_lifetime = MINUTE * 10;
    setup
}

fn holds(setup: Setup) {
    let checker = setup.checker().spawn_bfs().join();
    println!("{} states", checker.unique_state_count());
    checker.assert_properties();
}

fn finds(setup: Setup, property: &'static str) {
    let checker = setup.checker().finish_when(HasDiscoveries::AllOf([property].into())).spawn_bfs().join();
    println!("{:?}", checker.assert_any_discovery(property).into_actions());
}

/// F005, F058: a fill that began before an end loses against it, at either server, whenever the log is asked.
#[test]
fn an_end_holds_in_every_order() {
    holds(sessions(END));
}

#[test]
fn an_end_holds_though_a_server_dies() {
    holds(sessions(END_AND_CRASH));
}

#[test]
fn an_end_holds_though_the_store_loses_it() {
    holds(sessions(END_AND_FAILOVER));
}

/// F004: use that is written late makes no record.
#[test]
fn an_end_holds_against_late_writes() {
    holds(sessions(END_AND_USE));
}

/// F060: a login beside 'end everything' is ended with the rest.
#[test]
fn an_end_of_everything_holds_beside_a_login() {
    holds(sessions(EVERYWHERE));
}

#[test]
fn an_end_of_all_others_spares_the_one_that_is_carried_over() {
    holds(sessions(OTHERS));
}

/// F052: a renewal beside an end hands out nothing that outlives it.
#[test]
fn an_end_holds_beside_a_renewal() {
    holds(tokens(RENEWAL));
}

#[test]
fn an_end_of_everything_holds_beside_a_renewal() {
    holds(tokens(RENEWAL_EVERYWHERE));
}

#[test]
fn an_end_is_held_for_as_long_as_it_can_be_presented() {
    holds(Setup::new(Method::Session, MINUTE * 2, MINUTES));
    holds(long_tokens());
}

#[test]
fn the_model_finds_the_flaw_without_the_lease() {
    finds(sessions(END).with(Flaw::NoLease), ENDED_LONG_AGO);
    finds(tokens(RENEWAL).with(Flaw::NoLease), ENDED_LONG_AGO);
}

#[test]
fn the_model_finds_the_flaw_of_a_lease_from_the_answer() {
    finds(sessions(END).with(Flaw::LeaseFromTheAnswer), ENDED_LONG_AGO);
}

#[test]
fn the_model_finds_the_flaw_of_a_delete_before_the_log() {
    finds(sessions(END_AND_CRASH).with(Flaw::DeleteBeforeLog), ENDED_LONG_AGO);
}

#[test]
fn the_model_finds_the_flaw_of_an_answer_before_the_log() {
    finds(sessions(END).with(Flaw::AnswerBeforeLog), ENDED_HERE);
    finds(sessions(END_AND_CRASH).with(Flaw::AnswerBeforeLog), ENDED_LONG_AGO);
}

#[test]
fn the_model_finds_the_flaw_of_writes_that_make_records() {
    finds(sessions(END_AND_USE).with(Flaw::WritesMakeRecords), STAYS_ENDED);
    finds(tokens(RENEWAL).with(Flaw::WritesMakeRecords), STAYS_ENDED);
}

#[test]
fn the_model_finds_the_flaw_of_an_epoch_that_is_read_late() {
    finds(sessions(EVERYWHERE).with(Flaw::EpochReadLate), ENDED_LONG_AGO);
}

#[test]
fn the_model_finds_the_flaw_of_a_store_that_is_read_before_it_has_the_ends_again() {
    finds(sessions(END_AND_FAILOVER).with(Flaw::SuspectReads), ENDED_LONG_AGO);
}

/// R15: whoever wrote the end has tokens that live for 5 minutes, and whoever hears it accepts some that live for 10.
#[test]
fn the_model_finds_the_flaw_of_a_hold_that_the_writer_decides() {
    finds(long_tokens().with(Flaw::HeldByTheWriter), ENDED_LONG_AGO);
}

/// R19: a server that starts later must be told as much as one that was there.
#[test]
fn the_model_finds_the_flaw_of_a_snapshot_that_the_writer_decides() {
    let late_start = |flaw| {
        let mut setup = long_tokens().with(flaw);
        setup.budget = Budget { renewals: 0, restarts: 1, ..setup.budget };
        setup
    };
    holds(late_start(Flaw::Nothing));
    finds(late_start(Flaw::SnapshotByTheWriter), ENDED_LONG_AGO);
}

/// R1: a verifier that can hold nothing asks instead; it accepts no more than one that holds everything, and no less.
#[test]
fn an_end_holds_where_there_is_no_room_for_it() {
    holds(sessions(END).of_marks());
    holds(sessions(EVERYWHERE).of_marks());
    holds(tokens(RENEWAL).of_marks());
}

#[test]
fn the_model_finds_the_flaw_of_a_full_set_without_marks() {
    finds(sessions(END).of_marks().with(Flaw::NoMarks), ENDED_LONG_AGO);
    finds(tokens(RENEWAL).of_marks().with(Flaw::NoMarks), ENDED_LONG_AGO);
}

/// The log is written before the record is deleted: who reads between the two has heard of an end that the record does not tell.
#[test]
fn the_model_finds_the_flaw_of_a_record_that_is_believed_alone() {
    finds(sessions(END).of_marks().with(Flaw::RecordAlone), ENDED_HERE);
}

/// A record that was read before its end was heard knows nothing of that, though it is judged after.
#[test]
fn the_model_finds_the_flaw_of_a_fact_that_counts_as_read_when_it_is_judged() {
    finds(sessions(END).of_marks().with(Flaw::MarkOfTheJudgement), ENDED_LONG_AGO);
}
