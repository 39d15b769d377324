//! What a store of sessions may have missed: the ended sessions that the revocation log remembers, in pages, and the lines that
//! it has forgotten.

use futures_util::{Stream, TryStreamExt, stream};

use super::{AccountStore, SessionStore, StoreError};
use crate::{ids::SessionId, revocation::Position};

/// How many sessions are one page.
const PAGE: usize = 1000;

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

/// Whether a store of sessions with this watermark comes from a time that the log no longer reaches: the line up to which it
/// has seen the log, and the one up to which the log is gone.
pub(crate) async fn out_of_reach(
    log: &dyn AccountStore,
    mark: Option<Position>,
    head: Position,
) -> Result<Option<(u64, u64)>, StoreError> {
    let Some(mark) = mark.filter(|mark| mark.incarnation == head.incarnation) else { return Ok(None) };
    let pruned = log.ended_sessions(head.sequence, 1).await?.pruned;
    Ok((mark.sequence < pruned).then_some((mark.sequence, pruned)))
}
