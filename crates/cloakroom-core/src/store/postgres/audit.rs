//! The audit log in PostgreSQL: appended to, read backwards, and cut off at its old end.

use std::{fmt::Write as _, net::IpAddr};

use tokio_postgres::Row;

use super::{
    Postgres,
    columns::{bytes, get, maybe_bytes, moment, number},
    pool::Nature::Read,
    value::{Value, at_most, integer},
};
use crate::{
    audit::{Event, Filter, Kind, Origin, Stored},
    ids::{AccountId, AppId, SessionId},
    refusal::Reason,
    store::{DeletionTime, StoreError},
};

/// Places are given in the order in which the events are.
const APPEND: &str =
    "INSERT INTO cloakroom_audit (at, kind, account, session, app, address, network, user_agent, reason, detail)
     SELECT at, kind, account, session, app, address, network, user_agent, reason, detail
     FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) WITH ORDINALITY
     AS new (at, kind, account, session, app, address, network, user_agent, reason, detail, place) ORDER BY place";
const ORIGINS: &str = "SELECT session, address, user_agent FROM cloakroom_audit WHERE id IN (
     SELECT min(id) FROM cloakroom_audit WHERE session = ANY ($1) AND kind = 'signed_in' GROUP BY session)";
const SIGNED_IN_FROM: &str = "SELECT 1 FROM cloakroom_audit
     WHERE account = $1 AND network = $2 AND kind = 'signed_in' LIMIT 1";
/// Looks at the oldest lines only: they are in the order of time but for moments.
const PRUNE: &str = "DELETE FROM cloakroom_audit WHERE at < $1 AND id = ANY (ARRAY(
     SELECT id FROM cloakroom_audit ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED))";

impl Postgres {
    pub(super) async fn append_audit(&self, events: &[Event]) -> Result<(), StoreError> {
        if events.is_empty() {
            return Ok(());
        }
        let at: Vec<_> = events.iter().map(|event| integer(event.at.millis())).collect();
        let kinds: Vec<_> = events.iter().map(|event| event.kind.as_str()).collect();
        let accounts: Vec<_> = events.iter().map(|e| e.account.as_ref().map(|id| &id.bytes()[..])).collect();
        let sessions: Vec<_> = events.iter().map(|e| e.session.as_ref().map(|id| &id.bytes()[..])).collect();
        let apps: Vec<_> = events.iter().map(|event| event.app.as_ref().map(AppId::as_str)).collect();
        let addresses: Vec<_> =
            events.iter().map(|e| e.origin.address.map(|address| address.to_canonical().to_string())).collect();
        let networks: Vec<_> = events.iter().map(|e| e.origin.network().map(|network| network.to_string())).collect();
        let (addresses, networks) = (texts(&addresses), texts(&networks));
        let agents: Vec<_> = events.iter().map(|event| event.origin.user_agent.as_deref()).collect();
        let reasons: Vec<_> = events.iter().map(|event| event.reason.map(Reason::as_str)).collect();
        let details: Vec<_> = events.iter().map(|event| event.detail.as_deref()).collect();
        let values = [
            Value::Ints(&at),
            Value::Texts(&kinds),
            Value::MaybeBlobs(&accounts),
            Value::MaybeBlobs(&sessions),
            Value::MaybeTexts(&apps),
            Value::MaybeTexts(&addresses),
            Value::MaybeTexts(&networks),
            Value::MaybeTexts(&agents),
            Value::MaybeTexts(&reasons),
            Value::MaybeTexts(&details),
        ];
        self.pool().execute(APPEND, &values).await?;
        Ok(())
    }

    /// A page, newest first.
    pub(super) async fn page_of_audit(&self, filter: &Filter, limit: usize) -> Result<Vec<Stored>, StoreError> {
        // Only what is asked for stands in the statement, so that the index for it is used.
        let asked = [
            ("account", filter.account.as_ref().map(|id| Value::Bytes(id.bytes()))),
            ("session", filter.session.as_ref().map(|id| Value::Bytes(id.bytes()))),
            ("kind", filter.kind.map(|kind| Value::Text(kind.as_str()))),
        ];
        let mut values = vec![Value::Int(filter.before.map_or(i64::MAX, integer)), at_most(limit)];
        let mut statement = "SELECT id, at, kind, account, session, app, address, user_agent, reason, detail \
             FROM cloakroom_audit WHERE id < $1"
            .to_owned();
        for (column, value) in asked {
            let Some(value) = value else { continue };
            values.push(value);
            let _ = write!(statement, " AND {column} = ${}", values.len());
        }
        statement.push_str(" ORDER BY id DESC LIMIT $2");
        self.pool().ad_hoc(Read, &statement, &values).await?.iter().map(stored).collect()
    }

    /// The sign-ins by which sessions began.
    pub(super) async fn origins_of(&self, sessions: &[SessionId]) -> Result<Vec<(SessionId, Origin)>, StoreError> {
        if sessions.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<_> = sessions.iter().map(|id| &id.bytes()[..]).collect();
        let rows = self.pool().rows(Read, ORIGINS, &[Value::Blobs(&ids)]).await?;
        let origin = |row: &Row| {
            let origin = Origin { address: address(row, 1)?, user_agent: get(row, 2)? };
            Ok((SessionId::from_bytes(bytes(row, 0)?), origin))
        };
        rows.iter().map(origin).collect()
    }

    pub(super) async fn signed_in_from(&self, id: AccountId, network: &str) -> Result<bool, StoreError> {
        let values = [Value::Bytes(id.bytes()), Value::Text(network)];
        Ok(self.pool().row(Read, SIGNED_IN_FROM, &values).await?.is_some())
    }

    pub(super) async fn cut_audit(&self, before: DeletionTime, limit: usize) -> Result<usize, StoreError> {
        Ok(self.pool().execute(PRUNE, &[before.moment().into(), at_most(limit)]).await? as usize)
    }
}

fn texts(owned: &[Option<String>]) -> Vec<Option<&str>> {
    owned.iter().map(Option::as_deref).collect()
}

fn address(row: &Row, column: usize) -> Result<Option<IpAddr>, StoreError> {
    Ok(get::<Option<&str>>(row, column)?.and_then(|address| address.parse().ok()))
}

fn stored(row: &Row) -> Result<Stored, StoreError> {
    Ok(Stored {
        id: number(row, 0)?,
        at: moment(row, 1)?,
        kind: Kind::parse(get(row, 2)?).unwrap_or(Kind::Refused),
        account: maybe_bytes(row, 3)?.map(AccountId::from_bytes),
        session: maybe_bytes(row, 4)?.map(SessionId::from_bytes),
        app: get(row, 5)?,
        address: address(row, 6)?,
        user_agent: get(row, 7)?,
        reason: get(row, 8)?,
        detail: get(row, 9)?,
    })
}
