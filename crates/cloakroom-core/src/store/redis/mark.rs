//! How far this store has surely seen the revocation log, and who its primaries are.
//!
//! A primary that takes over, or one that comes back from an old snapshot, may hold sessions that were deleted. The
//! watermark is written after the deletions, to keys on every primary, by the same way as they: wherever a deletion is lost,
//! the watermark of that primary is one from before it. So the lowest of all tells from where on the log's ends must be
//! deleted again (`SessionStore::forget`).

use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};
use redis::{Value, cmd};

use super::{
    Redis,
    error::Failure,
    keys::Keys,
    node::Node,
    route::Route,
    sessions::{AT_ONCE, bytes},
};
use crate::{revocation::Position, store::StoreError};

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
    /// The position up to which every deletion has surely been done here; `None`: that is not known, because a primary is
    /// new or has lost its mark, or marks are of several lives of the log.
    ///
    /// # Errors
    /// When one of the primaries is not reached.
    pub(super) async fn lowest_mark(&self) -> Result<Option<Position>, StoreError> {
        let reads = self.0.keys.marks().to_vec().into_iter().map(|key| async move {
            let mut get = cmd("GET");
            get.arg(&key);
            self.0.route.ask(&key, &get).await
        });
        let marks: Result<Vec<_>, Failure> = stream::iter(reads).buffer_unordered(AT_ONCE).try_collect().await;
        let mut lowest: Option<Position> = None;
        for mark in marks? {
            let Some(mark) = read(mark.value) else { return Ok(None) };
            lowest = match lowest {
                Some(lowest) if lowest.incarnation != mark.incarnation => return Ok(None),
                Some(lowest) if lowest.sequence <= mark.sequence => Some(lowest),
                _ => Some(mark),
            };
        }
        Ok(lowest)
    }

    /// Notes that every deletion up to this position has been done here. To be called after them.
    ///
    /// # Errors
    /// When one of the primaries is not reached; others may have the new mark.
    pub(super) async fn mark(&self, position: Position) -> Result<(), StoreError> {
        let mark = position.to_string();
        let writes = self.0.keys.marks().to_vec().into_iter().map(|key| {
            let mut set = cmd("SET");
            set.arg(&key).arg(&mark);
            async move { self.0.route.ask(&key, &set).await.map(drop) }
        });
        let done: Result<(), Failure> =
            stream::iter(writes).buffer_unordered(AT_ONCE).try_for_each(|()| async { Ok(()) }).await;
        Ok(done?)
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

fn read(value: Value) -> Option<Position> {
    Position::parse(std::str::from_utf8(&bytes(value)?).ok()?)
}
