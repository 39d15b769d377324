//! The verifier: cache, vigil and backing put together.

mod counts;
mod hearing;

pub use hearing::CLOCK_TOLERANCE;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::RwLock;
use tokio::sync::{Notify, watch};

use self::{counts::Counters, hearing::RENEWAL_LIMIT};
use super::{
    accept::{Basis, Judgement, Moment, judge},
    backing::{Backing, NotFound},
    cache::{CacheBounds, FactCache, Fingerprint},
    fact::{Fact, Finding, Identity},
};
use crate::{
    app::{App, Apps},
    clock::{Clock, Timestamp},
    ids::AppId,
    method::{Check, OnFeedLoss},
    random::Rng,
    refusal::{Reason, Refusal},
    revocation::Vigil,
    rounds::Rounds,
    seats::Seats,
    token,
    trace::{span, span_of_work},
};

pub use counts::Counts;

/// Whether a request counts as use of the session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Activity {
    /// It does.
    Active,
    /// A poll, marked so by its sender: it does not.
    Passive,
}

/// What a verifier is asked.
#[derive(Clone, Copy)]
pub struct Question<'a> {
    /// What was presented: a ticket or an access token.
    pub credential: &'a str,
    /// The app that it must belong to; `None`: any.
    pub app: Option<&'a AppId>,
    /// Whether this counts as use.
    pub activity: Activity,
}

/// How a verifier is set up.
#[derive(Clone, Debug)]
pub struct VerifierSettings {
    /// The issuer that access tokens must name: `public_url`.
    pub issuer: String,
    /// The bounds of the near-cache.
    pub cache: CacheBounds,
    /// How many ends it may hold; past that the lease is lost, never an end.
    pub ended_capacity: usize,
}

/// Checks presented credentials. Shared; all of it is safe to call from many tasks at once.
pub struct Verifier {
    apps: Arc<Apps>,
    issuer: String,
    clock: Clock,
    cache: FactCache,
    vigil: RwLock<Vigil>,
    backing: Arc<dyn Backing>,
    renewals: Rounds<Result<(), Refusal>>,
    /// How many questions are being answered by more than the cache.
    under_way: Seats,
    wake: Notify,
    /// Whether the log did not answer when it was last asked.
    deaf: AtomicBool,
    heard: watch::Sender<u64>,
    counts: Counters,
    clock_is_off: AtomicBool,
}

/// How far ahead of our clock an `iat` may be.
pub const IAT_LEEWAY: Duration = Duration::from_secs(60);
/// The lifetime of access tokens where nothing else is configured.
const USUAL_LIFETIME: Duration = Duration::from_secs(300);
/// The most questions at once that the cache cannot answer; past that they are refused at once.
pub const MOST_UNDER_WAY: usize = 4096;
/// How long a question waits for another one that looks up the same.
pub const FILLING: Duration = Duration::from_secs(5);

impl Verifier {
    /// A verifier that has heard nothing yet; its first lease comes with the first question or with [`Self::follow`].
    pub fn new(
        apps: Arc<Apps>,
        settings: VerifierSettings,
        backing: Arc<dyn Backing>,
        clock: Clock,
        rng: &Rng,
    ) -> Self {
        Self {
            apps,
            issuer: settings.issuer,
            clock,
            cache: FactCache::new(settings.cache, rng),
            vigil: RwLock::new(Vigil::new(settings.ended_capacity)),
            backing,
            renewals: Rounds::new(),
            under_way: Seats::new(MOST_UNDER_WAY),
            wake: Notify::new(),
            deaf: AtomicBool::new(false),
            heard: watch::Sender::new(0),
            counts: Counters::default(),
            clock_is_off: AtomicBool::new(false),
        }
    }

    /// Who presents this credential. A warm answer takes no I/O and no allocation.
    ///
    /// # Errors
    /// A [`Refusal`] whose reason says which part of the acceptance rule failed; `lease_lost` or `store_down` when the rule
    /// cannot be applied.
    #[inline]
    pub async fn verify(&self, question: Question<'_>) -> Result<Identity, Refusal> {
        let at = self.cache.fingerprint(question.credential);
        if let Some(fact) = self.cache.get(&at) {
            // One reading of the clocks serves the judgement and what follows from it.
            let now = self.moment();
            match judge(&fact, Basis::Cached, &self.vigil.read(), now) {
                Judgement::Accept => {
                    self.counts.warm.fetch_add(1, Ordering::Relaxed);
                    return self.admit(fact, question, now.wall);
                }
                Judgement::Refuse(reason) => return Err(self.refuse(reason.into())),
                Judgement::ReadAgain | Judgement::NoLease => {}
            }
        } else if let Some(found) = self.check_at_once(&at, question.credential) {
            self.counts.cold.fetch_add(1, Ordering::Relaxed);
            return match found {
                Ok(fact) => self.admit(fact, question, self.clock.now()),
                Err(refusal) => Err(self.refuse(refusal)),
            };
        }
        let found = Box::pin(span("look up", self.verify_cold(&at, question.credential))).await;
        match found {
            Ok(fact) => self.admit(fact, question, self.clock.now()),
            Err(refusal) => Err(self.refuse(refusal)),
        }
    }

