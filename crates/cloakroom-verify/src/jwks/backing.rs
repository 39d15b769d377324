//! The backing of a verifier that has nothing but the server's key set.

use std::{collections::HashSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use cloakroom_core::{
    app::App,
    clock::{Boot, Clock, Timestamp},
    engine::KEY_SET_AGE,
    ids::{AppId, Kid, SessionId},
    key::{JwkError, VerifyingKeys, read_jwks},
    refusal::{Reason, Refusal},
    revocation::{Answer, KeySet, Since},
    tasks,
    verify::{Backing, Finding, NotFound},
};
use parking_lot::RwLock;

use super::{FetchError, JwksError};
use crate::link::Link;

/// How old a key set can be before it is fetched anew; a killed key is believed no longer. A new key is published three
/// times as long before it signs.
pub const MAX_AGE: Duration = KEY_SET_AGE;
/// The least time between two fetches, whatever tokens ask for (F043).
pub const INTERVAL: Duration = Duration::from_secs(10);
/// The least time between two fetches that the revocation feed asks for.
const AFTER_CHANGE: Duration = Duration::from_secs(1);
/// How long the last good set is kept while fetches fail; then nothing can be checked (503).
pub const KEEP: Duration = Duration::from_secs(3600);

/// Where the server publishes its keys.
const PATH: &str = "/.well-known/jwks.json";

/// Checks signatures with keys that are fetched from `{issuer}/.well-known/jwks.json`.
///
/// The set is fetched anew behind an answer when it is half of [`MAX_AGE`] old, in front of one when it is older than
/// that, and for a key that it does not have, at most once per [`INTERVAL`]. What cannot be read as a key set, or is
/// empty, never takes a good set's place.
///
/// It has no revocation feed and looks up no tickets: it answers `lease_lost` when it is asked what has ended. Give it to
/// a verifier whose apps have `on_feed_loss = until_expiry` only, as [`Jwks`](super::Jwks) does.
pub struct JwksBacking(Arc<Shared>);

struct Shared {
    link: Arc<Link>,
    clock: Clock,
    held: RwLock<Held>,
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Held {
    keys: Arc<VerifyingKeys>,
    /// When the fetch began that brought the keys.
    fetched: Option<Boot>,
    /// When the last fetch began.
    tried: Option<Boot>,
    /// When the last fetch ended, if it failed.
    failed: Option<Boot>,
    /// Every key that was heard to be killed: none of them is believed again, whatever is published.
    killed: HashSet<Kid>,
    /// Which set the server said that it publishes.
    told: Option<KeySet>,
    /// A newer set than this one is published.
    outdated: bool,
}

impl Held {
    fn is_believed(&self, now: Boot) -> bool {
        let failing = within(self.failed, now, MAX_AGE);
        within(self.fetched, now, if failing { KEEP } else { MAX_AGE })
    }

    fn is_due(&self, now: Boot) -> bool {
        !within(self.fetched, now, MAX_AGE / 2) && self.may_try(now)
    }

    /// Whether a newer set is to be fetched now.
    fn is_wanted(&self, now: Boot) -> bool {
        self.outdated && !within(self.tried, now, AFTER_CHANGE)
    }

    /// Takes a set that was fetched, without what was killed. While it still had one of these in it, it is from before the kill,
    /// and the key that took the killed one's place is missing.
    fn take(&mut self, mut keys: VerifyingKeys, began: Boot) -> Result<(), FetchError> {
        let mut old = false;
        for kid in &self.killed {
            old |= keys.kill(*kid);
        }
        if keys.is_empty() {
            return Err(FetchError::Empty);
        }
        (self.keys, self.fetched, self.failed, self.outdated) = (Arc::new(keys), Some(began), None, old);
        Ok(())
    }

    fn may_try(&self, now: Boot) -> bool {
        !within(self.tried, now, INTERVAL)
    }
}

fn within(at: Option<Boot>, now: Boot, age: Duration) -> bool {
    at.is_some_and(|at| now.since(at) < age)
}

impl JwksBacking {
    /// Fetches the first set.
    ///
    /// # Errors
    /// [`JwksError::Fetch`], or why the address cannot be used.
    pub async fn connect(issuer: &str, clock: Clock) -> Result<Self, JwksError> {
        Self::over(Arc::new(Link::to(issuer, None)?), clock).await
    }

    pub(crate) async fn over(link: Arc<Link>, clock: Clock) -> Result<Self, JwksError> {
        let shared = Shared { link, clock, held: RwLock::default(), fetching: tokio::sync::Mutex::default() };
        shared.fetch().await.map_err(|error| JwksError::Fetch(shared.link.address(PATH), Box::new(error)))?;
        Ok(Self(Arc::new(shared)))
    }

    /// Follows what the server tells beside its log: these keys were killed, which holds from now on for as long as this
    /// process lives; and this set is the published one, which is fetched past all caches if it is another than before.
    pub(crate) fn follow(&self, killed: &[Kid], published: KeySet) {
        let now = self.0.clock.boot();
        let mut held = self.0.held.write();
        let new: Vec<_> = killed.iter().filter(|kid| !held.killed.contains(*kid)).copied().collect();
        if !new.is_empty() {
            let mut keys = VerifyingKeys::clone(&held.keys);
            for kid in new {
                held.killed.insert(kid);
                held.outdated |= keys.kill(kid);
            }
            held.keys = Arc::new(keys);
        }
        if held.told.replace(published).is_some_and(|told| told != published) {
            held.outdated = true;
        }
        if held.is_wanted(now) {
            let shared = Arc::clone(&self.0);
            tasks::once("newer keys", async move { shared.fetch_newer().await });
        }
    }
}

impl Shared {
    async fn fetch(&self) -> Result<(), FetchError> {
        let began = self.clock.boot();
        let outdated = {
            let mut held = self.held.write();
            held.tried = Some(began);
            held.outdated
        };
        let fetched = if outdated { self.link.get_past_caches(PATH).await } else { self.link.get(PATH).await };
        let read = fetched.and_then(|body| {
            let text = std::str::from_utf8(&body).map_err(|_| JwkError::Malformed)?;
            Ok(read_jwks(text)?)
        });
        let mut held = self.held.write();
        let taken = read.and_then(|keys| held.take(keys, began));
        if taken.is_err() {
            held.failed = Some(self.clock.boot());
        }
        taken
    }

    /// Fetches a newer set, of which the revocation feed has told.
    async fn fetch_newer(&self) {
        let _one_at_a_time = self.fetching.lock().await;
        if !self.held.read().is_wanted(self.clock.boot()) {
            return;
        }
        if let Err(error) = self.fetch().await {
            tracing::warn!(url = %self.link.address(PATH), %error, "the new key set cannot be had yet");
        }
    }

    /// Fetches, unless that was tried a moment ago; who comes while one is under way waits for it.
    async fn fetch_at_times(&self) {
        let _one_at_a_time = self.fetching.lock().await;
        if !self.held.read().may_try(self.clock.boot()) {
            return;
        }
        if let Err(error) = self.fetch().await {
            tracing::warn!(url = %self.link.address(PATH), %error, "the key set cannot be had; the last good one stays");
        }
    }
}

#[async_trait]
impl Backing for JwksBacking {
    async fn look_up(&self, _: &str) -> Result<(AppId, Finding), NotFound> {
        let refusal = Refusal::from(Reason::WrongKind).because("only access tokens are taken here");
        Err(NotFound { refusal, session: None })
    }

    /// It never hears of an end. Under `until_expiry` a verifier takes that for a lost feed and accepts until expiry.
    async fn ended_since(&self, _: Since) -> Result<Answer, Refusal> {
        Err(Reason::LeaseLost.into())
    }

    /// It hears of no end, so that it is never asked.
    async fn ask(&self, _: &str, _: &App, _: &Finding) -> Result<(), Refusal> {
        Err(Reason::LeaseLost.into())
    }

    /// The set, as long as it is believed; an empty one otherwise, at which the verifier asks for a fetch.
    fn keys(&self) -> Arc<VerifyingKeys> {
        let now = self.0.clock.boot();
        let held = self.0.held.read();
        if !held.is_believed(now) {
            return Arc::default();
        }
        if held.is_due(now)
            && tokio::runtime::Handle::try_current().is_ok()
            && let Ok(free) = self.0.fetching.try_lock()
        {
            drop(free);
            let shared = Arc::clone(&self.0);
            tasks::once("keys", async move { shared.fetch_at_times().await });
        }
        Arc::clone(&held.keys)
    }

    /// Nothing is known of other sets here: there is no log.
    async fn follow_keys(&self, _: &Answer) -> Result<(), Refusal> {
        Ok(())
    }

    /// While a newer set is published than could be had, nobody can tell whether there is such a key.
    async fn refresh_keys(&self) -> Result<(), Refusal> {
        self.0.fetch_newer().await;
        self.0.fetch_at_times().await;
        let held = self.0.held.read();
        if held.is_believed(self.0.clock.boot()) && !held.outdated {
            return Ok(());
        }
        Err(Refusal::from(Reason::StoreDown).because("the keys cannot be fetched").retry_after(INTERVAL))
    }

    fn note_use(&self, _: SessionId, _: Timestamp) {}
}
