//! Sessions: one key each.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt, stream};
use redis::{Value, cmd};
use tokio::sync::watch;

use super::{Redis, error::Failure, script};
use crate::{
    clock::Timestamp,
    ids::{AccountId, AppTag, SessionId},
    method::Method,
    revocation::{Lineage, Position},
    session::{Found, Record, Write, Written},
    store::{DeletionTime, Place, SessionStore, StoreError, Stretch, Vitals, Watermark},
};

/// How long a key outlives its session: Redis's clock may run fast, and must not end one before its time (F009).
const AFTERLIFE: Duration = Duration::from_secs(60);
/// How many of a batch are under way at once.
pub(super) const AT_ONCE: usize = 128;
/// How often a login tries to take a place where something unreadable stands.
const TRIES: u32 = 4;

#[async_trait]
impl SessionStore for Redis {
    async fn read(&self, id: SessionId) -> Result<Option<Record>, StoreError> {
        let key = self.0.keys.session(id);
        match self.0.route.ask(&key, cmd("GET").arg(&key)).await {
            Ok(answer) => Ok(bytes(answer.value).and_then(|bytes| decode(id, &bytes))),
            Err(failure) if failure.is_wrong_type() => Ok(decode(id, &[])),
            Err(failure) => Err(failure.into()),
        }
    }

    async fn find(&self, id: SessionId, at: Option<Timestamp>) -> Result<Option<Found>, StoreError> {
        if let Some(at) = at {
            return Ok(self.read(id).await?.map(|record| Found::at(record, at)));
        }
        let (value, time) = match script::FIND.run(&self.0.route, &self.0.keys.session(id), &[]).await {
            Ok(answer) => with_time(answer.value),
            Err(failure) if failure.is_wrong_type() => (Value::BulkString(Vec::new()), Timestamp::default()),
            Err(failure) => return Err(failure.into()),
        };
        let record = bytes(value).and_then(|bytes| decode(id, &bytes));
        Ok(record.map(|record| Found::at(record, time)))
    }

    async fn time(&self) -> Result<Timestamp, StoreError> {
        let key = &self.0.keys.marks()[0];
        let answer = self.0.route.ask(key, &cmd("TIME")).await?;
        Ok(time_of(&answer.value))
    }

    async fn write(&self, id: SessionId, write: Write) -> Result<Written, StoreError> {
        match &write {
            Write::Create(record) => self.create(id, record).await,
            Write::Delete => self.delete(id).await,
            Write::Touch(at) => self.change(id, &write, &[b"touch", &moment(*at)]).await,
            Write::CarryOver { from, to } => {
                let (from, to) = (from.0.to_string(), Record::varint(to.0));
                self.change(id, &write, &[b"carry", from.as_bytes(), &to]).await
            }
            Write::Rotate { from, to, at, active } => {
                let (from, to) = (from.0.to_string(), Record::varint(to.0));
                let [at, active] = [at, active].map(|at| at.map(moment));
                let [at, active] = [&at, &active].map(|at| at.as_ref().map_or(&[][..], |at| &at[..]));
                self.change(id, &write, &[b"rotate", from.as_bytes(), &to, at, active]).await
            }
        }
    }

    async fn touch(&self, touches: &[(SessionId, Timestamp)]) -> Result<(), StoreError> {
        let changes = touches.iter().copied().map(|(id, at)| self.write(id, Write::Touch(at)));
        stream::iter(changes).buffer_unordered(AT_ONCE).try_for_each(|_| async { Ok(()) }).await
    }

    async fn list(
        &self,
        account: AccountId,
        before: Option<(Timestamp, SessionId)>,
        limit: usize,
    ) -> Result<Vec<(SessionId, Record)>, StoreError> {
        self.devices(account, before, limit).await
    }

    /// Nothing: keys expire by themselves, and lists with the last of their sessions.
    async fn sweep(&self, _now: DeletionTime, _limit: usize) -> Result<usize, StoreError> {
        Ok(0)
    }

    async fn watermark(&self) -> Result<Watermark, StoreError> {
        self.marks().await
    }

    async fn advance_watermark(&self, from: &Watermark, to: Position) -> Result<(), StoreError> {
        self.advance(from, to).await
    }

    async fn holds_unseen(&self, log: &Lineage, before: Timestamp) -> Result<bool, StoreError> {
        self.holds_unseen_sessions(log, before).await
    }

    fn takeovers(&self) -> Option<watch::Receiver<u64>> {
        Some(self.connections())
    }

    async fn forget(&self, ids: &[SessionId]) -> Result<(), StoreError> {
        self.unlink(ids).await
    }

    async fn walk(&self, from: Option<Place>, limit: usize) -> Result<Stretch, StoreError> {
        self.walk_on(from, limit).await
    }

    async fn count(&self) -> Result<Vec<(AppTag, Method, u64)>, StoreError> {
        self.count_all().await
    }

    fn vitals(&self) -> Vec<Vitals> {
        self.its_vitals()
    }
}

