//! What a comparison found, as `result.json` holds it. The keys of the first level, of a row and of the model's error are fixed
//! for readers outside; others may be added.

use cloakroom_core::method::Method;
use serde::{Deserialize, Serialize};

use crate::{
    rig::{Store, Topology},
    stats::Estimate,
};

/// Everything that was found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Comparison {
    /// The case, as its file would say it.
    pub case: serde_json::Value,
    /// On what it was measured.
    pub machine: Machine,
    /// How it was measured.
    pub measurement: Measurement,
    /// What could not be measured, and what would help.
    pub left_out: Vec<LeftOut>,
    /// Cost and behaviour of each method, with each store, in each topology.
    pub rows: Vec<Row>,
    /// The bytes of credentials.
    pub wire: Vec<WirePage>,
    /// How cost grows with the number of live logins.
    pub growth: Vec<Growth>,
    /// What goes on being accepted after an end while the log cannot be heard.
    pub feed_cut: Vec<FeedCut>,
    /// How long a copied credential works.
    pub theft: Vec<Theft>,
    /// What becomes of those who are signed in when something dies.
    pub survival: Vec<Survival>,
    /// The cost model.
    pub model: Model,
    /// What follows for the case.
    pub verdict: Verdict,
}

/// The machine.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Machine {
    /// The processor's name.
    pub processor: String,
    /// Cores that may be used.
    pub cores: usize,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// Kernel and its release.
    pub system: String,
    /// Load average when the measurement began.
    pub load: f64,
    /// CPU time of the same requests to the same server, second half of the rounds / first half: what the machine's noise makes of
    /// nothing.
    pub noise: Option<Estimate>,
}

/// How it was measured.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Measurement {
    /// This program's version.
    pub version: String,
    /// When it began, RFC 3339.
    pub began: String,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// The quick form.
    pub quick: bool,
    /// Broken off by its user; what is there is whole.
    pub interrupted: bool,
    /// Rounds of each figure, in an order that is drawn anew for each.
    pub rounds: usize,
    /// Seconds of load in a round.
    pub round_seconds: f64,
    /// The core that servers run on, and the one that the load comes from, where they are kept apart.
    pub pinned: Option<(usize, usize)>,
    /// An optimised build; figures of another one say nothing about speed.
    pub optimised: bool,
    /// The command that does it again.
    pub command: String,
    /// Where the time went.
    #[serde(default)]
    pub phases: Vec<Phase>,
}

/// A part of a step of the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Phase {
    /// The step.
    pub step: String,
    /// What of it; empty where it is in one piece.
    pub part: String,
    /// How long it took.
    pub seconds: f64,
}

/// Something that was not measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// What: `postgres`, `redis`, `wire`, `cost`, `growth`, `growth_of_tokens`, `theft`, `feed_cut`, or an event of [`Survival`].
    pub what: String,
    /// Of which method, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<Method>,
    /// With which store and topology, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<(Store, Topology)>,
    /// Why not: `not_installed`, `takes_minutes`, or what the system said.
    pub why: String,
    /// What would help: `install_postgres`, `install_redis`, `model`, or `look_and_repeat`.
    pub remedy: String,
}

/// One method, with one store, in one topology.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Row {
    /// The method.
    pub method: Method,
    /// Where sessions are kept.
    pub store: Store,
    /// The servers.
    pub topology: Topology,
    /// Signing in.
    pub login: Cost,
    /// Checking a credential that the servers have seen before.
    pub verify: Cost,
    /// Renewing; `None` for methods whose credential is not renewed.
    pub refresh: Option<Cost>,
    /// All that the servers asked of their stores per 1,000 verifications, the servers being warm.
    pub store_operations_per_1000: f64,
    /// Bytes in the store for each live login; `None`: not measured in this topology.
    pub state_bytes_per_login: Option<f64>,
    /// Bytes on the wire.
    pub wire: Wire,
    /// Verifications of living sessions that were refused, per 1,000.
    pub wrong_refusals_per_1000: f64,
    /// From the acknowledgement of a sign-out until the last request that began after it and was accepted by any server, in
    /// milliseconds; 0 where none was.
    pub end_lag_ms: Lag,
    /// How long a copied credential went on working after its owner signed out or changed the password, whichever is longer, in
    /// seconds.
    pub theft_window_s: f64,
}

/// What an operation costs.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Cost {
    /// In a closed loop.
    pub requests_per_second: f64,
    /// CPU time of all servers, user and system.
    pub cpu_us_per_request: f64,
    /// Latency at half of what can be served, in an open loop; it counts from when a request was due. For logins: in a closed
    /// loop.
    pub p50_us: f64,
    /// The same.
    pub p90_us: f64,
    /// The same.
    pub p99_us: f64,
    /// The same.
    pub p999_us: f64,
    /// Half the width of the CPU time's 95 % interval over the rounds, as a share of it.
    pub spread: f64,
    /// Answers other than the expected one, per 1,000.
    pub refused_per_1000: f64,
}

/// Milliseconds.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Lag {
    /// Half of the ends were heard of sooner.
    pub p50: f64,
    /// 99 in 100 were.
    pub p99: f64,
    /// All were.
    pub max: f64,
}

/// Bytes of one request.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Wire {
    /// The header line with the credential, as HTTP/1.1 sends it.
    pub credential_bytes: u64,
    /// A whole request by HTTP/1.1.
    pub request_bytes_http1: u64,
    /// A whole request by HTTP/2 on a connection that has seen the credential before, by a client that lets HPACK remember it, as
    /// browsers do.
    pub request_bytes_http2: u64,
}