    /// Applies the acceptance rule to a renewal: what it found was read or checked just now, and it needs a fresh lease
    /// whatever the app does on feed loss, for it makes something that lives on.
    pub async fn judge_renewal(&self, found: Finding, app: &Arc<App>) -> Result<(), Refusal> {
        let fact = Fact::new(found, Arc::clone(app), self.clock.boot(), self.vigil.read().era());
        if !self.vigil.read().is_fresh(self.clock.boot(), app.lag(Check::Signature)) {
            self.renew_lease().await?;
        }
        match self.judge(&fact, Basis::JustNow) {
            Judgement::Refuse(reason) => Err(reason.into()),
            Judgement::Accept => Ok(()),
            Judgement::ReadAgain | Judgement::NoLease => Err(Reason::LeaseLost.into()),
        }
    }

    /// Believes no fact that was read before now: what it was read from has turned out not to be trusted.
    pub fn drop_facts(&self) {
        self.vigil.write().turn();
    }

    /// The apps whose credentials it accepts.
    pub fn apps(&self) -> &Arc<Apps> {
        &self.apps
    }

    /// The clock that it judges by.
    pub const fn clock(&self) -> &Clock {
        &self.clock
    }

    #[inline]
    fn moment(&self) -> Moment {
        {
            let (wall, boot) = self.clock.moment();
            Moment { wall, boot }
        }
    }

    #[inline]
    fn judge(&self, fact: &Fact, basis: Basis) -> Judgement {
        judge(fact, basis, &self.vigil.read(), self.moment())
    }

    /// An accepted fact becomes an identity, if it is of the asked app.
    #[inline]
    fn admit(&self, fact: Arc<Fact>, question: Question<'_>, now: Timestamp) -> Result<Identity, Refusal> {
        if question.app.is_some_and(|app| *app != fact.app.id) {
            return Err(self.refuse(Reason::WrongApp.into()));
        }
        if question.activity == Activity::Active
            && let Some(session) = fact.use_now(now)
        {
            self.backing.note_use(session, now);
        }
        Ok(Identity(fact))
    }

    fn refuse(&self, refusal: Refusal) -> Refusal {
        self.counts.refused.fetch_add(1, Ordering::Relaxed);
        refusal
    }

    /// A token that keys at hand and what has been heard suffice to judge: nobody waits, so nobody need share the work.
    /// `None` where more is needed.
    fn check_at_once(&self, at: &Fingerprint, credential: &str) -> Option<Result<Arc<Fact>, Refusal>> {
        if !is_token(credential) {
            return None;
        }
        let read_at = self.clock.boot();
        let (era, never_heard) = {
            let vigil = self.vigil.read();
            (vigil.era(), vigil.position().is_none())
        };
        let (app, found) = match self.read_token(credential) {
            Ok(read) => read,
            Err(Reason::UnknownKey) => return None,
            // What time it is is known once the store has told it.
            Err(Reason::FromTheFuture) if never_heard => return None,
            Err(reason) => return Some(Err(reason.into())),
        };
        let fact = Arc::new(Fact::new(found, Arc::clone(app), read_at, era));
        match self.judge(&fact, Basis::JustNow) {
            Judgement::Accept | Judgement::Refuse(_) if never_heard => None,
            Judgement::Accept => {
                self.cache.insert(at, &fact);
                Some(Ok(fact))
            }
            Judgement::Refuse(reason) => Some(Err(reason.into())),
            Judgement::ReadAgain | Judgement::NoLease => None,
        }
    }

    /// Finds the fact anew: one asker per credential does the work, the others wait for it.
    async fn verify_cold(&self, at: &Fingerprint, credential: &str) -> Result<Arc<Fact>, Refusal> {
        self.counts.cold.fetch_add(1, Ordering::Relaxed);
        let busy = || Refusal::from(Reason::Busy).retry_after(RENEWAL_LIMIT);
        let _seat = self.under_way.take().ok_or_else(busy)?;
        let mut older = None;
        for _ in 0..2 {
            // Were the wait not limited, each of many that ask for the same would in turn wait for a store that is gone.
            let filled = tokio::time::timeout(FILLING, self.cache.get_or_fill(at)).await;
            match filled.map_err(|_| Refusal::from(Reason::StoreDown).retry_after(RENEWAL_LIMIT))? {
                Ok(fact) => match self.judge(&fact, Basis::Cached) {
                    Judgement::Accept => return Ok(fact),
                    Judgement::Refuse(reason) => return Err(reason.into()),
                    Judgement::NoLease if self.renew_lease().await.is_ok() => {}
                    Judgement::ReadAgain | Judgement::NoLease => {
                        self.cache.drop_fact(at, &fact);
                        older = Some(fact);
                    }
                },
                Err(place) => {
                    let fact = self.find(credential, older.as_deref()).await?;
                    // A place that was taken meanwhile keeps what it has; both are true.
                    let _ = place.insert(Arc::clone(&fact));
                    return Ok(fact);
                }
            }
        }
        self.find(credential, older.as_deref()).await
    }

