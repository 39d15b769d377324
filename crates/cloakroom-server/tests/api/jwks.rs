//! A verifier in a process of its own: nothing but published keys, at an address where a test can say what is answered.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Router, http::StatusCode, routing::get};
use cloakroom_core::{
    engine::Client,
    ids::{AppId, Kid},
    key::{Purpose, SigningKey},
    method::OnFeedLoss,
    random::Rng,
    refusal::Reason,
    token::{self, Algorithm},
};
use cloakroom_verify::{
    Guard, Jwks, JwksError,
    jwks::{INTERVAL, KEEP, MAX_AGE},
};
use data_encoding::BASE64URL_NOPAD;
use http::{HeaderMap, HeaderValue, Request, header::AUTHORIZATION};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::lab::Lab;

#[path = "../../../cloakroom-verify/examples/jwks.rs"]
#[allow(dead_code, reason = "its `main` is for people")]
mod example;

/// Stands at the server's public address and answers for it with a key set.
struct KeyHost {
    url: String,
    asked: Arc<AtomicUsize>,
    answer: Arc<Mutex<(StatusCode, String)>>,
}

impl KeyHost {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://localhost:{}", listener.local_addr().unwrap().port());
        let (asked, answer) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new((StatusCode::OK, String::new()))));
        let (counter, says) = (Arc::clone(&asked), Arc::clone(&answer));
        let route = get(async move || {
            counter.fetch_add(1, Ordering::SeqCst);
            says.lock().clone()
        });
        let app: Router = Router::new().route("/.well-known/jwks.json", route);
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, asked, answer }
    }

    fn says(&self, status: u16, text: impl Into<String>) {
        *self.answer.lock() = (StatusCode::from_u16(status).unwrap(), text.into());
    }

    fn publishes(&self, lab: &Lab) {
        self.says(200, lab.engine.key_set().to_string());
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

async fn lab_and_host() -> (Lab, KeyHost) {
    let host = KeyHost::start().await;
    let lab = Lab::with_settings(&format!("public_url = '{}'", host.url)).await;
    host.publishes(&lab);
    (lab, host)
}

async fn guard(lab: &Lab, host: &KeyHost) -> Guard {
    Jwks::new(&host.url, "api").clock(lab.engine.clock().clone()).guard().await.unwrap()
}

async fn check(guard: &Guard, token: &str) -> Result<String, Reason> {
    let value = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
    let headers = HeaderMap::from_iter([(AUTHORIZATION, value)]);
    guard.identify(&headers, None).await.map(|who| who.account().to_string()).map_err(|refusal| refusal.reason)
}

async fn token(lab: &Lab, app: &str) -> (String, String) {
    let ada = lab.login("ada", app).await;
    (ada.credential().to_owned(), ada.account)
}

/// A token that says of its key what it is told to, with a signature of zeros.
fn forged(algorithm: &str, kid: &str) -> String {
    let part = |value: Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let header = part(json!({"typ": "at+jwt", "alg": algorithm, "kid": kid}));
    format!("{header}.{}.{}", part(json!({})), BASE64URL_NOPAD.encode(&[0; 64]))
}

/// F038: an access token of the app is taken; another app's is not, nor is anything but an access token.
#[tokio::test]
async fn an_access_token_of_the_app_is_taken_and_nothing_else() {
    let (lab, host) = lab_and_host().await;
    let guard = guard(&lab, &host).await;
    let ada = lab.login("ada", "api").await;
    assert_eq!(check(&guard, ada.credential()).await, Ok(ada.account.clone()));
    assert_eq!(check(&guard, &token(&lab, "stateless").await.0).await, Err(Reason::WrongApp));
    assert_eq!(check(&guard, &token(&lab, "web").await.0).await, Err(Reason::WrongKind));
    assert_eq!(check(&guard, ada.refresh_token()).await, Err(Reason::WrongKind));
    assert_eq!(host.asked(), 1);
}

/// What the documentation says: without a feed an end is heard of at the token's expiry.
#[tokio::test]
async fn without_a_feed_a_token_is_taken_until_it_expires() {
    let (lab, host) = lab_and_host().await;
    let guard = guard(&lab, &host).await;
    let ada = lab.login("ada", "api").await;
    assert_eq!(lab.post("/v1/logout").bearer(ada.credential()).await.status, 204);
    assert_eq!(check(&guard, ada.credential()).await, Ok(ada.account.clone()));
    lab.advance(305);
    assert_eq!(check(&guard, ada.credential()).await, Err(Reason::TokenExpired));
}

#[tokio::test]
async fn a_verifier_without_a_feed_cannot_be_set_up_to_refuse_without_one() {
    let host = KeyHost::start().await;
    let refused = Jwks::new(&host.url, "api").on_feed_loss(OnFeedLoss::Refuse).guard().await;
    assert!(matches!(refused, Err(JwksError::NoFeed)));
    assert_eq!(host.asked(), 0);
}

#[tokio::test]
async fn a_guard_is_not_made_without_a_first_key_set() {
    let host = KeyHost::start().await;
    for (status, text) in [(200, ""), (200, "{\"keys\":[]}"), (404, "{}"), (200, "<html>")] {
        host.says(status, text);
        assert!(matches!(Jwks::new(&host.url, "api").guard().await, Err(JwksError::Fetch(..))), "{status} {text}");
    }
    host.says(200, " ".repeat(100_000));
    assert!(matches!(Jwks::new(&host.url, "api").guard().await, Err(JwksError::Fetch(..))));
    assert!(matches!(Jwks::new(&host.url, "no app").guard().await, Err(JwksError::App(_))));
}

/// F041: a new key's tokens are taken without a restart.
#[tokio::test]
async fn a_rotation_is_followed_without_a_restart() {
    let (lab, host) = lab_and_host().await;
    let guard = guard(&lab, &host).await;
    lab.advance(INTERVAL.as_secs());
    let old = lab.engine.keys().iter().find(|key| key.purpose == Purpose::Sign(Algorithm::EdDsa)).unwrap().kid;
    // The key is replaced at once; the verifier has never heard of the new one.
    lab.engine.kill_key(old, &Client::default()).await.unwrap();
    host.publishes(&lab);
    let (new, account) = token(&lab, "api").await;
    assert_eq!(check(&guard, &new).await, Ok(account));
    assert_eq!(host.asked(), 2);
}

/// F043: a flood of invented keys is one fetch per interval, and good tokens pass meanwhile.
#[tokio::test]
async fn a_thousand_tokens_with_random_keys_cause_at_most_one_fetch_per_interval() {
    let (lab, host) = lab_and_host().await;
    let guard = guard(&lab, &host).await;
    let (good, account) = token(&lab, "api").await;
    let rng = Rng::seeded(7);
    for round in 1..=2 {
        lab.advance(INTERVAL.as_secs());
        let flood = (0..500).map(|_| {
            let (guard, token) = (guard.clone(), forged("EdDSA", Kid::generate(&rng).as_str()));
            tokio::spawn(async move { check(&guard, &token).await })
        });
        let flood: Vec<_> = flood.collect();
        assert_eq!(check(&guard, &good).await, Ok(account.clone()));
        for one in flood {
            assert_eq!(one.await.unwrap(), Err(Reason::UnknownKey));
        }
        assert_eq!(host.asked(), 1 + round);
    }
}

/// F043: what is no key set does not take a good one's place, for a bounded time.
#[tokio::test]
async fn a_failed_fetch_keeps_the_last_good_set_for_a_time() {
    let (lab, host) = lab_and_host().await;
    let guard = guard(&lab, &host).await;
    let answers =
        [(200, "garbage"), (200, "{\"keys\":[]}"), (503, ""), (302, ""), (200, "{\"keys\":[{\"kty\":\"OKP\"}]}")];
    for (status, text) in answers {
        host.says(status, text);
        lab.advance(MAX_AGE.as_secs());
        let (token, account) = token(&lab, "api").await;
        assert_eq!(check(&guard, &token).await, Ok(account), "{status} {text}");
    }
    assert!(host.asked() > 1);
    lab.advance(KEEP.as_secs());
    let (token, account) = token(&lab, "api").await;
    assert_eq!(check(&guard, &token).await, Err(Reason::StoreDown));
    host.publishes(&lab);
    lab.advance(INTERVAL.as_secs());
    assert_eq!(check(&guard, &token).await, Ok(account));
}

/// F042, as far as it goes without the feed: a killed key is dropped with the next set.
#[tokio::test]
async fn a_killed_key_is_believed_no_longer_than_a_key_set() {
    let (lab, host) = lab_and_host().await;
    let guard = guard(&lab, &host).await;
    lab.advance(60);
    let old = lab.engine.keys().iter().find(|key| key.purpose == Purpose::Sign(Algorithm::EdDsa)).unwrap().kid;
    let (token, _) = token(&lab, "api").await;
    lab.engine.kill_key(old, &Client::default()).await.unwrap();
    host.publishes(&lab);
    lab.advance(MAX_AGE.as_secs() - 60);
    assert_eq!(check(&guard, &token).await, Err(Reason::UnknownKey));
}

#[tokio::test]
async fn a_set_in_use_is_fetched_anew_behind_an_answer_before_it_is_too_old() {
    let (lab, host) = lab_and_host().await;
    let guard = guard(&lab, &host).await;
    lab.advance(MAX_AGE.as_secs() / 2);
    let (token, account) = token(&lab, "api").await;
    assert_eq!(check(&guard, &token).await, Ok(account));
    for _ in 0..200 {
        if host.asked() == 2 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the set was not fetched anew");
}

/// The algorithm is a property of the key, whatever the token says.
#[tokio::test]
async fn the_algorithm_is_tied_to_the_key() {
    let (lab, host) = lab_and_host().await;
    let guard = guard(&lab, &host).await;
    let kid = lab.engine.keys().iter().find(|key| key.purpose == Purpose::Sign(Algorithm::EdDsa)).unwrap().kid;
    for algorithm in ["ES256", "RS256", "HS256"] {
        assert_eq!(check(&guard, &forged(algorithm, kid.as_str())).await, Err(Reason::BadSignature), "{algorithm}");
    }
    assert_eq!(check(&guard, &forged("none", kid.as_str())).await, Err(Reason::BadHeader));
    // A key of the attacker's own, by the name of ours.
    let rng = Rng::system();
    let stored = SigningKey::generate(Algorithm::EdDsa, &rng).unwrap();
    let stranger = SigningKey::from_stored(Algorithm::EdDsa, &stored).unwrap();
    let (good, _) = token(&lab, "api").await;
    let mut claims = token::check(&good, &cloakroom_core::key::read_jwks(&lab.engine.key_set().to_string()).unwrap());
    let mut claims = claims.as_mut().map(|checked| checked.claims.clone()).unwrap();
    claims.app = AppId::parse("api").unwrap();
    let theirs = token::sign(&claims, kid, &stranger).unwrap();
    assert_eq!(check(&guard, theirs.expose()).await, Err(Reason::BadSignature));
}

#[tokio::test]
async fn the_example_by_key_set_guards_its_route() {
    let (lab, host) = lab_and_host().await;
    let app = example::app(guard(&lab, &host).await);
    let (token, _) = token(&lab, "api").await;
    let ask = |request: http::request::Builder| app.clone().oneshot(request.body(axum::body::Body::empty()).unwrap());
    let good = ask(Request::get("/").header(AUTHORIZATION, format!("Bearer {token}"))).await.unwrap();
    assert_eq!(good.status(), 200);
    assert_eq!(ask(Request::get("/")).await.unwrap().status(), 401);
}
