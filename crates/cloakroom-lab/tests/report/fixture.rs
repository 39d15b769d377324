//! A comparison as a run finds one, with plausible figures: four stores, every topology, everything that can be shown.

use cloakroom_core::method::Method;
use cloakroom_lab::{
    compare::{
        Comparison, Cost, Extrapolation, FeedCut, Growth, Lag, LeftOut, Machine, Measurement, Model, Prediction, Row,
        Store, Survival, Term, Theft, Topology, Verdict, Wire, WirePage,
    },
    stats::Estimate,
};

/// All of it.
pub(crate) fn comparison() -> Comparison {
    Comparison {
        case: serde_json::json!({
            "clients": ["browser"], "live_sessions": 10_000, "requests_per_second": 100.0, "servers": 1, "end_within": "1m",
        }),
        machine: Machine {
            processor: "Example Processor 9000 @ 2.40GHz".to_owned(),
            cores: 2,
            memory_mib: 7_936,
            system: "Linux 6.12.0".to_owned(),
            load: 0.21,
            noise: Some(Estimate { value: 1.012, low: 0.985, high: 1.034 }),
        },
        measurement: Measurement {
            version: "0.1.0".to_owned(),
            began: "2026-11-28T09:00:00Z".to_owned(),
            seconds: 412.0,
            quick: false,
            interrupted: false,
            rounds: 6,
            round_seconds: 0.4,
            pinned: Some((0, 1)),
            optimised: true,
            command: "cloakroom compare --case shop.toml".to_owned(),
            phases: Vec::new(),
        },
        left_out: vec![LeftOut {
            what: "growth_of_tokens".to_owned(),
            method: None,
            place: None,
            why: "takes_minutes".to_owned(),
            remedy: "model".to_owned(),
        }],
        rows: rows(),
        wire: Method::ALL.into_iter().map(page).collect(),
        growth: growth(),
        feed_cut: Method::ALL.into_iter().map(feed_cut).collect(),
        theft: Method::ALL.into_iter().flat_map(thefts).collect(),
        survival: survival(),
        model: model(),
        verdict: Verdict { recommended: Some(Method::Session), sentences: Vec::new() },
    }
}

/// Where everything is measured.
const PLACES: [(Store, Topology, f64, f64); 9] = [
    (Store::Memory, Topology::One, 1.0, 0.4),
    (Store::Sqlite, Topology::One, 1.02, 1.8),
    (Store::Postgres, Topology::One, 1.05, 6.2),
    (Store::Redis, Topology::One, 1.03, 3.1),
    (Store::Postgres, Topology::Shared, 1.31, 38.0),
    (Store::Redis, Topology::Shared, 1.27, 31.0),
    (Store::Postgres, Topology::Sticky, 1.11, 41.0),
    (Store::Redis, Topology::Sticky, 1.09, 29.0),
    (Store::Memory, Topology::Unshared, 1.08, 27.0),
];

fn rows() -> Vec<Row> {
    let of = |(store, topology, dearer, lag): (Store, Topology, f64, f64)| {
        Method::ALL.map(|method| row(method, store, topology, dearer, lag))
    };
    PLACES.into_iter().flat_map(of).collect()
}

fn row(method: Method, store: Store, topology: Topology, dearer: f64, lag: f64) -> Row {
    let cpu = dearer * of(method, [12.4, 13.1, 13.0, 21.7]);
    let unshared = topology == Topology::Unshared && !method.has_tokens();
    let state = match store {
        Store::Memory => 318.0,
        Store::Sqlite => 241.0,
        Store::Postgres => 402.0,
        Store::Redis => 377.0,
    };
    Row {
        method,
        store,
        topology,
        login: Cost { spread: 0.031, ..cost(61_200.0 * dearer.sqrt(), 4.0) },
        verify: cost(cpu, 1.0),
        refresh: method.has_tokens().then(|| cost(of(method, [0.0, 96.0, 64.0, 0.0]) * dearer, 1.4)),
        store_operations_per_1000: if method.has_tokens() { 0.0 } else { 0.6 * dearer },
        state_bytes_per_login: Some(if method.keeps_record() { state } else { 0.0 }),
        wire: wire(method),
        wrong_refusals_per_1000: if unshared { 666.7 } else { 0.0 },
        end_lag_ms: if store == Store::Memory && topology == Topology::One {
            Lag::default()
        } else {
            let lag = lag * of(method, [0.9, 1.0, 1.1, 0.95]);
            Lag { p50: lag * 0.6, p99: lag * 1.3, max: lag * 1.4 }
        },
        theft_window_s: lag * 1.6 / 1000.0,
    }
}

