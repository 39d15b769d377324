//! Every mistake is told at once, with its path, its value's origin and what would be right.

use proptest::prelude::*;

use super::{above, environment, file, mistakes, with};
use crate::config::{Config, Sources};

#[test]
fn a_mistake_names_path_value_remedy_and_line() {
    let text = "[[app]]\nid = \"web\"\nmethod = \"session\"\n\n[[app]]\nid = \"api\"\nmethod = \"jwtt\"\n";
    assert_eq!(
        mistakes(file(text)),
        "`app[1].method`: `jwtt` is no method (session, jwt, jwt-stateless, phantom); set in cloakroom.toml line 7"
    );
}

#[test]
fn all_mistakes_are_told_together() {
    let text = "listen = 8080\nlog.level = \"loud\"\n[store]\nsessions = \"disk\"\nsesions = \"memory\"\n[[app]]\nid = \"My App\"\n";
    assert_eq!(
        mistakes(file(text)),
        "`listen`: `8080` is no text; write it in quotes; set in cloakroom.toml line 1\n\
         `store.sessions`: `disk` is no store (sqlite, memory, postgres://…, redis://…); set in cloakroom.toml line 4\n\
         `log.level`: `loud` is no log level (error, warn, info, debug, trace); set in cloakroom.toml line 2\n\
         `app[0].id`: `My App` is no name for an app; take 1 to 32 of a-z 0-9 - _, beginning with a letter or digit; set in \
         cloakroom.toml line 7\n\
         `app[0].method`: it is missing; write method = \"session\", or one of jwt, jwt-stateless, phantom; set in \
         cloakroom.toml line 6\n\
         `store.sesions`: there is no such key (did you mean `store.sessions`?); set in cloakroom.toml line 5"
    );
}

