//! What a verifier needs from behind it: the port for verifiers in the server and in apps.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use super::fact::Finding;
use crate::{
    app::App,
    clock::Timestamp,
    ids::{AppId, SessionId},
    key::VerifyingKeys,
    refusal::{Reason, Refusal},
    revocation::{Answer, Since},
};

/// Where a [`Verifier`](super::Verifier) gets what it does not know: the stores, inside the server; the server, inside an
/// app.
#[async_trait]
pub trait Backing: Send + Sync + 'static {
    /// Checks a ticket's MAC and reads its record together with its account's epoch and state, from a primary. Garbage
    /// and forgeries are refused before anything is read. As with [`Self::ask`], the answer knows of every line that had been
    /// heard here.
    async fn look_up(&self, ticket: &str) -> Result<(AppId, Finding), NotFound>;

    /// What has ended since.
    async fn ended_since(&self, since: Since) -> Result<Answer, Refusal>;

    /// Asks a primary whether an access token's session, account and app go on. The answer knows of every line of the log that
    /// had been heard here when this was called.
    ///
    /// # Errors
    /// As the token would be refused; [passing](Refusal::is_passing) where nobody can tell.
    async fn ask(&self, token: &str, app: &App, found: &Finding) -> Result<(), Refusal>;

    /// The keys that check access tokens.
    fn keys(&self) -> Arc<VerifyingKeys>;

    /// The log has given this answer, which is not believed yet: fetch the keys anew if it tells of others than those at hand.
    ///
    /// # Errors
    /// When they cannot be had. What has ended is taken in all the same, and the lease is lost.
    async fn follow_keys(&self, answer: &Answer) -> Result<(), Refusal>;

    /// A token names a key that is not in the set: fetch it anew, if that was not done a moment ago (F043).
    ///
    /// # Errors
    /// When there is no set at all that could be believed, so that nobody can tell whether the token is good.
    async fn refresh_keys(&self) -> Result<(), Refusal>;

    /// A session is in use; to be written behind the answer.
    fn note_use(&self, session: SessionId, at: Timestamp);

    /// An end was heard so long after it was written; for whoever keeps metrics beside the verifier's own
    /// [counts](super::Counts::lag).
    fn note_lag(&self, _lag: Duration) {}

    /// How far this machine's wall clock was ahead of the store's time when that was told, in milliseconds; for the same.
    fn note_clock_offset(&self, _ms: i64) {}
}

/// Why a look-up found nothing that holds.
#[derive(Debug)]
pub struct NotFound {
    /// The refusal.
    pub refusal: Refusal,
    /// The session that the ticket named, if its MAC was good: the log may remember how that ended.
    pub session: Option<SessionId>,
}

impl From<Reason> for NotFound {
    fn from(reason: Reason) -> Self {
        Self { refusal: reason.into(), session: None }
    }
}
