//! Everything in one PostgreSQL: the whole walk, and several servers that share it.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, time::Duration};

use cloakroom_core::{
    clock::Clock,
    engine::KEY_SET_AGE,
    key::{MasterSecret, Purpose},
    random::Rng,
    token::Algorithm,
};
use cloakroom_server::Server;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_postgres::NoTls;

use crate::lab::{APPS, BY_TICKET, Lab, PASSWORD, config, metric, until, variable};

/// A database of a test's own, and a master secret for it.
pub(crate) struct Database {
    name: String,
    secrets: tempfile::TempDir,
}

impl Database {
    pub(crate) async fn create() -> Self {
        let name = format!("cloakroom_test_{:016x}", u64::from_be_bytes(Rng::system().bytes()));
        run(&format!("CREATE DATABASE {name}")).await.unwrap();
        let database = Self { name, secrets: tempfile::tempdir().unwrap() };
        database.secret("first");
        database
    }

    /// A file with a secret.
    pub(crate) fn secret(&self, name: &str) {
        let path = self.secret_file(name);
        let (_, text) = MasterSecret::generate(&Rng::system());
        fs::write(&path, text.as_bytes()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    pub(crate) fn secret_file(&self, name: &str) -> PathBuf {
        self.secrets.path().join(name)
    }

    pub(crate) fn url(&self, server: &str) -> String {
        format!("{}/{}", variable(server).rsplit_once('/').unwrap().0, self.name)
    }

    pub(crate) fn settings_with(&self, url: &str, secret: &str) -> String {
        let secret = self.secret_file(secret);
        // Servers that share their stores are one to the outside.
        let secret = secret.display();
        format!("public_url = 'http://localhost:8080'\nstore.accounts = '{url}'\nsecret_file = '{secret}'\n")
    }

    pub(crate) fn settings(&self) -> String {
        self.settings_with(
            &format!("{}?pool_size=4&connect_timeout=60&statement_timeout=60", self.url("TEST_POSTGRES")),
            "first",
        )
    }

    /// The same through PgBouncer.
    pub(crate) fn pooled_settings(&self) -> String {
        self.settings_with(
            &format!("{}?pool_size=4&connect_timeout=60&statement_timeout=60", self.url("TEST_PGBOUNCER")),
            "first",
        )
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let statement = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut dropped = run(&statement).await;
                for _ in 0..100 {
                    // What clears the tables away is not ours to stop, but is soon done.
                    if dropped.is_ok() {
                        break;
                    }
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    dropped = run(&statement).await;
                }
                dropped
            })
        });
        if let Ok(Err(error)) = dropping.join() {
            eprintln!("a test's database was not dropped: {error}");
        }
    }
}

/// The one value that a statement finds in a test's database.
async fn value(database: &Database, statement: &str) -> String {
    let (client, driver) = tokio_postgres::connect(&database.url("TEST_POSTGRES"), NoTls).await.unwrap();
    let driver = tokio::spawn(driver);
    let row = client.query_one(statement, &[]).await.unwrap();
    driver.abort();
    row.get(0)
}