#[test]
fn each_key_says_what_would_be_right() {
    let table = [
        (
            "listen = \"localhost\"",
            "`listen`: `localhost` is no address to listen on; write an IP address and a port, as in 127.0.0.1:8080 or [::]:8080",
        ),
        ("listen = \"\"", "`listen`: it is empty; leave it out, or write what it should be"),
        (
            "ops_listen = \"127.0.0.1:8080\"",
            "`ops_listen`: `127.0.0.1:8080` is where the server itself listens; choose another port",
        ),
        (
            "public_url = \"auth.example\"",
            "`public_url`: `auth.example` is no web address; write it as https://auth.example (a path goes into `base_path`)",
        ),
        (
            "public_url = \"https://auth.example/login\"",
            "`public_url`: `https://auth.example/login` has more than scheme, host and port; leave `/login` out (a path goes into `base_path`)",
        ),
        (
            "base_path = \"auth/\"",
            "`base_path`: `auth/` is no base path; leave it empty, or write it as /auth: a slash before each part and none at the end, 64 characters of a-z A-Z 0-9 - _ . ~ at most",
        ),
        ("proxy_ends_tls = \"yes\"", "`proxy_ends_tls`: `yes` is neither true nor false"),
        (
            "trusted_proxies = \"10.0.0.0/8\"",
            "`trusted_proxies`: `10.0.0.0/8` is no list; write it in brackets, as in [\"…\"]",
        ),
        (
            "trusted_proxies = [\"10.0.0.1/8\"]",
            "`trusted_proxies[0]`: `10.0.0.1/8` is no network: it has bits behind its prefix; write 10.0.0.0/8, or the address alone",
        ),
        (
            "trusted_proxies = [\"::1\", \"0.0.0.0/0\"]",
            "`trusted_proxies[1]`: `0.0.0.0/0` would believe everybody; name the proxies",
        ),
        ("store = \"sqlite\"", "`store`: `sqlite` is no table; write [store] and its keys below"),
        ("store.accounts = \"memory\"", "`store.accounts`: `memory` is no store (sqlite, postgres://…)"),
        (
            "store.accounts = \"postgres://ada:hunter22@db/x?sslmode=hunter22\"",
            "`store.accounts`: it is no URL of a PostgreSQL database: `sslmode` must be disable, prefer, require, verify-ca or \
             verify-full",
        ),
        (
            "store.sessions = \"postgresql://ada:hunter22@db@hunter22/x\"",
            "`store.sessions`: it is no URL of a PostgreSQL database: a `/`, `?`, `#` or `@` in the user's name or the password \
             must be written %2F, %3F, %23 or %40",
        ),
        (
            "store.accounts = \"postgres://ada:hunter22@db/x\"",
            "`store.accounts`: servers that share their accounts share the master secret, so none makes one up: set \
             CLOAKROOM_SECRET, or name `secret_file`, on each of them; make one, once, with `head -c 32 /dev/urandom | base64`",
        ),
        (
            "store.sessions = \"rediss://:hunter22@cache:hunter22\"",
            "`store.sessions`: it is no address of a Redis: the port of a host is no number from 1 to 65535",
        ),
        (
            "store.sessions = \"mysql://:hunter22@db\"",
            "`store.sessions`: `mysql://…` is no store (sqlite, memory, postgres://…, redis://…)",
        ),
        ("store.other_sessions = \"sqlite\"", "`store.other_sessions`: it is the same store as `store.sessions`"),
        (
            "store.other_sessions = \"memory\"",
            "`store.other_sessions`: sessions in memory go with their server, and cannot be moved",
        ),
        ("tls.certificate = \"cert.pem\"", "`tls.key`: it is missing; `tls.certificate` needs it"),
        ("tls.key = \"key.pem\"", "`tls.certificate`: it is missing; `tls.key` needs it"),
        ("password.memory_kib = 1024", "`password.memory_kib`: `1024` is out of bounds; 7168 to 1048576 is possible"),
        (
            "password.memory_kib = 8192\npassword.passes = 4",
            "`password.passes`: 4 over 8192 KiB are too weak; it takes 5 or more",
        ),
        ("password.threads = \"4\"", "`password.threads`: `4` is no whole number; 1 to 1024 is possible"),
        ("password.queue = -1", "`password.queue`: `-1` is out of bounds; 1 to 100000 is possible"),
        ("password.lanes = 1.5", "`password.lanes`: `1.5` is no whole number; 1 to 4 is possible"),
        ("keys.rotation = \"1m\"", "`keys.rotation`: `1m` is out of bounds; 1h to 400d is possible"),
        ("audit.keep = 90", "`audit.keep`: `90` has no unit; write one, as in 30s, 5m, 1h or 7d"),
        (
            "cache.entries = 99999999999999999999999",
            "`cache.entries`: `99999999999999999999999` is out of bounds; 1000 to 1000000000 is possible",
        ),
        ("cache.bytes = \"64 MB\"", "`cache.bytes`: `64 MB` is no size; write it as 64MiB, or as a number of bytes"),
        (
            "cache.bytes = \"1KiB\"",
            "`cache.bytes`: `1KiB` is out of bounds; 1048576 to 1099511627776 bytes is possible",
        ),
        (
            "limits.failures_per_account.burst = 0",
            "`limits.failures_per_account.burst`: `0` is out of bounds; 1 to 1000000 is possible",
        ),
        (
            "limits.failures_per_network = 5",
            "`limits.failures_per_network`: `5` is no table; write [limits.failures_per_network] and its keys below",
        ),
        ("revocation.capacity = 10", "`revocation.capacity`: `10` is out of bounds; 1000 to 100000000 is possible"),
        ("log.format = \"xml\"", "`log.format`: `xml` is no log format (text, json)"),
        ("pubic_url = \"https://a.example\"", "`pubic_url`: there is no such key (did you mean `public_url`?)"),
        ("idle_timeout = \"7d\"", "`idle_timeout`: there is no such key (`idle_timeout` belongs into an [[app]])"),
        ("memory_kib = 65536", "`memory_kib`: there is no such key (`memory_kib` belongs into [password])"),
        (
            "store.listen = \"127.0.0.1:1\"",
            "`store.listen`: there is no such key (`listen` belongs at the top of the file, before the first [table])",
        ),
        ("secret = \"hunter22\"", "`secret`: there is no such key"),
    ];
    for (text, message) in table {
        let line = if text.contains('\n') { 2 } else { 1 };
        assert_eq!(mistakes(above(text)), format!("{message}; set in cloakroom.toml line {line}"));
    }
}

