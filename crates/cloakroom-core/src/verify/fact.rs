//! A fact: what a signature or a record said, at a moment. It holds no secret.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::{
    app::App,
    clock::{Boot, Timestamp},
    ids::{AccountId, AppId, Epoch, Kid, SessionId},
    method::{Check, Method, Upstream},
    revocation::{EXP_LEEWAY, FACT_LIFE, Reading, Subject, Vigil},
    session::{AuthMethods, Record},
};

/// What was found out about a credential: by checking its signature, or by reading its record.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Its session.
    pub session: SessionId,
    /// Its account.
    pub account: AccountId,
    /// Its account's epoch.
    pub epoch: Epoch,
    /// Its app's epoch.
    pub app_epoch: Epoch,
    /// Its method.
    pub method: Method,
    /// The key that made it.
    pub kid: Option<Kid>,
    /// By which means the person signed in.
    pub amr: AuthMethods,
    /// When the person signed in.
    pub auth_time: Timestamp,
    /// When the credential ends by the clock.
    pub expires: Timestamp,
    /// When the session was last used, as far as its record says; for methods that are looked up.
    pub last_active: Option<Timestamp>,
}

impl Finding {
    /// What a living record says; `kid`: the key that made the credential by which it was found.
    pub fn of_record(session: SessionId, record: &Record, app: &App, kid: Kid) -> Self {
        Self {
            session,
            account: record.account,
            epoch: record.epoch,
            app_epoch: record.app_epoch,
            method: record.method,
            kid: Some(kid),
            amr: record.amr,
            auth_time: record.auth_time,
            expires: record.ends_at(app),
            last_active: Some(record.last_active),
        }
    }
}

/// A [`Finding`] with the moment of its reading, as caches hold it.
#[derive(Debug)]
pub struct Fact {
    pub(super) found: Finding,
    pub(super) app: Arc<App>,
    /// When the reading began; what it says is believed for [`FACT_LIFE`] from then.
    read_at: Boot,
    pub(super) era: u32,
    /// Up to which line of the log it is known that nothing has ended it, of those that left a mark.
    asked: AtomicU64,
    /// When the session was last used here, in milliseconds; a request moves it on, nothing moves it back.
    seen: AtomicU64,
    /// The last activity that was handed on to be written.
    noted: AtomicU64,
}

impl Fact {
    /// What a primary told: as of when the reading began, nothing had ended it.
    pub fn read(found: Finding, app: Arc<App>, reading: Reading) -> Self {
        let line = reading.line;
        Self::new(found, app, reading, line)
    }

    /// What a credential says of itself, by a signature that is good.
    pub fn checked(found: Finding, app: Arc<App>, reading: Reading) -> Self {
        Self::new(found, app, reading, 0)
    }

    fn new(found: Finding, app: Arc<App>, reading: Reading, asked: u64) -> Self {
        let seen = found.last_active.unwrap_or_default().millis();
        let (seen, noted, asked) = (AtomicU64::new(seen), AtomicU64::new(seen), AtomicU64::new(asked));
        Self { found, app, read_at: reading.at, era: reading.era, asked, seen, noted }
    }

    /// It was asked about, from `reading` on, and has not ended.
    pub(super) fn goes_on(&self, reading: Reading) {
        if reading.era == self.era {
            self.asked.fetch_max(reading.line, Ordering::Relaxed);
        }
    }

    /// Whether an end that could not be held may be its own.
    #[inline]
    pub(super) fn is_marked(&self, vigil: &Vigil, now: Boot) -> bool {
        // The lines of another log have other numbers.
        let asked = if self.era == vigil.era() { self.asked.load(Ordering::Relaxed) } else { 0 };
        vigil.is_marked(&self.subject(), asked, now)
    }

