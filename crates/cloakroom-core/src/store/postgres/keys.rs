//! Keys, services and the installation's own row in PostgreSQL.

use tokio_postgres::Row;
use uuid::Uuid;

use super::{
    Postgres,
    columns::{bytes, get, key, moment},
    connection::Connection,
    error::{Failure, unreadable},
    lineage,
    log::{self, Head},
    pool::{
        Attempts,
        Nature::{Read, Write},
    },
    value::{Value, integer},
};
use crate::{
    clock::Timestamp,
    ids::Kid,
    key::{KeyRow, KeyStamp, Keys, WrappedKey},
    random::Rng,
    revocation::{End, Entry, KeySet},
    store::{Installation, KeyChange, Service, StoreError},
};

const INSTALLATION: &str = "SELECT id, secret_check FROM cloakroom_installation";
const FIRST_CHECK: &str = "UPDATE cloakroom_installation SET secret_check = $1 WHERE secret_check IS NULL";
/// In one statement, so that rows and number are of one moment.
const ALL: &str = "SELECT kid, purpose, ordinal, wrapped, created, used_from, killed, key_set, secret_check
     FROM cloakroom_log_head CROSS JOIN cloakroom_installation LEFT JOIN cloakroom_keys ON true
     ORDER BY purpose, ordinal";
/// Servers of the release before add keys and change the secret without a look at the head.
const HOLD: &str = "LOCK TABLE cloakroom_keys IN SHARE ROW EXCLUSIVE MODE";
const STAMP: &str = "SELECT key_set, secret_check FROM cloakroom_log_head, cloakroom_installation
     FOR SHARE OF cloakroom_installation";
const NEXT_SET: &str = "UPDATE cloakroom_log_head SET key_set = $1";
const ADD: &str = "INSERT INTO cloakroom_keys (kid, purpose, ordinal, wrapped, created, used_from, killed)
     VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING";
const KILL: &str = "UPDATE cloakroom_keys SET killed = coalesce(killed, $2) WHERE kid = $1";
const LIVING: &str = "SELECT kid FROM cloakroom_keys WHERE killed IS NULL";
const REWRAP: &str = "UPDATE cloakroom_keys SET wrapped = new.wrapped FROM unnest($1, $2) AS new (kid, wrapped)
     WHERE cloakroom_keys.kid = new.kid";
const CHECK: &str = "UPDATE cloakroom_installation SET secret_check = $1";
const REMOVE: &str = "DELETE FROM cloakroom_keys WHERE kid = ANY ($1)";
const ADD_SERVICE: &str = "INSERT INTO cloakroom_services (id, name, secret_hash, created) VALUES ($1, $2, $3, $4)";
const SERVICES: &str = "SELECT id, name, secret_hash, created FROM cloakroom_services ORDER BY created, id";
const REMOVE_SERVICE: &str = "DELETE FROM cloakroom_services WHERE id = $1";

impl Postgres {
    pub(super) async fn its_installation(&self) -> Result<Installation, StoreError> {
        let row = self.pool().row(Read, INSTALLATION, &[]).await?.ok_or_else(|| unreadable("the installation"))?;
        let secret_check = get::<Option<Vec<u8>>>(&row, 1)?.map(WrappedKey::from_bytes);
        Ok(Installation { id: Uuid::from_bytes(bytes(&row, 0)?), secret_check })
    }

    /// Sets the check where there is none; whether there was none.
    pub(super) async fn check_first(&self, check: &WrappedKey) -> Result<bool, StoreError> {
        let done = self.pool().execute(FIRST_CHECK, &[Value::Bytes(check.bytes())]).await? == 1;
        self.settled_unless(done).await
    }

    pub(super) async fn all_keys(&self) -> Result<Keys, StoreError> {
        let found = self.pool().rows(Read, ALL, &[]).await?;
        let first = found.first().ok_or_else(|| unreadable("the installation"))?;
        let stamp = stamp(first, 7)?;
        let mut rows = Vec::with_capacity(found.len());
        for row in &found {
            // Where there is no key, one row has none.
            if get::<Option<&str>>(row, 0)?.is_some() {
                rows.push(key(row)?);
            }
        }
        Ok(Keys { stamp, rows })
    }

    /// Changes the keys, if they are still those.
    pub(super) async fn change_the_keys(
        &self,
        from: &KeyStamp,
        change: &KeyChange,
        at: Option<Timestamp>,
    ) -> Result<Option<Vec<Entry>>, StoreError> {
        let mut attempts = Attempts::new(Write);
        loop {
            let done = match self.pool().writer().await {
                Ok(writer) => self.pool().within(&writer, transact(&writer, from, change, at)).await,
                Err(failure) => Err(failure),
            };
            match done {
                Err(failure) => attempts.again(failure).await?,
                Ok(None) => {
                    // Somebody else changed them, and whoever asked will go by that.
                    self.settle_others().await?;
                    return Ok(None);
                }
                Ok(changed) => return Ok(changed),
            }
        }
    }

