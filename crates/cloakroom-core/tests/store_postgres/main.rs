//! The PostgreSQL store against a real PostgreSQL: it keeps the promises of both ports, directly and through PgBouncer,
//! whatever is killed, and is a good guest in its database.
//!
//! `scripts/with-stores cargo nextest run -p cloakroom-core --features postgres --test store_postgres` runs these.

mod churn;
mod clocks;
mod cluster;
mod database;
mod exchange;
mod faults;
mod gather;
#[path = "../lab/mod.rs"]
mod lab;
mod log;
mod power;
mod promises;
mod schema;
mod secrecy;
mod standby;
mod tls;

use std::time::Duration;

use cloakroom_core::{
    account::{Account, AccountState, EmailAddress},
    clock::Timestamp,
    ids::{AccountId, AppId, Epoch, Generation, SessionId},
    method::Method,
    random::Rng,
    session::{AuthMethods, ClientKind, Record, Write, Written},
    store::{AccountStore, Creation, NewAccount, SessionStore, postgres::Postgres},
};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
const DAY: Duration = Duration::from_hours(24);

fn record(account: AccountId, expires: Timestamp) -> Record {
    Record {
        account,
        epoch: Epoch(0),
        app: AppId::parse("web").unwrap().tag(),
        app_epoch: Epoch(0),
        method: Method::Jwt,
        created: NOW,
        last_active: NOW,
        expires,
        generation: Generation(0),
        rotated: NOW,
        auth_time: NOW,
        amr: AuthMethods::PASSWORD,
        client: ClientKind::default(),
    }
}

fn fresh(rng: &Rng) -> (SessionId, Record) {
    (SessionId::from_bytes(rng.bytes()), record(AccountId::generate(NOW, rng), NOW + DAY))
}

async fn log_in(store: &Postgres, rng: &Rng) -> SessionId {
    let (id, record) = fresh(rng);
    assert!(matches!(store.write(id, Write::Create(record)).await.unwrap(), Written::Done(_)));
    id
}

async fn register(store: &Postgres, email: &str, rng: &Rng) -> AccountId {
    let (id, email) = (AccountId::generate(NOW, rng), EmailAddress::parse(email).unwrap());
    let account = Account { id, email, name: None, state: AccountState::Active, epoch: Epoch(0), created: NOW };
    assert_eq!(store.create(NewAccount { account, password: None }).await.unwrap(), Creation::Made);
    id
}
