//! One suite for every adapter of the two ports: what a store must do, whatever it is made of.
//!
//! An adapter's test calls [`sessions`] (or [`expiring_sessions`]) or [`accounts`] with a way to make an empty store, and,
//! if it is durable, [`sessions_last`] or [`accounts_last`] with a way to open the same one again; one that is both stores
//! in one database also [`one_database`]; and one with a log also [`former_incarnations`]. A broken promise is a panic that says which; the check that runs is named on standard error.

mod account;
mod audit;
mod exchange;
mod key;
mod lasting;
mod limits;
mod lineage;
mod log;
mod session;

use std::{sync::Arc, time::Duration};

pub use lasting::{accounts_last, one_database, sessions_last};
pub use lineage::former_incarnations;
use tokio::task::JoinSet;

use super::{AccountChange, AccountStore, Basis, Creation, DeletionClock, DeletionTime, NewAccount, SessionStore};
use crate::{
    account::{Account, AccountState, EmailAddress},
    clock::Timestamp,
    credential::PasswordHash,
    ids::{AccountId, AppId, Epoch, Generation, SessionId},
    method::Method,
    random::Rng,
    session::{AuthMethods, ClientKind, Record},
};

/// Names a check and runs it on a store of its own.
macro_rules! run {
    ($make:expr, $($part:ident :: $check:ident,)+) => {
        let make = $make;
        $(
            eprintln!("conformance: {}", stringify!($check));
            $part::$check(make().await).await;
        )+
    };
}

/// What every [`SessionStore`] does whose records are removed by its sweep. `make` gives an empty one each time.
///
/// # Panics
/// When it does not.
pub async fn sessions<S: SessionStore>(make: impl AsyncFn() -> S) {
    all_sessions(&make).await;
    run!(async || Arc::new(make().await) as Arc<dyn SessionStore>, session::a_sweep_removes_only_what_is_over,);
}

/// The same of one whose records go by themselves, some time after their end; its sweep may have nothing to do.
///
/// # Panics
/// When it does not.
pub async fn expiring_sessions<S: SessionStore>(make: impl AsyncFn() -> S) {
    all_sessions(&make).await;
    run!(async || Arc::new(make().await) as Arc<dyn SessionStore>, session::a_sweep_leaves_what_lives,);
}

async fn all_sessions<S: SessionStore>(make: &impl AsyncFn() -> S) {
    run!(
        async || Arc::new(make().await) as Arc<dyn SessionStore>,
        session::a_session_is_made_once,
        session::no_write_but_the_first_makes_a_record,
        session::every_value_reads_back,
        session::one_of_a_hundred_rotations_wins,
        session::numbers_of_every_length_are_changed_rightly,
        session::activity_never_moves_back,
        session::a_session_is_carried_over_from_where_it_stood_only,
        session::an_end_is_an_end_however_often_and_whatever_runs_beside_it,
        session::parallel_logins_are_all_listed,
        session::pages_leave_nobody_out_when_their_last_row_ends,
        session::sessions_are_counted_by_app_and_method,
        session::a_walk_meets_every_session,
        session::any_writes_do_what_the_domain_says,
        session::many_are_forgotten_at_once_and_nobody_else,
        session::it_remembers_how_far_it_has_seen_the_log,
        session::a_rotation_is_as_old_as_the_stores_clock_says,
    );
}

