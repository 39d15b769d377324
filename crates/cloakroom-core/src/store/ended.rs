//! What a store of sessions may have missed: the ended sessions that the revocation log remembers, in pages, and the lines that
//! it has forgotten.

use std::time::Duration;

use futures_util::{Stream, TryStreamExt, stream};

use super::{AccountStore, SessionStore, StoreError, TooOld, Watermark};
use crate::{
    clock::Timestamp,
    ids::SessionId,
    revocation::{LOG_LIFE, Lineage},
};

/// How many sessions are one page.
const PAGE: usize = 1000;
/// By how much the clocks of those that wrote sessions and log may differ.
const SKEW: Duration = Duration::from_hours(1);

/// The sessions that the log says have ended, page by page, from behind a line.
pub(super) fn ended(
    log: &dyn AccountStore,
    after: u64,
) -> impl Stream<Item = Result<Vec<SessionId>, StoreError>> + Send + '_ {
    stream::try_unfold(after, move |after| async move {
        let page = log.ended_sessions(after, PAGE).await?.sessions;
        let last = page.last().map(|(line, _)| *line);
        Ok(last.map(|last| (page.into_iter().map(|(_, session)| session).collect(), last)))
    })
}

/// Deletes in a store every session that the log says has ended behind a line. How many it names.
pub(crate) async fn forget_ended(
    sessions: &dyn SessionStore,
    log: &dyn AccountStore,
    after: u64,
) -> Result<usize, StoreError> {
    let mut pages = std::pin::pin!(ended(log, after));
    let mut done = 0;
    while let Some(ids) = pages.try_next().await? {
        sessions.forget(&ids).await?;
        done += ids.len();
    }
    Ok(done)
}

/// What a store of sessions may lack of the log.
pub(crate) struct Behind {
    /// The ends behind this line.
    pub(crate) line: u64,
    /// What the store said of itself.
    pub(crate) watermark: Watermark,
    /// What the log said of itself, after that.
    pub(crate) log: Lineage,
}

/// What a store of sessions may lack of the log.
///
/// # Errors
/// [`StoreError::TooOld`] when the log no longer has what it may lack.
pub(crate) async fn behind(
    sessions: &dyn SessionStore,
    log: &dyn AccountStore,
    now: Timestamp,
) -> Result<Behind, StoreError> {
    let watermark = sessions.watermark().await?;
    let log = log.lineage().await?;
    // An end of a session that began later than this is in the log for sure. So a store that was emptied is in reach,
    // whatever its mark says, and so is the part of it that was.
    let surely = now - LOG_LIFE + SKEW;
    if !watermark.is_in_reach(&log) && sessions.holds_unseen(&log, surely).await? {
        let known = watermark.parts().map(|marks| log.latest(marks)).collect::<Option<Vec<_>>>();
        let seen = known.and_then(|known| known.into_iter().min());
        return Err(StoreError::TooOld(TooOld { seen, pruned: log.pruned }));
    }
    let line = watermark.parts().map(|marks| log.since(marks).unwrap_or(0)).min().unwrap_or(0);
    Ok(Behind { line, watermark, log })
}
