//! `cloakroom backup` and `cloakroom restore`.

use std::path::Path;

use cloakroom_core::{
    engine::opens,
    random::Rng,
    revocation::Hold,
    store::{
        AccountStore, KeyChange, StoreError,
        postgres::Postgres,
        sqlite::{Options, Sqlite},
    },
};
use cloakroom_server::{
    assemble::OpenError,
    config::{AccountsAt, Config, SessionsAt},
};
use serde_json::json;

use super::store::{refused, unused};
use crate::{args::Common, failure::Failure, operator::sources, output::Output};

pub(crate) async fn backup(file: &Path, common: &Common, output: Output) -> Result<(), Failure> {
    let config = Config::load(sources(common))?;
    embedded(&config, "make a copy of its database with pg_dump")?;
    let store = Sqlite::open_beside(&config.data_dir, &Options::default()).map_err(refused)?;
    store.backup(file).await.map_err(refused)?;
    let size = std::fs::metadata(file).map_err(|error| Failure::fault(&error))?.len();
    let sessions = config.store.sessions == SessionsAt::Sqlite;
    let answer = json!({ "backup": file, "bytes": size, "sessions": sessions });
    output.answer(&answer, |_| output.line(format_args!("{} ({size} bytes)", file.display())));
    if !sessions {
        output.remark("The sessions are kept elsewhere, and are not in it.");
    }
    output.remark("The master secret is not in it: keep that apart.");
    Ok(())
}

pub(crate) async fn restore(
    file: Option<&Path>,
    end_all: bool,
    common: &Common,
    output: Output,
) -> Result<(), Failure> {
    let config = Config::load(sources(common))?;
    if let Some(file) = file {
        embedded(&config, "put its database back with pg_restore, and then run this with --in-place")?;
        let backup = Sqlite::open_backup(file).map_err(refused)?;
        right_secret(&config, &backup).await?;
        let prepare = |store: Sqlite| async move {
            if end_all {
                end_everything(&store, Box::pin(store.leap())).await?;
            }
            Ok(())
        };
        backup.restore(&config.data_dir, prepare).await.map_err(refused)?;
    } else if let AccountsAt::Postgres(url) = &config.store.accounts {
        let store = Postgres::open(&url.for_operators()).await.map_err(refused)?;
        right_secret(&config, &store).await?;
        unused(&store, "").await?;
        store.new_incarnation().await.map_err(refused)?;
        if end_all {
            end_everything(&store, Box::pin(store.leap())).await.map_err(refused)?;
        }
    } else {
        // Nothing is to be made where there is none.
        drop(Sqlite::open_beside(&config.data_dir, &Options::default()).map_err(refused)?);
        let store = Sqlite::open(&config.data_dir, &Options::default()).map_err(refused)?;
        right_secret(&config, &store).await?;
        store.new_incarnation().await.map_err(refused)?;
        if end_all {
            end_everything(&store, Box::pin(store.leap())).await.map_err(refused)?;
        }
    }
    output.answer(&json!({ "restored": true, "ended_all": end_all }), |_| {
        output.line(if end_all {
            "Restored; every session has ended, and every key is killed: start the server, and everybody signs in again."
        } else {
            "Restored. Sessions that ended after the backup was made live again; --end-all would have ended all."
        });
    });
    Ok(())
}

/// Ends everything that a restored store might accept. Kills every key: what a key made that was killed after the backup is
/// refused too, and verifiers hear of it. Then leaps, as the store does that.
async fn end_everything(
    store: &dyn AccountStore,
    leap: impl Future<Output = Result<u64, StoreError>>,
) -> Result<(), StoreError> {
    let keys = store.keys().await?;
    let kids = keys.rows.iter().filter(|key| key.killed.is_none()).map(|key| key.kid).collect();
    // The first start makes others.
    if store.change_keys(&keys.stamp, KeyChange::Kill { kids, hold: Hold::KEY, next: None }, None).await?.is_none() {
        return Err(StoreError::InUse("a server changes the keys: stop every server, and run it again".to_owned()));
    }
    leap.await.map(drop)
}

fn embedded(config: &Config, instead: &str) -> Result<(), Failure> {
    if config.store.accounts == AccountsAt::Sqlite {
        return Ok(());
    }
    Err(Failure::refused("not_embedded", format!("the accounts are in PostgreSQL: {instead}; see docs/stores.md")))
}

/// The keys in a backup can be opened with the master secret of its time only; none is made up here.
async fn right_secret(config: &Config, store: &dyn AccountStore) -> Result<(), Failure> {
    if let Some(path) = config.secret_file().filter(|path| !path.exists()) {
        let detail =
            format!("the master secret is in no backup: put the one of its time into {} first", path.display());
        return Err(Failure::refused("wrong_secret", detail));
    }
    let (master, _) = config.master_secret(&Rng::system()).map_err(|error| Failure::from(OpenError::Secret(error)))?;
    if opens(&master, &store.installation().await.map_err(refused)?) {
        return Ok(());
    }
    Err(Failure::refused(
        "wrong_secret",
        "the master secret is not the one that the backup's keys are under: put that of its time in its place",
    ))
}