    /// What the acceptance rule asks the set of what ended.
    #[inline]
    pub(super) fn subject(&self) -> Subject<'_> {
        Subject {
            session: self.found.session,
            account: (self.found.account, self.found.epoch),
            app: (&self.app.id, self.found.app_epoch),
            method: self.found.method,
            kid: self.found.kid,
        }
    }

    /// How it was found out.
    #[inline]
    pub(super) fn check(&self) -> Check {
        if self.found.last_active.is_some() { Check::LookUp } else { Check::Signature }
    }

    #[inline]
    pub(super) fn is_stale(&self, now: Boot) -> bool {
        now.since(self.read_at) >= FACT_LIFE || now < self.read_at
    }

    /// Leeway is for clocks that differ, so only what another clock may have issued gets it.
    #[inline]
    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        match self.check() {
            Check::LookUp => now >= self.found.expires,
            Check::Signature => now >= self.found.expires + EXP_LEEWAY,
        }
    }

    #[inline]
    pub(super) fn is_idle(&self, now: Timestamp) -> bool {
        self.check() == Check::LookUp && now >= self.last_seen() + self.app.idle_timeout
    }

    /// When the session was last used, as far as this process knows.
    pub(super) fn last_seen(&self) -> Timestamp {
        Timestamp::from_millis(self.seen.load(Ordering::Relaxed))
    }

    /// Keeps what an older fact of the same credential knew of its use, and that it was asked about.
    pub(super) fn remember(&self, older: &Self) {
        if older.found.session == self.found.session {
            self.seen.fetch_max(older.seen.load(Ordering::Relaxed), Ordering::Relaxed);
            if older.era == self.era {
                self.asked.fetch_max(older.asked.load(Ordering::Relaxed), Ordering::Relaxed);
            }
        }
    }

    /// The session is in use. `Some` when that must be written: what was written last is older than min(1 h, idle/32).
    #[inline]
    pub(super) fn use_now(&self, now: Timestamp) -> Option<SessionId> {
        if self.check() == Check::Signature || now.millis() <= self.seen.load(Ordering::Relaxed) {
            return None;
        }
        self.seen.fetch_max(now.millis(), Ordering::Relaxed);
        let noted = self.noted.load(Ordering::Relaxed);
        let interval = Record::touch_interval(self.app.idle_timeout);
        if now.since(Timestamp::from_millis(noted)) < interval {
            return None;
        }
        // Of several requests at once, one hands it on.
        let won = self.noted.compare_exchange(noted, now.millis(), Ordering::Relaxed, Ordering::Relaxed).is_ok();
        won.then_some(self.found.session)
    }
}

/// Who is asking: an accepted credential. Having one means that the acceptance rule was applied.
#[derive(Clone, Debug)]
pub struct Identity(pub(super) Arc<Fact>);

impl Identity {
    /// The account.
    pub fn account(&self) -> AccountId {
        self.0.found.account
    }

    /// The session.
    pub fn session(&self) -> SessionId {
        self.0.found.session
    }

    /// The app's name.
    pub fn app_id(&self) -> &AppId {
        &self.0.app.id
    }

    /// The app.
    pub fn app(&self) -> &Arc<App> {
        &self.0.app
    }

    /// The method of the session.
    pub fn method(&self) -> Method {
        self.0.found.method
    }

    /// Whether what was presented is a token that was minted for an upstream, which tells who the person is but is not
    /// theirs to act with.
    pub fn is_for_upstream(&self) -> bool {
        self.0.check() == Check::Signature && self.method().properties().upstream == Upstream::MintedToken
    }

    /// By which means the person signed in.
    pub fn amr(&self) -> AuthMethods {
        self.0.found.amr
    }

    /// When the person signed in.
    pub fn auth_time(&self) -> Timestamp {
        self.0.found.auth_time
    }

    /// When what was presented ends by the clock.
    pub fn expires_at(&self) -> Timestamp {
        self.0.found.expires
    }

    /// The account's and the app's epoch that it carries.
    pub fn epochs(&self) -> (Epoch, Epoch) {
        (self.0.found.epoch, self.0.found.app_epoch)
    }

    /// The key that made it, where that is known.
    pub fn kid(&self) -> Option<Kid> {
        self.0.found.kid
    }

    /// Whether the person proved who they are no longer than `within` ago.
    pub fn is_recent(&self, now: Timestamp, within: Duration) -> bool {
        now.since(self.auth_time()) < within
    }
}
