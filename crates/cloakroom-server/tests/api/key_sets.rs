//! Keys that several servers share: what one changes the others know before they sign, publish or judge.

use std::fs;

use cloakroom_core::{
    clock::Clock,
    engine::{Client, KEY_SET_AGE},
    ids::Kid,
    key::{KeyRing, KeyTrouble, MasterSecret, Purpose, SigningKey},
    random::Rng,
    token::Algorithm,
};
use cloakroom_server::Server;
use serde_json::{Value, json};
use tokio_postgres::NoTls;

use crate::{
    lab::{APPS, Lab, PASSWORD, START, SignedIn, config, until},
    postgres::Database,
};

const SIGNING: Purpose = Purpose::Sign(Algorithm::EdDsa);

async fn published(lab: &Lab) -> Vec<String> {
    let set = lab.get("/.well-known/jwks.json").await.json();
    set["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

fn header(token: &str) -> Value {
    let header = data_encoding::BASE64URL_NOPAD.decode(token.split('.').next().unwrap().as_bytes()).unwrap();
    serde_json::from_slice(&header).unwrap()
}

fn kid_of(token: &str) -> String {
    header(token)["kid"].as_str().unwrap().to_owned()
}

/// A token as a stranger makes one: of a key that there never was.
fn garbage(token: &str) -> String {
    let header = json!({ "typ": "at+jwt", "alg": "EdDSA", "kid": "zzzzz" }).to_string();
    let rest = token.split_once('.').unwrap().1;
    format!("{}.{rest}", data_encoding::BASE64URL_NOPAD.encode(header.as_bytes()))
}

/// The living key of a purpose that is in use.
fn current(lab: &Lab, purpose: Purpose) -> Kid {
    let keys = serde_json::to_value(lab.engine.keys()).unwrap();
    let of = |key: &&Value| key["purpose"] == purpose.name() && key["state"] == "current";
    Kid::parse(keys.as_array().unwrap().iter().find(of).unwrap()["kid"].as_str().unwrap()).unwrap()
}

/// R10, R18: a stranger who names an unknown key in the moment before a kill keeps no server from hearing of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_was_killed_at_one_server_is_neither_published_nor_used_at_another() {
    let database = Database::create().await;
    let here = Lab::with_settings(&database.settings()).await;
    let there = here.beside(&database.settings()).await;
    let ada = here.login("ada", "api").await;
    assert_eq!(there.verify(ada.credential()).await.status, 200);
    let killed = current(&here, SIGNING);
    assert_eq!(there.verify(&garbage(ada.credential())).await.status, 401);
    here.engine.kill_key(killed, &Client::default()).await.unwrap();
    until("the other server publishes a killed key", async || !published(&there).await.contains(&killed.to_string()))
        .await;
    let eve = there.login("eve", "api").await;
    assert_ne!(kid_of(eve.credential()), killed.to_string());
    assert_eq!(there.verify(eve.credential()).await.status, 200);
    assert_eq!(here.verify(eve.credential()).await.status, 200);
    assert_eq!(there.verify(ada.credential()).await.status, 401);
}

/// R18: what takes a killed key's place is there at the same moment, so that nobody is turned away at any server meanwhile; and
/// what one server makes with it is known to another that has not heard of the kill yet.
#[tokio::test(flavor = "multi_thread")]
async fn a_kill_leaves_no_moment_without_a_key_at_any_server() {
    let database = Database::create().await;
    // Nobody is called, so that the other server hears late.
    let url = format!("{}?pool_size=4&listen=off", database.url("TEST_POSTGRES"));
    let here = Lab::with_settings(&database.settings()).await;
    let there = here.beside(&database.settings_with(&url, "first")).await;
    here.register("ada").await;
    let mut stranger = garbage(here.login("eve", "api").await.credential());
    for purpose in [SIGNING, Purpose::Mac, SIGNING, Purpose::Mac] {
        assert_eq!(there.verify(&stranger).await.status, 401);
        here.engine.kill_key(current(&here, purpose), &Client::default()).await.unwrap();
        for app in APPS {
            assert_eq!(there.try_login("ada", PASSWORD, app).await.status, 200, "{app}: at the other server, at once");
            let made = SignedIn::read(&here.try_login("ada", PASSWORD, app).await);
            assert_eq!(there.verify(made.credential()).await.status, 200, "{app}");
        }
        until("what the other server makes is good", async || {
            let made = SignedIn::read(&there.try_login("ada", PASSWORD, "web").await);
            there.verify(made.credential()).await.status == 200 && here.verify(made.credential()).await.status == 200
        })
        .await;
        stranger.push('A');
    }
}

/// F043: whoever invents keys makes the rows be read now and then, and not once each.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_unknown_keys_reads_the_keys_now_and_then() {
    let lab = Lab::start().await;
    let ada = lab.login("ada", "api").await;
    let readings = || {
        let operations = lab.engine.store_operations();
        operations.iter().find(|one| one.operation == "keys").map_or(0, |one| one.times.count)
    };
    let before = readings();
    let flood = (0..200).map(|n| {
        let (lab, token) = (&lab, format!("{}{n}", garbage(ada.credential())));
        async move { lab.verify(&token).await.status }
    });
    assert!(futures_util::future::join_all(flood).await.iter().all(|status| *status == 401));
    assert!((1..=20).contains(&(readings() - before)), "{}", readings() - before);
    assert_eq!(lab.verify(ada.credential()).await.status, 200);
}

