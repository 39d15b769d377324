//! The verifier at its face: a backing that counts what it is asked, and clocks that are moved by hand.

mod lab;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use cloakroom_core::{
    app::{App, Apps},
    clock::{Boot, Clock, ManualClock, Timestamp},
    ids::{AccountId, AppId, Epoch, Kid, SessionId},
    key::{SigningKey, VerifyingKeys, jwks_document, read_jwks},
    method::{Method, OnFeedLoss},
    random::Rng,
    refusal::{Code, Reason, Refusal},
    revocation::{Answer, End, Entry, Incarnation, KeySet, Position, Since, VERIFIERS_HOLD},
    session::AuthMethods,
    token::{self, Algorithm, Claims, TokenId},
    verify::{Activity, Backing, CacheBounds, Finding, Identity, NotFound, Question, Verifier, VerifierSettings},
};
use tokio::sync::Semaphore;

const START: Timestamp = Timestamp::from_secs(1_800_000_000);
/// How many ends the verifier can hold.
const CAPACITY: usize = 1000;
const ISSUER: &str = "http://localhost:8080";

/// What stands behind the verifier: tickets by their text, a log, keys; and how often each was asked.
struct Behind {
    tickets: Mutex<HashMap<String, (AppId, Finding)>>,
    log: Mutex<Vec<Entry>>,
    incarnation: Mutex<u64>,
    log_is_down: Mutex<bool>,
    /// Which set of keys the log tells of, and which of these are at hand; `None`: they cannot be had.
    key_set: Mutex<u64>,
    keys_at_hand: Mutex<Option<u64>>,
    keys: Mutex<Arc<VerifyingKeys>>,
    /// What the next fetch of keys brings.
    next_keys: Mutex<Option<Arc<VerifyingKeys>>>,
    /// Look-ups wait here, after they have read.
    gate: Semaphore,
    look_ups: AtomicUsize,
    questions: AtomicUsize,
    /// Questions about one token.
    asked: AtomicUsize,
    fetches: AtomicUsize,
    uses: Mutex<Vec<(SessionId, Timestamp)>>,
    clock: Clock,
    began: Boot,
    /// The store's time when everything began; what the boot clock has moved since comes on top.
    time: Mutex<Timestamp>,
}

#[async_trait]
impl Backing for Behind {
    async fn look_up(&self, ticket: &str) -> Result<(AppId, Finding), NotFound> {
        self.look_ups.fetch_add(1, Ordering::SeqCst);
        let found = self.tickets.lock().unwrap().get(ticket).cloned();
        self.gate.acquire().await.unwrap().forget();
        self.gate.add_permits(1);
        found.ok_or_else(|| Reason::NoSession.into())
    }

    async fn ended_since(&self, since: Since) -> Result<Answer, Refusal> {
        self.questions.fetch_add(1, Ordering::SeqCst);
        if *self.log_is_down.lock().unwrap() {
            return Err(Reason::StoreDown.into());
        }
        let log = self.log.lock().unwrap().clone();
        let incarnation = Incarnation(*self.incarnation.lock().unwrap());
        let head = Position { incarnation, sequence: log.len() as u64 };
        let after = if let Since::Line(after) = since { Some(after) } else { None };
        let after = after.filter(|after| after.incarnation == incarnation);
        let entries = log.into_iter().skip(after.map_or(0, |after| after.sequence as usize)).collect();
        Ok(Answer {
            head,
            time: *self.time.lock().unwrap() + self.clock.boot().since(self.began),
            keys: KeySet(*self.key_set.lock().unwrap()),
            snapshot: after.is_none(),
            rest: None,
            hold: VERIFIERS_HOLD,
            entries,
        })
    }

    async fn follow_keys(&self, answer: &Answer) -> Result<(), Refusal> {
        let mut at_hand = self.keys_at_hand.lock().unwrap();
        let there = at_hand.as_mut().ok_or(Reason::StoreDown)?;
        *there = answer.keys.0;
        Ok(())
    }

    async fn ask(&self, _: &str, _: &App, found: &Finding) -> Result<(), Refusal> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let knows = !*self.log_is_down.lock().unwrap();
        let ended = self.log.lock().unwrap().iter().any(|entry| entry.end == End::Session { session: found.session });
        self.gate.acquire().await.unwrap().forget();
        self.gate.add_permits(1);
        match (knows, ended) {
            (false, _) => Err(Reason::StoreDown.into()),
            (true, true) => Err(Reason::SessionEnded.into()),
            (true, false) => Ok(()),
        }
    }

    fn keys(&self) -> Arc<VerifyingKeys> {
        Arc::clone(&self.keys.lock().unwrap())
    }

    async fn refresh_keys(&self) -> Result<(), Refusal> {
        self.fetches.fetch_add(1, Ordering::SeqCst);
        if let Some(keys) = self.next_keys.lock().unwrap().take() {
            *self.keys.lock().unwrap() = keys;
        }
        Ok(())
    }

    fn note_use(&self, session: SessionId, at: Timestamp) {
        self.uses.lock().unwrap().push((session, at));
    }
}

