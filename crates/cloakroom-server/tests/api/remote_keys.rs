//! Killed keys and a verifier in a process of its own, with a cache on the way that keeps what was published before.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use cloakroom_core::{
    engine::Client,
    key::{KeyRing, MasterSecret, Purpose},
    refusal::{Code, Refusal},
    token::{self, Algorithm},
    verify::Identity,
};
use cloakroom_verify::{Guard, Remote};
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::lab::{Lab, SignedIn, until};

/// A cache at the server's public address: it answers for the key set with what it has kept, if it has kept any, to whoever
/// does not ask past caches; or to those too, if it is a bad one.
struct Cache {
    url: String,
    to: Arc<Mutex<Option<SocketAddr>>>,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Clone, Default)]
struct Kept {
    text: Option<String>,
    heeds_nobody: bool,
    /// How often the key set was asked for past it.
    passed: u32,
}

impl Cache {
    async fn lay() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://localhost:{}", listener.local_addr().unwrap().port());
        let (to, kept) = (Arc::new(Mutex::new(None)), Arc::new(Mutex::new(Kept::default())));
        let (target, keeps) = (Arc::clone(&to), Arc::clone(&kept));
        tokio::spawn(async move {
            loop {
                let (near, _) = listener.accept().await.unwrap();
                let (far, kept) = (*target.lock(), Arc::clone(&keeps));
                tokio::spawn(async move { drop(pass(near, far.unwrap(), &kept).await) });
            }
        });
        Self { url, to, kept }
    }

    fn keeps(&self, text: &serde_json::Value, heeds_nobody: bool) {
        *self.kept.lock() = Kept { text: Some(text.to_string()), heeds_nobody, passed: 0 };
    }

    fn forgets(&self) {
        *self.kept.lock() = Kept::default();
    }
}

/// One request on a connection, so that each is seen.
async fn pass(mut near: TcpStream, far: SocketAddr, kept: &Mutex<Kept>) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(near.read_u8().await?);
    }
    let text = String::from_utf8_lossy(&head).to_lowercase();
    let keys = text.starts_with("get /.well-known/jwks.json");
    let Kept { text: answer, heeds_nobody, .. } = kept.lock().clone();
    let cached = keys && (heeds_nobody || !text.contains("cache-control: no-cache"));
    kept.lock().passed += u32::from(keys && !cached);
    if let Some(answer) = answer.filter(|_| cached) {
        let length = answer.len();
        let answer = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{answer}");
        return near.write_all(answer.as_bytes()).await;
    }
    let mut far = TcpStream::connect(far).await?;
    head.truncate(head.len() - 2);
    far.write_all(&head).await?;
    far.write_all(b"connection: close\r\n\r\n").await?;
    tokio::io::copy_bidirectional(&mut near, &mut far).await.map(drop)
}

async fn ask(guard: &Guard, credential: &str) -> Result<Identity, Refusal> {
    let value = HeaderValue::from_str(&format!("Bearer {credential}")).unwrap();
    guard.identify(&HeaderMap::from_iter([(AUTHORIZATION, value)]), None).await
}

/// A server behind a cache, a verifier behind it too, and somebody who is signed in.
async fn start() -> (Lab, Cache, Guard, SignedIn) {
    let cache = Cache::lay().await;
    let lab = Lab::with_settings(&format!("public_url = '{}'", cache.url)).await;
    *cache.to.lock() = Some(lab.address);
    let service = lab.service().await;
    let remote = Remote::new(&cache.url, "api").service(&service.id, &service.secret);
    let guard = remote.clock(lab.engine.clock().clone()).guard().await.unwrap();
    let ada = lab.login("ada", "api").await;
    ask(&guard, ada.credential()).await.unwrap();
    (lab, cache, guard, ada)
}

/// The keys of a server, as a thief has them.
async fn stolen(lab: &Lab) -> KeyRing {
    let master = std::fs::read_to_string(lab.data_dir().join("master.secret")).unwrap();
    let rows = lab.engine.stores().accounts.keys().await.unwrap().rows;
    KeyRing::open(rows, &MasterSecret::parse(&master).unwrap()).unwrap()
}

/// What a thief signs now, in the name of whoever had this token.
fn signed_now(lab: &Lab, ring: &KeyRing, token: &str) -> String {
    let now = lab.engine.clock().now();
    let mut claims = token::check(token, ring.verifying()).unwrap().claims;
    (claims.issued, claims.expires) = (now.whole_secs(), now.whole_secs() + Duration::from_secs(250));
    let (kid, key) = ring.signer(Algorithm::EdDsa, now).unwrap();
    token::sign(&claims, kid, key).unwrap().expose().to_owned()
}

async fn kill(lab: &Lab) {
    let signs = Purpose::Sign(Algorithm::EdDsa);
    let kid = lab.engine.keys().iter().find(|key| key.purpose == signs).unwrap().kid;
    lab.engine.kill_key(kid, &Client::default()).await.unwrap();
}

/// R18: a killed key stays refused for as long as the verifier lives, whatever is published; the set without it is fetched past
/// caches, so that what the next key signs is good.
#[tokio::test]
async fn a_killed_key_never_comes_back_at_a_verifier_elsewhere() {
    let (lab, cache, guard, ada) = start().await;
    let ring = stolen(&lab).await;
    cache.keeps(&lab.engine.key_set(), false);
    kill(&lab).await;
    until("the kill is heard", async || ask(&guard, ada.credential()).await.is_err()).await;
    let anew = lab.login("eve", "api").await;
    until("the next key is known", async || {
        let known = ask(&guard, anew.credential()).await.is_ok();
        lab.advance(u64::from(!known));
        known
    })
    .await;
    // Longer than any end is held, and longer than a set is believed.
    for minute in 0..80 {
        lab.advance(60);
        let theirs = signed_now(&lab, &ring, ada.credential());
        let refused = ask(&guard, &theirs).await.expect_err("a killed key").code();
        assert!(matches!(refused, Code::SessionRevoked | Code::StoreUnavailable), "{minute} min: {refused:?}");
    }
}

/// R18: where the set without the killed key cannot be had, nobody can tell whether a key is a new one.
#[tokio::test]
async fn what_an_unknown_key_signs_is_undecided_until_the_new_set_is_had() {
    let (lab, cache, guard, ada) = start().await;
    cache.keeps(&lab.engine.key_set(), true);
    kill(&lab).await;
    until("the kill is heard", async || ask(&guard, ada.credential()).await.is_err()).await;
    assert_eq!(ask(&guard, ada.credential()).await.unwrap_err().code(), Code::SessionRevoked);
    let anew = lab.login("eve", "api").await;
    for _ in 0..20 {
        lab.advance(1);
        assert_eq!(ask(&guard, anew.credential()).await.unwrap_err().code(), Code::StoreUnavailable);
    }
    cache.forgets();
    until("the next key is known", async || {
        lab.advance(1);
        ask(&guard, anew.credential()).await.is_ok()
    })
    .await;
}

/// R18: the server tells beside its log which set it publishes, so that a new key is known long before it signs.
#[tokio::test]
async fn a_new_key_is_fetched_when_the_server_tells_of_it() {
    let (lab, cache, guard, ada) = start().await;
    cache.keeps(&lab.engine.key_set(), false);
    lab.engine.rotate_key(Purpose::Sign(Algorithm::EdDsa)).await.unwrap().unwrap();
    until("the new set is fetched past the cache", async || {
        lab.advance(1);
        cache.kept.lock().passed == 1
    })
    .await;
    assert!(ask(&guard, ada.credential()).await.is_ok());
}