impl Redis {
    async fn create(&self, id: SessionId, record: &Record) -> Result<Written, StoreError> {
        let key = self.0.keys.session(id);
        let value = record.encode();
        let life = self.life(record);
        let mut set = cmd("SET");
        set.arg(&key).arg(&value).arg("NX").arg("PX").arg(life);
        for _ in 0..TRIES {
            let answer = self.0.route.ask(&key, &set).await?;
            if answer.value == Value::Okay {
                self.list_add(id, record, life).await;
                return Ok(Written::Done(Some(record.clone())));
            }
            let found = match self.0.route.ask(&key, cmd("GET").arg(&key)).await {
                Ok(found) => bytes(found.value),
                Err(failure) if failure.is_wrong_type() => {
                    self.0.route.ask(&key, cmd("UNLINK").arg(&key)).await?;
                    continue;
                }
                Err(failure) => return Err(failure.into()),
            };
            let Some(found) = found else { continue };
            match Record::decode(&found) {
                // Asked for twice because an answer was lost: this is what the first one did.
                Ok(present) if answer.repeated && present == *record => {
                    self.list_add(id, record, life).await;
                    return Ok(Written::Done(Some(present)));
                }
                Ok(present) => return Ok(Written::Conflict(present)),
                // What cannot be read is in nobody's way.
                Err(_) => drop(script::DISCARD.run(&self.0.route, &key, &[&found]).await?),
            }
        }
        Err(StoreError::Unavailable("a session's place in Redis is written by somebody else".to_owned()))
    }

    async fn delete(&self, id: SessionId) -> Result<Written, StoreError> {
        let key = self.0.keys.session(id);
        // With a list, the record says whose list it is to be taken from.
        let verb = if self.0.address.devices { "GETDEL" } else { "UNLINK" };
        match self.0.route.ask(&key, cmd(verb).arg(&key)).await {
            Ok(answer) => {
                if let Some(Ok(record)) = bytes(answer.value).map(|bytes| Record::decode(&bytes)) {
                    self.list_remove(record.account, &[id]).await;
                }
            }
            Err(failure) if failure.is_wrong_type() => {
                self.0.route.ask(&key, cmd("UNLINK").arg(&key)).await?;
            }
            Err(failure) => return Err(failure.into()),
        }
        Ok(Written::Done(None))
    }

    /// Has the script change a record. It answers with what stood there; what became of that is the domain's to say.
    async fn change(&self, id: SessionId, write: &Write, arguments: &[&[u8]]) -> Result<Written, StoreError> {
        let key = self.0.keys.session(id);
        let begun = Instant::now();
        let (present, time, repeated) = match script::WRITE.run(&self.0.route, &key, arguments).await {
            Ok(answer) => {
                let (value, time) = with_time(answer.value);
                (bytes(value).and_then(|bytes| decode(id, &bytes)), time, answer.repeated)
            }
            Err(failure) if failure.is_wrong_type() => (decode(id, &[]), Timestamp::default(), false),
            Err(failure) => return Err(failure.into()),
        };
        match (write, present) {
            // Asked for twice because an answer was lost: the first one did it. Were it somebody else's of that very moment, its
            // successor would be the same.
            (Write::Rotate { to, at, .. }, Some(present)) if repeated && present.generation == *to => {
                // Both moments were cut to milliseconds.
                let elapsed = begun.elapsed() + Duration::from_millis(1);
                let of_this_call = present.rotated <= time && time.since(present.rotated) <= elapsed;
                let ours = at.map_or(of_this_call, |at| present.rotated == at);
                Ok(if ours { Written::Done(Some(present)) } else { Written::Conflict(present) })
            }
            (_, present) => Ok(write.apply(present.as_ref(), || time).1),
        }
    }

    /// How long a session's key lives from now, in milliseconds: from the last moment that its record knows of, so that neither
    /// this machine's clock nor where Redis's stands has a say. One that is copied may outlive its session for as long as it
    /// was unused.
    fn life(&self, record: &Record) -> u64 {
        let last = record.created.max(record.last_active).max(record.rotated);
        let life = (record.expires + AFTERLIFE).since(last).max(self.0.options.least_life);
        (life.as_millis() as u64).max(1)
    }

    /// Deletes sessions that have ended, all at once. Their accounts' lists are left as they are.
    ///
    /// # Errors
    /// As of any write; then some may be deleted and others not.
    async fn unlink(&self, ids: &[SessionId]) -> Result<(), StoreError> {
        let deletions = ids.iter().copied().map(|id| async move {
            let key = self.0.keys.session(id);
            self.0.route.ask(&key, cmd("UNLINK").arg(&key)).await.map(drop)
        });
        let done: Result<(), Failure> =
            stream::iter(deletions).buffer_unordered(AT_ONCE).try_for_each(|()| async { Ok(()) }).await;
        Ok(done?)
    }
}

/// A moment as a record holds it.
fn moment(at: Timestamp) -> [u8; 6] {
    let [_, _, moment @ ..] = at.millis().to_be_bytes();
    moment
}

/// What stands before the time in a script's answer, and the time; an answer without one has it at the beginning of all.
fn with_time(value: Value) -> (Value, Timestamp) {
    match value {
        Value::Array(mut parts) if parts.len() == 2 => {
            let time = parts.pop().as_ref().map(time_of).unwrap_or_default();
            (parts.pop().unwrap_or_default(), time)
        }
        value => (value, Timestamp::default()),
    }
}

/// What `TIME` says: seconds, and the microseconds beside them.
fn time_of(value: &Value) -> Timestamp {
    let number = |part: &Value| match part {
        Value::BulkString(text) => std::str::from_utf8(text).ok()?.parse::<u64>().ok(),
        _ => None,
    };
    let Value::Array(parts) = value else { return Timestamp::default() };
    let [seconds, micros] = parts.as_slice() else { return Timestamp::default() };
    let millis = number(seconds).zip(number(micros)).map(|(seconds, micros)| seconds * 1000 + micros / 1000);
    Timestamp::from_millis(millis.unwrap_or_default())
}

pub(super) fn bytes(value: Value) -> Option<Vec<u8>> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        _ => None,
    }
}

/// A record that cannot be read counts as none (F007).
pub(super) fn decode(id: SessionId, bytes: &[u8]) -> Option<Record> {
    Record::decode(bytes).inspect_err(|error| tracing::error!(session = %id, %error, "no session is made of it")).ok()
}
