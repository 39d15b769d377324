//! The backing of a verifier in a process of its own: keys, tickets and ends, asked of the server.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use cloakroom_core::{
    app::App,
    clock::{Boot, Clock, Timestamp},
    ids::{AccountId, AppId, Epoch, Kid, SessionId},
    key::VerifyingKeys,
    method::Method,
    refusal::{Reason, Refusal},
    revocation::{Answer, Entry, Incarnation, KeySet, Position, Since},
    session::AuthMethods,
    ticket,
    verify::{Backing, Finding, NotFound},
};
use parking_lot::Mutex;
use serde::Deserialize;

use super::feed::{Feed, Page, Wanted};
use crate::{
    jwks::{FetchError, JwksBacking},
    link::Link,
};

/// After the server was not reached, nobody asks it about a ticket for so long.
const PAUSE: Duration = Duration::from_millis(500);

/// What the log's head promises comes by the feed within so long, or the feed is looked after.
const STALL: Duration = Duration::from_millis(400);

/// Asks the server: for its keys as [`JwksBacking`] does, for tickets by introspection (RFC 7662), and for what has ended by
/// the revocation feed and its head.
pub struct RemoteBacking {
    link: Arc<Link>,
    keys: JwksBacking,
    feed: Arc<Feed>,
    clock: Clock,
    /// When the server was not reached.
    failed: Mutex<Option<Boot>>,
}

/// The head of the log.
#[derive(Deserialize)]
struct Head {
    incarnation: String,
    sequence: u64,
    time: String,
    /// An older server does not tell it.
    key_set: Option<String>,
}

/// An introspection answer, with what Cloakroom adds to it.
#[derive(Deserialize)]
struct Introspection {
    active: bool,
    sub: Option<String>,
    client_id: Option<String>,
    sid: Option<String>,
    exp: Option<u64>,
    auth_time: Option<u64>,
    #[serde(default)]
    amr: Vec<String>,
    method: Option<String>,
    #[serde(default)]
    epoch: u32,
    #[serde(default)]
    app_epoch: u32,
    kid: Option<String>,
}

impl RemoteBacking {
    pub(super) fn new(link: Arc<Link>, keys: JwksBacking, feed: Arc<Feed>, clock: Clock) -> Self {
        Self { link, keys, feed, clock, failed: Mutex::default() }
    }

    /// The head, the store's time when it was told, and its set of keys.
    async fn head(&self) -> Result<(Position, Timestamp, KeySet), FetchError> {
        let body = self.link.get("/v1/revocations/head").await?;
        let head: Head = serde_json::from_slice(&body).map_err(|_| FetchError::Strange)?;
        let incarnation = u64::from_str_radix(&head.incarnation, 16).map_err(|_| FetchError::Strange)?;
        let time = head.time.parse::<jiff::Timestamp>().ok().and_then(|time| time.as_millisecond().try_into().ok());
        let time = Timestamp::from_millis(time.ok_or(FetchError::Strange)?);
        let keys =
            head.key_set.map(|set| u64::from_str_radix(&set, 16)).transpose().map_err(|_| FetchError::Strange)?;
        let position = Position { incarnation: Incarnation(incarnation), sequence: head.sequence };
        Ok((position, time, KeySet(keys.unwrap_or_default())))
    }

    async fn introspect(&self, credential: &str) -> Result<Introspection, Refusal> {
        let wait = Duration::from_secs(1);
        if !self.may_ask() {
            return Err(Refusal::from(Reason::StoreDown).retry_after(wait));
        }
        // `use=1`: that this verifier asks at all means that the session is in use. `as_of`: the server that answers may have
        // heard less of the log than the one whose feed is followed here.
        let heard = self.feed.position().borrow().map(|at| at.to_string()).unwrap_or_default();
        let form = [("token", credential), ("use", "1"), ("as_of", &heard)];
        let answer = self.link.post_form("/oauth/introspect", &form).await;
        let answer = answer.and_then(|body| serde_json::from_slice(&body).map_err(|_| FetchError::Strange));
        *self.failed.lock() = answer.is_err().then(|| self.clock.boot());
        answer.map_err(|error| away(&error))
    }

