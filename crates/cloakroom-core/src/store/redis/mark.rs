//! How far this store has surely seen the revocation log, and who its primaries are.
//!
//! A primary that takes over, or one that comes back from an old snapshot, may hold sessions that were deleted. The
//! watermark is written after the deletions, to keys on every primary, by the same way as they: wherever a deletion is lost,
//! the watermark of that primary is one from before it. So the lowest of all tells from where on the log's ends must be
//! deleted again (`SessionStore::forget`).

use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};
use redis::{Value, cmd};
use tokio::sync::watch;

use super::{
    Redis,
    error::Failure,
    keys::Keys,
    node::Node,
    route::Route,
    script::{self, Script},
    sessions::{AT_ONCE, bytes},
    walk::STEP,
};
use crate::{
    clock::Timestamp,
    ids::SessionId,
    revocation::{Lineage, Position},
    session::Record,
    store::{StoreError, Stretch, Watermark},
};

/// A server that holds sessions, as it calls itself.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Primary {
    /// Where it is.
    pub address: String,
    /// Made at each of its starts.
    pub run: String,
    /// The history of writes that it goes on with: another after a failover.
    pub replication: String,
}

impl Redis {
    /// The marks of every stretch of slots, and who holds them.
    ///
    /// # Errors
    /// When one of the primaries is not reached.
    pub(super) async fn marks(&self) -> Result<Watermark, StoreError> {
        let holder = self.holder().await?;
        let reads = self.0.keys.marks().to_vec().into_iter().map(|key| async move {
            let mut get = cmd("GET");
            get.arg(&key);
            self.0.route.ask(&key, &get).await
        });
        // In the order of the stretches.
        let marks: Result<Vec<_>, Failure> = stream::iter(reads).buffered(AT_ONCE).try_collect().await;
        let marks = marks?.into_iter().map(|mark| read(mark.value).into_iter().collect()).collect();
        Ok(Watermark::One { marks, holder })
    }

    /// Notes that every deletion up to a position has been done here since the marks were `from`. To be called after them.
    ///
    /// # Errors
    /// When one of the primaries is not reached, or is not the one that it was; others may have the new mark.
    pub(super) async fn advance(&self, from: &Watermark, to: Position) -> Result<(), StoreError> {
        let Watermark::One { marks, holder } = from else { return Err(taken_over()) };
        if self.holder().await? != *holder {
            return Err(taken_over());
        }
        let to = to.to_string();
        let before: Vec<_> =
            marks.iter().map(|mark| mark.first().map(ToString::to_string).unwrap_or_default()).collect();
        let moved = self.on_each_mark(&script::ADVANCE, &before, &vec![to.clone(); before.len()]).await?;
        if !moved.iter().all(|moved| *moved) {
            return Err(taken_over());
        }
        if self.holder().await? == *holder {
            return Ok(());
        }
        // Between the first look and the second: the new primary may lack deletions behind the mark that it has just been given.
        self.on_each_mark(&script::TAKE_BACK, &vec![to; before.len()], &before).await?;
        Err(taken_over())
    }

    /// Runs a script on the mark of each stretch; whether it did something.
    async fn on_each_mark(
        &self,
        script: &'static Script,
        first: &[String],
        then: &[String],
    ) -> Result<Vec<bool>, StoreError> {
        let runs = self.0.keys.marks().iter().zip(first.iter().zip(then)).map(|(key, (first, then))| async move {
            script.run(&self.0.route, key, &[first.as_bytes(), then.as_bytes()]).await
        });
        let runs: Vec<_> = runs.collect();
        let done: Result<Vec<_>, Failure> = stream::iter(runs).buffered(AT_ONCE).try_collect().await;
        Ok(done?.into_iter().map(|answer| answer.value == Value::Int(1)).collect())
    }

    /// Who holds the sessions: each primary, by the connection over which it is reached and, where it may be asked, its
    /// history. A connection leads to one process; but that may have been a replica in between, and then its history is another.
    async fn holder(&self) -> Result<String, StoreError> {
        let mut holders = Vec::new();
        for node in self.0.route.primaries()? {
            let history = match super::check::info(&node).await {
                Ok(info) => format!("{} {}", info.get("run_id"), info.get("master_replid")),
                Err(failure) if failure.code() == Some("NOPERM") => String::new(),
                Err(failure) => return Err(failure.into()),
            };
            holders.push(format!("{} {} {history}", node.host, node.connections()));
        }
        Ok(holders.join(", "))
    }

    /// Whether a stretch of slots whose mark the log does not reach holds a session that began before a moment.
    pub(super) async fn holds_unseen_sessions(&self, log: &Lineage, before: Timestamp) -> Result<bool, StoreError> {
        let marks = self.marks().await?;
        let unseen: Vec<_> = marks.parts().map(|mark| log.since(mark).is_none()).collect();
        if !unseen.contains(&true) {
            return Ok(false);
        }
        let is_unseen = |id: SessionId| unseen.get(self.0.keys.stretch(id)).copied().unwrap_or(true);
        let mut place = None;
        loop {
            let Stretch { sessions, next } = self.walk_on(place, STEP).await?;
            let older = |(id, record): &(SessionId, Option<Record>)| {
                is_unseen(*id) && record.as_ref().is_some_and(|record| record.created < before)
            };
            if sessions.iter().any(older) {
                return Ok(true);
            }
            place = next;
            if place.is_none() {
                return Ok(false);
            }
        }
    }

    /// Changes with every new connection: another server may answer it.
    pub(super) fn connections(&self) -> watch::Receiver<u64> {
        self.0.route.connections()
    }

    /// The servers that hold sessions at the moment, in the order of their addresses. When it is not what it was, one of
    /// them may have lost what it had acknowledged.
    ///
    /// # Errors
    /// When one of them is not reached.
    pub async fn primaries(&self) -> Result<Vec<Primary>, StoreError> {
        let mut primaries = Vec::new();
        for node in self.0.route.primaries()? {
            let info = super::check::info(&node).await?;
            primaries.push(Primary {
                address: node.host.to_string(),
                run: info.get("run_id").to_owned(),
                replication: info.get("master_replid").to_owned(),
            });
        }
        primaries.sort();
        Ok(primaries)
    }
}

/// Warns of primaries that hold no mark, because they have too few slots in one piece: what they lose is not seen.
pub(super) fn unseen(route: &Route, keys: &Keys) -> Result<Vec<String>, StoreError> {
    let mut unmarked = route.primaries()?;
    for key in keys.marks() {
        let holder = route.holder(key)?;
        unmarked.retain(|node| !Arc::ptr_eq(node, &holder));
    }
    let warning = |node: Arc<Node>| {
        format!(
            "Redis at {} has so few slots of its cluster that it is not seen when it loses the deletion of a session; give it \
             256 slots in one piece or more",
            node.host
        )
    };
    Ok(unmarked.into_iter().map(warning).collect())
}

fn taken_over() -> StoreError {
    let why = "another server has taken sessions over in Redis; how far it is is looked at again";
    StoreError::Unavailable(why.to_owned())
}

fn read(value: Value) -> Option<Position> {
    Position::parse(std::str::from_utf8(&bytes(value)?).ok()?)
}
