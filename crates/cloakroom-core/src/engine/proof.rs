//! What a session must show before it ends others: that its person is here, and not only a copy of the cookie.
//!
//! Ending one's own session, or everything, needs no proof: who finds a cookie stolen must be able to stop it at once. Ending
//! others while one's own goes on does, so that a copied cookie cannot drive its owner out (ASVS 7.5.2).

use std::time::Duration;

use super::{Client, Engine};
use crate::{
    credential::LoginPassword,
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

impl Engine {
    /// The session that acts, as it stands now: a cached identity may carry the epoch of a moment ago.
    pub(super) async fn acting(&self, identity: &Identity) -> Result<Acting, Refusal> {
        let mut acting = Acting::from(identity);
        if identity.method().properties().check == Check::LookUp {
            let id = identity.session();
            let alive = self.shared.live_record(id).await;
            let (record, ..) = alive.map_err(|refusal| self.with_memory(refusal, id))?;
            (acting.epoch, acting.app_epoch) = (record.epoch, record.app_epoch);
        }
        Ok(acting)
    }

    /// Whether a session's person is here.
    ///
    /// # Errors
    /// `reauthentication_required` where the sign-in is too long ago, `invalid_credentials` for a wrong password.
    pub(super) async fn prove(&self, identity: &Identity, proof: Proof, client: &Client) -> Result<(), Refusal> {
        match proof {
            Proof::SignIn if identity.is_recent(self.shared.clock.now(), RECENT) => Ok(()),
            Proof::SignIn => Err(not_recent()),
            Proof::Password(password) => self.prove_again(identity, password, client).await.map(drop),
        }
    }
}

/// Signing in again is what helps.
pub(super) fn not_recent() -> Refusal {
    Refusal::from(Reason::NotRecent)
        .within(RECENT)
        .because("this needs a recent sign-in: sign in again, then ask once more")
}