    pub(super) async fn insert_service(&self, service: &Service) -> Result<(), StoreError> {
        let values = [
            Value::Text(&service.id),
            Value::Text(&service.name),
            Value::Bytes(&service.secret_hash),
            service.created.into(),
        ];
        self.pool().execute(ADD_SERVICE, &values).await?;
        Ok(())
    }

    pub(super) async fn all_services(&self) -> Result<Vec<Service>, StoreError> {
        let service = |row| {
            let created = moment(row, 3)?;
            Ok(Service { id: get(row, 0)?, name: get(row, 1)?, secret_hash: bytes(row, 2)?, created })
        };
        self.pool().rows(Read, SERVICES, &[]).await?.iter().map(service).collect()
    }

    pub(super) async fn delete_service(&self, id: &str) -> Result<bool, StoreError> {
        let done = self.pool().execute(REMOVE_SERVICE, &[Value::Text(id)]).await? == 1;
        self.settled_unless(done).await
    }
}

async fn transact(
    connection: &Connection,
    from: &KeyStamp,
    change: &KeyChange,
    at: Option<Timestamp>,
) -> Result<Option<Vec<Entry>>, Failure> {
    let transaction = connection.begin();
    // Who changes the keys holds the head of the log, which has the number of their set.
    let Head { time, .. } = lineage::begin(connection, &transaction).await?;
    let at = at.unwrap_or(time);
    connection.batch(HOLD).await?;
    let found = connection.rows(STAMP, &[]).await?;
    let found = found.first().ok_or_else(|| unreadable("the installation"))?;
    let done = if stamp(found, 0)? == *from { apply(connection, change, at).await? } else { None };
    let Some(entries) = done else {
        transaction.undo().await?;
        return Ok(None);
    };
    connection.execute(NEXT_SET, &[Value::Int(i64::from_be_bytes(Rng::system().bytes()))]).await?;
    connection.batch(log::NOTIFY).await?;
    transaction.commit().await?;
    Ok(Some(entries))
}

/// Does a change; `None`: it does not fit what is there.
async fn apply(connection: &Connection, change: &KeyChange, at: Timestamp) -> Result<Option<Vec<Entry>>, Failure> {
    let mut entries = Vec::new();
    match change {
        KeyChange::Add(row) => {
            if !add(connection, row).await? {
                return Ok(None);
            }
        }
        KeyChange::Kill { kids, hold, next } => {
            if let Some(row) = next
                && !add(connection, row).await?
            {
                return Ok(None);
            }
            for kid in kids {
                if connection.execute(KILL, &[Value::Text(kid.as_str()), at.into()]).await? == 1 {
                    entries.push(log::append(connection, End::Key { kid: *kid }, at, hold.until(at)).await?);
                }
            }
        }
        KeyChange::Rewrap { check, wrapped } => {
            for row in connection.rows(LIVING, &[]).await? {
                let kid: &str = get(&row, 0)?;
                if !wrapped.iter().any(|(given, _)| given.as_str() == kid) {
                    return Ok(None);
                }
            }
            let (kids, keys): (Vec<_>, Vec<_>) = wrapped.iter().map(|(kid, key)| (kid.as_str(), key.bytes())).unzip();
            connection.execute(REWRAP, &[Value::Texts(&kids), Value::Blobs(&keys)]).await?;
            connection.execute(CHECK, &[Value::Bytes(check.bytes())]).await?;
        }
        KeyChange::Remove(kids) => {
            let kids: Vec<_> = kids.iter().map(Kid::as_str).collect();
            connection.execute(REMOVE, &[Value::Texts(&kids)]).await?;
        }
    }
    Ok(Some(entries))
}

/// Adds a key unless its place or its name is taken.
async fn add(connection: &Connection, key: &KeyRow) -> Result<bool, Failure> {
    let purpose = key.purpose.name();
    let values = [
        Value::Text(key.kid.as_str()),
        Value::Text(purpose),
        Value::Int(key.ordinal.into()),
        Value::Bytes(key.wrapped.bytes()),
        key.created.into(),
        key.from.into(),
        Value::MaybeInt(key.killed.map(|at| integer(at.millis()))),
    ];
    Ok(connection.execute(ADD, &values).await? == 1)
}

fn stamp(row: &Row, column: usize) -> Result<KeyStamp, StoreError> {
    let set = KeySet(get::<i64>(row, column)?.cast_unsigned());
    let check = get::<Option<Vec<u8>>>(row, column + 1)?.map(WrappedKey::from_bytes);
    Ok(KeyStamp { set, check })
}
