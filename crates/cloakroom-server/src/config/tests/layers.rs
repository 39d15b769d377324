//! What wins over what, and that each value knows where it came from.

use std::{path::PathBuf, time::Duration};

use cloakroom_core::{
    app::Registration,
    method::{Method, OnFeedLoss},
    token::Algorithm,
};

use super::{above, environment, file};
use crate::config::{AccountsAt, Config, LogFormat, Origin, SessionsAt, Sources};

const DAY: Duration = Duration::from_hours(24);

#[test]
fn without_anything_four_apps_are_ready() {
    let config = Config::load(Sources::new()).unwrap();
    let apps = config.apps();
    let list: Vec<_> = apps.iter().map(|app| (app.id.as_str(), app.method)).collect();
    assert_eq!(
        list,
        [
            ("web", Method::Session),
            ("api", Method::Jwt),
            ("edge", Method::Phantom),
            ("stateless", Method::JwtStateless)
        ]
    );
    assert_eq!(apps.default_app().id.as_str(), "web");
    assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
    assert_eq!((config.issuer(), config.is_https()), ("http://localhost:8080".into(), false));
    assert_eq!(config.data_dir, PathBuf::from("cloakroom-data"));
    assert_eq!(config.store.accounts, AccountsAt::Sqlite);
    assert_eq!(config.store.sessions, SessionsAt::Sqlite);
    assert_eq!(config.settings().count(), 0);
    let (web, api, edge) = (&apps.get("web").unwrap(), &apps.get("api").unwrap(), &apps.get("edge").unwrap());
    assert_eq!(web.registration, Registration::Open);
    assert_eq!((web.idle_timeout, web.absolute_timeout), (DAY * 7, DAY * 30));
    assert_eq!(web.origins, ["http://localhost:8080"]);
    assert_eq!(web.on_feed_loss, OnFeedLoss::Refuse);
    assert_eq!(api.on_feed_loss, OnFeedLoss::UntilExpiry);
    assert_eq!(api.algorithm, Algorithm::EdDsa);
    assert_eq!(api.access_token_lifetime, Duration::from_mins(5));
    assert_eq!(edge.access_token_lifetime, Duration::from_mins(1));
    assert_eq!(api.refresh_grace, Duration::from_secs(30));
    assert_eq!(api.max_revocation_lag, Duration::from_secs(2));
}

#[test]
fn with_a_file_only_its_apps_exist() {
    let config = file("[[app]]\nid = \"shop\"\nmethod = \"phantom\"\n").unwrap();
    assert_eq!(config.apps().iter().map(|app| app.id.to_string()).collect::<Vec<_>>(), ["shop"]);
}

#[test]
fn flags_win_over_variables_and_those_over_the_file() {
    let text = "listen = \"127.0.0.1:1\"\ndata_dir = \"file\"\n[store]\nsessions = \"sqlite\"\n[log]\nformat = \"json\"\n\
        [[app]]\nid = \"web\"\nmethod = \"session\"\n";
    let sources = Sources::new()
        .data_dir("flag")
        .environment([
            ("CLOAKROOM_DATA_DIR", "variable"),
            ("CLOAKROOM_LISTEN", "127.0.0.1:2"),
            ("CLOAKROOM_STORE__SESSIONS", "memory"),
            ("HOME", "/home/ada"),
        ])
        .text("cloakroom.toml", text);
    let config = Config::load(sources).unwrap();
    assert_eq!(config.data_dir, PathBuf::from("flag"));
    assert_eq!(config.listen.port(), 2);
    assert_eq!(config.store.sessions, SessionsAt::Memory);
    assert_eq!(config.log.format, LogFormat::Json);
    let origin = |path| config.origin_of(path).to_string();
    assert_eq!(origin("data_dir"), "by --data-dir");
    assert_eq!(origin("listen"), "by CLOAKROOM_LISTEN");
    assert_eq!(origin("store.sessions"), "by CLOAKROOM_STORE__SESSIONS");
    assert_eq!(origin("log.format"), "in cloakroom.toml line 6");
    assert_eq!(config.origin_of("store.accounts"), Origin::Default);
}

/// F128: the address of a store can hold a password, which nothing shows.
#[test]
fn sessions_can_be_in_a_redis() {
    for (url, shown) in [
        ("redis://:hunter22@cache/1", "redis://cache:6379/1"),
        ("valkeys+cluster://ada:hunter22@a,b:7000", "rediss+cluster://a:6379,b:7000"),
        ("redis+sentinel://ada:hunter22@a/main?devices=off", "redis+sentinel://a:26379/main/0"),
    ] {
        let config = environment(&[("CLOAKROOM_STORE__SESSIONS", url)]).unwrap();
        let SessionsAt::Redis(address) = &config.store.sessions else { panic!("{:?}", config.store) };
        assert_eq!(address.to_string(), shown);
        assert!(!format!("{config:?}").contains("hunter22"));
    }
}

/// F128: the same of a URL of PostgreSQL. Sessions are where the accounts are, unless something else is said.
#[test]
fn accounts_and_sessions_can_be_in_postgres() {
    let secret = ("CLOAKROOM_SECRET", "6X2mVv0aYk4m3x1q2p8Qn7rJ5t9wB0uZc6dLhEoGfSI=");
    let accounts = ("CLOAKROOM_STORE__ACCOUNTS", "postgres://ada:hunter22@db/people?pool_size=3");
    let config = environment(&[secret, accounts]).unwrap();
    let (AccountsAt::Postgres(a), SessionsAt::Postgres(s)) = (&config.store.accounts, &config.store.sessions) else {
        panic!("{:?}", config.store)
    };
    assert_eq!((a.to_string(), s.to_string()), (a.to_string(), "postgres://ada@db/people".to_owned()));
    assert!(!format!("{config:?} {:?}", config.report().set).contains("hunter22"));
    let other = ("CLOAKROOM_STORE__SESSIONS", "postgres://ada:hunter22@db/tickets");
    let config = environment(&[secret, accounts, other]).unwrap();
    let SessionsAt::Postgres(url) = &config.store.sessions else { panic!("{:?}", config.store) };
    assert_eq!(url.to_string(), "postgres://ada@db/tickets");
    let memory = ("CLOAKROOM_STORE__SESSIONS", "memory");
    assert_eq!(environment(&[secret, accounts, memory]).unwrap().store.sessions, SessionsAt::Memory);
    let error = environment(&[accounts]).unwrap_err().to_string();
    assert!(error.contains("CLOAKROOM_SECRET") && !error.contains("hunter22"), "{error}");
}