    /// Checks or reads, and judges.
    async fn find(&self, credential: &str, older: Option<&Fact>) -> Result<Arc<Fact>, Refusal> {
        let read_at = self.clock.boot();
        let (era, never_heard) = {
            let vigil = self.vigil.read();
            (vigil.era(), vigil.position().is_none())
        };
        let (app, found) = if is_token(credential) {
            match self.check_token(credential).await {
                Err(refusal)
                    if never_heard && refusal.reason == Reason::FromTheFuture && self.renew_lease().await.is_ok() =>
                {
                    self.check_token(credential).await?
                }
                checked => checked?,
            }
        } else {
            let looked_up = self.backing.look_up(credential).await;
            let (app, found) = looked_up.map_err(|not_found| self.with_memory(not_found))?;
            (self.apps.get(app.as_str()).ok_or(Reason::AppGone)?, found)
        };
        let fact = Arc::new(Fact::new(found, Arc::clone(app), read_at, era));
        if let Some(older) = older {
            fact.remember(older);
        }
        let mut judgement = self.judge(&fact, Basis::JustNow);
        let refused = matches!(judgement, Judgement::Refuse(_));
        if judgement == Judgement::NoLease || (never_heard && (refused || app.on_feed_loss == OnFeedLoss::UntilExpiry))
        {
            // A verifier that has never heard the log asks at least once, whatever happens without it: for what has ended,
            // and for the time.
            let renewed = self.renew_lease().await;
            judgement = self.judge(&fact, Basis::JustNow);
            if judgement == Judgement::NoLease {
                return Err(renewed.err().unwrap_or_else(|| Reason::LeaseLost.into()));
            }
        }
        match judgement {
            Judgement::Accept => Ok(fact),
            Judgement::Refuse(reason) => Err(reason.into()),
            Judgement::ReadAgain | Judgement::NoLease => Err(Reason::LeaseLost.into()),
        }
    }

    /// A record that is not there has ended, as long as the log remembers; otherwise its time was over.
    fn with_memory(&self, not_found: NotFound) -> Refusal {
        match not_found.session {
            Some(session) if not_found.refusal.reason == Reason::NoSession && self.has_ended(session) => {
                Reason::SessionEnded.into()
            }
            _ => not_found.refusal,
        }
    }

    /// Checks a token by its signature, fetching keys anew for one that is not known.
    async fn check_token(&self, text: &str) -> Result<(&Arc<App>, Finding), Refusal> {
        match self.read_token(text) {
            Err(Reason::UnknownKey) => {
                self.backing.refresh_keys().await?;
                Ok(self.read_token(text)?)
            }
            read => Ok(read?),
        }
    }

    /// What a token says, if a key at hand has signed it and its times are possible.
    fn read_token(&self, text: &str) -> Result<(&Arc<App>, Finding), Reason> {
        let token::Checked { claims, kid } =
            span_of_work("check the token", || token::check(text, &self.backing.keys()))?;
        let app = self.apps.get(claims.app.as_str()).ok_or(Reason::AppGone)?;
        if claims.issuer != self.issuer {
            return Err(Reason::BadClaims);
        }
        check_times(&claims, app, self.clock.now())?;
        let found = Finding {
            session: claims.session,
            account: claims.account,
            epoch: claims.epoch,
            app_epoch: claims.app_epoch,
            method: claims.token_id.method(),
            kid: Some(kid),
            amr: claims.amr,
            auth_time: claims.auth_time,
            expires: claims.expires,
            last_active: None,
        };
        Ok((app, found))
    }
}

/// Tickets have no dot.
fn is_token(credential: &str) -> bool {
    credential.contains('.')
}

/// The lifetime is judged by the app's present setting, whatever the token says.
fn check_times(claims: &token::Claims, app: &App, now: Timestamp) -> Result<(), Reason> {
    if claims.issued > now + IAT_LEEWAY {
        return Err(Reason::FromTheFuture);
    }
    // A session keeps the method that it was born with, and its tokens the lifetime that is usual for it, though the app's
    // new method may have a shorter one (F071).
    let longest = if claims.token_id.method() == app.method {
        app.access_token_lifetime
    } else {
        app.access_token_lifetime.max(USUAL_LIFETIME)
    };
    if claims.expires <= claims.issued || claims.expires.since(claims.issued) > longest {
        return Err(Reason::TooLongLived);
    }
    Ok(())
}