async fn run(statement: &str) -> Result<(), tokio_postgres::Error> {
    let (client, driver) = tokio_postgres::connect(&variable("TEST_POSTGRES"), NoTls).await?;
    let driver = tokio::spawn(driver);
    let done = client.batch_execute(statement).await;
    driver.abort();
    done
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_walk_goes_with_everything_in_postgres() {
    let database = Database::create().await;
    let mut lab = Lab::with_settings(&database.settings()).await;
    assert!(lab.engine.stores().end_deletes, "one database is one transaction");
    for app in APPS {
        let ada = lab.login("ada", app).await;
        assert_eq!(lab.verify(ada.credential()).await.status, 200, "{app}");
    }
    let devices = lab.login("ada", "web").await;
    let listed = lab.get("/v1/sessions").bearer(devices.credential()).await.json();
    assert_eq!(listed["sessions"].as_array().unwrap().len(), 4, "all that have a record: {listed}");

    let api = lab.login("ada", "api").await;
    lab.advance(31);
    let renewed = lab.refresh(api.refresh_token()).await;
    assert_eq!(renewed.status, 200, "{}", renewed.text());
    let again = lab.refresh(api.refresh_token()).await.json();
    assert_eq!(again["refresh_token"], renewed.json()["refresh_token"], "the same successor again");
    lab.advance(31);
    assert_eq!(lab.refresh(api.refresh_token()).await.refusal(), (401, "token_reused".to_owned()));

    let web = lab.login("eve", "web").await;
    lab.advance(7200);
    assert_eq!(lab.verify(web.credential()).await.status, 200);
    lab.engine.flush().await.unwrap();
    let listed = lab.get("/v1/sessions").bearer(web.credential()).await.json();
    assert_eq!(listed["sessions"][0]["last_active_at"], "2027-01-15T10:01:02Z");
    let other = lab.login("eve", "edge").await;
    let end_other =
        |by: &crate::lab::SignedIn| lab.delete(&format!("/v1/sessions/{}", other.session)).bearer(by.credential());
    assert_eq!(end_other(&web).await.refusal(), (401, "reauthentication_required".to_owned()));
    assert_eq!(end_other(&lab.login("eve", "web").await).await.status, 204);
    assert_eq!(lab.verify(other.credential()).await.code(), "session_revoked");

    // All is there after a restart of the server, now behind PgBouncer; its folder holds nothing that matters.
    lab = lab.restart_ready(&database.pooled_settings()).await;
    assert_eq!(lab.verify(web.credential()).await.status, 200);
    assert_eq!(lab.verify(other.credential()).await.status, 401);
    let everywhere = lab.post("/v1/logout").bearer(web.credential()).json(json!({"everywhere": true})).await;
    assert_eq!(everywhere.status, 204);
    assert_eq!(lab.verify(web.credential()).await.status, 401);
    assert!(lab.audit().await.len() > 10);
    let files: Vec<_> = fs::read_dir(lab.data_dir()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert!(!files.iter().any(|name| name.to_string_lossy().contains("db")), "{files:?}");
}

/// F012, F062: what one server does holds at the other: a login at once, an end within `max_revocation_lag`.
#[tokio::test(flavor = "multi_thread")]
async fn what_ends_at_one_server_is_refused_at_the_other_within_the_lag() {
    let database = Database::create().await;
    let here = Lab::with_settings(&database.settings()).await;
    let there = here.beside(&database.pooled_settings()).await;
    for app in APPS {
        let ada = here.login("ada", app).await;
        assert_eq!(there.verify(ada.credential()).await.status, 200, "{app}: a login is seen at once");
        assert_eq!(here.verify(ada.credential()).await.status, 200, "{app}");
        assert_eq!(here.post("/v1/logout").bearer(ada.credential()).await.status, 204, "{app}");
        assert_eq!(here.verify(ada.credential()).await.status, 401, "{app}");
        // The other's lease is over then, whatever it has heard meanwhile.
        there.advance(2);
        if BY_TICKET.contains(&app) {
            assert_eq!(there.verify(ada.credential()).await.status, 401, "{app}");
        }
        // Tokens go on without a lease; but it asks several times within the lag.
        until(app, async || there.verify(ada.credential()).await.status == 401).await;
    }
    let (eve, also) = (there.login("eve", "web").await, here.try_login("eve", PASSWORD, "web").await);
    let also = crate::lab::SignedIn::read(&also);
    for lab in [&here, &there] {
        assert_eq!(lab.verify(eve.credential()).await.status, 200);
        assert_eq!(lab.verify(also.credential()).await.status, 200);
    }
    let everywhere = there.post("/v1/logout").bearer(eve.credential()).json(json!({"everywhere": true})).await;
    assert_eq!(everywhere.status, 204);
    here.advance(2);
    for lab in [&here, &there] {
        for ended in [&eve, &also] {
            assert_eq!(lab.verify(ended.credential()).await.status, 401);
        }
    }
}

/// Long before the other server would ask again.
#[tokio::test(flavor = "multi_thread")]
async fn servers_tell_each_other_of_ends_as_they_happen() {
    let database = Database::create().await;
    let slow = "[[app]]\nid = 'web'\nmethod = 'session'\nmax_revocation_lag = '5m'\n";
    let here = Lab::with(&database.settings(), slow).await;
    let there = Lab::with(&database.settings(), slow).await;
    let ada = here.login("ada", "web").await;
    assert_eq!(there.verify(ada.credential()).await.status, 200);
    assert_eq!(here.post("/v1/logout").bearer(ada.credential()).await.status, 204);
    until("the other server hears nothing", async || there.verify(ada.credential()).await.status == 401).await;
}

/// Neither hears the other, and no clock moves: the record is read for each check.
#[tokio::test(flavor = "multi_thread")]
async fn with_no_lag_at_all_an_end_holds_at_the_other_server_at_once() {
    let database = Database::create().await;
    let strict = ["session", "phantom"]
        .map(|method| format!("[[app]]\nid = '{method}'\nmethod = '{method}'\nmax_revocation_lag = '0s'\n"));
    // By a pooler nobody calls.
    let here = Lab::with(&database.pooled_settings(), &strict.concat()).await;
    let there = here.beside_with(&database.pooled_settings(), &strict.concat()).await;
    for app in ["session", "phantom"] {
        let ada = here.login("ada", app).await;
        assert_eq!(there.verify(ada.credential()).await.status, 200, "{app}");
        assert_eq!(here.post("/v1/logout").bearer(ada.credential()).await.status, 204, "{app}");
        assert_eq!(there.verify(ada.credential()).await.status, 401, "{app}");
    }
}

/// The lag that a verifier observes is a metric: of what others ended, from when that was written until it knew.
#[tokio::test(flavor = "multi_thread")]
async fn the_lag_that_a_server_observes_is_a_metric() {
    let database = Database::create().await;
    // By a pooler nobody calls, and nobody asks by itself for the time being.
    let slow = "[[app]]\nid = 'web'\nmethod = 'session'\nmax_revocation_lag = '5m'\n";
    let here = Lab::with(&database.pooled_settings(), slow).await;
    let there = here.beside_with(&database.pooled_settings(), slow).await;
    let metrics = async |lab: &Lab| lab.get("/metrics").await.text();
    let (ada, eve) = (here.login("ada", "web").await, here.login("eve", "web").await);
    for lab in [&here, &there] {
        assert_eq!(lab.get("/readyz").await.status, 200);
        assert!(metrics(lab).await.contains("cloakroom_revocation_lag_seconds_count 0\n"));
    }
    assert_eq!(here.post("/v1/logout").bearer(ada.credential()).await.status, 204);
    here.advance(3);
    assert_eq!(here.post("/v1/logout").bearer(eve.credential()).await.status, 204);
    assert!(metrics(&there).await.contains("cloakroom_lease_age_seconds 3\n"));
    assert_eq!(there.get("/readyz").await.status, 200);
    let text = metrics(&there).await;
    for line in [
        "# TYPE cloakroom_revocation_lag_seconds histogram",
        "cloakroom_revocation_lag_seconds_bucket{le=\"0.005\"} 1",
        "cloakroom_revocation_lag_seconds_bucket{le=\"2\"} 1",
        "cloakroom_revocation_lag_seconds_bucket{le=\"5\"} 2",
        "cloakroom_revocation_lag_seconds_bucket{le=\"+Inf\"} 2",
        "cloakroom_revocation_lag_seconds_sum 3",
        "cloakroom_revocation_lag_seconds_count 2",
        "cloakroom_lease_age_seconds 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}: {text}");
    }
    // Neither what is heard again, nor what the server wrote itself, which it knew before anybody.
    assert_eq!((there.get("/readyz").await.status, here.get("/readyz").await.status), (200, 200));
    assert!(metrics(&there).await.contains("cloakroom_revocation_lag_seconds_count 2\n"));
    assert!(metrics(&here).await.contains("cloakroom_revocation_lag_seconds_count 0\n"));
}

/// F048, between servers: one rotation, one successor, whoever is asked.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_rotated_by_both_servers_as_by_one() {
    let database = Database::create().await;
    let here = Lab::with_settings(&database.settings()).await;
    let there = here.beside(&database.pooled_settings()).await;
    let ada = here.login("ada", "api").await;
    let mut token = ada.refresh_token().to_owned();
    for _ in 0..4 {
        here.advance(31);
        let mut renewing = JoinSet::new();
        for n in 0..12 {
            let lab = if n % 2 == 0 { &here } else { &there };
            let ask = lab.post("/v1/refresh").json(json!({ "refresh_token": token }));
            renewing.spawn(async move { ask.await });
        }
        let answers = renewing.join_all().await;
        assert!(answers.iter().all(|answer| answer.status == 200), "{}", answers[0].text());
        let successors: Vec<Value> = answers.iter().map(|answer| answer.json()["refresh_token"].clone()).collect();
        assert!(successors.iter().all(|successor| *successor == successors[0]), "one successor");
        assert_ne!(successors[0], token);
        token = successors[0].as_str().unwrap().to_owned();
    }
    here.advance(62);
    assert_eq!(there.refresh(ada.refresh_token()).await.refusal(), (401, "token_reused".to_owned()));
    here.advance(2);
    assert_eq!(here.refresh(&token).await.status, 401, "theft ends the session everywhere");
    let database = "{holds=\"both\",store=\"postgres\"}";
    let counted = async |what: &str| metric(&here, &format!("cloakroom_store_{what}{database}")).await;
    // Looked up and held against its account, for each of 24 renewals and two thefts.
    let (reads, statements) = (counted("batched_reads_total").await, counted("read_batches_total").await);
    assert!(reads >= 2.0 * 26.0 && statements < reads, "{reads} in {statements}");
    assert!(counted("batched_writes_total").await >= 4.0);
    assert!(counted("reads_waiting").await < 1.0);
}

