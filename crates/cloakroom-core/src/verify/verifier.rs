//! The verifier: cache, vigil and backing put together.

mod counts;
mod hearing;

pub use hearing::CLOCK_TOLERANCE;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::RwLock;
use tokio::sync::{Notify, watch};

use self::{counts::Counters, hearing::RENEWAL_LIMIT};
use super::{
    accept::{Basis, Judgement, Moment, judge, judge_unasked},
    backing::{Backing, NotFound},
    cache::{CacheBounds, FactCache, Fingerprint},
    fact::{Fact, Finding, Identity},
};
use crate::{
    app::{App, Apps},
    clock::{Boot, Clock, Timestamp},
    ids::AppId,
    method::{Check, OnFeedLoss},
    random::Rng,
    refusal::{Reason, Refusal},
    revocation::{Reading, VERIFIERS_HOLD, Vigil},
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
    /// How many ends it may hold; of what is more it keeps marks, and asks about the credentials that they may be about.
    pub ended_capacity: usize,
}

/// Whether a renewal may go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Renewal {
    /// It may.
    Goes,
    /// An end was heard while the session was read, and may be its own: read again.
    ReadAgain,
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
    /// When a question about a marked credential was last not answered, in milliseconds; 0: never.
    unanswered: AtomicU64,
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
/// How long an app that does without is not asked about marked credentials, after a question was not answered.
const UNANSWERED: Duration = Duration::from_millis(500);
/// How often a credential is asked about before its request is refused, where new ends that may be its own are heard each time.
const TRIES: usize = 3;
/// What is held for longer than the longest access token lives: for leeways, and for requests that run.
const BEYOND_TOKENS: Duration = Duration::from_secs(300);