#[test]
fn each_key_of_an_app_says_what_would_be_right() {
    let table = [
        ("registration = \"invite\"", "`app[0].registration`: `invite` is no kind of registration (open, closed)"),
        ("allow = [\"example.com\"]", "`app[0].allow[0]`: `example.com` is neither an e-mail address nor an @domain"),
        (
            "origins = [\"https://Shop.example/\"]",
            "`app[0].origins[0]`: `https://Shop.example/` is not how a browser writes an origin; write `https://shop.example`",
        ),
        (
            "origins = [\"http://shop.example\"]",
            "`app[0].origins[0]`: `http://shop.example` is not https; write `https://shop.example` (http is for loopback only)",
        ),
        ("origins = [\"null\"]", "`app[0].origins[0]`: `null` is no web address; write it as https://auth.example"),
        ("idle_timeout = \"0s\"", "`app[0].idle_timeout`: `0s` is out of bounds; 1s to 400d is possible"),
        (
            "absolute_timeout = \"never\"",
            "`app[0].absolute_timeout`: `never` is not possible: nothing lives for ever; the longest is 400d",
        ),
        (
            "access_token_lifetime = \"2h\"",
            "`app[0].access_token_lifetime`: `2h` is out of bounds; 1s to 1h is possible",
        ),
        ("refresh_grace = \"6m\"", "`app[0].refresh_grace`: `6m` is out of bounds; 1s to 5m is possible"),
        ("refresh_grace = \"1500ms\"", "`app[0].refresh_grace`: `1500ms` is no whole number of seconds"),
        (
            "max_revocation_lag = \"50ms\"",
            "`app[0].max_revocation_lag`: `50ms` is out of bounds; 100ms to 5m, or 0s (each check reads the record), is possible",
        ),
        (
            "max_revocation_lag = \"0s\"",
            "`app[0].max_revocation_lag`: a token is checked without asking anybody, so that an end cannot be heeded at the next request; write 100ms or more, or take a method that looks up (session, phantom)",
        ),
        (
            "on_feed_loss = \"accept\"",
            "`app[0].on_feed_loss`: `accept` is no answer to a lost feed (refuse, until_expiry)",
        ),
        ("algorithm = \"none\"", "`app[0].algorithm`: `none` is no algorithm (EdDSA, ES256, RS256, HS256)"),
        (
            "migrate_from = [\"cookie\"]",
            "`app[0].migrate_from[0]`: `cookie` is no method (session, jwt, jwt-stateless, phantom)",
        ),
        (
            "migrate_from = [\"jwt\"]",
            "`app[0].migrate_from[0]`: `jwt` is the app's own method; name those that it had before",
        ),
        ("algorithm = \"es256\"", "`app[0].algorithm`: `es256` is no algorithm (EdDSA, ES256, RS256, HS256)"),
        ("idle_timout = \"1d\"", "`app[0].idle_timout`: there is no such key (did you mean `app[0].idle_timeout`?)"),
        (
            "idle_timeout = \"60d\"",
            "`app[0].idle_timeout`: `60d` is longer than `app[0].absolute_timeout`, which is `30d` by default; shorten it, or lengthen that",
        ),
        (
            "idle_timeout = \"2d\"\nabsolute_timeout = \"1d\"",
            "`app[0].idle_timeout`: `2d` is longer than `app[0].absolute_timeout`, which is `1d` in cloakroom.toml line 5; shorten it, or lengthen that",
        ),
    ];
    for (text, message) in table {
        assert_eq!(mistakes(with(text)), format!("{message}; set in cloakroom.toml line 4"));
    }
}

#[test]
fn a_file_without_an_app_is_refused() {
    let none =
        "`app`: there is no app; with a file only the file's apps exist, so write [[app]] with an `id` and a `method`";
    assert_eq!(mistakes(file("")), format!("{none}; set in cloakroom.toml line 1"));
    assert_eq!(mistakes(file("\napp = []")), format!("{none}; set in cloakroom.toml line 2"));
    assert_eq!(
        mistakes(file("[app]\nid = \"web\"\n")),
        "`app`: a table is no list of tables; write [[app]] before each; set in cloakroom.toml line 1"
    );
    assert_eq!(
        mistakes(file("app = [\"web\"]")),
        "`app[0]`: `web` is no table; write [[app]] before each; set in cloakroom.toml line 1"
    );
}

#[test]
fn two_apps_of_one_name_are_refused() {
    let app = "[[app]]\nid = \"web\"\nmethod = \"session\"\n";
    assert_eq!(
        mistakes(file(&app.repeat(2))),
        "`app[1].id`: `web` is the name of app[0] already; give each app its own; set in cloakroom.toml line 5"
    );
}

#[test]
fn a_file_that_is_no_toml_is_refused_line_by_line_without_quoting_it() {
    let errors = mistakes(file("listen = \n[store\nsecret = hunter22\n"));
    assert!(errors.lines().count() >= 2, "{errors}");
    assert!(errors.lines().all(|line| line.starts_with("`cloakroom.toml`: this is no TOML: ")), "{errors}");
    assert!(errors.contains("; set in cloakroom.toml line 1\n") && !errors.contains("hunter22"), "{errors}");
    let twice = mistakes(file("listen = \"127.0.0.1:1\"\nlisten = \"127.0.0.1:2\"\n"));
    assert_eq!(twice, "`cloakroom.toml`: this is no TOML: duplicate key; set in cloakroom.toml line 2");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let missing = "cannot be read: No such file or directory (os error 2)";
    let flag = Config::load(Sources::new().file("/nowhere/cloakroom.toml"));
    assert_eq!(mistakes(flag), format!("`--config`: /nowhere/cloakroom.toml {missing}"));
    let variable = environment(&[("CLOAKROOM_CONFIG", "/nowhere/cloakroom.toml")]);
    assert_eq!(mistakes(variable), format!("`CLOAKROOM_CONFIG`: /nowhere/cloakroom.toml {missing}"));
}

