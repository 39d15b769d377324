//! Keys, services and the installation's own row in PostgreSQL.

use uuid::Uuid;

use super::{
    Postgres,
    columns::{bytes, get, key, moment},
    error::unreadable,
    pool::Nature::Read,
    value::Value,
};
use crate::{
    ids::Kid,
    key::{KeyRow, WrappedKey},
    store::{Installation, Service, StoreError},
};

const INSTALLATION: &str = "SELECT id, secret_check FROM cloakroom_installation";
const REWRAP: &str = "WITH keys AS (
         UPDATE cloakroom_keys SET wrapped = new.wrapped FROM unnest($2, $3) AS new (kid, wrapped)
         WHERE cloakroom_keys.kid = new.kid
     )
     UPDATE cloakroom_installation SET secret_check = $1";
const FIRST_CHECK: &str = "UPDATE cloakroom_installation SET secret_check = $1 WHERE secret_check IS NULL";
const ALL: &str = "SELECT kid, purpose, ordinal, wrapped, created, used_from, killed FROM cloakroom_keys
     ORDER BY purpose, ordinal";
const ADD: &str = "INSERT INTO cloakroom_keys (kid, purpose, ordinal, wrapped, created, used_from, killed)
     VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING";
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

    /// Sets the check together with all keys wrapped anew.
    pub(super) async fn wrap_anew(&self, check: &WrappedKey, keys: &[(Kid, WrappedKey)]) -> Result<(), StoreError> {
        let kids: Vec<_> = keys.iter().map(|(kid, _)| kid.as_str()).collect();
        let wrapped: Vec<_> = keys.iter().map(|(_, wrapped)| wrapped.bytes()).collect();
        let values = [Value::Bytes(check.bytes()), Value::Texts(&kids), Value::Blobs(&wrapped)];
        self.pool().execute(REWRAP, &values).await?;
        Ok(())
    }

    /// Sets the check where there is none; whether there was none.
    pub(super) async fn check_first(&self, check: &WrappedKey) -> Result<bool, StoreError> {
        let done = self.pool().execute(FIRST_CHECK, &[Value::Bytes(check.bytes())]).await? == 1;
        self.settled_unless(done).await
    }

    pub(super) async fn all_keys(&self) -> Result<Vec<KeyRow>, StoreError> {
        self.pool().rows(Read, ALL, &[]).await?.iter().map(key).collect()
    }

    /// Adds a key unless its place or its name is taken.
    pub(super) async fn insert_key(&self, key: &KeyRow) -> Result<bool, StoreError> {
        let purpose = key.purpose.name();
        let values = [
            Value::Text(key.kid.as_str()),
            Value::Text(purpose),
            Value::Int(key.ordinal.into()),
            Value::Bytes(key.wrapped.bytes()),
            key.created.into(),
            key.from.into(),
            Value::MaybeInt(key.killed.map(|at| super::value::integer(at.millis()))),
        ];
        let done = self.pool().execute(ADD, &values).await? == 1;
        self.settled_unless(done).await
    }

    pub(super) async fn delete_keys(&self, kids: &[Kid]) -> Result<(), StoreError> {
        let kids: Vec<_> = kids.iter().map(Kid::as_str).collect();
        self.pool().execute(REMOVE, &[Value::Texts(&kids)]).await?;
        Ok(())
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
