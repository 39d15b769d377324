//! What a session must show before it ends others: that its person is here, and not only a copy of the cookie.
//!
//! Ending one's own session, or everything, needs no proof: who finds a cookie stolen must be able to stop it at once. Ending
//! others while one's own goes on does, so that a copied cookie cannot drive its owner out (ASVS 7.5.2).

use std::{sync::Arc, time::Duration};

use super::{Client, Engine};
use crate::{
    credential::LoginPassword,
    ids::AccountId,
    method::Check,
    refusal::{Reason, Refusal},
    store::Acting,
    verify::Identity,
};

/// How long a sign-in counts as recent.
pub const RECENT: Duration = Duration::from_secs(600);

/// How a session shows that its person is here.
#[derive(Debug)]
pub enum Proof {
    /// By the time of its sign-in: at most [`RECENT`] ago.
    SignIn,
    /// By the password, shown again.
    Password(LoginPassword),
}

/// A session that acts on its own account, as it was read.
pub(super) struct Word {
    pub(super) account: AccountId,
    pub(super) acting: Acting,
    /// Whether it has a record that may have been carried over since.
    pub(super) recorded: bool,
}

/// How often a word is given anew: each time the session must have been carried over by another of its requests.
const TRIES: usize = 8;

impl Engine {
    /// The word of a session, as it stands now: a cached identity may carry the epoch of a moment ago.
    pub(super) async fn word(&self, identity: &Identity) -> Result<Word, Refusal> {
        let recorded = identity.method().properties().check == Check::LookUp;
        let mut acting = Acting::from(identity);
        if recorded {
            acting = self.stands(&acting).await?;
        }
        Ok(Word { account: identity.account(), acting, recorded })
    }

    async fn stands(&self, acting: &Acting) -> Result<Acting, Refusal> {
        let alive = self.shared.live_record(acting.session).await;
        let (record, ..) = alive.map_err(|refusal| self.with_memory(refusal, acting.session))?;
        Ok(Acting { epoch: record.epoch, app_epoch: record.app_epoch, ..acting.clone() })
    }

    /// Changes something by the word of a session. `None` of the store: the session does not stand as it was read. Where it has
    /// been carried over meanwhile it lives, and its word still counts; a proof of its password does too, because a new
    /// password would have ended it.
    ///
    /// # Errors
    /// As the session's state is, and those of the change.
    pub(super) async fn by_word<T, F>(&self, word: Word, change: impl Fn(Acting) -> F) -> Result<T, Refusal>
    where
        F: Future<Output = Result<Option<T>, Refusal>>,
    {
        let Word { account, mut acting, recorded } = word;
        for _ in 0..TRIES {
            if let Some(done) = change(acting.clone()).await? {
                return Ok(done);
            }
            let now = if recorded { self.stands(&acting).await? } else { break };
            if now == acting {
                break;
            }
            acting = now;
        }
        Err(self.why_not(account).await)
    }

    /// Whether a session's person is here.
    ///
    /// # Errors
    /// `reauthentication_required` where the sign-in is too long ago, `invalid_credentials` for a wrong password.
    pub(super) async fn prove(
        self: &Arc<Self>,
        identity: &Identity,
        proof: Proof,
        client: &Client,
    ) -> Result<(), Refusal> {
        match proof {
            Proof::SignIn if identity.is_recent(self.shared.clock.now(), RECENT) => Ok(()),
            Proof::SignIn => Err(not_recent()),
            Proof::Password(password) => {
                let place = self.places.sign_ins.enter().await?;
                let (identity, client) = (identity.clone(), client.clone());
                // A guess whose client hangs up counts.
                let prove =
                    |engine: Arc<Self>, _| async move { engine.prove_again(&identity, password, &client).await };
                self.operation(place, prove).await.map(drop)
            }
        }
    }
}

/// Signing in again is what helps.
pub(super) fn not_recent() -> Refusal {
    Refusal::from(Reason::NotRecent)
        .within(RECENT)
        .because("this needs a recent sign-in: sign in again, then ask once more")
}
