//! An app with Cloakroom in its own process: `cargo run -p cloakroom-server --example embedded`, then sign in at
//! <http://localhost:8080> and open <http://localhost:3000>: the app shares the host with the server, and so its cookies.

use axum::{Router, routing::get};
use cloakroom_server::{
    Server,
    config::{Config, Sources},
};
use cloakroom_verify::{Guard, GuardLayer, Identity};

/// The app: nobody reaches the route who is not signed in at `web`.
pub(crate) fn app(guard: Guard) -> Router {
    Router::new()
        .route("/", get(async |who: Identity| format!("hello, {}", who.account())))
        .layer(GuardLayer::required(guard))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::bind(Config::load(Sources::new())?).await?;
    let app = app(server.guard()?.for_app("web")?);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    let stop = || async { drop(tokio::signal::ctrl_c().await) };
    let ((), served) = tokio::join!(server.run(stop()), axum::serve(listener, app).with_graceful_shutdown(stop()));
    Ok(served?)
}
