//! HTTP below the handlers: connections and their limits, bodies, credentials and cookies, the cross-site rule, security
//! headers, client addresses and the one place where a refusal becomes an answer.
//!
//! Nothing here knows the domain beyond names of apps and reasons of refusal, and nothing here knows the configuration:
//! each part takes the few settings that it needs. Parsers of what strangers send are pure and public, so that they can
//! be fuzzed.

pub mod body;
pub mod client_address;
mod connection;
pub mod cookie;
pub mod cors;
pub mod credential;
pub mod cross_site;
pub mod framing;
pub mod json;
pub mod origins;
pub mod problem;
pub mod security;
pub mod serve;
pub mod tls;

/// How browsers reach the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scheme {
    /// Over TLS, whoever ends it.
    Https,
    /// In the clear, which is for loopback only.
    Http,
}