/// F138: a variable that means nothing stops the start.
#[test]
fn a_variable_that_means_nothing_is_refused() {
    let unknown =
        |name: &str, meant: &str| format!("`{name}`: there is no such setting (did you mean `{meant}`?); unset it");
    let spelling = |name: &str, meant: &str| format!("`{name}`: there is no such variable (did you mean `{meant}`?)");
    let table = [
        ("CLOAKROOM_LISTN", unknown("CLOAKROOM_LISTN", "CLOAKROOM_LISTEN")),
        ("CLOAKROOM_STORE__SESIONS", unknown("CLOAKROOM_STORE__SESIONS", "CLOAKROOM_STORE__SESSIONS")),
        ("CLOAKROOM_STORE_SESSIONS", unknown("CLOAKROOM_STORE_SESSIONS", "CLOAKROOM_STORE__SESSIONS")),
        ("CLOAKROOM_SECRETS", unknown("CLOAKROOM_SECRETS", "CLOAKROOM_SECRET")),
        ("CLOAKROOM_APP__0__METOD", unknown("CLOAKROOM_APP__0__METOD", "CLOAKROOM_APP__0__METHOD")),
        ("CLOAKROOM_Listen", spelling("CLOAKROOM_Listen", "CLOAKROOM_LISTEN")),
        ("cloakroom_listen", spelling("cloakroom_listen", "CLOAKROOM_LISTEN")),
        ("CLOAKROOM_COLOUR", "`CLOAKROOM_COLOUR`: there is no such setting; unset it".into()),
        ("CLOAKROOM_", "`CLOAKROOM_`: there is no such setting; unset it".into()),
        ("CLOAKROOM_WHERE__EVER__TO", "`CLOAKROOM_WHERE__EVER__TO`: there is no such setting; unset it".into()),
        (
            "CLOAKROOM_APP__4__METHOD",
            "`CLOAKROOM_APP__4__METHOD`: there is no app `4`; they are numbered 0 to 3".into(),
        ),
        (
            "CLOAKROOM_APP__WEB__METHOD",
            "`CLOAKROOM_APP__WEB__METHOD`: there is no app `web`; they are numbered 0 to 3".into(),
        ),
        ("CLOAKROOM_PORT", "`CLOAKROOM_PORT`: there is no such setting; unset it".into()),
    ];
    for (name, message) in table {
        assert_eq!(mistakes(environment(&[(name, "x")])), message);
    }
}

#[test]
fn each_of_several_unknown_variables_is_named() {
    assert_eq!(
        mistakes(environment(&[("CLOAKROOM_WHERE__A", "x"), ("CLOAKROOM_WHERE__B__C", "x"), ("CLOAKROOM_HOW", "x")])),
        "`CLOAKROOM_HOW`: there is no such setting; unset it\n\
         `CLOAKROOM_WHERE__A`: there is no such setting; unset it\n\
         `CLOAKROOM_WHERE__B__C`: there is no such setting; unset it"
    );
}

/// An `allow` that a script left empty must not let everybody in.
#[test]
fn an_empty_variable_is_no_empty_list() {
    assert_eq!(
        mistakes(environment(&[("CLOAKROOM_APP__0__ALLOW", " ")])),
        "`app[0].allow`: it is empty; unset it, or write items with commas between them; set by CLOAKROOM_APP__0__ALLOW"
    );
}