/// The bytes of a method's credentials in more detail; all counted on real connections.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WirePage {
    /// The method.
    pub method: Method,
    /// One request.
    pub request: Wire,
    /// A whole request by HTTP/2, the first one of its connection; without the connection's preface and settings.
    pub request_bytes_http2_cold: u64,
    /// Every further one by a client that does not let HPACK remember credentials (RFC 7541 section 7.1.3).
    pub request_bytes_http2_unindexed: u64,
    /// The same requests without any credential: HTTP/1.1, HTTP/2 cold, HTTP/2 warm.
    pub bare: [u64; 3],
    /// A whole answer to a sign-in.
    pub login_answer_bytes: u64,
    /// A whole answer to a renewal; `None`: there is none.
    pub refresh_answer_bytes: Option<u64>,
    /// A page with 30 requests on one connection, by HTTP/1.1 and by HTTP/2: what the credential adds.
    pub page_of_30: [u64; 2],
    /// What credentials add to a million requests by HTTP/1.1 and by a warm HTTP/2 connection, renewals included.
    pub per_million_requests: [u64; 2],
    /// The same as money, at the case's price of traffic.
    pub money_per_million_requests: [f64; 2],
}

/// One number of live logins.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Growth {
    /// The method.
    pub method: Method,
    /// Where sessions are kept.
    pub store: Store,
    /// How many live logins, of which all but a few were seeded through the store's port.
    pub live_sessions: usize,
    /// Verification, the credentials drawn by Zipf's law with an exponent of 0.99.
    pub verify: Cost,
    /// Of 1,000 of these, how many the near-cache could not answer: a look-up, or a signature's check.
    pub misses_per_1000: f64,
    /// Store operations per 1,000 of these.
    pub store_operations_per_1000: f64,
    /// The server's resident memory.
    pub resident_bytes: u64,
    /// What the sessions take in the store.
    pub store_bytes: u64,
}

/// An end that cannot be heard.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FeedCut {
    /// The method.
    pub method: Method,
    /// What the app says for this case: `refuse` or `until_expiry`.
    pub on_feed_loss: String,
    /// For how long after the acknowledged end the server without a feed went on accepting, in milliseconds; when `ended` is false it was
    /// still accepting when the watch ended.
    pub accepted_for_ms: f64,
    /// Whether it had stopped when the watch ended.
    pub ended: bool,
    /// The longest that it can go on, in milliseconds: the lag bound, or the token's life.
    pub bound_ms: f64,
}

/// A copied credential.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Theft {
    /// The method.
    pub method: Method,
    /// `access_token`, `refresh_token` or `ticket`: what was copied.
    pub copied: String,
    /// `sign_out`, `password_changed`, `owner_refreshed` (the thief's copy is by then spent) or `nothing` (the owner notices nothing).
    pub then: String,
    /// How long the copy went on working, in seconds; `None`: it is still working when the watch ends, and does until `bound_s`.
    pub window_s: Option<f64>,
    /// The longest that it can work, in seconds.
    pub bound_s: f64,
}

/// Something that dies under those who are signed in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Survival {
    /// `server_killed`, `server_restarted`, `store_stopped`, `store_restarted` or `key_killed`.
    pub event: String,
    /// The method.
    pub method: Method,
    /// Where sessions are kept.
    pub store: Store,
    /// The servers.
    pub topology: Topology,
    /// How many were signed in.
    pub signed_in: usize,
    /// Of these, how many were accepted while it lasted.
    pub during: usize,
    /// How many were signed in when all was well again.
    pub after: usize,
}

/// A linear cost model, fitted on a part of the measurements and tested on the rest.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Model {
    /// The largest relative error among the predictions that were tested; `None`: too little was measured.
    pub error: Option<f64>,
    /// What it is made of.
    pub terms: Vec<Term>,
    /// Predictions beside what was measured, of measurements that the fit had not seen.
    pub tests: Vec<Prediction>,
    /// The case's own size, and sizes up to a thousand million.
    pub extrapolation: Vec<Extrapolation>,
}

/// A coefficient.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Term {
    /// The method.
    pub method: Method,
    /// Of what: `cpu_us_per_verification`, `cpu_us_per_login`, `cpu_us_per_refresh`, `state_bytes_per_login`, …
    pub name: String,
    /// How much, with its interval.
    pub value: Estimate,
}

/// A prediction that was tested.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Prediction {
    /// The method.
    pub method: Method,
    /// Of what: `verification`, or `everything_at_once`.
    pub what: String,
    /// Among how many live logins, where that was chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live_sessions: Option<usize>,
    /// What the model said.
    pub predicted: f64,
    /// What was measured.
    pub measured: f64,
    /// The unit.
    pub unit: String,
}

/// What a method takes at a size.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Extrapolation {
    /// The method.
    pub method: Method,
    /// Live logins.
    pub live_sessions: u64,
    /// Requests a second.
    pub requests_per_second: f64,
    /// Cores.
    pub cpu_cores: Estimate,
    /// Bytes a second that credentials add.
    pub wire_bytes_per_second: f64,
    /// Store operations a second.
    pub store_operations_per_second: Estimate,
    /// Bytes in the store.
    pub state_bytes: Estimate,
    /// Traffic's price a month, for what credentials add.
    pub egress_per_month: f64,
}

/// What follows.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Verdict {
    /// The method to use; `None`: nothing satisfies the case.
    pub recommended: Option<Method>,
    /// Three sentences.
    pub sentences: Vec<String>,
}