struct Check {
    verifier: Arc<Verifier>,
    behind: Arc<Behind>,
    hands: ManualClock,
    clock: Clock,
    key: SigningKey,
    rng: Rng,
}

/// Apps `web` (session), `api` (jwt) and `strict` (jwt, which refuses without a lease).
fn start() -> Check {
    start_with(|_| {})
}

fn start_with(change: impl Fn(&mut App)) -> Check {
    let rng = Rng::seeded(3);
    let apps = [("web", Method::Session), ("api", Method::Jwt), ("strict", Method::Jwt), ("other", Method::Session)];
    let apps = apps.map(|(id, method)| {
        let mut app = lab::app(id, method);
        if id == "strict" {
            app.on_feed_loss = OnFeedLoss::Refuse;
        }
        change(&mut app);
        app
    });
    let (clock, hands) = Clock::manual_machine(START);
    let key = signing_key();
    let behind = Arc::new(Behind {
        tickets: Mutex::default(),
        log: Mutex::default(),
        incarnation: Mutex::new(1),
        log_is_down: Mutex::new(false),
        key_set: Mutex::default(),
        keys_at_hand: Mutex::new(Some(0)),
        keys: Mutex::new(key_set("k1", &key)),
        next_keys: Mutex::default(),
        gate: Semaphore::new(1),
        look_ups: AtomicUsize::new(0),
        questions: AtomicUsize::new(0),
        asked: AtomicUsize::new(0),
        fetches: AtomicUsize::new(0),
        uses: Mutex::default(),
        began: clock.boot(),
        clock: clock.clone(),
        time: Mutex::new(START),
    });
    let settings =
        VerifierSettings { issuer: ISSUER.to_owned(), cache: CacheBounds::default(), ended_capacity: CAPACITY };
    let apps = Arc::new(Apps::new(apps.to_vec()).unwrap());
    let verifier = Arc::new(Verifier::new(apps, settings, Arc::clone(&behind) as _, clock.clone(), &rng));
    Check { verifier, behind, hands, clock, key, rng }
}

fn signing_key() -> SigningKey {
    let stored = SigningKey::generate(Algorithm::EdDsa, &Rng::system()).unwrap();
    SigningKey::from_stored(Algorithm::EdDsa, &stored).unwrap()
}

fn key_set(kid: &str, key: &SigningKey) -> Arc<VerifyingKeys> {
    let document = jwks_document([(Kid::parse(kid).unwrap(), &key.public().unwrap())]);
    Arc::new(read_jwks(&document.to_string()).unwrap())
}

fn account() -> AccountId {
    AccountId::from_bytes([4; 16])
}

impl Check {
    /// A ticket of the app `web`, active just now, whose session ends in 30 days.
    fn ticket(&self, text: &str) -> SessionId {
        self.ticket_with(text, |_| {})
    }

    fn ticket_with(&self, text: &str, change: impl Fn(&mut Finding)) -> SessionId {
        let session = SessionId::from_bytes(self.rng.bytes());
        let mut found = Finding {
            session,
            account: account(),
            epoch: Epoch(0),
            app_epoch: Epoch(0),
            method: Method::Session,
            kid: None,
            amr: AuthMethods::PASSWORD,
            auth_time: self.clock.now(),
            expires: START + days(30),
            last_active: Some(self.clock.now()),
        };
        change(&mut found);
        let session = found.session;
        let app = AppId::parse("web").unwrap();
        self.behind.tickets.lock().unwrap().insert(text.to_owned(), (app, found));
        session
    }

    fn ticket_of_another(&self, text: &str) -> SessionId {
        self.ticket_with(text, |found| found.account = AccountId::from_bytes(self.rng.bytes()))
    }

    fn token_of_another(&self, app: &str) -> String {
        self.token_with(app, |claims| claims.account = AccountId::from_bytes(self.rng.bytes()))
    }

    /// An access token, issued just now.
    fn token(&self, app: &str) -> String {
        self.token_with(app, |_| {})
    }

    fn token_with(&self, app: &str, change: impl Fn(&mut Claims)) -> String {
        let now = self.clock.now();
        let mut claims = Claims {
            issuer: ISSUER.to_owned(),
            account: account(),
            app: AppId::parse(app).unwrap(),
            expires: now + Duration::from_secs(300),
            issued: now,
            token_id: TokenId::generate(Method::Jwt, &self.rng),
            session: SessionId::from_bytes(self.rng.bytes()),
            auth_time: now,
            amr: AuthMethods::PASSWORD,
            epoch: Epoch(0),
            app_epoch: Epoch(0),
        };
        change(&mut claims);
        token::sign(&claims, Kid::parse("k1").unwrap(), &self.key).unwrap().expose().to_owned()
    }

    async fn ask(&self, credential: &str, activity: Activity) -> Result<Identity, Reason> {
        let question = Question { credential, app: None, activity };
        self.verifier.verify(question).await.map_err(|refusal| refusal.reason)
    }

    async fn verify(&self, credential: &str) -> Result<SessionId, Reason> {
        self.ask(credential, Activity::Active).await.map(|identity| identity.session())
    }

