//! What a method costs in a case: sums of what was measured for one of each thing, times how often it happens.
//!
//! Rates come from the case as if its sessions were used evenly: a session asks every `live_sessions / requests_per_second` seconds, so
//! that what is renewed after `t` seconds is renewed `1 / (t / live_sessions + 1 / requests_per_second)` times a second in all.

use cloakroom_core::method::{Check, Memory, Method, Upstream};
use serde::Serialize;

use super::settings;
use crate::case::Case;

/// What a method takes in a case, steadily.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// Cores of the processor that the constants were measured on.
    pub cpu_cores: f64,
    /// Bytes a second that credentials add to requests, and renewals to requests and answers.
    pub wire_bytes_per_second: f64,
    /// Reads and writes of sessions and accounts, and questions for what has ended.
    pub store_operations_per_second: f64,
    /// Bytes that live logins take in the store.
    pub state_bytes: f64,
    /// The longest that something is accepted after its end, in milliseconds.
    pub end_lag_ms: f64,
    /// What the bytes on the wire cost in 30 days, in the case's currency.
    pub egress_per_month: f64,
}

/// A cost of one thing, and the command that measured it.
#[derive(Clone, Copy, Debug)]
pub struct Constant {
    /// How much, in µs of one core or in bytes.
    pub value: f64,
    /// What measures it.
    pub command: &'static str,
}

const fn measured(value: f64, command: &'static str) -> Constant {
    Constant { value, command }
}

/// The constants. CPU times are of one core of the machine that the measurements in the documentation were made on.
pub mod constants {
    use super::{Constant, measured};

    /// Its rows of one server with SQLite, and its model.
    const COMPARE: &str = "cloakroom compare";

    /// A request with a ticket that the near-cache knows, µs.
    pub const TICKET_KNOWN: Constant = measured(9.7, COMPARE);
    /// What a ticket that has to be read takes on top, µs.
    pub const TICKET_READ: Constant = measured(27.6, COMPARE);
    /// A request with a token that was seen before, µs.
    pub const TOKEN_KNOWN: Constant = measured(10.2, COMPARE);
    /// What a token that was never seen takes on top, µs.
    pub const TOKEN_NEW: Constant = measured(26.8, "scripts/bench verify-jwt-cold");
    /// Minting a token for an upstream, µs: what `phantom` takes more than `session`.
    pub const MINTED: Constant = measured(7.9, COMPARE);
    /// A renewal, µs.
    pub const RENEWAL: Constant = measured(47.1, COMPARE);
    /// A login, with its password hash, µs.
    pub const LOGIN: Constant = measured(84_000.0, COMPARE);
    /// A cookie's line with a ticket, bytes.
    pub const TICKET_LINE: Constant = measured(78.0, COMPARE);
    /// The `Authorization` line with an access token, bytes.
    pub const TOKEN_LINE: Constant = measured(471.0, COMPARE);
    /// The tokens that a renewal sends and brings, bytes.
    pub const RENEWAL_BYTES: Constant = measured(551.0, "scripts/bench sizes");
    /// The same where the refresh token stands for itself, bytes.
    pub const STATELESS_RENEWAL_BYTES: Constant = measured(645.0, "scripts/bench sizes");
    /// A live login in memory, bytes.
    pub const STATE: Constant = measured(126.0, COMPARE);
}
use constants as c;

/// How long a fact is believed, in seconds; then the record is read again.
const FACT_LIFE: f64 = 300.0;
/// A record's activity is written at most so often, in seconds.
const TOUCH: f64 = 3_600.0;
const MONTH: f64 = 30.0 * 86_400.0;
const GB: f64 = 1e9;

/// What a method costs in a case, with the settings that are advised.
pub fn estimate(case: &Case, method: Method) -> Estimate {
    let (asked, logins) = (case.requests_per_second, case.logins_per_second);
    let lag = settings::lag(case, method).as_secs_f64();
    // The verifiers that follow the log ask four times within the lag.
    let follows = if case.one_verifier() || lag == 0.0 { 0.0 } else { f64::from(case.servers) * 4.0 / lag };
    let (cpu, wire, operations) = match method.properties().check {
        Check::LookUp => {
            let read = if lag == 0.0 { asked } else { case.at_most_every(FACT_LIFE, f64::from(case.servers)) };
            let mints = method.properties().upstream == Upstream::MintedToken;
            let minted = if mints { c::MINTED.value } else { 0.0 };
            let cpu = asked * (c::TICKET_KNOWN.value + minted) + read * c::TICKET_READ.value;
            (cpu, asked * c::TICKET_LINE.value, read + case.at_most_every(TOUCH, 1.0) + 2.0 * logins)
        }
        Check::Signature => {
            // Each token is first seen once at each server, or at those that its session comes to meanwhile.
            let lifetime = settings::token_lifetime(case, method).as_secs_f64();
            let renewals = case.at_most_every(lifetime, 1.0);
            let first_seen = case.at_most_every(lifetime, f64::from(case.servers));
            let (bytes, each, born) = match method.properties().memory {
                Memory::Record => (c::RENEWAL_BYTES.value, 2.0, 2.0),
                Memory::Nothing => (c::STATELESS_RENEWAL_BYTES.value, 1.0, 1.0),
            };
            let cpu = asked * c::TOKEN_KNOWN.value + first_seen * c::TOKEN_NEW.value + renewals * c::RENEWAL.value;
            (cpu, asked * c::TOKEN_LINE.value + renewals * bytes, renewals * each + born * logins)
        }
    };
    let kept = method.keeps_record();
    Estimate {
        cpu_cores: round((cpu + logins * c::LOGIN.value) / 1e6),
        wire_bytes_per_second: round(wire),
        store_operations_per_second: round(operations + follows),
        state_bytes: if kept { case.live_sessions as f64 * c::STATE.value } else { 0.0 },
        end_lag_ms: settings::end_lag(case, method).as_secs_f64() * 1e3,
        egress_per_month: round(wire * MONTH / GB * case.egress_price_per_gb),
    }
}

/// To four digits: more would be a lie.
fn round(value: f64) -> f64 {
    if value == 0.0 {
        return 0.0;
    }
    let scale = 10_f64.powi(3 - value.abs().log10().floor() as i32);
    (value * scale).round() / scale
}
