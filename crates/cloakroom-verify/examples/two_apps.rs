//! Two apps in a process of their own, guarded by a Cloakroom that runs elsewhere: one by cookies, one by tokens.
//!
//! Start a server (`cargo run -- serve`), make a service (`cloakroom service add shop`), and run
//! `SERVICE_ID=… SERVICE_SECRET=… cargo run -p cloakroom-verify --example two_apps`. Sign in at <http://localhost:8080>, open
//! <http://localhost:3000>, sign out, and open it again.

use axum::{Router, routing::get};
use cloakroom_verify::{GuardLayer, Identity, Remote};

async fn app(id: &str, port: u16) -> Result<(), Box<dyn std::error::Error>> {
    let (service, secret) = (std::env::var("SERVICE_ID")?, std::env::var("SERVICE_SECRET")?);
    let guard = Remote::new("http://localhost:8080", id).service(service, secret).guard().await?;
    let app = Router::new()
        .route("/", get(async |who: Identity| format!("hello, {} of {}", who.account(), who.app_id())))
        .layer(GuardLayer::required(guard));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    Ok(axum::serve(listener, app).await?)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tokio::try_join!(app("web", 3000), app("api", 3001))?;
    Ok(())
}
