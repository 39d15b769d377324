//! `cloakroom compare`: its bytes against a captured connection, and what a whole run finds.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::atomic::AtomicBool,
    thread,
};

use cloakroom_core::method::Method;
use cloakroom_lab::{
    call::{Caller, Reply},
    case::Case,
    compare::{self, Comparison, Extent, Options, Row, Store, Topology, wire},
    rig::{METHODS, Workshop, app_of},
    stores::{Postgres, Redis},
};
use tempfile::TempDir;

use super::program;

/// A listener that passes one connection on to a server; what came, when the client has gone.
fn tap(server: SocketAddr) -> (SocketAddr, thread::JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let tap = thread::spawn(move || {
        let (mut near, _) = listener.accept().unwrap();
        let mut far = TcpStream::connect(server).unwrap();
        let (mut back_from, mut back_to) = (far.try_clone().unwrap(), near.try_clone().unwrap());
        let back = thread::spawn(move || std::io::copy(&mut back_from, &mut back_to));
        let (mut seen, mut piece) = (Vec::new(), [0; 4096]);
        loop {
            let read = near.read(&mut piece).unwrap();
            if read == 0 {
                break;
            }
            seen.extend_from_slice(&piece[..read]);
            far.write_all(&piece[..read]).unwrap();
        }
        far.shutdown(Shutdown::Both).unwrap();
        // The client has gone: what is left of the answer is of no use.
        let _ = back.join().unwrap();
        seen
    });
    (address, tap)
}

