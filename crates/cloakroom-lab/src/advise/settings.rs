//! What to write into the configuration for a method in a case: keys that `cloakroom config check` takes.

use std::time::Duration;

use cloakroom_core::{
    app::App,
    method::{Check, Memory, Method, Upstream},
};
use cloakroom_server::config::show_duration;
use serde_json::{Map, Value, json};

use crate::case::{Case, Client, EndWithin, Verifiers};

/// What verifiers add to an access token's expiry, for clocks that differ.
pub const LEEWAY: Duration = Duration::from_secs(5);
/// A token that lives for less is over before a slow client has used it.
pub const SHORTEST_TOKEN: Duration = Duration::from_secs(10);

const USUAL_LAG: Duration = Duration::from_secs(2);
const USUAL_TOKEN: Duration = Duration::from_secs(300);
const USUAL_MINTED: Duration = Duration::from_secs(60);
/// What the near-cache holds unless it is told otherwise, and the most that is advised.
const USUAL_FACTS: u64 = 100_000;
const MOST_FACTS: u64 = 10_000_000;
/// What a fact takes, rounded up.
const FACT_BYTES: u64 = 512;
/// Past so many reads and writes a second of sessions, a store of their own.
const BUSY_STORE: f64 = 5_000.0;

/// `max_revocation_lag`: zero where an end must hold from the next request on.
pub fn lag(case: &Case, method: Method) -> Duration {
    match case.end_within {
        _ if case.one_verifier() => USUAL_LAG,
        EndWithin::Any => USUAL_LAG,
        EndWithin::Within(time) if time >= App::SHORTEST_LAG => time.min(USUAL_LAG),
        EndWithin::Within(_) | EndWithin::NextRequest => match method.properties().check {
            Check::LookUp => Duration::ZERO,
            Check::Signature => App::SHORTEST_LAG,
        },
    }
}

/// `access_token_lifetime`.
pub fn token_lifetime(case: &Case, method: Method) -> Duration {
    let in_time = |usual: Duration| match case.end_within {
        EndWithin::Any => usual,
        EndWithin::Within(time) => whole(time.saturating_sub(LEEWAY)).clamp(SHORTEST_TOKEN, usual),
        EndWithin::NextRequest => SHORTEST_TOKEN,
    };
    if method.properties().upstream == Upstream::MintedToken {
        return if case.one_verifier() { USUAL_MINTED } else { in_time(USUAL_MINTED) };
    }
    if case.deaf() { in_time(USUAL_TOKEN) } else { USUAL_TOKEN }
}

/// Whether verifiers refuse rather than go on without the revocation feed, where that is not the method's own way.
fn refuses(case: &Case, method: Method) -> bool {
    let EndWithin::Within(time) = case.end_within else { return false };
    let by_expiry = token_lifetime(case, method) + LEEWAY;
    method.properties().check == Check::Signature && !case.deaf() && !case.one_verifier() && time < by_expiry
}

/// The longest that a credential can be accepted after an end, with these settings.
pub fn end_lag(case: &Case, method: Method) -> Duration {
    if case.one_verifier() {
        Duration::ZERO
    } else if case.deaf() && method.properties().check == Check::Signature {
        token_lifetime(case, method) + LEEWAY
    } else {
        lag(case, method)
    }
}

/// The settings, as a configuration file nests them. `store_operations` are what the session store would have to do each second.
pub fn settings(case: &Case, method: Method, store_operations: f64) -> Value {
    let mut all = Map::new();
    all.insert("store".into(), store(case, method, store_operations));
    let near = case.live_sessions.clamp(USUAL_FACTS, MOST_FACTS);
    if near > USUAL_FACTS && !lag(case, method).is_zero() {
        all.insert("cache".into(), json!({ "entries": near, "bytes": near * FACT_BYTES }));
    }
    all.insert("app".into(), json!([app(case, method)]));
    Value::Object(all)
}

fn store(case: &Case, method: Method, store_operations: f64) -> Value {
    if case.servers == 1 {
        return json!({ "accounts": "sqlite", "sessions": "sqlite" });
    }
    let sessions = match method.properties().memory {
        Memory::Nothing => "memory",
        Memory::Record if store_operations > BUSY_STORE => "redis://sessions.example:6379",
        Memory::Record => ACCOUNTS,
    };
    json!({ "accounts": ACCOUNTS, "sessions": sessions })
}

fn app(case: &Case, method: Method) -> Value {
    let client = case.clients.first().copied().unwrap_or(Client::Browser);
    let id = match client {
        Client::Browser => "web",
        Client::Mobile => "mobile",
        Client::Service => "services",
        Client::ThirdParty => "partners",
    };
    let mut app = Map::new();
    let mut set = |key: &str, value: Value| app.insert(key.into(), value);
    set("id", json!(id));
    set("method", json!(method));
    if case.cross_site {
        set("origins", json!(["https://pages.example"]));
    }
    if case.sensitive {
        if method.keeps_record() {
            set("idle_timeout", json!("15m"));
        }
        set("absolute_timeout", json!("12h"));
    }
    let tokens = method.has_tokens();
    if tokens || (method.properties().upstream == Upstream::MintedToken && case.verifiers != Verifiers::Own) {
        set("access_token_lifetime", json!(show_duration(token_lifetime(case, method))));
    }
    if !(case.deaf() && tokens) {
        set("max_revocation_lag", json!(show_duration(lag(case, method))));
    }
    if refuses(case, method) {
        set("on_feed_loss", json!("refuse"));
    }
    Value::Object(app)
}

fn whole(time: Duration) -> Duration {
    Duration::from_secs(time.as_secs())
}

const ACCOUNTS: &str = "postgres://accounts.example/cloakroom";
