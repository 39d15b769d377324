//! `cloakroom store`.

mod accounts;
mod check;
mod copy;

use std::{path::Path, sync::Arc};

use cloakroom_core::store::{
    AccountStore, SessionStore, StoreError,
    postgres::Postgres,
    redis::{self, Redis},
    sqlite::{Options, Sqlite},
};
use cloakroom_server::{
    config::{AccountsAt, Config, SessionsAt},
    control::CommandError,
};

use crate::{
    args::{Common, Store},
    failure::Failure,
    output::Output,
};

pub(crate) async fn run(command: Store, common: &Common, output: Output) -> Result<(), Failure> {
    match command {
        Store::Copy { from, to, accounts: true } => accounts::run(&from, &to, common, output).await,
        Store::Copy { from, to, accounts: false } => copy::run(&from, &to, common, output).await,
        Store::Check => check::run(common, output).await,
    }
}

/// The accounts' store, beside whichever server has it.
async fn accounts(config: &Config) -> Result<Arc<dyn AccountStore>, Failure> {
    match &config.store.accounts {
        AccountsAt::Postgres(url) => Ok(Arc::new(Postgres::open(url).await.map_err(refused)?)),
        _ => Ok(Arc::new(beside(&config.data_dir)?)),
    }
}

/// A store of sessions to be read, beside whichever server has it.
async fn sessions(at: &SessionsAt, data_dir: &Path) -> Result<Arc<dyn SessionStore>, Failure> {
    Ok(match at {
        SessionsAt::Sqlite => Arc::new(beside(data_dir)?),
        SessionsAt::Postgres(url) => Arc::new(Postgres::open(url).await.map_err(refused)?),
        SessionsAt::Redis(address) => {
            Arc::new(Redis::open(address, &redis::Options::default()).await.map_err(refused)?)
        }
        _ => {
            let detail = "sessions in memory are their server's alone, and go with it";
            return Err(Failure::refused("no_store", detail));
        }
    })
}

fn beside(data_dir: &Path) -> Result<Sqlite, Failure> {
    Sqlite::open_beside(data_dir, &Options::default()).map_err(refused)
}

/// Refuses a database that servers run on; `what` comes before it is said.
pub(super) async fn unused(store: &Postgres, what: &str) -> Result<(), Failure> {
    match store.servers().await.map_err(refused)? {
        0 => Ok(()),
        n => {
            let detail = format!("{what}servers run on this database ({n} connections): stop them first");
            Err(Failure::refused("store_in_use", detail))
        }
    }
}

pub(super) fn refused(error: StoreError) -> Failure {
    CommandError::from(error).into()
}