#[test]
fn bytes_are_those_of_a_captured_connection() {
    let dir = TempDir::new().unwrap();
    let workshop = Workshop::new(program(), dir.path().to_owned(), None).unwrap();
    let pages = wire::count(&workshop, 0.09).unwrap();
    let rig = workshop.build_with(Store::Memory, Topology::One, &wire::SETTINGS).unwrap();
    let server = rig.first().unwrap().address;
    for (number, (method, app, path)) in METHODS.into_iter().enumerate() {
        let body =
            format!(r#"{{"email":"person{number}@example.com","password":"correct-horse-battery-91","app":"{app}"}}"#);
        let mut person = Caller::connect(server, "id.example.co").unwrap();
        let login = person.call("POST", "/v1/login", &["x-forwarded-proto: https"], Some(&body)).unwrap();
        let line = credential(&login.demand(200).unwrap());
        let (between, tap) = tap(server);
        let mut client = Caller::connect(between, "id.example.co").unwrap();
        client.call("GET", path, &[&line], None).unwrap().demand(200).unwrap();
        drop(client);
        let seen = tap.join().unwrap();
        let page = pages.iter().find(|page| page.method == method).unwrap();
        assert_eq!(page.request.request_bytes_http1, seen.len() as u64, "{method}");
        assert_eq!(page.request.credential_bytes, line.len() as u64 + 2, "{method}");
        assert_eq!(page.bare[0] + page.request.credential_bytes, seen.len() as u64, "{method}");
        // By HTTP/2 it goes over once, and is a byte from then on.
        assert!(page.request_bytes_http2_cold > page.request.request_bytes_http2 + page.request.credential_bytes / 2);
        assert_eq!(page.request.request_bytes_http2, page.bare[2] + 1, "{method}");
        assert_eq!(page.page_of_30[0], 30 * page.request.credential_bytes);
    }
}

/// The header line with what a login answered.
fn credential(login: &Reply) -> String {
    if let Some(token) = login.json()["access_token"].as_str() {
        return format!("authorization: Bearer {token}");
    }
    format!("cookie: {}", login.header("set-cookie").unwrap().split(';').next().unwrap())
}

/// The smallest run there is; what it takes long for is in no figure.
fn smallest() -> Comparison {
    let options = Options {
        case: Case::default(),
        extent: Extent::smallest(),
        program: program(),
        command: "cloakroom compare".to_owned(),
        postgres: None,
        redis: None,
    };
    compare::run(&options, &|_| {}, &AtomicBool::new(false)).unwrap()
}

#[test]
fn a_run_finds_what_is_known_of_the_methods() {
    let found = smallest();
    let several = Postgres::installed().is_some();
    assert!(several, "this test needs the Debian packages postgresql and redis-server");
    assert!(Redis::installed().is_some(), "this test needs the Debian packages postgresql and redis-server");
    assert_eq!(found.left_out, [], "nothing fails");
    assert_eq!(found.verdict.recommended, Some(Method::Session), "as `advise` says of the same case");
    let row = |method, store, topology| -> &Row {
        let is_it = |row: &&Row| row.method == method && row.store == store && row.topology == topology;
        found.rows.iter().find(is_it).unwrap()
    };
    for found in &found.rows {
        let what = format!("{} {} {}", found.method, found.store.name(), found.topology.name());
        for cost in [Some(found.login), Some(found.verify), found.refresh].into_iter().flatten() {
            assert!(cost.cpu_us_per_request > 0.0 && cost.requests_per_second > 0.0, "{what}");
        }
        assert_eq!(found.refresh.is_some(), found.method.has_tokens(), "{what}");
        assert!(
            found.login.cpu_us_per_request > 20.0 * found.verify.cpu_us_per_request,
            "{what}: a password costs most"
        );
        // Nobody goes on accepting for as long as the lag may last.
        assert!(found.end_lag_ms.max < 2_000.0 && found.theft_window_s < 2.0, "{what}");
        // Sessions that the servers do not share are refused at two of three; nothing else is ever refused.
        if found.topology == Topology::Unshared && !found.method.has_tokens() {
            assert!(
                (500.0..800.0).contains(&found.wrong_refusals_per_1000),
                "{what}: {}",
                found.wrong_refusals_per_1000
            );
            let asked = found.store_operations_per_1000;
            assert!(asked > 100.0, "{what}: what a server does not know it looks up: {asked}");
        } else {
            assert!(found.wrong_refusals_per_1000.abs() < 1e-9, "{what}: {}", found.wrong_refusals_per_1000);
        }
        if !found.method.keeps_record() {
            assert_eq!(found.state_bytes_per_login, Some(0.0), "{what}");
        }
    }
    let unshared = row(Method::Jwt, Store::Memory, Topology::Unshared).refresh.unwrap();
    assert!(unshared.refused_per_1000 > 400.0, "a renewal needs the record");
    for method in [Method::Session, Method::Jwt] {
        let bytes = row(method, Store::Sqlite, Topology::One).state_bytes_per_login.unwrap();
        assert!((80.0..500.0).contains(&bytes), "{method}: {bytes} bytes");
    }
    behaviour(&found);
    model(&found);
}

/// What happens when something ends, is copied, or dies.
fn behaviour(found: &Comparison) {
    for cut in &found.feed_cut {
        assert_eq!(cut.ended, !cut.method.has_tokens(), "{}", cut.method);
        assert!(cut.accepted_for_ms <= cut.bound_ms + 100.0, "{}: {}", cut.method, cut.accepted_for_ms);
    }
    let window = |method, copied: &str, then: &str| {
        let is_it = |theft: &&compare::Theft| theft.method == method && theft.copied == copied && theft.then == then;
        found.theft.iter().find(is_it).unwrap().window_s
    };
    assert!(window(Method::Session, "ticket", "sign_out").unwrap() < 2.0);
    assert!(window(Method::Jwt, "access_token", "sign_out").unwrap() < 2.0);
    assert!(window(Method::Jwt, "refresh_token", "owner_refreshed").is_some(), "reuse is found out");
    assert_eq!(window(Method::JwtStateless, "refresh_token", "owner_refreshed"), None, "without a record it is not");
    let survivors = |event: &str, method, store| {
        let is_it = |row: &&compare::Survival| row.event == event && row.method == method && row.store == store;
        let row = found.survival.iter().find(is_it).unwrap();
        (row.during * 10 / row.signed_in, row.after * 10 / row.signed_in)
    };
    assert_eq!(survivors("server_killed", Method::Session, Store::Memory), (0, 0), "memory forgets");
    assert_eq!(survivors("server_killed", Method::Session, Store::Sqlite), (0, 10), "a file does not");
    assert_eq!(survivors("server_killed", Method::Session, Store::Redis), (10, 10), "two others are there");
    assert_eq!(survivors("signing_key_killed", Method::Jwt, Store::Sqlite), (0, 10), "a renewal helps");
    assert_eq!(survivors("ticket_key_killed", Method::Session, Store::Sqlite), (0, 0), "nothing does");
    assert_eq!(survivors("store_killed", Method::Jwt, Store::Postgres).0, 10, "tokens need no store");
}

fn model(found: &Comparison) {
    assert!(found.model.error.is_some() && !found.model.tests.is_empty());
    let largest = found.model.extrapolation.iter().map(|row| row.live_sessions).max();
    assert_eq!(largest, Some(1_000_000_000));
    // Its keys are read by others.
    let json = serde_json::to_value(found).unwrap();
    for key in ["case", "machine", "left_out", "rows", "model", "verdict"] {
        assert!(json.get(key).is_some(), "{key}");
    }
    let row = &json["rows"][0];
    for key in ["method", "store", "topology", "login", "verify", "refresh", "store_operations_per_1000"] {
        assert!(row.get(key).is_some(), "{key}");
    }
    for (part, keys) in [
        ("verify", &["requests_per_second", "cpu_us_per_request", "p50_us", "p99_us", "p999_us", "spread"][..]),
        ("wire", &["credential_bytes", "request_bytes_http1", "request_bytes_http2"]),
        ("end_lag_ms", &["p50", "p99", "max"]),
    ] {
        for key in keys {
            assert!(row[part][key].is_number(), "{part}.{key}");
        }
    }
    for key in ["state_bytes_per_login", "wrong_refusals_per_1000", "theft_window_s"] {
        assert!(row.get(key).is_some(), "{key}");
    }
    assert!(json["model"].get("error").is_some());
    assert_eq!(app_of(Method::Phantom), "edge");
}
