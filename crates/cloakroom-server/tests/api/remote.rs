//! A verifier in a process of its own, by everything that the server knows: keys, introspection and the revocation feed, over
//! a line that can be cut.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use cloakroom_core::{
    clock::Clock,
    ids::SessionId,
    method::OnFeedLoss,
    random::Rng,
    refusal::{Code, Refusal},
    revocation::Hold,
    store::EndRequest,
    verify::Identity,
};
use cloakroom_verify::{Guard, JwksError, Remote};
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use parking_lot::Mutex;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};

use crate::lab::{APPS, Lab, Service, until};

/// What stands between the two, at the server's public address.
struct Line {
    url: String,
    to: Arc<Mutex<Option<SocketAddr>>>,
    /// Whether anything passes.
    whole: watch::Sender<bool>,
    /// Changes when those who are connected hear nothing more.
    stalled: watch::Sender<()>,
    asked: Arc<AtomicUsize>,
}

impl Line {
    async fn lay() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://localhost:{}", listener.local_addr().unwrap().port());
        let (to, whole) = (Arc::new(Mutex::new(None)), watch::Sender::new(true));
        let stalled = watch::Sender::new(());
        let asked = Arc::new(AtomicUsize::new(0));
        let (target, state, stalls) = (Arc::clone(&to), whole.clone(), stalled.clone());
        tokio::spawn(async move {
            loop {
                let (mut near, _) = listener.accept().await.unwrap();
                let address: Option<SocketAddr> = *target.lock();
                let (mut cut, mut stall) = (state.subscribe(), stalls.subscribe());
                let Some(address) = address.filter(|_| *cut.borrow()) else { continue };
                tokio::spawn(async move {
                    let mut far = TcpStream::connect(address).await.unwrap();
                    let stalls = tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => false,
                        _ = cut.wait_for(|whole| !whole) => false,
                        _ = stall.changed() => true,
                    };
                    if stalls {
                        std::future::pending::<()>().await;
                    }
                });
            }
        });
        Self { url, to, whole, stalled, asked }
    }

    fn cut(&self) {
        self.whole.send_replace(false);
    }

    fn mend(&self) {
        self.whole.send_replace(true);
    }

    /// Whoever is connected hears nothing more and is not told; who connects anew is heard.
    fn stall(&self) {
        self.stalled.send_replace(());
    }
}

/// A server behind a line, and a service of it.
async fn lab() -> (Lab, Line, Service) {
    let line = Line::lay().await;
    let lab = Lab::with_settings(&format!("public_url = '{}'", line.url)).await;
    *line.to.lock() = Some(lab.address);
    line.asked.store(0, Ordering::SeqCst);
    let service = lab.service().await;
    (lab, line, service)
}

fn remote(lab: &Lab, line: &Line, service: &Service, app: &str) -> Remote {
    Remote::new(&line.url, app).service(&service.id, &service.secret).clock(lab.engine.clock().clone())
}

async fn ask(guard: &Guard, credential: &str) -> Result<Identity, Refusal> {
    let value = HeaderValue::from_str(&format!("Bearer {credential}")).unwrap();
    guard.identify(&HeaderMap::from_iter([(AUTHORIZATION, value)]), None).await
}

async fn refused(guard: &Guard, credential: &str) -> Code {
    ask(guard, credential).await.expect_err("it is refused").code()
}

