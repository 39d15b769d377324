//! A verifier in a process of its own, which answers by HTTP what it thinks of a credential: what `scripts/cluster` puts beside
//! its servers, and a small start for an app that is not written in Rust.
//!
//! `SERVICE_ID=… SERVICE_SECRET=… verifier ISSUER LISTEN APP…`, where `APP` is `ID` or `ID=until_expiry`. `GET /ID` answers as
//! the app `ID` would: 200 with the session's id, or the refusal.

use axum::{Router, extract::State, http::HeaderMap, routing::get};
use cloakroom_core::method::OnFeedLoss;
use cloakroom_verify::{Guard, Remote, problem::Problem};

type Failure = Box<dyn std::error::Error>;

async fn verify(State(guard): State<Guard>, headers: HeaderMap) -> Result<String, Problem> {
    Ok(guard.identify(&headers, None).await?.session().to_string())
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let (Some(issuer), Some(listen)) = (arguments.next(), arguments.next()) else {
        return Err("usage: verifier ISSUER LISTEN APP...".into());
    };
    let (service, secret) = (std::env::var("SERVICE_ID")?, std::env::var("SERVICE_SECRET")?);
    let mut router = Router::new();
    for argument in arguments {
        let (app, on_feed_loss) = match argument.split_once('=') {
            None => (argument.as_str(), OnFeedLoss::Refuse),
            Some((app, "until_expiry")) => (app, OnFeedLoss::UntilExpiry),
            Some((_, other)) => return Err(format!("{other:?} is not until_expiry").into()),
        };
        let remote = Remote::new(&issuer, app).service(&service, &secret).on_feed_loss(on_feed_loss);
        router = router.route(&format!("/{app}"), get(verify).with_state(remote.guard().await?));
    }
    let listener = tokio::net::TcpListener::bind(listen).await?;
    Ok(axum::serve(listener, router).await?)
}