    /// Writes an end into the log; this verifier has not heard of it yet.
    fn end(&self, end: End) -> Entry {
        let mut log = self.behind.log.lock().unwrap();
        let until = self.clock.now() + Duration::from_secs(335);
        let entry = Entry { sequence: log.len() as u64 + 1, end, at: Some(self.clock.now()), until };
        log.push(entry.clone());
        entry
    }

    /// Ends so many sessions of nobody.
    fn flood(&self, ends: usize) {
        for _ in 0..ends {
            self.end(End::Session { session: SessionId::from_bytes(self.rng.bytes()) });
        }
    }

    /// The same by this very process.
    fn end_here(&self, end: End) {
        self.verifier.hear(&[self.end(end)]);
    }

    /// The store's time leaps by so many seconds.
    fn store_leaps(&self, secs: i64) {
        let mut time = self.behind.time.lock().unwrap();
        *time = Timestamp::from_millis(time.millis().saturating_add_signed(secs * 1000));
    }

    fn wall_leaps(&self, secs: i64) {
        let now = START + self.clock.boot().since(self.behind.began);
        self.hands.set_wall(Timestamp::from_millis(now.millis().saturating_add_signed(secs * 1000)));
    }

    fn lag(&self) -> (u64, Duration) {
        let lag = self.verifier.counts().lag;
        (lag.count, lag.total)
    }

    fn log_goes_down(&self) {
        *self.behind.log_is_down.lock().unwrap() = true;
    }

    fn look_ups(&self) -> usize {
        self.behind.look_ups.load(Ordering::SeqCst)
    }

    fn asked(&self) -> usize {
        self.behind.asked.load(Ordering::SeqCst)
    }

    fn questions(&self) -> usize {
        self.behind.questions.load(Ordering::SeqCst)
    }
}

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

const fn days(days: u64) -> Duration {
    Duration::from_secs(days * 86_400)
}

#[tokio::test]
async fn a_warm_answer_asks_nobody() {
    let check = start();
    let session = check.ticket("ticket");
    let token = check.token("api");
    assert_eq!(check.verify("ticket").await, Ok(session));
    assert!(check.verify(&token).await.is_ok());
    let asked = (check.look_ups(), check.questions());
    for _ in 0..100 {
        assert_eq!(check.verify("ticket").await, Ok(session));
        assert!(check.verify(&token).await.is_ok());
    }
    assert_eq!((check.look_ups(), check.questions()), asked);
    assert_eq!((check.verifier.counts().warm, check.verifier.counts().cold), (200, 2));
}

#[tokio::test]
async fn a_hundred_misses_at_once_are_one_look_up() {
    let check = Arc::new(start());
    let session = check.ticket("ticket");
    check.behind.gate.forget_permits(1);
    let requests: Vec<_> = (0..100)
        .map(|_| {
            let check = Arc::clone(&check);
            tokio::spawn(async move { check.verify("ticket").await })
        })
        .collect();
    tokio::task::yield_now().await;
    check.behind.gate.add_permits(1);
    for request in requests {
        assert_eq!(request.await.unwrap(), Ok(session));
    }
    assert_eq!((check.look_ups(), check.verifier.counts().cold), (1, 100));
}

/// What has the form of a token never reaches the store, and what is refused takes no place in the cache.
#[tokio::test]
async fn garbage_fills_nothing_and_a_bad_token_reaches_no_store() {
    let check = start();
    let good = check.token("api");
    for text in ["a.b.c", "..", ".", &format!("{good}A"), &good[..good.len() - 1], &good.replace('.', ".A")] {
        assert!(check.verify(text).await.is_err(), "{text}");
    }
    assert_eq!(check.look_ups(), 0);
    for n in 0..50 {
        assert_eq!(check.verify(&format!("garbage{n}")).await, Err(Reason::NoSession));
    }
    assert_eq!((check.look_ups(), check.verifier.counts().facts, check.verifier.counts().refused), (50, 0, 56));
}

/// F005: a reading that began before the end of its session, and comes back after it, loses against it for good.
#[tokio::test]
async fn a_late_fill_does_not_bring_an_ended_session_back() {
    let check = Arc::new(start());
    let session = check.ticket("ticket");
    check.behind.gate.forget_permits(1);
    let slow = tokio::spawn({
        let check = Arc::clone(&check);
        async move { check.verify("ticket").await }
    });
    while check.look_ups() == 0 {
        tokio::task::yield_now().await;
    }
    check.end_here(End::Session { session });
    check.behind.tickets.lock().unwrap().clear();
    check.behind.gate.add_permits(1);
    assert_eq!(slow.await.unwrap(), Err(Reason::SessionEnded));
    for _ in 0..3 {
        assert!(check.verify("ticket").await.is_err());
        check.hands.advance(secs(1));
    }
}

