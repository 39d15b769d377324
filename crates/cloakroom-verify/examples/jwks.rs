//! An app in a process of its own, which checks access tokens by the server's published keys:
//! `cargo run -p cloakroom-verify --example jwks`, beside a server at <http://localhost:8080>.
//!
//! It has no revocation feed: who signs out is refused at the next renewal, and a token that was issued before is accepted
//! here until it expires, 5 minutes at most.

use axum::{Router, routing::get};
use cloakroom_verify::{Guard, GuardLayer, Identity, Jwks};

/// The app: nobody reaches the route who does not present an access token of `api`.
pub(crate) fn app(guard: Guard) -> Router {
    Router::new()
        .route("/", get(async |who: Identity| format!("hello, {}", who.account())))
        .layer(GuardLayer::required(guard))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let guard = Jwks::new("http://localhost:8080", "api").guard().await?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    Ok(axum::serve(listener, app(guard)).await?)
}