#[test]
fn the_flag_for_the_file_wins_over_the_variable() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cloakroom.toml");
    std::fs::write(&path, "[[app]]\nid = \"mine\"\nmethod = \"jwt\"\n").unwrap();
    let by_flag = Sources::new().file(&path).environment([("CLOAKROOM_CONFIG", "/nowhere.toml")]);
    assert_eq!(Config::load(by_flag).unwrap().apps().default_app().id.as_str(), "mine");
    let by_variable = Sources::new().environment([("CLOAKROOM_CONFIG", &path)]);
    let config = Config::load(by_variable).unwrap();
    assert_eq!(config.origin_of("app[0].id").to_string(), format!("in {} line 2", path.display()));
}

#[test]
fn variables_reach_lists_numbers_truths_and_single_apps() {
    let config = environment(&[
        ("CLOAKROOM_TRUSTED_PROXIES", "10.0.0.0/8, ::1"),
        ("CLOAKROOM_PROXY_ENDS_TLS", "true"),
        ("CLOAKROOM_PASSWORD__MEMORY_KIB", "131072"),
        ("CLOAKROOM_CACHE__BYTES", "1GiB"),
        ("CLOAKROOM_LIMITS__FAILURES_PER_ACCOUNT__REFILL", "500ms"),
        ("CLOAKROOM_APP__1__REGISTRATION", "closed"),
        ("CLOAKROOM_APP__1__ALGORITHM", "ES256"),
        ("CLOAKROOM_APP__0__ALLOW", "@example.com,ada@example.org"),
    ])
    .unwrap();
    assert_eq!(config.trusted_proxies.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.0.0.0/8", "::1"]);
    assert!(config.trusts("::ffff:10.9.9.9".parse().unwrap()) && !config.trusts("192.0.2.1".parse().unwrap()));
    assert!(config.proxy_ends_tls);
    assert_eq!(config.password.memory_kib, 131_072);
    assert_eq!(config.cache.bytes, 1 << 30);
    assert_eq!(config.limits.failures_per_account.refill, Duration::from_millis(500));
    let api = config.apps().get("api").unwrap().clone();
    assert_eq!((api.registration, api.algorithm), (Registration::Closed, Algorithm::Es256));
    let admits = |email: &str| {
        config.apps().default_app().admission.admits(&cloakroom_core::account::EmailAddress::parse(email).unwrap())
    };
    assert!(admits("bob@example.com") && admits("ada@example.org") && !admits("bob@example.org"));
}

/// Kubernetes tells every pod about a service called `cloakroom` in variables that begin as ours do.
#[test]
fn the_variables_of_a_kubernetes_service_do_not_stop_the_start() {
    environment(&[
        ("CLOAKROOM_SERVICE_HOST", "10.96.0.7"),
        ("CLOAKROOM_SERVICE_PORT", "80"),
        ("CLOAKROOM_SERVICE_PORT_HTTP", "80"),
        ("CLOAKROOM_PORT", "tcp://10.96.0.7:80"),
        ("CLOAKROOM_PORT_80_TCP", "tcp://10.96.0.7:80"),
        ("CLOAKROOM_PORT_80_TCP_PROTO", "tcp"),
        ("CLOAKROOM_PORT_80_TCP_PORT", "80"),
        ("CLOAKROOM_PORT_80_TCP_ADDR", "10.96.0.7"),
    ])
    .unwrap();
}

#[test]
fn the_port_that_the_system_chose_becomes_the_public_one() {
    let mut config = Config::load(Sources::new().listen("127.0.0.1:0")).unwrap();
    config.bound("127.0.0.1:40001".parse().unwrap());
    assert_eq!(config.issuer(), "http://localhost:40001");
    assert_eq!(config.apps().default_app().origins, ["http://localhost:40001"]);
    assert_eq!(config.listen.port(), 40001);

    let mut fixed = above("listen = \"127.0.0.1:0\"\npublic_url = \"https://auth.example\"").unwrap();
    fixed.bound("127.0.0.1:40001".parse().unwrap());
    assert_eq!(fixed.issuer(), "https://auth.example");
}

#[test]
fn the_port_of_the_listener_is_the_public_one_by_default() {
    let config = Config::load(Sources::new().listen("0.0.0.0:9000")).unwrap();
    assert_eq!(config.origin(), "http://localhost:9000");
    let tls = above("listen = \"[::]:443\"\ntls = { certificate = \"c.pem\", key = \"k.pem\" }").unwrap();
    assert_eq!(tls.origin(), "https://localhost");
}

#[test]
fn inline_tables_and_headers_say_the_same() {
    let inline = above("limits.failures_per_account = { burst = 3, refill = \"2m\" }").unwrap();
    let header = above("[limits.failures_per_account]\nburst = 3\nrefill = \"2m\"\n").unwrap();
    assert_eq!(inline.limits, header.limits);
    assert_eq!(inline.limits.failures_per_account.burst, 3);
}