fn cost(cpu: f64, wide: f64) -> Cost {
    Cost {
        requests_per_second: 900_000.0 / cpu,
        cpu_us_per_request: cpu,
        p50_us: 80.0 + cpu,
        p90_us: 130.0 + cpu * 1.1,
        p99_us: 410.0 + cpu * 1.4,
        p999_us: 1_900.0 + cpu * 2.0,
        spread: 0.022 * wide,
        refused_per_1000: 0.0,
    }
}

/// The figure of a method.
fn of<T: Copy>(method: Method, figures: [T; 4]) -> T {
    figures[Method::ALL.iter().position(|known| *known == method).expect("a method")]
}

fn wire(method: Method) -> Wire {
    Wire {
        credential_bytes: of(method, [82, 468, 462, 83]),
        request_bytes_http1: of(method, [141, 527, 521, 142]),
        request_bytes_http2: of(method, [17, 18, 18, 17]),
    }
}

fn page(method: Method) -> WirePage {
    let renews = method.has_tokens();
    WirePage {
        method,
        request: wire(method),
        request_bytes_http2_cold: of(method, [131, 428, 423, 132]),
        request_bytes_http2_unindexed: of(method, [86, 402, 397, 87]),
        bare: [59, 67, 14],
        login_answer_bytes: of(method, [702, 1_123, 1_187, 704]),
        refresh_answer_bytes: renews.then(|| of(method, [0, 902, 961, 0])),
        page_of_30: of(method, [[2_460, 151], [14_040, 477], [13_860, 472], [2_490, 152]]),
        per_million_requests: of(
            method,
            [[82_000_000, 3_000_000], [471_900_000, 9_200_000], [466_100_000, 9_300_000], [83_000_000, 3_000_000]],
        ),
        money_per_million_requests: of(method, [[0.0074, 0.0003], [0.0425, 0.0008], [0.042, 0.0008], [0.0075, 0.0003]]),
    }
}

fn growth() -> Vec<Growth> {
    let curve = |method: Method, store: Store, sizes: &[usize], per_login: u32| -> Vec<Growth> {
        let point = |size: &usize| {
            let far = (*size as f64 / 1000.0).log10();
            Growth {
                method,
                store,
                live_sessions: *size,
                verify: cost(
                    12.0 + far * if method.has_tokens() { 6.0 } else { 0.2 + f64::from(per_login) / 150.0 },
                    1.5,
                ),
                misses_per_1000: far * far * 30.0,
                store_operations_per_1000: if method.has_tokens() { 0.0 } else { far * far * 30.0 },
                resident_bytes: 38_000_000 + *size as u64 * u64::from(per_login),
                store_bytes: if method.keeps_record() { *size as u64 * 240 } else { 0 },
            }
        };
        sizes.iter().map(point).collect()
    };
    let mut all = curve(Method::Session, Store::Memory, &[1_000, 10_000, 100_000, 1_000_000], 318);
    all.extend(curve(Method::Jwt, Store::Memory, &[1_000, 10_000, 100_000], 402));
    all.extend(curve(Method::Session, Store::Sqlite, &[1_000, 10_000, 100_000, 1_000_000], 52));
    all
}

fn feed_cut(method: Method) -> FeedCut {
    let goes_on = method.has_tokens();
    FeedCut {
        method,
        on_feed_loss: if goes_on { "until_expiry" } else { "refuse" }.to_owned(),
        accepted_for_ms: if goes_on { 10_000.0 } else { 1_873.0 },
        ended: !goes_on,
        bound_ms: if goes_on { 300_000.0 } else { 2_000.0 },
    }
}