const TIGHT: &str = "trusted_proxies = ['127.0.0.1/32']
limits.failures_per_account.burst = 5
limits.failures_per_familiar_network.burst = 3
limits.registrations_per_network.burst = 4
password.queue = 200
";

/// F119: guesses that are spread over two servers stop where one server would stop them, and each is hashed once or not at
/// all; F120: at neither of them can a stranger shut the owner out, or anybody for good.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guesses_spread_over_servers_are_limited_together() {
    let database = Database::create().await;
    let here = Lab::with_settings(&format!("{}{TIGHT}", database.settings())).await;
    let there = here.beside(&format!("{}{TIGHT}", database.pooled_settings())).await;
    let labs = [&here, &there];
    let login = |lab: &Lab, password: &str, from: &str| {
        lab.login_request("ada", password, "web").header("x-forwarded-for", from)
    };
    here.register("ada").await;
    assert_eq!(login(&there, PASSWORD, "192.0.2.1").await.status, 200);
    there.audit().await;

    let before = here.hashes() + there.hashes();
    let mut guesses = JoinSet::new();
    for n in 0..30 {
        let ask = login(labs[n % 2], "wrong", &format!("203.0.113.{n}"));
        guesses.spawn(async move { ask.await.status });
    }
    let mut answers = guesses.join_all().await;
    answers.sort_unstable();
    assert_eq!(answers, [[401].repeat(5), [429].repeat(25)].concat());
    assert_eq!(here.hashes() + there.hashes() - before, 5);

    for lab in labs {
        assert_eq!(login(lab, PASSWORD, "203.0.113.99").await.refusal(), (429, "rate_limited".into()), "a stranger");
        assert_eq!(login(lab, PASSWORD, "192.0.2.1").await.status, 200, "the owner");
    }
    let guesses = [0, 1, 0, 1, 0, 1].map(|n| login(labs[n], "wrong", "192.0.2.1"));
    let mut at_home = Vec::new();
    for guess in guesses {
        at_home.push(guess.await.status);
    }
    assert_eq!(at_home, [401, 401, 401, 429, 429, 429], "nor may the owner's place guess on");
    here.advance(61);
    assert_eq!(login(&there, PASSWORD, "203.0.113.99").await.status, 200, "a minute later");

    let mut registrations = Vec::new();
    for n in 0..6 {
        let body = json!({"email": format!("n{n}@example.org"), "password": PASSWORD});
        registrations
            .push(labs[n % 2].post("/v1/accounts").header("x-forwarded-for", "192.0.2.9").json(body).await.status);
    }
    assert_eq!(registrations, [201, 201, 201, 201, 429, 429]);

    // What is counted cannot be told from the counts.
    let kept = value(&database, "SELECT string_agg(key::text, ' ') FROM cloakroom_limits").await;
    assert!(kept.len() > 34, "{kept}");
    let hex = |text: &str| data_encoding::HEXLOWER.encode(text.as_bytes());
    for known in [hex("ada"), hex("example"), "c0000201".to_owned(), "cb0071".to_owned()] {
        assert!(!kept.contains(&known), "{kept}");
    }
}