/// R18: the next key is published by every server long before it is used, so that nobody meets it unprepared.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_one_server_makes_is_published_by_all() {
    let database = Database::create().await;
    let here = Lab::with_settings(&database.settings()).await;
    let there = here.beside(&database.pooled_settings()).await;
    let made = here.engine.rotate_key(SIGNING).await.unwrap().unwrap().to_string();
    until("the other server does not publish it", async || published(&there).await.contains(&made)).await;
}

/// R9, R23: while one server has only the secret from before a change, nobody is signed out, no key is made that the others
/// cannot open, and what it cannot check it does not refuse as invalid.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_lacks_the_new_secret_harms_nobody() {
    let database = Database::create().await;
    let url = format!("{}?pool_size=4", database.url("TEST_POSTGRES"));
    let settings = |secret: &str| format!("keys.rotation = '1d'\n{}", database.settings_with(&url, secret));
    let here = Lab::with_settings(&settings("first")).await;
    let there = here.beside(&settings("first")).await;
    let mut held = vec![];
    for app in APPS {
        held.push(here.login("ada", app).await);
    }
    database.secret("second");
    let new = MasterSecret::parse(&fs::read_to_string(database.secret_file("second")).unwrap()).unwrap();
    here.engine.rewrap_keys(new, &Client::default()).await.unwrap();
    until("it leaves the balancer", async || there.get("/readyz").await.status == 503).await;
    let said = there.get("/readyz").await.text();
    assert!(said.contains("master secret"), "{said}");
    for ada in &held {
        assert_eq!(there.verify(ada.credential()).await.status, 200);
    }

    // The next key is due at both. The one that cannot make it for all makes none.
    here.advance(86_400 - KEY_SET_AGE.as_secs() * 3);
    there.engine.tend_keys().await;
    assert!(start(&settings("second")).await.is_ok(), "the store is open to the new secret");

    // A key that is killed is so at the old server too, and the one in its place is not its to open.
    let killed = current(&here, SIGNING);
    here.engine.kill_key(killed, &Client::default()).await.unwrap();
    until("it publishes a killed key", async || !published(&there).await.contains(&killed.to_string())).await;
    let anew = here.login("eve", "api").await;
    until("it tells a good token from a bad one", async || there.verify(anew.credential()).await.status == 503).await;
    let ready = there.get("/readyz").await;
    assert_eq!(ready.status, 503, "{}", ready.text());
    assert_eq!(here.get("/readyz").await.status, 200);
    assert!(ready.text().contains("master secret"), "{}", ready.text());
    assert_eq!(there.try_login("eve", PASSWORD, "api").await.status, 503, "it has no key to sign with");
    assert_eq!(there.login("zoe", "web").await.body["session"]["app"], "web", "tickets need another key");
}