impl Verifier {
    /// A verifier that has heard nothing yet; its first lease comes with the first question or with [`Self::follow`].
    pub fn new(
        apps: Arc<Apps>,
        settings: VerifierSettings,
        backing: Arc<dyn Backing>,
        clock: Clock,
        rng: &Rng,
    ) -> Self {
        // What this verifier itself could accept decides; the log's servers may know of shorter tokens only.
        let hold = VERIFIERS_HOLD.max(apps.longest_access_token() + BEYOND_TOKENS);
        Self {
            apps,
            issuer: settings.issuer,
            clock,
            cache: FactCache::new(settings.cache, rng),
            vigil: RwLock::new(Vigil::new(settings.ended_capacity, hold)),
            backing,
            renewals: Rounds::new(),
            under_way: Seats::new(MOST_UNDER_WAY),
            unanswered: AtomicU64::new(0),
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
            match self.judge(&fact, Basis::Cached, now) {
                Judgement::Accept => {
                    self.counts.warm.fetch_add(1, Ordering::Relaxed);
                    return self.admit(fact, question, now.wall);
                }
                Judgement::Refuse(reason) => return Err(self.refuse(reason.into())),
                Judgement::ReadAgain | Judgement::NoLease | Judgement::Ask => {}
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

    /// What has been heard by now; to be had before what a renewal rests on is read.
    pub fn reading(&self) -> Reading {
        self.vigil.read().reading(self.clock.boot())
    }

    /// Applies the acceptance rule to a renewal: what it found was read since `reading`, and it needs a fresh lease
    /// whatever the app does on feed loss, for it makes something that lives on.
    pub async fn judge_renewal(&self, found: Finding, app: &Arc<App>, reading: Reading) -> Result<Renewal, Refusal> {
        let fact = Fact::read(found, Arc::clone(app), reading);
        if !self.vigil.read().is_fresh(self.clock.boot(), app.lag(Check::Signature)) {
            self.renew_lease().await?;
        }
        match judge(&fact, Basis::JustNow, &self.vigil.read(), self.moment()) {
            Judgement::Refuse(reason) => Err(reason.into()),
            Judgement::Accept => Ok(Renewal::Goes),
            Judgement::Ask => Ok(Renewal::ReadAgain),
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
        let (wall, boot) = self.clock.moment();
        Moment { wall, boot }
    }

    #[inline]
    fn judge(&self, fact: &Fact, basis: Basis, now: Moment) -> Judgement {
        let vigil = self.vigil.read();
        match judge(fact, basis, &vigil, now) {
            Judgement::Ask if self.does_without(fact, now.boot) => judge_unasked(fact, basis, &vigil, now),
            judgement => judgement,
        }
    }

    /// Whether what may have ended goes on because nobody can be asked.
    fn does_without(&self, fact: &Fact, now: Boot) -> bool {
        let unanswered = Boot::from_millis(self.unanswered.load(Ordering::Relaxed));
        fact.app.on_feed_loss == OnFeedLoss::UntilExpiry
            && unanswered != Boot::default()
            && now.since(unanswered) < UNANSWERED
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
        let (reading, never_heard) = {
            let vigil = self.vigil.read();
            (vigil.reading(self.clock.boot()), vigil.position().is_none())
        };
        let (app, found) = match self.read_token(credential) {
            Ok(read) => read,
            Err(Reason::UnknownKey) => return None,
            // What time it is is known once the store has told it.
            Err(Reason::FromTheFuture) if never_heard => return None,
            Err(reason) => return Some(Err(reason.into())),
        };
        let fact = Arc::new(Fact::checked(found, Arc::clone(app), reading));
        match self.judge(&fact, Basis::JustNow, self.moment()) {
            Judgement::Accept | Judgement::Refuse(_) if never_heard => None,
            Judgement::Accept => {
                self.cache.insert(at, &fact);
                Some(Ok(fact))
            }
            Judgement::Refuse(reason) => Some(Err(reason.into())),
            Judgement::ReadAgain | Judgement::NoLease | Judgement::Ask => None,
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
                Ok(fact) => match self.judge(&fact, Basis::Cached, self.moment()) {
                    Judgement::Accept => return Ok(fact),
                    Judgement::Refuse(reason) => return Err(reason.into()),
                    Judgement::NoLease if self.renew_lease().await.is_ok() => {}
                    Judgement::ReadAgain | Judgement::NoLease | Judgement::Ask => {
                        self.cache.drop_fact(at, &fact);
                        older = Some(fact);
                    }
                },
                Err(place) => {
                    let fact = self.find(credential, older).await?;
                    // A place that was taken meanwhile keeps what it has; both are true.
                    let _ = place.insert(Arc::clone(&fact));
                    return Ok(fact);
                }
            }
        }
        self.find(credential, older).await
    }

    /// Checks or reads, and judges; again, if an end that may be its own was heard meanwhile.
    async fn find(&self, credential: &str, older: Option<Arc<Fact>>) -> Result<Arc<Fact>, Refusal> {
        let mut older = older;
        let never_heard = self.vigil.read().position().is_none();
        for _ in 0..TRIES {
            let fact = match self.find_fact(credential, older.as_deref()).await {
                Ok(fact) => fact,
                Err(refusal) => return self.do_without(refusal, older),
            };
            let mut judgement = self.judge(&fact, Basis::JustNow, self.moment());
            if judgement == Judgement::Ask && fact.check() == Check::Signature {
                self.ask(credential, &fact).await?;
                judgement = self.judge(&fact, Basis::JustNow, self.moment());
            }
            let refused = matches!(judgement, Judgement::Refuse(_));
            let without = fact.app.on_feed_loss == OnFeedLoss::UntilExpiry;
            if judgement == Judgement::NoLease || (never_heard && (refused || without)) {
                // A verifier that has never heard the log asks at least once, whatever happens without it: for what has ended,
                // and for the time.
                let renewed = self.renew_lease().await;
                judgement = self.judge(&fact, Basis::JustNow, self.moment());
                if judgement == Judgement::NoLease {
                    return Err(renewed.err().unwrap_or_else(|| Reason::LeaseLost.into()));
                }
            }
            match judgement {
                Judgement::Accept => return Ok(fact),
                Judgement::Refuse(reason) => return Err(reason.into()),
                Judgement::Ask => older = Some(fact),
                Judgement::ReadAgain | Judgement::NoLease => return Err(Reason::LeaseLost.into()),
            }
        }
        Err(Refusal::from(Reason::Busy).retry_after(RENEWAL_LIMIT))
    }

    /// What a credential says of itself, or its record of it.
    async fn find_fact(&self, credential: &str, older: Option<&Fact>) -> Result<Arc<Fact>, Refusal> {
        let reading = self.reading();
        let fact = if is_token(credential) {
            let never_heard = self.vigil.read().position().is_none();
            let (app, found) = match self.check_token(credential).await {
                Err(refusal)
                    if never_heard && refusal.reason == Reason::FromTheFuture && self.renew_lease().await.is_ok() =>
                {
                    self.check_token(credential).await?
                }
                checked => checked?,
            };
            Fact::checked(found, Arc::clone(app), reading)
        } else {
            let looked_up = self.backing.look_up(credential).await;
            let (app, found) = looked_up.map_err(|not_found| self.with_memory(not_found))?;
            let app = self.apps.get(app.as_str()).ok_or(Reason::AppGone)?;
            Fact::read(found, Arc::clone(app), reading)
        };
        if let Some(older) = older {
            fact.remember(older);
        }
        Ok(Arc::new(fact))
    }

    /// Asks about a token whose place is marked. Whoever holds the same one waits for the answer.
    async fn ask(&self, token: &str, fact: &Fact) -> Result<(), Refusal> {
        let reading = self.reading();
        self.counts.asked.fetch_add(1, Ordering::Relaxed);
        match self.backing.ask(token, &fact.app, &fact.found).await {
            Ok(()) => {
                fact.goes_on(reading);
                Ok(())
            }
            Err(refusal) if refusal.is_passing() && fact.app.on_feed_loss == OnFeedLoss::UntilExpiry => {
                self.note_unanswered();
                Ok(())
            }
            Err(refusal) => Err(refusal),
        }
    }

    /// A record that cannot be read anew goes on as it was, if no more than a mark speaks against it and its app does without.
    fn do_without(&self, refusal: Refusal, older: Option<Arc<Fact>>) -> Result<Arc<Fact>, Refusal> {
        let without = |fact: &Arc<Fact>| fact.app.on_feed_loss == OnFeedLoss::UntilExpiry;
        let Some(fact) = older.filter(without).filter(|_| refusal.is_passing()) else { return Err(refusal) };
        let (vigil, now) = (self.vigil.read(), self.moment());
        let marked = judge(&fact, Basis::Cached, &vigil, now) == Judgement::Ask;
        if marked && judge_unasked(&fact, Basis::Cached, &vigil, now) == Judgement::Accept {
            self.note_unanswered();
            return Ok(Arc::clone(&fact));
        }
        Err(refusal)
    }

    fn note_unanswered(&self) {
        self.unanswered.store(self.clock.boot().millis().max(1), Ordering::Relaxed);
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