#[test]
fn a_variable_with_a_wrong_value_is_named() {
    let table = [
        (
            "CLOAKROOM_STORE__SESSIONS",
            "disk",
            "`store.sessions`: `disk` is no store (sqlite, memory, postgres://…, redis://…)",
        ),
        ("CLOAKROOM_PASSWORD__PASSES", "three", "`password.passes`: `three` is no whole number; 1 to 16 is possible"),
        (
            "CLOAKROOM_TRUSTED_PROXIES",
            "::1, what",
            "`trusted_proxies[1]`: `what` is no network: write an address, as 192.0.2.1, or a network, as 10.0.0.0/8 or fd00::/8",
        ),
        (
            "CLOAKROOM_APP__1__IDLE_TIMEOUT",
            "7",
            "`app[1].idle_timeout`: `7` has no unit; write one, as in 30s, 5m, 1h or 7d",
        ),
        ("CLOAKROOM_LISTEN__PORT", "80", "`listen`: a table is no text; write it in quotes"),
    ];
    for (name, value, message) in table {
        assert_eq!(mistakes(environment(&[(name, value)])), format!("{message}; set by {name}"));
    }
    let flag = Config::load(Sources::new().listen("8080").environment([("CLOAKROOM_LISTEN", "127.0.0.1:1")]));
    let problem =
        "`8080` is no address to listen on; write an IP address and a port, as in 127.0.0.1:8080 or [::]:8080";
    assert_eq!(mistakes(flag), format!("`listen`: {problem}; set by --listen"));
}

#[test]
fn a_log_filter_is_checked_at_start() {
    let error = mistakes(environment(&[("CLOAKROOM_LOG", "cloakroom=loud")]));
    assert!(error.starts_with("`CLOAKROOM_LOG`: `cloakroom=loud` is no log filter ("), "{error}");
    let config = environment(&[("CLOAKROOM_LOG", "cloakroom_server=debug,warn")]).unwrap();
    assert_eq!(config.log.filter, "cloakroom_server=debug,warn");
}

#[test]
fn a_value_is_shown_on_one_line_and_not_at_length() {
    let long = format!("method = \"{}\\n\\u001b[31m\"", "x".repeat(500));
    let error = mistakes(file(&format!("[[app]]\nid = \"web\"\n{long}")));
    assert_eq!(error.lines().count(), 1);
    assert!(error.len() < 250 && !error.contains('\u{1b}'), "{error}");
    let error = mistakes(above("log.level = \"\\u001b[31mred\""));
    assert!(error.contains("`\\u{1b}[31mred`"), "{error}");
}

#[test]
fn mistakes_are_data_too() {
    let errors = above("log.format = \"xml\"").unwrap_err();
    assert_eq!(
        serde_json::to_value(&errors).unwrap(),
        serde_json::json!([{
            "path": "log.format",
            "problem": "`xml` is no log format (text, json)",
            "origin": "in cloakroom.toml line 1",
            "message": "`log.format`: `xml` is no log format (text, json); set in cloakroom.toml line 1",
        }])
    );
}

#[test]
fn a_deep_file_is_refused_like_any_other() {
    let deep = format!("{}x = 1", "a.".repeat(60));
    assert!(mistakes(above(&deep)).starts_with("`a`: there is no such key"));
    let brackets = format!("x = {}{}", "[".repeat(5_000), "]".repeat(5_000));
    mistakes(above(&brackets));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_loading_panic(text in ".{0,200}") {
        let _ = file(&text);
    }

    #[test]
    fn no_document_makes_loading_panic(lines in prop::collection::vec(line(), 0..12)) {
        let _ = file(&lines.join("\n"));
    }

    #[test]
    fn no_variable_makes_loading_panic(
        name in "CLOAKROOM_(APP__)?([0-9]{1,20}__)?[A-Z_]{0,20}|CLOAKROOM_(LISTEN|STORE|APP|TLS|LIMITS|PUBLIC_URL)(__.{0,8})?",
        value in ".{0,40}",
    ) {
        let _ = environment(&[(&name, &value)]);
    }
}

fn line() -> impl Strategy<Value = String> {
    let keys = "listen|ops_listen|public_url|base_path|data_dir|secret_file|proxy_ends_tls|trusted_proxies|store|tls|limits|app|id|\
        method|allow|origins|idle_timeout|absolute_timeout|access_token_lifetime|algorithm|[a-z]{1,6}";
    let values = "-?[0-9]{1,30}|\"[^\"\\\\\\r\\n]{0,30}\"|\"[0-9]{1,25}(ms|s|m|h|d)\"|true|false|[0-9]\\.[0-9]|1979-05-27|\\[\\]|\\[1, \"a\"\\]|\
        \\{\\}|\\{ a = \\{ b = 1 \\} \\}|\"https?://[a-z0-9.:\\[\\]]{0,20}\"|\"(session|jwt|web)\"";
    let header = "(\\[{1,2})(app|store|tls|limits|limits\\.failures_per_account|x)(\\]{1,2})";
    prop_oneof![3 => (keys, values).prop_map(|(key, value)| format!("{key} = {value}")), 1 => header]
}
