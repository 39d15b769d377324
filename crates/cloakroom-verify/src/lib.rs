//! What guards an app with Cloakroom: credentials are read, checked, and become an identity, in the server and in apps
//! alike.

pub mod cookie;
pub mod credential;
pub mod cross_site;
pub mod origins;
pub mod problem;

/// How browsers reach the pages that send credentials.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scheme {
    /// Over TLS, whoever ends it.
    Https,
    /// In the clear, which is for loopback only.
    Http,
}
