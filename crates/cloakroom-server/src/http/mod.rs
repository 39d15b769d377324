//! HTTP below the handlers: connections and their limits, bodies, security headers and client addresses. What an app needs too (credentials, cookies, origins, refusals as answers) stands in
//! `cloakroom_verify`.
//!
//! Nothing here knows the domain beyond names of apps and reasons of refusal, and nothing here knows the configuration:
//! each part takes the few settings that it needs. Parsers of what strangers send are pure and public, so that they can
//! be fuzzed.

pub mod body;
pub mod client_address;
mod connection;
pub mod cors;
pub mod framing;
pub mod json;
pub mod oauth_problem;
pub mod security;
pub mod serve;
pub mod service;
pub mod tls;

pub use cloakroom_verify::{Scheme, cookie, credential, origins, problem};