/// F044, F043, F042: a key made by one server is used by both, and killed for both.
#[tokio::test(flavor = "multi_thread")]
async fn keys_made_or_killed_at_one_server_are_so_at_the_other() {
    let database = Database::create().await;
    let here = Lab::with_settings(&database.settings()).await;
    let there = here.beside(&database.pooled_settings()).await;
    let old = here.login("ada", "api").await;
    let made = here.engine.rotate_key(Purpose::Sign(Algorithm::EdDsa)).await.unwrap().expect("a new key");
    here.advance(KEY_SET_AGE.as_secs() * 3 + 1);
    here.engine.tend_keys().await;
    let new = here.login("ada", "api").await;
    let header = new.credential().split('.').next().unwrap();
    let header = data_encoding::BASE64URL_NOPAD.decode(header.as_bytes()).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&header).unwrap()["kid"], made.to_string(), "it is in use");
    until("the other server does not take the new key", async || {
        there.advance(2);
        there.verify(new.credential()).await.status == 200
    })
    .await;
    let published = there.get("/.well-known/jwks.json").await.json();
    assert!(published.to_string().contains(&made.to_string()), "{published}");
    assert_eq!(there.refresh(old.refresh_token()).await.status, 200, "nobody is signed out");

    let client = cloakroom_core::engine::Client::default();
    here.engine.kill_key(made, &client).await.unwrap();
    assert_eq!(here.verify(new.credential()).await.status, 401);
    until("the other server goes on with a killed key", async || there.verify(new.credential()).await.status == 401)
        .await;
}

