//! Verification in an app's own process, by everything that the server knows: access tokens by its published keys, tickets
//! by asking it once and remembering, and both kept honest by the revocation feed.
//!
//! A check that is warm asks nobody. Every quarter of `max_revocation_lag` the verifier asks the server for the head of the
//! log; it has a lease while everything up to an answer that recent has come by the feed. Without the server, tokens go on
//! as `on_feed_loss` says, and tickets for as long as the lease lasts.

mod backing;
mod event;
mod feed;

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use cloakroom_core::{
    app::Apps,
    clock::Clock,
    ids::AppId,
    method::OnFeedLoss,
    random::Rng,
    revocation::Position,
    secret::SecretText,
    tasks::{self, Over, Pulse},
    verify::{CacheBounds, Verifier, VerifierSettings},
};

pub use backing::RemoteBacking;
use tokio::sync::watch;

use crate::{
    guard::Guard,
    jwks::{JwksBacking, JwksError, foreign_app},
    link::Link,
};
use feed::Feed;

/// How to verify the sessions and tokens of one app in the app's own process.
///
/// It needs a service's id and secret (`cloakroom service add`), for tickets and the feed are for services only.
///
/// ```no_run
/// # async fn example() -> Result<(), cloakroom_verify::JwksError> {
/// use axum::{Router, routing::get};
/// use cloakroom_verify::{GuardLayer, Identity, Remote};
///
/// let remote = Remote::new("https://auth.example", "web").service("shop", std::env::var("SERVICE_SECRET").unwrap());
/// let app: Router = Router::new()
///     .route("/", get(|who: Identity| async move { format!("hello, {}", who.account()) }))
///     .layer(GuardLayer::required(remote.guard().await?));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Remote {
    issuer: String,
    app: String,
    service: (String, SecretText),
    origins: Vec<String>,
    access_token_lifetime: Duration,
    max_revocation_lag: Duration,
    on_feed_loss: OnFeedLoss,
    cache: CacheBounds,
    ended_capacity: usize,
    clock: Clock,
}

/// The longest that a page of the feed may be away before the lease is asked for again.
const LEAST_PAUSE: Duration = Duration::from_millis(10);
/// How long hearing of what has ended may take before the task counts as standing still.
const PATIENCE: Duration = Duration::from_secs(60);

impl Remote {
    /// Credentials that the server at this address (its `public_url`, with its base path) gave for this app.
    pub fn new(issuer: impl Into<String>, app: impl Into<String>) -> Self {
        Self {
            issuer: issuer.into(),
            app: app.into(),
            service: (String::new(), SecretText::new(String::new())),
            origins: vec![],
            access_token_lifetime: Duration::from_secs(300),
            max_revocation_lag: Duration::from_secs(2),
            on_feed_loss: OnFeedLoss::Refuse,
            cache: CacheBounds::default(),
            ended_capacity: 1_000_000,
            clock: Clock::system(),
        }
    }

    /// By which service this process speaks to the server.
    #[must_use]
    pub fn service(mut self, id: impl Into<String>, secret: impl Into<String>) -> Self {
        self.service = (id.into(), SecretText::new(secret.into()));
        self
    }

    /// Where the app's pages live: unsafe requests with its cookie must come from one of these.
    #[must_use]
    pub fn origins(mut self, origins: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.origins = origins.into_iter().map(Into::into).collect();
        self
    }

    /// The app's `access_token_lifetime`, 5 minutes by default; a token that was made to live longer is refused.
    #[must_use]
    pub const fn access_token_lifetime(mut self, lifetime: Duration) -> Self {
        self.access_token_lifetime = lifetime;
        self
    }

    /// How long after its acknowledgement an end may go unheard, 2 seconds by default.
    #[must_use]
    pub const fn max_revocation_lag(mut self, lag: Duration) -> Self {
        self.max_revocation_lag = lag;
        self
    }

    /// What to do when the server has not been heard for that long: by default refuse, unless the server answers.
    #[must_use]
    pub const fn on_feed_loss(mut self, rule: OnFeedLoss) -> Self {
        self.on_feed_loss = rule;
        self
    }

    /// How much is remembered of what was checked.
    #[must_use]
    pub const fn cache(mut self, bounds: CacheBounds) -> Self {
        self.cache = bounds;
        self
    }

    /// How many ends are held, some 30 bytes each; 1,000,000 by default, as at the server. Of what is more the server is asked,
    /// for each credential that it may be about.
    #[must_use]
    pub const fn ended_capacity(mut self, ends: usize) -> Self {
        self.ended_capacity = ends;
        self
    }

    /// Another clock than the system's.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Fetches the keys, hears what has ended, and makes a guard that takes this app's cookies, tickets and access tokens. It
    /// goes on listening for as long as any clone of the guard lives.
    ///
    /// # Errors
    /// When the settings cannot be used, or the server cannot be spoken to.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    pub async fn guard(self) -> Result<Guard, JwksError> {
        let id = AppId::parse(&self.app).ok_or(JwksError::App(self.app.clone()))?;
        let link = Arc::new(Link::to(&self.issuer, Some((&self.service.0, &self.service.1)))?);
        let keys = JwksBacking::over(Arc::clone(&link), self.clock.clone()).await?;
        let feed_lost = |error| JwksError::Feed(self.issuer.clone(), Box::new(error));
        // That the service is known shows here, rather than in a log that nobody reads.
        link.get("/v1/revocations/head").await.map_err(feed_lost)?;
        let feed = Feed::start(Arc::clone(&link));
        let lag = self.max_revocation_lag;
        let backing = RemoteBacking::new(link, keys, Arc::clone(&feed), self.clock.clone());
        let app = foreign_app(id, self.origins, self.access_token_lifetime, lag, self.on_feed_loss);
        let apps = Arc::new(Apps::new(vec![app])?);
        let settings =
            VerifierSettings { issuer: self.issuer.clone(), cache: self.cache, ended_capacity: self.ended_capacity };
        let verifier = Arc::new(Verifier::new(apps, settings, Arc::new(backing), self.clock, &Rng::system()));
        if let Err(refusal) = verifier.renew_lease().await {
            tracing::warn!(reason = refusal.reason.as_str(), "the revocation feed has not come yet");
        }
        let (listener, position) = (Arc::downgrade(&verifier), feed.position());
        drop(feed);
        let life = move |pulse| listen(Weak::clone(&listener), position.clone(), lag, pulse);
        tasks::keep("listen", PATIENCE, life).detach();
        Ok(Guard::new(verifier, &self.issuer)?.for_app(&self.app)?)
    }
}

/// Renews the lease, at once when something has been heard and otherwise well before it runs out; until the verifier is
/// dropped.
async fn listen(
    verifier: Weak<Verifier>,
    mut heard: watch::Receiver<Option<Position>>,
    lag: Duration,
    pulse: Pulse,
) -> Over {
    loop {
        let Some(held) = verifier.upgrade() else { return Over };
        if let Err(refusal) = pulse.round(held.renew_lease()).await {
            tracing::warn!(reason = refusal.reason.as_str(), "what has ended cannot be heard");
        }
        drop(held);
        let pause = tokio::time::sleep((lag / 4).max(LEAST_PAUSE));
        tokio::select! {
            () = pause => {}
            changed = heard.changed() => if changed.is_err() { return Over },
        }
    }
}