/// F006, F058: what an answer from before logout brings back is refused: at once where the end was made, and within the lag
/// where it was not.
#[tokio::test]
async fn an_ended_session_is_refused_from_the_cache_too() {
    let check = start();
    let (here, elsewhere) = (check.ticket("here"), check.ticket("elsewhere"));
    let token = check.token_with("strict", |claims| claims.session = elsewhere);
    for credential in ["here", "elsewhere", &token] {
        assert!(check.verify(credential).await.is_ok());
    }
    check.end_here(End::Session { session: here });
    assert_eq!(check.verify("here").await, Err(Reason::SessionEnded));
    assert_eq!(Reason::SessionEnded.code(), Code::SessionRevoked);

    check.end(End::Session { session: elsewhere });
    assert_eq!(check.verify("elsewhere").await, Ok(elsewhere), "the lease is fresh");
    check.hands.advance(secs(2));
    for credential in ["elsewhere", &token] {
        assert_eq!(check.verify(credential).await, Err(Reason::SessionEnded));
    }
}

#[tokio::test]
async fn everything_of_an_account_of_an_app_or_of_a_key_is_refused() {
    let kid = Kid::parse("k1").unwrap();
    let app = AppId::parse("api").unwrap();
    for (end, reason) in [
        (End::Account { account: account(), epoch: Epoch(1) }, Reason::AccountEnded),
        (End::App { app, method: Some(Method::Jwt), epoch: Epoch(1) }, Reason::AppEnded),
        (End::Key { kid }, Reason::KeyKilled),
    ] {
        let check = start();
        let token = check.token("api");
        assert!(check.verify(&token).await.is_ok());
        check.end(end);
        check.hands.advance(secs(2));
        assert!(check.verify(&token).await.is_ok(), "this app goes on until expiry, and has not asked again");
        check.verifier.renew_lease().await.unwrap();
        assert_eq!(check.verify(&token).await, Err(reason));
    }
}

/// A record that was carried over into the account's new epoch is read again rather than refused.
#[tokio::test]
async fn a_session_that_was_carried_over_goes_on() {
    let check = start();
    let session = check.ticket("ticket");
    assert_eq!(check.verify("ticket").await, Ok(session));
    check.end_here(End::Account { account: account(), epoch: Epoch(1) });
    assert_eq!(check.verify("ticket").await, Err(Reason::AccountEnded), "not carried over yet");
    check.ticket_with("ticket", |found| (found.session, found.epoch) = (session, Epoch(1)));
    assert_eq!(check.verify("ticket").await, Ok(session));
    let looked = check.look_ups();
    assert_eq!(check.verify("ticket").await, Ok(session));
    assert_eq!(check.look_ups(), looked);
}

/// F039: fresh tokens work with a verifier's clock that is off by as much as it likes, and leeway is five seconds, no more.
#[tokio::test]
async fn a_verifiers_own_clock_judges_nothing() {
    for skew in [-31 * 86_400, -30_i64, -5, 0, 5, 30, 31 * 86_400] {
        let check = start();
        let token = check.token("api");
        check.wall_leaps(skew);
        assert!(check.verify(&token).await.is_ok(), "{skew}");
        assert_eq!(check.clock.now(), START);
        assert_eq!(check.verifier.counts().clock_offset, Some(skew * 1000));
    }
    let check = start();
    let token = check.token("api");
    assert!(check.verify(&token).await.is_ok());
    check.hands.advance(Duration::from_millis(305_000 - 1));
    assert!(check.verify(&token).await.is_ok());
    check.hands.advance(Duration::from_millis(1));
    assert_eq!(check.verify(&token).await, Err(Reason::TokenExpired));
    // Nor does an end wait for any leeway.
    let check = start();
    let session = SessionId::from_bytes([3; 16]);
    let token = check.token_with("api", |claims| claims.session = session);
    assert!(check.verify(&token).await.is_ok());
    check.end_here(End::Session { session });
    assert_eq!(check.verify(&token).await, Err(Reason::SessionEnded));
}

/// A token from the future, one that outlives the app's setting, one that ends before it begins: refused.
#[tokio::test]
async fn the_times_of_a_token_are_judged_by_the_apps_settings() {
    let check = start();
    let of = |issued: i64, life: u64| {
        check.token_with("api", |claims| {
            claims.issued = Timestamp::from_secs(START.secs().saturating_add_signed(issued));
            claims.expires = claims.issued + secs(life);
        })
    };
    assert!(check.verify(&of(60, 300)).await.is_ok());
    assert_eq!(check.verify(&of(61, 300)).await, Err(Reason::FromTheFuture));
    assert_eq!(check.verify(&of(0, 301)).await, Err(Reason::TooLongLived));
    assert_eq!(check.verify(&of(0, 0)).await, Err(Reason::TooLongLived));
    let backwards = check.token_with("api", |claims| claims.expires = claims.issued - secs(10));
    assert_eq!(check.verify(&backwards).await, Err(Reason::TooLongLived));
    let foreign = check.token_with("api", |claims| claims.issuer = "http://elsewhere".to_owned());
    assert_eq!(check.verify(&foreign).await, Err(Reason::BadClaims));
    let gone = check.token_with("api", |claims| claims.app = AppId::parse("gone").unwrap());
    assert_eq!(check.verify(&gone).await, Err(Reason::AppGone));
}