/// What every [`AccountStore`] does. `make` gives an empty one each time.
///
/// # Panics
/// When it does not.
pub async fn accounts<S: AccountStore>(make: impl AsyncFn() -> S) {
    run!(
        async || Arc::new(make().await) as Arc<dyn AccountStore>,
        account::an_account_is_found_by_address_and_by_id,
        account::one_of_many_registrations_of_an_address_wins,
        account::accounts_are_paged_in_the_order_of_their_ids,
        account::changes_that_end_sessions_raise_the_epoch,
        account::a_standing_is_never_older_than_a_change_that_was_answered,
        account::a_rehash_never_undoes_a_change_of_password,
        account::a_deleted_account_never_comes_back,
        account::parallel_changes_each_raise_the_epoch,
        account::a_change_goes_by_what_was_read,
        account::one_of_many_who_read_the_same_wins,
        account::an_epoch_is_no_less_than_the_store_s_time,
        log::what_ends_stands_in_the_log,
        log::a_line_goes_by_the_stores_time,
        log::a_session_that_has_ended_is_not_written_twice,
        log::an_end_is_written_again_when_its_line_is_old_and_only_once,
        log::an_app_ends_by_method_or_whole,
        log::the_log_has_no_gaps_under_parallel_ends,
        log::the_log_answers_what_follows_or_a_snapshot,
        log::a_long_log_comes_in_pages,
        log::a_pruned_log_keeps_what_is_needed,
        log::ended_sessions_are_told_in_order,
        exchange::an_exchange_is_one_line_that_remembers_the_successor,
        exchange::an_exchange_loses_against_what_was_not_read,
        exchange::an_end_follows_what_took_a_sessions_place,
        exchange::an_exchange_is_remembered_for_as_long_as_its_successor_can_live,
        exchange::an_exchange_beside_others_and_an_end_is_done_once_or_not_at_all,
        exchange::any_exchanges_and_ends_leave_alive_what_should_be,
        key::only_one_server_makes_the_next_key,
        key::keys_are_killed_rewrapped_and_forgotten,
        key::a_change_of_the_keys_is_told_and_loses_against_another,
        key::a_killed_key_and_its_replacement_change_in_one,
        key::a_store_knows_itself,
        key::services_come_and_go,
        audit::the_audit_log_is_paged_and_filtered,
        audit::sign_ins_tell_where_they_came_from,
        audit::an_audit_log_is_cut_off_at_its_old_end,
        audit::lines_that_cannot_be_kept_are_refused_for_good_and_together,
        limits::guesses_stop_at_the_limit_whichever_server_is_asked,
        limits::parallel_logins_all_succeed_whichever_servers_are_asked,
        limits::nobody_is_shut_out_from_where_they_have_been,
        limits::what_came_to_nothing_does_not_count,
        limits::a_vanished_server_holds_nothing_up,
        limits::servers_whose_clocks_differ_count_by_the_stores,
        limits::a_clock_that_is_ahead_locks_nobody_out,
        limits::a_sweep_removes_only_full_buckets,
        limits::past_the_bound_new_keys_share_buckets,
    );
}

/// When the checks take place.
const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
const MINUTE: Duration = Duration::from_mins(1);
const DAY: Duration = Duration::from_hours(24);

const HASH: &str = "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE";
const OTHER_HASH: &str =
    "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$ODEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE";

fn hash(phc: &str) -> PasswordHash {
    PasswordHash::parse(phc).expect("it is a PHC string")
}

/// An operator's change of a password.
fn password(to: PasswordHash) -> AccountChange {
    AccountChange::Password { basis: Basis::Operator, to }
}

fn app(name: &str) -> AppId {
    AppId::parse(name).expect("it is an app's name")
}

/// A moment by a clock of deletion that stands there.
pub fn deletion_at(moment: Timestamp) -> DeletionTime {
    DeletionClock { stands: moment, time: moment }.over()
}

/// A new session's id.
fn session_id(rng: &Rng) -> SessionId {
    SessionId::from_bytes(rng.bytes())
}

fn account_id(rng: &Rng) -> AccountId {
    AccountId::generate(NOW, rng)
}

/// A session of an account that began at a moment.
fn record(account: AccountId, created: Timestamp) -> Record {
    Record {
        account,
        epoch: Epoch(0),
        app: app("web").tag(),
        app_epoch: Epoch(0),
        method: Method::Session,
        created,
        last_active: created,
        expires: created + DAY * 30,
        generation: Generation(0),
        rotated: created,
        auth_time: created.whole_secs(),
        amr: AuthMethods::PASSWORD,
        client: ClientKind::default(),
    }
}

/// An account that is not stored yet.
fn new_account(email: &str, rng: &Rng) -> NewAccount {
    let email = EmailAddress::parse(email).expect("it is an address");
    let account = Account {
        id: account_id(rng),
        email,
        name: Some("Ada Lovelace".to_owned()),
        state: AccountState::Active,
        epoch: Epoch(0),
        created: NOW,
    };
    NewAccount { account, password: Some(hash(HASH)) }
}

/// Stores an account.
async fn registered(store: &Arc<dyn AccountStore>, email: &str, rng: &Rng) -> Account {
    let new = new_account(email, rng);
    let account = new.account.clone();
    assert_eq!(store.create(new).await.unwrap(), Creation::Made);
    account
}

/// Does something `times` times at once; the results in any order.
async fn at_once<T, F, S>(store: &Arc<S>, times: u32, work: impl Fn(Arc<S>, u32) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
    S: ?Sized,
{
    let mut tasks = JoinSet::new();
    for n in 0..times {
        tasks.spawn(work(Arc::clone(store), n));
    }
    tasks.join_all().await
}
