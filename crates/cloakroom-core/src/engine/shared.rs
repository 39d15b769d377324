//! What engine and verifier share: apps, stores, keys, clock, and the activity that waits to be written.

use std::sync::Arc;

use hashbrown::HashMap;
use parking_lot::Mutex;

use super::{Settings, StartError, keychain::Keychain};
use crate::{
    app::Apps,
    clock::{Clock, Timestamp},
    health::Health,
    ids::SessionId,
    key::{KeyRing, MasterSecrets},
    random::Rng,
    refusal::{Reason, Refusal},
    store::{StoreError, Stores},
};

pub(super) struct Shared {
    pub(super) apps: Arc<Apps>,
    pub(super) stores: Stores,
    pub(super) keychain: Keychain,
    pub(super) clock: Clock,
    pub(super) rng: Rng,
    pub(super) health: Health,
    /// Coalesced: the latest activity of each session that is not written yet.
    touches: Mutex<HashMap<SessionId, Timestamp>>,
}

/// At most this many sessions wait; past that activity is left for the next request to note.
const MAX_TOUCHES: usize = 100_000;

impl Shared {
    pub(super) async fn open(
        settings: &Settings,
        apps: Arc<Apps>,
        stores: Stores,
        secrets: MasterSecrets,
        clock: Clock,
        rng: Rng,
    ) -> Result<Self, StartError> {
        let keychain = Keychain::open(settings.keys, &apps, &stores, secrets, &clock, &rng).await?;
        Ok(Self { apps, stores, keychain, clock, rng, health: Health::default(), touches: Mutex::default() })
    }

    /// Reads a credential with the keys at hand; and, where it names one that is not among them, with those of the store.
    pub(super) async fn with_keys<T>(&self, read: impl Fn(&KeyRing) -> Result<T, Reason>) -> Result<T, Refusal> {
        match read(&self.keychain.ring()) {
            Err(Reason::UnknownKey) => {
                self.keychain.look_again(&self.stores).await?;
                Ok(read(&self.keychain.ring())?)
            }
            done => Ok(done?),
        }
    }

    pub(super) fn note(&self, session: SessionId, at: Timestamp) {
        let mut touches = self.touches.lock();
        if touches.len() < MAX_TOUCHES || touches.contains_key(&session) {
            let held = touches.entry(session).or_insert(at);
            *held = (*held).max(at);
        }
    }

    /// The activity of a session that waits to be written.
    pub(super) fn noted(&self, session: SessionId) -> Option<Timestamp> {
        self.touches.lock().get(&session).copied()
    }

    /// Writes the activity that waits. What cannot be written waits on.
    pub(super) async fn flush_touches(&self) -> Result<(), StoreError> {
        let list: Vec<_> = self.touches.lock().iter().map(|(session, at)| (*session, *at)).collect();
        if list.is_empty() {
            return Ok(());
        }
        self.stores.sessions.touch(&list).await?;
        let mut touches = self.touches.lock();
        for (session, written) in list {
            if touches.get(&session) == Some(&written) {
                touches.remove(&session);
            }
        }
        Ok(())
    }
}