/// F041: a key that is not known yet is fetched once, and then decides.
#[tokio::test]
async fn a_token_of_a_new_key_makes_the_keys_be_fetched_once() {
    let check = start();
    let new = signing_key();
    let kid = Kid::parse("k2").unwrap();
    let text = check.token("api");
    let claims = token::check(&text, &check.behind.keys()).unwrap().claims;
    let token = token::sign(&claims, kid, &new).unwrap();
    *check.behind.next_keys.lock().unwrap() = Some(key_set("k2", &new));
    assert!(check.verify(token.expose()).await.is_ok());
    assert_eq!(check.behind.fetches.load(Ordering::SeqCst), 1);
}

/// R18: what the log tells of is not judged by keys from before it: without those that it names there is no lease, and what has
/// ended is heard all the same.
#[tokio::test]
async fn there_is_no_lease_without_the_keys_that_the_log_tells_of() {
    let check = start();
    let good = check.token("strict");
    assert!(check.verify(&good).await.is_ok());
    *check.behind.key_set.lock().unwrap() = 7;
    check.hands.advance(secs(3));
    assert!(check.verify(&good).await.is_ok());
    assert_eq!(*check.behind.keys_at_hand.lock().unwrap(), Some(7));

    *check.behind.keys_at_hand.lock().unwrap() = None;
    let session = SessionId::from_bytes([9; 16]);
    let ended = check.token_with("api", |claims| claims.session = session);
    check.end(End::Session { session });
    check.hands.advance(secs(3));
    assert_eq!(check.verify(&good).await, Err(Reason::StoreDown));
    assert_eq!(check.verify(&ended).await, Err(Reason::SessionEnded));
    *check.behind.keys_at_hand.lock().unwrap() = Some(0);
    assert!(check.verify(&good).await.is_ok());
}