fn thefts(method: Method) -> Vec<Theft> {
    let days = 2_592_000.0;
    let theft = |copied: &str, then: &str, window_s: Option<f64>, bound_s: f64| Theft {
        method,
        copied: copied.to_owned(),
        then: then.to_owned(),
        window_s,
        bound_s,
    };
    if !method.has_tokens() {
        return vec![
            theft("ticket", "sign_out", Some(0.0006), 2.0),
            theft("ticket", "password_changed", Some(0.0011), 2.0),
            theft("ticket", "nothing", None, days),
        ];
    }
    let found_out = method.keeps_record().then_some(2.61);
    vec![
        theft("access_token", "sign_out", Some(0.0007), 2.0),
        theft("access_token", "password_changed", Some(0.0014), 2.0),
        theft("access_token", "nothing", None, 300.0),
        theft("refresh_token", "sign_out", Some(0.02), 2.0),
        theft("refresh_token", "password_changed", Some(0.02), 2.0),
        theft("refresh_token", "owner_refreshed", found_out, if found_out.is_some() { 300.0 } else { days }),
        theft("refresh_token", "nothing", None, days),
    ]
}

fn survival() -> Vec<Survival> {
    let trial = |event: &str, store, topology, during: [usize; 4], after: [usize; 4]| {
        let event = event.to_owned();
        Method::ALL.map(|method| Survival {
            event: event.clone(),
            method,
            store,
            topology,
            signed_in: 40,
            during: of(method, during),
            after: of(method, after),
        })
    };
    [
        trial("server_killed", Store::Memory, Topology::One, [0; 4], [0, 0, 40, 0]),
        trial("server_killed", Store::Sqlite, Topology::One, [0; 4], [40; 4]),
        trial("server_killed", Store::Redis, Topology::Shared, [40; 4], [40; 4]),
        trial("server_killed", Store::Memory, Topology::Unshared, [26, 40, 40, 26], [26, 27, 40, 26]),
        trial("store_killed", Store::Postgres, Topology::One, [0, 40, 40, 0], [40; 4]),
        trial("store_killed", Store::Redis, Topology::One, [0, 40, 40, 0], [0, 0, 40, 0]),
        trial("signing_key_killed", Store::Sqlite, Topology::One, [40, 0, 0, 40], [40; 4]),
        trial("ticket_key_killed", Store::Sqlite, Topology::One, [0, 40, 40, 0], [0, 0, 0, 0]),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn model() -> Model {
    let about = |value: f64| Estimate { value, low: value * 0.89, high: value * 1.11 };
    let term = |method: Method, name: &str, value: f64| Term { method, name: name.to_owned(), value: about(value) };
    let tested = |method: Method, what: &str, live_sessions, predicted: f64, measured: f64, unit: &str| Prediction {
        method,
        what: what.to_owned(),
        live_sessions,
        predicted,
        measured,
        unit: unit.to_owned(),
    };
    let size = |method: Method, live_sessions: u64| {
        let requests_per_second = live_sessions as f64 / 100.0;
        let far = (live_sessions as f64 / 100_000.0).log10().max(0.0);
        Extrapolation {
            method,
            live_sessions,
            requests_per_second,
            cpu_cores: about(requests_per_second * (14e-6 + far * of(method, [11e-6, 4e-6, 4e-6, 12e-6]))),
            wire_bytes_per_second: requests_per_second * of(method, [82.0, 472.0, 466.0, 83.0]),
            store_operations_per_second: about(
                requests_per_second * of(method, [0.01, 0.003, 0.0, 0.01]) * (1.0 + far),
            ),
            state_bytes: about(if method.keeps_record() { live_sessions as f64 * 241.0 } else { 0.0 }),
            egress_per_month: requests_per_second * of(method, [0.019, 0.110, 0.108, 0.019]),
        }
    };
    let sizes = [10_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000];
    Model {
        error: Some(0.107),
        terms: Method::ALL
            .into_iter()
            .flat_map(|method| {
                [
                    term(method, "cpu_us_per_verification", of(method, [12.4, 13.1, 13.0, 21.7])),
                    term(method, "cpu_us_per_login", 61_200.0),
                ]
            })
            .collect(),
        tests: Method::ALL
            .into_iter()
            .flat_map(|method| {
                [
                    tested(method, "verification", Some(10_000), 13.1, of(method, [12.9, 13.7, 13.3, 12.2]), "µs"),
                    tested(method, "everything_at_once", None, 811.0, of(method, [790.0, 845.0, 829.0, 733.0]), "ms"),
                ]
            })
            .collect(),
        extrapolation: sizes.into_iter().flat_map(|live| Method::ALL.map(|method| size(method, live))).collect(),
    }
}