    /// What the feed has given, when the head told this of the time and the keys.
    fn answer(&self, wanted: Wanted, page: Page, time: Timestamp, keys: KeySet) -> Answer {
        let hold = self.feed.hold();
        // How long the log holds a line is its own matter.
        let until = Timestamp::default();
        match page {
            Page::Snapshot(head, ends) => {
                let entry = |end| Entry { sequence: head.sequence, end, at: None, until };
                let entries = ends.into_iter().map(entry).collect();
                Answer { head, time, keys, snapshot: true, rest: Some(head.sequence), hold, entries }
            }
            Page::Lines(head, lines) => {
                let entries = lines.into_iter().map(|(sequence, end, at)| Entry { sequence, end, at, until }).collect();
                let snapshot = matches!(wanted, Wanted::Page(_));
                Answer { head, time, keys, snapshot, rest: None, hold, entries }
            }
        }
    }

    fn may_ask(&self) -> bool {
        self.failed.lock().is_none_or(|failed| self.clock.boot().since(failed) >= PAUSE)
    }
}

fn away(error: &FetchError) -> Refusal {
    tracing::warn!(%error, "the server cannot be asked");
    Refusal::from(Reason::StoreDown).retry_after(Duration::from_secs(1))
}

#[async_trait]
impl Backing for RemoteBacking {
    async fn look_up(&self, text: &str) -> Result<(AppId, Finding), NotFound> {
        // Garbage is turned away here; the server is asked about what could be a ticket only.
        let session = ticket::claimed_session(text).ok_or(Reason::Malformed)?;
        let told = self.introspect(text).await.map_err(|refusal| NotFound { refusal, session: None })?;
        if !told.active {
            return Err(NotFound { refusal: Reason::NoSession.into(), session: Some(session) });
        }
        told.read(self.clock.now()).ok_or_else(|| {
            tracing::error!("the server's introspection lacks what this verifier needs; is it of an older release?");
            NotFound { refusal: Reason::StoreDown.into(), session: None }
        })
    }

    async fn ask(&self, token: &str, _: &App, _: &Finding) -> Result<(), Refusal> {
        // How it ended is not told.
        if self.introspect(token).await?.active { Ok(()) } else { Err(Reason::SessionEnded.into()) }
    }

    /// A snapshot comes in the pages that the feed has, and ends with the lines that have come since.
    async fn ended_since(&self, since: Since) -> Result<Answer, Refusal> {
        let wanted = match since {
            Since::Ever => Wanted::Page(None),
            Since::Line(after) => Wanted::After(after),
            Since::Below { head, .. } => Wanted::Page(Some(head)),
        };
        let (head, told, keys) = self.head().await.map_err(|error| away(&error))?;
        let told_at = self.clock.boot();
        let mut beat = self.feed.beat();
        loop {
            beat.mark_unchanged();
            if let Some(page) = self.feed.take(wanted, head) {
                // What follows of the feed was waited for.
                let time = told + self.clock.boot().since(told_at);
                return Ok(self.answer(wanted, page, time, keys));
            }
            // Whoever asked has a time limit of its own.
            if tokio::time::timeout(STALL, beat.changed()).await.is_err() {
                self.feed.stalls();
            }
        }
    }

    fn keys(&self) -> Arc<VerifyingKeys> {
        self.keys.keys()
    }

    /// A killed key is none from here on. The set without it is fetched behind the answer.
    async fn follow_keys(&self, answer: &Answer) -> Result<(), Refusal> {
        self.keys.follow(&answer.killed_keys(), answer.keys);
        Ok(())
    }

    async fn refresh_keys(&self) -> Result<(), Refusal> {
        self.keys.refresh_keys().await
    }

    /// Nothing: the server notes the use of a session whenever it is asked about it, which is at least every 5 minutes.
    fn note_use(&self, _: SessionId, _: Timestamp) {}

    fn note_lag(&self, lag: Duration) {
        metrics::histogram!("cloakroom_revocation_lag_seconds").record(lag);
    }

    fn note_clock_offset(&self, ms: i64) {
        metrics::gauge!("cloakroom_verifier_clock_offset_seconds").set(ms as f64 / 1000.0);
    }
}

impl Introspection {
    fn read(self, now: Timestamp) -> Option<(AppId, Finding)> {
        let found = Finding {
            session: SessionId::parse(&self.sid?)?,
            account: AccountId::parse(&self.sub?)?,
            epoch: Epoch(self.epoch),
            app_epoch: Epoch(self.app_epoch),
            method: Method::parse(&self.method?)?,
            kid: self.kid.as_deref().and_then(Kid::parse),
            amr: AuthMethods::from_names(self.amr.iter().map(String::as_str))?,
            auth_time: Timestamp::from_secs(self.auth_time?),
            expires: Timestamp::from_secs(self.exp?),
            last_active: Some(now),
        };
        Some((AppId::parse(&self.client_id?)?, found))
    }
}
