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
use http::Method;

/// A method's name, for metrics and traces: one of a few, whatever a stranger makes up.
pub(crate) fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::PATCH => "PATCH",
        // The name that OpenTelemetry's conventions have for these.
        _ => "_OTHER",
    }
}