/// R23: with both secrets at every server first, then the change, then the new one alone, nobody notices anything; which of
/// them a server was told first does not matter.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_the_secret_that_all_are_prepared_for_is_noticed_by_nobody() {
    let database = Database::create().await;
    database.secret("second");
    let url = format!("{}?pool_size=4", database.url("TEST_POSTGRES"));
    let settings = |now: &str, old: Option<&str>| {
        let old = old.map(|old| format!("secret_old_file = '{}'\n", database.secret_file(old).display()));
        format!("{}{}", old.unwrap_or_default(), database.settings_with(&url, now))
    };
    // The store is under the first.
    assert!(start(&settings("first", None)).await.is_ok());
    let here = Lab::with_settings(&settings("second", Some("first"))).await;
    let there = here.beside(&settings("first", Some("second"))).await;
    let ada = here.login("ada", "api").await;
    let made = there.engine.rotate_key(SIGNING).await.unwrap().unwrap();
    assert!(start(&settings("first", None)).await.is_ok(), "keys are made under the secret that the store names");

    let new = MasterSecret::parse(&fs::read_to_string(database.secret_file("second")).unwrap()).unwrap();
    here.engine.rewrap_keys(new, &Client::default()).await.unwrap();
    assert!(start(&settings("first", None)).await.is_err());
    until("the key is published", async || published(&here).await.contains(&made.to_string())).await;
    let later = there.engine.rotate_key(SIGNING).await.unwrap().unwrap();
    for lab in [&here, &there] {
        assert_eq!(lab.get("/readyz").await.status, 200);
        assert_eq!(lab.verify(ada.credential()).await.status, 200);
        assert_eq!(lab.engine.keys_trouble(), []);
        until("the next key is published", async || published(lab).await.contains(&later.to_string())).await;
    }
    let alone = here.beside(&settings("second", None)).await;
    assert_eq!(alone.verify(ada.credential()).await.status, 200);
    assert_eq!(alone.engine.keys_trouble(), []);
}

/// Servers of the release before add keys and say nothing: the rows are read now and then all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_an_older_server_makes_is_found() {
    let database = Database::create().await;
    let lab = Lab::with_settings(&database.settings()).await;
    let secret = MasterSecret::parse(&fs::read_to_string(database.secret_file("first")).unwrap()).unwrap();
    let kid = Kid::parse("older").unwrap();
    add_quietly(&database, kid, &secret, 2).await;
    lab.engine.tend_keys().await;
    assert!(published(&lab).await.contains(&kid.to_string()));
}

/// R9, R31: a key that an older server wraps under the secret from before a change costs nothing but what it signs: it is named,
/// another one is made, and servers start.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_nobody_can_open_stops_no_server() {
    let database = Database::create().await;
    let lab = Lab::with_settings(&database.settings()).await;
    let ada = lab.login("ada", "api").await;
    let (foreign, _) = MasterSecret::generate(&Rng::system());
    let kid = Kid::parse("stray").unwrap();
    add_quietly(&database, kid, &foreign, 2).await;
    lab.engine.tend_keys().await;
    assert_eq!(lab.engine.keys_trouble(), [KeyTrouble::Unreadable(kid, SIGNING)]);
    assert_eq!(lab.get("/readyz").await.status, 200, "no other server is better off");
    let (_, rest) = ada.credential().split_once('.').unwrap();
    let header = json!({ "typ": "at+jwt", "alg": "EdDSA", "kid": "stray" }).to_string();
    let strays = format!("{}.{rest}", data_encoding::BASE64URL_NOPAD.encode(header.as_bytes()));
    assert_eq!(lab.verify(&strays).await.status, 503, "nobody can tell whether it is good");

    let again = lab.beside(&database.settings()).await;
    assert_eq!(again.verify(ada.credential()).await.status, 200);
    assert_eq!(again.engine.keys_trouble(), [KeyTrouble::Unreadable(kid, SIGNING)]);
    // It is due at some time, and another one is made in its place, which all can open.
    lab.advance(30 * 86_400 - KEY_SET_AGE.as_secs() * 3);
    lab.engine.tend_keys().await;
    assert_eq!(published(&lab).await.len(), 2);
    lab.engine.kill_key(kid, &Client::default()).await.unwrap();
    assert_eq!(lab.engine.keys_trouble(), []);
    assert_eq!(lab.verify(&strays).await.status, 401);
}

