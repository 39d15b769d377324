//! Verification in a process that is not the server's: access tokens are checked by the server's published keys.
//!
//! It hears of no ends: it has **no revocation feed**, for that is for services with a secret ([`Remote`](crate::Remote) has
//! one). A session that is signed out is refused at its next renewal, but an access token that was issued before is
//! accepted here until it expires, 5 minutes at most by default. That is what `on_feed_loss = "until_expiry"` says, and
//! nothing else can be asked for: with [`OnFeedLoss::Refuse`] it could never accept anything, so that is an error. A killed
//! key ends here once the key set is fetched anew: within [`MAX_AGE`] and the 5 minutes for which a check is remembered.

mod backing;

use std::{io, sync::Arc, time::Duration};

use cloakroom_core::{
    app::{Admission, App, Apps, AppsError, Registration},
    clock::Clock,
    ids::AppId,
    method::{Method, OnFeedLoss},
    random::Rng,
    token::Algorithm,
    verify::{CacheBounds, Verifier, VerifierSettings},
};
use http::uri::InvalidUri;
use thiserror::Error;

pub use crate::link::FetchError;
pub use backing::{INTERVAL, JwksBacking, KEEP, MAX_AGE};

use crate::guard::{Guard, NoAddress, NoSuchApp};

/// How to verify the access tokens of one app with the server's published keys.
///
/// The methods `jwt` and `jwt-stateless` can be verified so, and the tokens that `phantom` mints for upstreams; not
/// tickets, and not tokens signed with HS256, whose key is never published.
///
/// ```no_run
/// # async fn example() -> Result<(), cloakroom_verify::JwksError> {
/// use axum::{Router, routing::get};
/// use cloakroom_verify::{GuardLayer, Identity, Jwks};
///
/// let guard = Jwks::new("https://auth.example", "api").guard().await?;
/// let app: Router = Router::new()
///     .route("/", get(|who: Identity| async move { format!("hello, {}", who.account()) }))
///     .layer(GuardLayer::required(guard));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Jwks {
    issuer: String,
    app: String,
    origins: Vec<String>,
    access_token_lifetime: Duration,
    on_feed_loss: OnFeedLoss,
    cache: CacheBounds,
    clock: Clock,
}

/// Why tokens cannot be verified by published keys.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum JwksError {
    /// The issuer is no address.
    #[error(transparent)]
    Issuer(#[from] NoAddress),
    /// The address of the keys cannot be asked.
    #[error("the key set's address `{0}` cannot be used: {1}")]
    Address(String, InvalidUri),
    /// Whoever sits on the line could put keys of their own in.
    #[error(
        "`{0}` is http, which is for loopback only; keys that come in the clear can be exchanged on the way: use https"
    )]
    InTheClear(String),
    /// It is no name of an app.
    #[error("`{0}` is no name of an app; write it as the server's configuration does")]
    App(String),
    /// There must be a revocation feed for that.
    #[error(
        "a verifier by published keys alone hears of no ends, so that `refuse` would refuse everything; use until_expiry, or Remote"
    )]
    NoFeed,
    /// The certificates that this machine trusts cannot be read.
    #[error(
        "the certificates that this machine trusts cannot be read: {0}; install ca-certificates or set SSL_CERT_FILE"
    )]
    Roots(io::Error),
    /// The first key set cannot be had.
    #[error("the key set cannot be had from {0}: {1}")]
    Fetch(String, Box<FetchError>),
    /// A service's id and secret are what the server prints, in one line each.
    #[error("the service's id or secret cannot stand in a header; write them as `cloakroom service add` printed them")]
    Service,
    /// The server does not know the service, or cannot be asked what has ended.
    #[error("what has ended cannot be heard from {0}: {1}")]
    Feed(String, Box<FetchError>),
    /// The app cannot be used.
    #[error(transparent)]
    Apps(#[from] AppsError),
    /// The app is not the verifier's.
    #[error(transparent)]
    NoSuchApp(#[from] NoSuchApp),
}

impl Jwks {
    /// Tokens that this issuer (the server's `public_url`, with its base path) signed for this app.
    pub fn new(issuer: impl Into<String>, app: impl Into<String>) -> Self {
        Self {
            issuer: issuer.into(),
            app: app.into(),
            origins: vec![],
            access_token_lifetime: Duration::from_secs(300),
            on_feed_loss: OnFeedLoss::UntilExpiry,
            cache: CacheBounds::default(),
            clock: Clock::system(),
        }
    }

    /// Where the app's pages live, if they send unsafe requests with cookies of the app's own through the guard.
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

    /// What to do without the feed. There is none here: only [`OnFeedLoss::UntilExpiry`] can be had.
    #[must_use]
    pub const fn on_feed_loss(mut self, rule: OnFeedLoss) -> Self {
        self.on_feed_loss = rule;
        self
    }

    /// How many checked tokens are remembered.
    #[must_use]
    pub const fn cache(mut self, bounds: CacheBounds) -> Self {
        self.cache = bounds;
        self
    }

    /// Another clock than the system's.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Fetches the keys, and makes a guard that takes this app's access tokens and reads no cookies.
    ///
    /// # Errors
    /// When the settings cannot be used, or the first key set cannot be had.
    pub async fn guard(self) -> Result<Guard, JwksError> {
        let issuer = self.issuer.clone();
        let app = self.app.clone();
        let verifier = Arc::new(self.verifier().await?);
        Ok(Guard::new(verifier, &issuer)?.for_app(&app)?.without_cookies())
    }

    async fn verifier(self) -> Result<Verifier, JwksError> {
        if self.on_feed_loss == OnFeedLoss::Refuse {
            return Err(JwksError::NoFeed);
        }
        let id = AppId::parse(&self.app).ok_or(JwksError::App(self.app))?;
        let backing = JwksBacking::connect(&self.issuer, self.clock.clone()).await?;
        let app = foreign_app(id, self.origins, self.access_token_lifetime, Duration::from_secs(2), self.on_feed_loss);
        let apps = Arc::new(Apps::new(vec![app])?);
        let settings = VerifierSettings { issuer: self.issuer, cache: self.cache, ended_capacity: 0 };
        Ok(Verifier::new(apps, settings, Arc::new(backing), self.clock, &Rng::system()))
    }
}

/// The app as a verifier away from the server has to know it. How long its sessions may rest and live is the server's to
/// judge: tokens say when they end, and about tickets it is asked again within 5 minutes.
pub(crate) fn foreign_app(
    id: AppId,
    origins: Vec<String>,
    access_token_lifetime: Duration,
    max_revocation_lag: Duration,
    on_feed_loss: OnFeedLoss,
) -> App {
    App {
        id,
        method: Method::Jwt,
        registration: Registration::Closed,
        admission: Admission::default(),
        origins,
        idle_timeout: Duration::from_secs(400 * 86_400),
        absolute_timeout: Duration::from_secs(400 * 86_400),
        access_token_lifetime,
        refresh_grace: Duration::from_secs(30),
        migrate_from: Vec::new(),
        max_revocation_lag,
        on_feed_loss,
        algorithm: Algorithm::default(),
    }
}
