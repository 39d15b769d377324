//! The list of an account's devices: a sorted set of their ids by when they began, small enough to be kept in one piece of
//! memory.
//!
//! It is written after the session, by an operation of its own, and what goes wrong there fails nobody's login or
//! sign-out. Entries without a session, which an expiry or a bulk deletion leaves, are taken out by whoever reads the list;
//! and each login looks at two of a longer list, so that it does not grow beyond twice of what lives.

use futures_util::{StreamExt, TryStreamExt, stream};
use redis::{Value, cmd};

use super::{
    Redis, script,
    sessions::{AT_ONCE, bytes},
};
use crate::{
    clock::Timestamp,
    ids::{AccountId, SessionId},
    session::Record,
    store::{SessionStore, StoreError},
};

/// How many entries are read at a time at least.
const STEP: usize = 32;

impl Redis {
    /// Puts a new session on its account's list.
    pub(super) async fn list_add(&self, id: SessionId, record: &Record, life: u64) {
        if !self.0.address.devices {
            return;
        }
        let key = self.0.keys.devices(record.account);
        let (began, life) = (record.created.millis().to_string(), life.to_string());
        let arguments: [&[u8]; 3] = [id.bytes(), began.as_bytes(), life.as_bytes()];
        let mut added = script::LIST.run(&self.0.route, &key, &arguments).await;
        if added.as_ref().is_err_and(super::error::Failure::is_wrong_type) {
            // Something else stands there; a list is begun anew.
            let _ = self.0.route.ask(&key, cmd("UNLINK").arg(&key)).await;
            added = script::LIST.run(&self.0.route, &key, &arguments).await;
        }
        match added {
            Ok(answer) => self.tidy(record.account, session_ids(answer.value)).await,
            Err(failure) => missed(record.account, &failure.into()),
        }
    }

    /// Takes sessions off an account's list.
    pub(super) async fn list_remove(&self, account: AccountId, ids: &[SessionId]) {
        if ids.is_empty() {
            return;
        }
        let key = self.0.keys.devices(account);
        let mut remove = cmd("ZREM");
        remove.arg(&key);
        for id in ids {
            remove.arg(&id.bytes()[..]);
        }
        if let Err(failure) = self.0.route.ask(&key, &remove).await {
            missed(account, &failure.into());
        }
    }

    /// Takes those of these sessions off the list that are none any more.
    async fn tidy(&self, account: AccountId, ids: Vec<SessionId>) {
        let mut absent = Vec::new();
        for id in ids {
            let key = self.0.keys.session(id);
            match self.0.route.ask(&key, cmd("EXISTS").arg(&key)).await {
                Ok(answer) if answer.value == Value::Int(0) => absent.push(id),
                _ => {}
            }
        }
        self.list_remove(account, &absent).await;
    }

    /// The sessions on an account's list, as the port wants them.
    pub(super) async fn devices(
        &self,
        account: AccountId,
        before: Option<(Timestamp, SessionId)>,
        limit: usize,
    ) -> Result<Vec<(SessionId, Record)>, StoreError> {
        let (mut found, mut absent, mut offset) = (Vec::new(), Vec::new(), 0);
        while self.0.address.devices && found.len() < limit {
            let step = (limit - found.len()).max(STEP);
            let entries = self.entries(account, before.map(|(began, _)| began), offset, step).await?;
            let last = entries.len() < step;
            offset += entries.len();
            let next = entries.into_iter().filter(|entry| before.is_none_or(|before| *entry < before));
            let reads = next.map(|(began, id)| async move { Ok::<_, StoreError>((began, id, self.read(id).await?)) });
            let read: Vec<_> = stream::iter(reads).buffered(AT_ONCE).try_collect().await?;
            for (began, id, record) in read {
                match record {
                    Some(record) if record.account == account && record.created == began => found.push((id, record)),
                    _ => absent.push(id),
                }
            }
            if last {
                break;
            }
        }
        found.truncate(limit);
        for part in absent.chunks(AT_ONCE) {
            self.list_remove(account, part).await;
        }
        Ok(found)
    }

    /// Entries of a list that began at `from` or before, newest first and of one moment by descending id.
    async fn entries(
        &self,
        account: AccountId,
        from: Option<Timestamp>,
        offset: usize,
        count: usize,
    ) -> Result<Vec<(Timestamp, SessionId)>, StoreError> {
        let key = self.0.keys.devices(account);
        let mut range = cmd("ZREVRANGEBYSCORE");
        range.arg(&key).arg(from.map_or_else(|| "+inf".to_owned(), |from| from.millis().to_string())).arg("-inf");
        range.arg("WITHSCORES").arg("LIMIT").arg(offset).arg(count);
        let answer = match self.0.route.ask(&key, &range).await {
            Ok(answer) => answer.value,
            Err(failure) if failure.is_wrong_type() => Value::Array(Vec::new()),
            Err(failure) => return Err(failure.into()),
        };
        let Value::Array(parts) = answer else { return Ok(Vec::new()) };
        let entry = |pair: &[Value]| {
            let [Value::BulkString(id), Value::BulkString(began)] = pair else { return None };
            let began = std::str::from_utf8(began).ok()?.parse().ok()?;
            Some((Timestamp::from_millis(began), SessionId::from_bytes(id[..].try_into().ok()?)))
        };
        // What is no entry counts as one that ended long ago, so that the next step begins where this one stops.
        let nothing = (Timestamp::default(), SessionId::from_bytes([0; 16]));
        Ok(parts.chunks(2).map(|pair| entry(pair).unwrap_or(nothing)).collect())
    }
}

fn session_ids(value: Value) -> Vec<SessionId> {
    let Value::Array(parts) = value else { return Vec::new() };
    let id = |part| bytes(part).and_then(|id| id[..].try_into().ok()).map(SessionId::from_bytes);
    parts.into_iter().filter_map(id).collect()
}

/// A list lags behind; its reader or the next login mends what it can.
fn missed(account: AccountId, error: &StoreError) {
    tracing::warn!(%account, %error, "the list of an account's devices was not brought up to date");
}