/// A server whose secret opens none of the keys makes none: it would sign everybody out.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_opens_no_key_does_not_start() {
    let database = Database::create().await;
    let lab = Lab::with_settings(&database.settings()).await;
    let kid = current(&lab, SIGNING);
    run(&database, "UPDATE cloakroom_keys SET wrapped = decode('00', 'hex')").await;
    let error = start(&database.settings()).await.err().expect("it does not start");
    assert!(error.contains("master secret") && error.contains("key "), "{error}");
    assert!(lab.engine.keys().iter().any(|key| key.kid == kid), "who has opened them goes on");
}

/// A restored store knows nothing of a kill; a server that does goes on refusing the key, and says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_kill_that_the_store_has_forgotten_is_kept_and_told() {
    let database = Database::create().await;
    let lab = Lab::with_settings(&database.settings()).await;
    let ada = lab.login("ada", "api").await;
    let killed = current(&lab, SIGNING);
    lab.engine.kill_key(killed, &Client::default()).await.unwrap();
    run(&database, "DELETE FROM cloakroom_keys WHERE killed IS NULL AND purpose <> 'mac'").await;
    run(&database, "UPDATE cloakroom_keys SET killed = NULL").await;
    lab.engine.tend_keys().await;
    assert_eq!(lab.engine.keys_trouble(), [KeyTrouble::Revived(killed, SIGNING)]);
    assert_eq!(lab.verify(ada.credential()).await.status, 401);
    let eve = lab.login("eve", "api").await;
    assert_ne!(kid_of(eve.credential()), killed.to_string());
    assert!(!published(&lab).await.contains(&killed.to_string()));
    lab.engine.kill_key(killed, &Client::default()).await.unwrap();
    assert_eq!(lab.engine.keys_trouble(), []);
}

/// Adds a signing key as servers of the release before do: without another number for the set.
async fn add_quietly(database: &Database, kid: Kid, secret: &MasterSecret, ordinal: u32) {
    let key = SigningKey::generate(Algorithm::EdDsa, &Rng::system()).unwrap();
    let wrapped = secret.wrap(&KeyRing::label(kid, SIGNING), &key, &Rng::system());
    let statement = format!(
        "INSERT INTO cloakroom_keys (kid, purpose, ordinal, wrapped, created, used_from)
         VALUES ('{kid}', 'EdDSA', {ordinal}, decode('{}', 'hex'), {START}000, {START}000 + 3600000)",
        data_encoding::HEXLOWER.encode(wrapped.bytes())
    );
    run(database, &statement).await;
}

async fn run(database: &Database, statement: &str) {
    let (client, driver) = tokio_postgres::connect(&database.url("TEST_POSTGRES"), NoTls).await.unwrap();
    let driver = tokio::spawn(driver);
    client.batch_execute(statement).await.unwrap();
    driver.abort();
}

async fn start(settings: &str) -> Result<Server, String> {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), settings, "[[app]]\nid = 'web'\nmethod = 'session'\n")?;
    Server::bind_with(config, Clock::system(), Rng::system()).await.map_err(|error| error.to_string())
}