/// F043: a thousand tokens of made-up keys reach nothing but the backing's own limit on fetches, and a good token is
/// answered from the cache meanwhile.
#[tokio::test]
async fn a_thousand_unknown_keys_disturb_nobody() {
    let check = start();
    let good = check.token("api");
    assert!(check.verify(&good).await.is_ok());
    let asked = (check.look_ups(), check.questions());
    let (_, rest) = good.split_once('.').unwrap();
    for n in 0..1000 {
        let header = format!(r#"{{"typ":"at+jwt","alg":"EdDSA","kid":"x{n}"}}"#);
        let header = data_encoding::BASE64URL_NOPAD.encode(header.as_bytes());
        assert_eq!(check.verify(&format!("{header}.{rest}")).await, Err(Reason::UnknownKey));
    }
    assert!(check.verify(&good).await.is_ok());
    assert_eq!((check.look_ups(), check.questions()), asked);
    assert_eq!((check.verifier.counts().warm, check.verifier.counts().facts), (1, 1));
    // A key set that cannot be fetched leaves the good one in place.
    assert!(check.verify(&check.token("api")).await.is_ok());
}

/// F008, F009: however active, one tick past the absolute end a session is over, in the cache as in the store.
#[tokio::test]
async fn an_active_session_ends_at_its_absolute_end() {
    let check = start();
    let session = check.ticket("ticket");
    for _ in 0..29 {
        assert_eq!(check.verify("ticket").await, Ok(session));
        check.hands.advance(days(1));
        check.ticket_with("ticket", |found| {
            found.session = session;
            found.last_active = Some(check.clock.now());
        });
    }
    check.hands.advance(days(1).saturating_sub(Duration::from_millis(1)));
    assert_eq!(check.verify("ticket").await, Ok(session));
    check.hands.advance(Duration::from_millis(1));
    assert_eq!(check.verify("ticket").await, Err(Reason::AbsoluteExpiry));
    check.hands.advance(days(1));
    assert_eq!(check.verify("ticket").await, Err(Reason::AbsoluteExpiry));
}

/// Another server may have seen the session since: before it is refused as idle, the store is asked.
#[tokio::test]
async fn an_idle_session_is_looked_up_before_it_is_refused() {
    let check = start_with(|app| app.idle_timeout = secs(100));
    let session = check.ticket("ticket");
    assert_eq!(check.verify("ticket").await, Ok(session));
    check.hands.advance(secs(100));
    let used_elsewhere = check.clock.now() - secs(1);
    check.ticket_with("ticket", |found| (found.session, found.last_active) = (session, Some(used_elsewhere)));
    assert_eq!(check.verify("ticket").await, Ok(session));
    assert_eq!(check.look_ups(), 2);

    check.hands.advance(secs(100));
    assert_eq!(check.verify("ticket").await, Err(Reason::Idle));
    assert_eq!(check.look_ups(), 3);
}

/// A poll keeps no session alive; a request does, and is written when the last one that was is older than idle/32.
#[tokio::test]
async fn passive_requests_do_not_count_and_active_ones_are_written_now_and_then() {
    let check = start_with(|app| app.idle_timeout = secs(320));
    check.ticket("ticket");
    for _ in 0..31 {
        check.hands.advance(secs(10));
        assert!(check.ask("ticket", Activity::Passive).await.is_ok());
    }
    assert!(check.behind.uses.lock().unwrap().is_empty());
    check.hands.advance(secs(10));
    assert!(check.ask("ticket", Activity::Passive).await.is_err());

    let check = start_with(|app| app.idle_timeout = secs(320));
    let session = check.ticket("ticket");
    let mut written = vec![];
    for tick in 1..=25 {
        check.hands.advance(secs(1));
        assert_eq!(check.verify("ticket").await, Ok(session));
        assert_eq!(check.verify("ticket").await, Ok(session));
        if tick % 10 == 0 {
            written.push((session, check.clock.now()));
        }
    }
    assert_eq!(*check.behind.uses.lock().unwrap(), written);
    // What is seen here counts here, though the record that is read again does not say so yet.
    check.hands.advance(secs(310));
    assert_eq!(check.verify("ticket").await, Ok(session));
}

/// Without the log, an app that refuses reads a record anew for each request, and has nothing to read for a token.
#[tokio::test]
async fn without_a_lease_an_app_that_refuses_reads_anew() {
    let check = start();
    let session = check.ticket("ticket");
    let (lax, strict) = (check.token("api"), check.token("strict"));
    for credential in ["ticket", &lax, &strict] {
        assert!(check.verify(credential).await.is_ok());
    }
    check.log_goes_down();
    check.hands.advance(secs(2));
    let looked = check.look_ups();
    for n in 1..=3 {
        assert_eq!(check.verify("ticket").await, Ok(session));
        assert_eq!(check.look_ups(), looked + n);
        assert_eq!(check.verify(&strict).await, Err(Reason::StoreDown));
        assert!(check.verify(&lax).await.is_ok(), "it is let in until it expires");
    }
    // The record has gone: no lease is needed to say so.
    check.behind.tickets.lock().unwrap().clear();
    assert_eq!(check.verify("ticket").await, Err(Reason::NoSession));
    // As soon as the log answers, everything is as before.
    *check.behind.log_is_down.lock().unwrap() = false;
    assert!(check.verify(&strict).await.is_ok());
}

/// With no lag at all nothing is believed that was read before the request; a token of the method that the app had before is
/// heard of as soon as the log can be.
#[tokio::test]
async fn with_no_lag_at_all_each_check_reads_the_record() {
    let check = start_with(|app| app.max_revocation_lag = Duration::ZERO);
    let session = check.ticket("ticket");
    for n in 1..=3 {
        assert_eq!(check.verify("ticket").await, Ok(session));
        assert_eq!(check.look_ups(), n);
    }
    // Another server has ended it, and this one has heard nothing.
    check.behind.tickets.lock().unwrap().clear();
    assert_eq!(check.verify("ticket").await, Err(Reason::NoSession));
    let token = check.token("strict");
    assert!(check.verify(&token).await.is_ok());
    let asked = check.questions();
    check.hands.advance(App::SHORTEST_LAG);
    assert!(check.verify(&token).await.is_ok());
    assert_eq!(check.questions(), asked + 1);
}

/// R1: one floods the log. All others go on as before, and so does the lease; only those whose place a line has marked that
/// found no room are asked about, once for each such line.
#[tokio::test]
async fn a_full_set_asks_about_marked_credentials_alone() {
    let check = start();
    check.flood(CAPACITY);
    let tickets: Vec<_> = (0..50).map(|n| format!("ticket{n}")).collect();
    let sessions: Vec<_> = tickets.iter().map(|ticket| check.ticket_of_another(ticket)).collect();
    let tokens: Vec<_> = (0..50).map(|_| check.token_of_another("strict")).collect();
    for (ticket, session) in tickets.iter().zip(&sessions) {
        assert_eq!(check.verify(ticket).await, Ok(*session));
    }
    for token in &tokens {
        assert!(check.verify(token).await.is_ok());
    }
    let look_ups = check.look_ups();
    assert_eq!((look_ups, check.asked()), (50, 0));

    // 20 more, of which the set holds none.
    check.flood(20);
    for _ in 0..5 {
        check.verifier.renew_lease().await.unwrap();
        for (ticket, session) in tickets.iter().zip(&sessions) {
            assert_eq!(check.verify(ticket).await, Ok(*session));
        }
        for token in &tokens {
            assert!(check.verify(token).await.is_ok());
        }
        assert!(check.look_ups() - look_ups <= 2 && check.asked() <= 2, "20 of 65,536 places");
    }
    let counts = check.verifier.counts();
    assert_eq!((counts.ended as usize, counts.marks), (CAPACITY, 20));

    // Every place is marked, many times over.
    let (look_ups, asked) = (check.look_ups(), check.asked());
    check.flood(400_000);
    check.verifier.renew_lease().await.unwrap();
    for _ in 0..3 {
        for (ticket, session) in tickets.iter().zip(&sessions) {
            assert_eq!(check.verify(ticket).await, Ok(*session));
        }
        for token in &tokens {
            assert!(check.verify(token).await.is_ok());
        }
        assert_eq!((check.look_ups() - look_ups, check.asked() - asked), (50, 50), "once, and no more");
    }
    check.hands.advance(VERIFIERS_HOLD + secs(10));
    assert!(check.verify(&check.token_of_another("strict")).await.is_ok());
    assert_eq!((check.asked() - asked, check.verifier.counts().marks), (50, 0), "an hour later all is as before");
}

/// R1: what ended is refused though there was no room for it, by ticket and by token, and by the app that does without a lease.
#[tokio::test]
async fn what_a_full_set_cannot_hold_has_ended_all_the_same() {
    let check = start();
    check.flood(CAPACITY);
    let ticket = check.ticket("ticket");
    let tokens = ["strict", "api"].map(|app| (app, SessionId::from_bytes(check.rng.bytes())));
    let tokens = tokens.map(|(app, session)| (check.token_with(app, |claims| claims.session = session), session));
    assert_eq!(check.verify("ticket").await, Ok(ticket));
    for (token, session) in &tokens {
        assert_eq!(check.verify(token).await, Ok(*session));
    }
    check.behind.tickets.lock().unwrap().clear();
    for session in [ticket, tokens[0].1, tokens[1].1] {
        check.end(End::Session { session });
    }
    check.verifier.renew_lease().await.unwrap();
    assert_eq!(check.verify("ticket").await, Err(Reason::NoSession));
    for (token, _) in &tokens {
        assert_eq!(check.verify(token).await, Err(Reason::SessionEnded));
    }
}

/// R1: where nobody can be asked, an app that does without a lease goes on as if nothing had been heard, and the other answers
/// 503 for that credential alone.
#[tokio::test]
async fn who_cannot_be_asked_about_is_let_in_or_not_as_the_app_says() {
    let check = start();
    check.flood(CAPACITY);
    let at_once = |app| check.token_with(app, |claims| claims.session = SessionId::from_bytes([9; 16]));
    let (strict, api) = (at_once("strict"), at_once("api"));
    let other = check.token_of_another("strict");
    for token in [&strict, &api, &other] {
        assert!(check.verify(token).await.is_ok());
    }
    check.end(End::Session { session: SessionId::from_bytes([9; 16]) });
    check.verifier.renew_lease().await.unwrap();
    *check.behind.log_is_down.lock().unwrap() = true;
    assert_eq!(check.verify(&strict).await, Err(Reason::StoreDown));
    assert!(check.verify(&other).await.is_ok(), "its lease lives on");
    let asked = check.asked();
    for _ in 0..10 {
        assert!(check.verify(&api).await.is_ok());
    }
    assert_eq!(check.asked(), asked + 1, "and it is not asked again at once");
    *check.behind.log_is_down.lock().unwrap() = false;
    check.hands.advance(secs(1));
    assert_eq!(check.verify(&api).await, Err(Reason::SessionEnded));
}

/// R1: many who show one token at once ask once.
#[tokio::test]
async fn many_who_show_a_marked_token_ask_once() {
    let check = start();
    check.flood(CAPACITY);
    let token = check.token("strict");
    assert!(check.verify(&token).await.is_ok());
    check.flood(400_000);
    check.verifier.renew_lease().await.unwrap();
    let close = check.behind.gate.acquire().await.unwrap();
    let all = tokio::join!(futures_util::future::join_all((0..100).map(|_| check.verify(&token))), async {
        tokio::task::yield_now().await;
        drop(close);
    });
    assert!(all.0.iter().all(Result::is_ok));
    assert_eq!(check.asked(), 1);
}

/// A verifier that has never heard the log asks before it lets a token in, even where the app would do without.
#[tokio::test]
async fn a_verifier_that_knows_nothing_asks_first() {
    let check = start();
    let session = SessionId::from_bytes([3; 16]);
    let token = check.token_with("api", |claims| claims.session = session);
    check.end(End::Session { session });
    assert_eq!(check.verify(&token).await, Err(Reason::SessionEnded));
    assert_eq!(check.questions(), 1);
}

/// Another log, such as one restored from a backup: what was believed under the first is read again.
#[tokio::test]
async fn facts_of_another_log_are_read_again() {
    let check = start();
    let session = check.ticket("ticket");
    assert_eq!(check.verify("ticket").await, Ok(session));
    check.verifier.renew_lease().await.unwrap();
    *check.behind.incarnation.lock().unwrap() = 2;
    check.verifier.renew_lease().await.unwrap();
    let looked = check.look_ups();
    assert_eq!(check.verify("ticket").await, Ok(session));
    assert_eq!(check.look_ups(), looked + 1);
}

/// F038: a credential of one app is none at another, cached or not.
#[tokio::test]
async fn a_credential_of_another_app_is_refused() {
    let check = start();
    check.ticket("ticket");
    let token = check.token("api");
    let (web, api, other) = ("web", "api", "other");
    for _ in 0..2 {
        for (credential, right, wrong) in [("ticket", web, other), ("ticket", web, api), (&token, api, "strict")] {
            let ask = async |app: &str| {
                let app = AppId::parse(app).unwrap();
                let question = Question { credential, app: Some(&app), activity: Activity::Active };
                check.verifier.verify(question).await.map_err(|refusal| refusal.reason)
            };
            assert_eq!(ask(right).await.map(|identity| identity.app_id().as_str().to_owned()), Ok(right.to_owned()));
            assert_eq!(ask(wrong).await.map(|_| ()), Err(Reason::WrongApp));
        }
    }
}

/// R11, R19: the store's time leaps an hour back, or ahead: sessions go on, tokens are judged by the new time, and what had
/// ended stays ended. If only this machine's clock leaps, tokens go on too.
#[tokio::test]
async fn a_clock_that_leaps_an_hour_ends_nothing_and_revives_nothing() {
    for (leap, of_store) in [(-3600_i64, true), (3600, true), (-3600, false), (3600, false)] {
        let check = start();
        let alive = check.ticket("alive");
        let (ended, elsewhere) = (check.ticket("ended"), check.ticket("elsewhere"));
        for credential in ["alive", "ended", "elsewhere"] {
            assert!(check.verify(credential).await.is_ok());
        }
        let token = check.token("api");
        check.end_here(End::Session { session: ended });
        check.end(End::Session { session: elsewhere });
        if of_store {
            check.store_leaps(leap);
        } else {
            check.wall_leaps(leap);
        }
        for _ in 0..10 {
            check.verifier.renew_lease().await.unwrap();
            assert_eq!(check.verify("alive").await, Ok(alive), "{leap}");
            assert_eq!(check.verify("ended").await, Err(Reason::SessionEnded), "{leap}");
            assert_eq!(check.verify("elsewhere").await, Err(Reason::SessionEnded), "{leap}");
            check.hands.advance(secs(20));
        }
        match (of_store, leap > 0) {
            (true, true) => assert_eq!(check.verify(&token).await, Err(Reason::TokenExpired)),
            (true, false) => assert_eq!(check.verify(&token).await, Err(Reason::FromTheFuture)),
            (false, _) => assert!(check.verify(&token).await.is_ok()),
        }
        assert!(check.verify(&check.token("api")).await.is_ok(), "one that was issued by the new time");
    }
}

/// R11: a hypervisor pauses the machine for an hour: its boot clock stands still, the store goes on. What was heard and read
/// before counts for nothing with the first answer: facts are read anew, and the log is asked for everything that must be held.
#[tokio::test]
async fn a_machine_that_was_paused_believes_nothing_of_before() {
    for of_store in [true, false] {
        let check = start();
        check.verifier.renew_lease().await.unwrap();
        let (ended, alive) = (check.ticket("ended"), check.ticket("alive"));
        assert_eq!((check.verify("ended").await, check.verify("alive").await), (Ok(ended), Ok(alive)));
        assert_eq!(check.look_ups(), 2);
        // It ended elsewhere, and by now the log holds no line of it.
        check.behind.tickets.lock().unwrap().remove("ended");
        if of_store {
            check.store_leaps(3600);
        } else {
            check.wall_leaps(3600);
        }
        let asked = check.questions();
        check.verifier.renew_lease().await.unwrap();
        assert_eq!(check.questions(), asked + 2, "the second question is for a snapshot");
        assert_eq!((check.verify("ended").await, check.verify("alive").await), (Err(Reason::NoSession), Ok(alive)));
        assert_eq!(check.look_ups(), 4);
        check.verifier.renew_lease().await.unwrap();
        assert_eq!(check.questions(), asked + 3, "it is told once");
    }
}

/// Five seconds between two answers are no leap.
#[tokio::test]
async fn a_clock_that_is_set_by_a_moment_loses_nothing() {
    let check = start();
    let session = check.ticket("ticket");
    assert_eq!(check.verify("ticket").await, Ok(session));
    for leap in [5, 0, -5] {
        check.wall_leaps(leap);
        check.store_leaps(leap);
        let asked = check.questions();
        check.verifier.renew_lease().await.unwrap();
        assert_eq!(check.questions(), asked + 1);
        assert_eq!(check.verify("ticket").await, Ok(session));
        assert_eq!(check.look_ups(), 1);
    }
}

/// Facts are believed for five minutes from when their reading began, however warm they are.
#[tokio::test]
async fn a_fact_is_read_again_after_five_minutes() {
    let check = start();
    let session = check.ticket("ticket");
    for seconds in 0..=300 {
        assert_eq!(check.verify("ticket").await, Ok(session));
        assert_eq!(check.look_ups(), if seconds < 300 { 1 } else { 2 }, "{seconds}");
        check.hands.advance(secs(1));
    }
}

/// The lag counts what others ended, once, from when it was written; neither what stood in a snapshot nor what this process
/// wrote itself.
#[tokio::test]
async fn the_lag_of_each_end_of_others_is_counted_once() {
    let check = start();
    let end = |n: u8| End::Session { session: SessionId::from_bytes([n; 16]) };
    check.end(end(1));
    check.hands.advance(Duration::from_secs(9));
    check.verifier.renew_lease().await.unwrap();
    assert_eq!(check.lag(), (0, Duration::ZERO));
    check.end_here(end(2));
    check.end(end(3));
    check.hands.advance(Duration::from_millis(70));
    check.end(end(4));
    check.hands.advance(Duration::from_millis(30));
    assert_eq!(check.verifier.counts().lease_age, Some(Duration::from_millis(100)));
    for _ in 0..3 {
        check.verifier.renew_lease().await.unwrap();
        assert_eq!(check.lag(), (2, Duration::from_millis(130)));
    }
    let within = check.verifier.counts().lag.within;
    assert_eq!(within, [0, 0, 0, 1, 1, 0, 0, 0, 0, 0]);
    assert_eq!(check.verifier.counts().lease_age, Some(Duration::ZERO));
}