/// The lag that an app's verifier observes: the feed says when a line was written, also after it was cut.
#[tokio::test]
async fn the_lag_that_an_app_observes_is_counted() {
    let (lab, line, service) = lab().await;
    let guard = remote(&lab, &line, &service, "web").on_feed_loss(OnFeedLoss::UntilExpiry).guard().await.unwrap();
    let (ada, eve) = (lab.login("ada", "web").await, lab.login("eve", "web").await);
    let lag = || guard.verifier().counts().lag;
    assert_eq!(lab.post("/v1/logout").bearer(ada.credential()).await.status, 204);
    until("it hears", async || lag().count == 1).await;
    assert_eq!(lag().total, Duration::ZERO);
    line.cut();
    assert_eq!(lab.post("/v1/logout").bearer(eve.credential()).await.status, 204);
    lab.advance(3);
    line.mend();
    until("it hears", async || lag().count == 2).await;
    assert_eq!(lag().total, Duration::from_secs(3));
    assert_eq!(lag().within, [1, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
}

/// R19: the clock of an app's machine is a month ahead, or behind: the server's time is gone by, from the first question on.
#[tokio::test]
async fn the_clock_of_an_apps_machine_judges_nothing() {
    let (lab, line, service) = lab().await;
    let month = Duration::from_secs(31 * 86_400);
    let now = lab.engine.clock().now();
    for wall in [now + month, now - month] {
        for app in APPS {
            let (clock, _) = Clock::manual_machine(wall);
            let guard = remote(&lab, &line, &service, app).clock(clock.clone()).guard().await.unwrap();
            let ada = lab.login("ada", app).await;
            assert_eq!(ask(&guard, ada.credential()).await.unwrap().session().to_string(), ada.session, "{app}");
            assert_eq!(clock.now(), now, "{app}");
        }
    }
}

#[tokio::test]
async fn every_method_is_verified_away_from_the_server_and_a_warm_check_asks_nobody() {
    let (lab, line, service) = lab().await;
    for app in APPS {
        let guard = remote(&lab, &line, &service, app).guard().await.unwrap();
        let ada = lab.login("ada", app).await;
        let identity = ask(&guard, ada.credential()).await.unwrap();
        assert_eq!(identity.account().to_string(), ada.account);
        assert_eq!(identity.session().to_string(), ada.session);
        assert_eq!(identity.app_id().as_str(), app);
        assert_eq!(identity.method().name(), ada.body["session"]["method"]);
        let before = lab.engine.verifier().counts();
        for _ in 0..100 {
            ask(&guard, ada.credential()).await.unwrap();
        }
        let after = lab.engine.verifier().counts();
        assert_eq!((before.warm, before.cold), (after.warm, after.cold), "{app}");
        let cookie = ada.cookie.as_deref();
        if let Some(cookie) = cookie {
            let headers = HeaderMap::from_iter([(http::header::COOKIE, HeaderValue::from_str(cookie).unwrap())]);
            assert_eq!(guard.identify(&headers, None).await.unwrap().session().to_string(), ada.session);
        }
    }
}

/// F058: each way to end a session is heard of, by each method.
#[tokio::test]
async fn every_end_is_heard() {
    let (lab, line, service) = lab().await;
    for app in APPS {
        let guard = remote(&lab, &line, &service, app).guard().await.unwrap();
        for end in ["one", "everywhere", "app", "key"] {
            let (ada, eve) = (lab.login("ada", app).await, lab.login("eve", app).await);
            ask(&guard, ada.credential()).await.unwrap();
            ask(&guard, eve.credential()).await.unwrap();
            let client = cloakroom_core::engine::Client::default();
            match end {
                "one" => assert_eq!(lab.post("/v1/logout").bearer(ada.credential()).await.status, 204),
                "everywhere" => {
                    let ask = lab.post("/v1/logout").bearer(ada.credential());
                    assert_eq!(ask.json(serde_json::json!({"everywhere": true})).await.status, 204);
                }
                "app" => {
                    let app = lab.engine.app(Some(app)).unwrap().clone();
                    lab.engine.end_app(&app, None, &client).await.unwrap();
                }
                _ => {
                    for key in lab.engine.keys() {
                        lab.engine.kill_key(key.kid, &client).await.unwrap();
                    }
                }
            }
            until(&format!("{app}: {end}"), async || ask(&guard, ada.credential()).await.is_err()).await;
            let others = ask(&guard, eve.credential()).await.is_ok();
            assert_eq!(others, end == "one" || end == "everywhere", "{app}: {end}");
        }
    }
}

/// F062: a verifier that is cut off says no within its lag, and catches up before it trusts what it holds.
#[tokio::test]
async fn a_verifier_that_is_cut_off_says_no_and_catches_up() {
    let (lab, line, service) = lab().await;
    for app in APPS {
        let guard = remote(&lab, &line, &service, app).guard().await.unwrap();
        let (ended, goes_on) = (lab.login("ada", app).await, lab.login("ada", app).await);
        ask(&guard, ended.credential()).await.unwrap();
        ask(&guard, goes_on.credential()).await.unwrap();
        line.cut();
        assert_eq!(lab.post("/v1/logout").bearer(ended.credential()).await.status, 204);
        lab.advance(2);
        for credential in [ended.credential(), goes_on.credential()] {
            assert_eq!(refused(&guard, credential).await, Code::StoreUnavailable, "{app}");
        }
        line.mend();
        let goes = async || {
            let goes = ask(&guard, goes_on.credential()).await.is_ok();
            // Time passes, after which the server is asked again.
            lab.advance(u64::from(!goes));
            goes
        };
        until("it goes on", goes).await;
        // Asked for by a ticket before the feed has come, it is only known that it is no more.
        refused(&guard, ended.credential()).await;
        until("it is told why", async || refused(&guard, ended.credential()).await == Code::SessionRevoked).await;
    }
}

/// F062: a server that stands still behind a load balancer takes its readers' feed with it, while others answer.
#[tokio::test]
async fn a_feed_that_brings_nothing_is_taken_up_anew() {
    let (lab, line, service) = lab().await;
    let guard = remote(&lab, &line, &service, "api").guard().await.unwrap();
    let (ada, eve) = (lab.login("ada", "api").await, lab.login("eve", "api").await);
    ask(&guard, ada.credential()).await.unwrap();
    line.stall();
    assert_eq!(lab.post("/v1/logout").bearer(ada.credential()).await.status, 204);
    lab.advance(2);
    let heard = until("what has ended is heard", async || {
        refused(&guard, ada.credential()).await == Code::SessionRevoked && ask(&guard, eve.credential()).await.is_ok()
    });
    // Long before a connection that says nothing would be taken for dead.
    tokio::time::timeout(Duration::from_secs(30), heard).await.expect("the feed has been taken up anew");
}

/// Under `until_expiry` a token goes on without the server, and never beyond its life.
#[tokio::test]
async fn without_the_server_a_token_lives_until_it_expires() {
    let (lab, line, service) = lab().await;
    for app in ["api", "stateless"] {
        let loss = OnFeedLoss::UntilExpiry;
        let guard = remote(&lab, &line, &service, app).on_feed_loss(loss).guard().await.unwrap();
        let ada = lab.login("ada", app).await;
        line.cut();
        for _ in 0..28 {
            ask(&guard, ada.credential()).await.unwrap();
            lab.advance(10);
        }
        lab.advance(26);
        assert_eq!(refused(&guard, ada.credential()).await, Code::TokenExpired, "{app}");
        line.mend();
    }
}

/// A crowd that asks for one unknown session costs one question.
#[tokio::test]
async fn a_thousand_who_ask_for_one_session_cost_one_question() {
    let (lab, line, service) = lab().await;
    let guard = remote(&lab, &line, &service, "web").guard().await.unwrap();
    let ada = lab.login("ada", "web").await;
    let before = lab.engine.verifier().counts();
    let crowd: Vec<_> = (0..1000)
        .map(|_| {
            let (guard, credential) = (guard.clone(), ada.credential().to_owned());
            tokio::spawn(async move { ask(&guard, &credential).await.is_ok() })
        })
        .collect();
    for one in crowd {
        assert!(one.await.unwrap());
    }
    let after = lab.engine.verifier().counts();
    assert_eq!(after.warm + after.cold - before.warm - before.cold, 1);
    // Garbage asks nobody.
    for garbage in ["x", &"A".repeat(47), &ada.credential()[1..], &"-".repeat(200)] {
        assert_eq!(refused(&guard, garbage).await, Code::CredentialInvalid, "{garbage}");
    }
    assert_eq!(lab.engine.verifier().counts().refused, after.refused);
}

#[tokio::test]
async fn a_service_that_the_server_does_not_know_is_told_at_once() {
    let (lab, line, service) = lab().await;
    let wrong = Service { id: service.id.clone(), secret: "wrong".to_owned() };
    let error = remote(&lab, &line, &wrong, "web").guard().await.expect_err("it is refused");
    assert!(matches!(&error, JwksError::Feed(..)) && error.to_string().contains("401"), "{error}");
    assert!(!format!("{:?}", remote(&lab, &line, &service, "web")).contains(&service.secret));
}

/// Ends sessions of nobody, as the store is told to; the server's own verifier has not heard of them yet.
async fn flood(lab: &Lab, ends: usize) {
    let rng = Rng::system();
    let end = |_| (EndRequest::Session(SessionId::from_bytes(rng.bytes())), Hold::NOTED);
    let ends: Vec<_> = (0..ends).map(end).collect();
    lab.engine.stores().accounts.end(&ends, lab.engine.clock().by_hand()).await.unwrap();
}

/// R1: more ends than an app's verifier can hold. Nobody loses the lease, what ended is refused, and the server is asked only
/// about those that may be concerned.
#[tokio::test]
async fn a_verifier_that_is_flooded_asks_about_few() {
    let (lab, line, service) = lab().await;
    for app in APPS {
        let guard = remote(&lab, &line, &service, app).ended_capacity(20).guard().await.unwrap();
        let (ada, eve) = (lab.login("ada", app).await, lab.login("eve", app).await);
        for one in [&ada, &eve] {
            ask(&guard, one.credential()).await.unwrap();
        }
        flood(&lab, 20).await;
        until("it is full", async || guard.verifier().counts().ended == 20).await;
        assert_eq!(lab.post("/v1/logout").bearer(ada.credential()).await.status, 204);
        until(&format!("{app}: it has ended"), async || ask(&guard, ada.credential()).await.is_err()).await;
        assert!(ask(&guard, ada.credential()).await.is_err(), "{app}");
        for _ in 0..10 {
            ask(&guard, eve.credential()).await.unwrap();
        }
        let counts = guard.verifier().counts();
        assert!(counts.ended == 20 && counts.marks >= 1 && counts.asked <= 2, "{app}: {counts:?}");
        lab.advance(66 * 60);
    }
}

/// R1: what an app's verifier has heard the server that it asks may not have heard yet; that hears it before it answers.
#[tokio::test]
async fn who_is_asked_has_heard_as_much_as_who_asks() {
    let lab = Lab::start().await;
    let service = lab.service().await;
    for app in ["web", "api"] {
        let ada = lab.login("ada", app).await;
        assert_eq!(lab.introspect(&service, ada.credential()).await["active"], true);
        // Another server ends it, and some verifier has heard so.
        let end = [(EndRequest::Session(SessionId::parse(&ada.session).unwrap()), Hold::NOTED)];
        let stores = lab.engine.stores();
        stores.accounts.end(&end, lab.engine.clock().by_hand()).await.unwrap();
        let head = stores.accounts.log_head().await.unwrap().to_string();
        let form = [("token", ada.credential()), ("as_of", &head)];
        let told = lab.post("/oauth/introspect").basic(&service).form(&form).await.json();
        assert_eq!(told, serde_json::json!({"active": false}), "{app}");
    }
}

/// However much has ended, an app's verifier that starts hears all of it, in pages.
#[tokio::test]
async fn a_verifier_that_starts_hears_a_long_snapshot() {
    let (lab, line, service) = lab().await;
    let (ada, eve) = (lab.login("ada", "api").await, lab.login("eve", "api").await);
    flood(&lab, 50_000).await;
    assert_eq!(lab.post("/v1/logout").bearer(ada.credential()).await.status, 204);
    flood(&lab, 1_000).await;
    let guard = remote(&lab, &line, &service, "api").guard().await.unwrap();
    until("it has heard all", async || guard.verifier().counts().ended == 51_001).await;
    until("it has a lease", async || ask(&guard, eve.credential()).await.is_ok()).await;
    assert_eq!(refused(&guard, ada.credential()).await, Code::SessionRevoked);
    // And what ends from then on.
    flood(&lab, 20_000).await;
    until("it has heard all", async || guard.verifier().counts().ended == 71_001).await;
}
