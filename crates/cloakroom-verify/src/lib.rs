//! What guards an app with Cloakroom.
//!
//! A [`Guard`] reads the credential that a request presents and has it checked; a [`GuardLayer`] puts it around routes, and
//! turns unsafe cross-site requests away; a handler takes an [`Identity`], an `Option<Identity>` or a [`Recent`] and
//! cannot forget the check. The server uses the same for its own routes. A guard comes from the server when that runs in
//! the same process (`Server::guard`), from [`Remote`] when it does not, and from [`Jwks`] where nothing but published keys can be
//! had.
//!
//! ```
//! use axum::{Router, routing::{get, post}};
//! use cloakroom_verify::{Guard, GuardLayer, Identity, Recent};
//!
//! async fn home(who: Option<Identity>) -> String {
//!     who.map_or("hello, stranger".into(), |who| format!("hello, {}", who.account()))
//! }
//!
//! async fn orders(who: Identity) -> String {
//!     format!("the orders of {}", who.account())
//! }
//!
//! async fn close(who: Recent<10>) -> String {
//!     format!("{} has signed in within the last ten minutes", who.account())
//! }
//!
//! fn routes(guard: Guard) -> Router {
//!     Router::new()
//!         .route("/", get(home))
//!         .route("/orders", get(orders))
//!         .route("/close", post(close))
//!         .layer(GuardLayer::optional(guard))
//! }
//! ```

// A line that cannot be written must not panic, and a task must not die unseen.
#![cfg_attr(not(test), warn(clippy::disallowed_methods, clippy::print_stdout, clippy::print_stderr))]

pub mod cookie;
pub mod credential;
pub mod cross_site;
mod extract;
pub mod guard;
pub mod jwks;
mod layer;
mod link;
pub mod origins;
pub mod problem;
pub mod query;
pub mod remote;

pub use extract::{Identity, Recent};
pub use guard::Guard;
pub use jwks::{Jwks, JwksError};
pub use layer::{GuardLayer, Guarded};
pub use remote::Remote;

/// How browsers reach the pages that send credentials.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scheme {
    /// Over TLS, whoever ends it.
    Https,
    /// In the clear, which is for loopback only.
    Http,
}
