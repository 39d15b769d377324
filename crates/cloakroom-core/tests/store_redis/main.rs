//! The store in Redis keeps the promises of the session port, on real servers: one, a cluster, behind sentinels, with TLS.

mod failover;
mod faults;
mod memory;
mod promises;
mod server;
mod setup;
mod upkeep;

use std::time::Duration;

use cloakroom_core::{
    clock::Timestamp,
    ids::{AccountId, AppId, Epoch, Generation, SessionId},
    method::Method,
    random::Rng,
    revocation::{Incarnation, Position},
    session::{AuthMethods, ClientKind, Record, Write, Written},
    store::{
        SessionStore, StoreError,
        redis::{Address, Options, Redis},
    },
};

/// Later than the wall clock, by which Redis tidies up.
fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp::from_secs(since.as_secs())
}

const DAY: Duration = Duration::from_hours(24);

/// Limits under which a test need not wait long, also on a busy machine.
fn quick() -> Options {
    let limit = Duration::from_secs(2);
    Options { connect: limit, answer: limit, ..Options::default() }
}

async fn open(url: &str) -> Redis {
    Redis::open(&Address::parse(url).unwrap(), &quick()).await.unwrap()
}

async fn refusal(url: &str) -> StoreError {
    Redis::open(&Address::parse(url).unwrap(), &quick()).await.unwrap_err()
}

fn record(account: AccountId) -> Record {
    let at = now();
    Record {
        account,
        epoch: Epoch(0),
        app: AppId::parse("web").unwrap().tag(),
        app_epoch: Epoch(0),
        method: Method::Session,
        created: at,
        last_active: at,
        expires: at + DAY * 30,
        generation: Generation(0),
        rotated: at,
        auth_time: at,
        amr: AuthMethods::PASSWORD,
        client: ClientKind::from_user_agent("Mozilla/5.0 (Macintosh) Firefox/140.0"),
    }
}

fn account(rng: &Rng) -> AccountId {
    AccountId::generate(now(), rng)
}

fn session(rng: &Rng) -> SessionId {
    SessionId::from_bytes(rng.bytes())
}

async fn log_in(store: &Redis, account: AccountId, rng: &Rng) -> SessionId {
    let id = session(rng);
    assert!(matches!(store.write(id, Write::Create(record(account))).await.unwrap(), Written::Done(Some(_))));
    id
}

/// The key of a session.
fn key(id: SessionId) -> Vec<u8> {
    [&b"cr:s"[..], id.bytes()].concat()
}

fn at(incarnation: u64, sequence: u64) -> Position {
    Position { incarnation: Incarnation(incarnation), sequence }
}

/// Moves the watermark on from what it is.
async fn mark(store: &Redis, to: Position) -> Result<(), StoreError> {
    let from = store.watermark().await?;
    store.advance_watermark(&from, to).await
}

/// The lowest of all marks, if there are all and of one incarnation.
async fn lowest(store: &Redis) -> Option<Position> {
    let watermark = store.watermark().await.unwrap();
    let marks: Option<Vec<_>> = watermark.parts().map(|marks| marks.first().copied()).collect();
    let marks = marks?;
    let of_one = marks.windows(2).all(|pair| pair[0].incarnation == pair[1].incarnation);
    marks.into_iter().min_by_key(|mark| mark.sequence).filter(|_| of_one)
}