async fn start(settings: &str, dir: &std::path::Path) -> Result<Server, String> {
    let apps = "[[app]]\nid = 'web'\nmethod = 'session'\n";
    let config = config(dir, settings, apps)?;
    Server::bind_with(config, Clock::system(), Rng::system()).await.map_err(|error| error.to_string())
}

/// F047: two servers on one store with different secrets: one serves, the other is told.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_another_master_secret_is_told_so_at_its_start() {
    let database = Database::create().await;
    database.secret("second");
    let url = database.url("TEST_POSTGRES");
    let (first, second) = (database.settings_with(&url, "first"), database.settings_with(&url, "second"));
    let dirs: Vec<_> = (0..4).map(|_| tempfile::tempdir().unwrap()).collect();
    // The very first start, of both at once.
    let (a, b) = tokio::join!(start(&first, dirs[0].path()), start(&second, dirs[1].path()));
    let (stands, refused) = match (&a, &b) {
        (Ok(_), Err(error)) => (&first, error),
        (Err(error), Ok(_)) => (&second, error),
        _ => panic!("one of them serves, and one is told: {:?} {:?}", a.err(), b.err()),
    };
    assert!(refused.contains("master secret"), "{refused}");
    assert!(start(stands, dirs[2].path()).await.is_ok(), "and any other with the right one serves too");
    let Err(none) = start(&format!("store.accounts = '{url}'"), dirs[3].path()).await else { panic!("it starts") };
    assert!(none.contains("CLOAKROOM_SECRET") && none.contains("secret_file"), "{none}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_directory_is_one_servers_though_the_stores_are_elsewhere() {
    let database = Database::create().await;
    let dir = tempfile::tempdir().unwrap();
    let first = start(&database.settings(), dir.path()).await.unwrap();
    let Err(error) = start(&database.settings(), dir.path()).await else { panic!("it starts") };
    assert!(error.contains("in use by another server"), "{error}");
    drop(first);
    start(&database.settings(), dir.path()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_urls_of_one_database_are_one_database() {
    let database = Database::create().await;
    let other = database.url("TEST_PGBOUNCER");
    let settings = format!("{}store.sessions = '{other}'\n", database.settings());
    let lab = Lab::with_settings(&settings).await;
    assert!(lab.engine.stores().end_deletes);
    let apart = Database::create().await;
    let elsewhere = apart.url("TEST_POSTGRES");
    let settings = format!("{}store.sessions = '{elsewhere}'\n", database.settings());
    let lab = lab.beside(&settings).await;
    assert!(!lab.engine.stores().end_deletes);
    let ada = lab.login("ada", "web").await;
    assert_eq!(lab.verify(ada.credential()).await.status, 200);
    assert_eq!(lab.post("/v1/logout").bearer(ada.credential()).await.status, 204);
    assert_eq!(lab.verify(ada.credential()).await.status, 401);
}
