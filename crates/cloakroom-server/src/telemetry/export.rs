//! The way to the collector: finished traces are gathered for a second and sent together, over HTTP.
//!
//! A collector that is away or slow costs what it does not take, and nobody waits for it. At the server's end what waits is sent.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use axum::http::{Method, Request, StatusCode, header};
use bytes::Bytes;
use cloakroom_core::{
    tasks::{self, Kept, Over, Pulse},
    trace::Finished,
};
use http_body_util::Full;
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use tokio::{
    sync::{Mutex, mpsc},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{Counts, otlp};
use crate::config::TracesConfig;

/// How long traces are gathered.
const GATHER: Duration = Duration::from_secs(1);
/// The most traces of one request.
const BATCH: usize = 256;
/// How long the collector may take.
const LIMIT: Duration = Duration::from_secs(5);

/// Sends traces.
pub(crate) struct Exporter {
    config: TracesConfig,
    address: String,
    finished: Mutex<mpsc::Receiver<Finished>>,
    counts: Arc<Counts>,
}

type Http = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

impl Exporter {
    pub(super) fn new(
        config: TracesConfig,
        issuer: &str,
        finished: mpsc::Receiver<Finished>,
        counts: Arc<Counts>,
    ) -> Self {
        Self { config, address: issuer.to_owned(), finished: Mutex::new(finished), counts }
    }

    /// Sends what comes until the server stops, and then what waits, for a few seconds at most.
    pub(crate) fn start(self, stop: CancellationToken) -> Kept {
        let exporter = Arc::new(self);
        tasks::keep("traces", LIMIT * 2, move |pulse| Arc::clone(&exporter).run(stop.clone(), pulse))
    }

    async fn run(self: Arc<Self>, stop: CancellationToken, pulse: Pulse) -> Over {
        let mut finished = self.finished.lock().await;
        let client = match client() {
            Ok(client) => client,
            Err(error) => {
                tracing::error!(%error, "traces cannot be sent");
                return Over;
            }
        };
        let mut batch = Vec::new();
        let mut away = false;
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                count = finished.recv_many(&mut batch, BATCH) => if count == 0 { break },
            }
            tokio::select! { () = stop.cancelled() => {}, () = sleep(GATHER) => {} }
            while batch.len() < BATCH
                && let Ok(trace) = finished.try_recv()
            {
                batch.push(trace);
            }
            away = pulse.round(self.send(&client, &mut batch, away)).await;
        }
        finished.close();
        let rest = async {
            while finished.recv_many(&mut batch, BATCH).await > 0 {
                away = self.send(&client, &mut batch, away).await;
            }
        };
        if timeout(LIMIT, rest).await.is_err() {
            tracing::warn!("the last traces could not be sent in time");
        }
        Over
    }

    /// Whether the collector is away now, as it may have been before.
    async fn send(&self, client: &Http, batch: &mut Vec<Finished>, was_away: bool) -> bool {
        let count = batch.len() as u64;
        let resource = otlp::Resource { service: &self.config.service_name, address: &self.address };
        let body = otlp::request(&resource, batch);
        batch.clear();
        let outcome =
            timeout(LIMIT, self.post(client, body)).await.unwrap_or_else(|_| Err("it took too long".to_owned()));
        let counter = if outcome.is_ok() { &self.counts.sent } else { &self.counts.lost };
        counter.fetch_add(count, Ordering::Relaxed);
        match &outcome {
            // Once, not every second.
            Err(error) if !was_away => tracing::warn!(%error, "the collector of traces does not take them"),
            Ok(()) if was_away => tracing::info!("the collector of traces takes them again"),
            _ => {}
        }
        outcome.is_err()
    }

    async fn post(&self, client: &Http, body: Vec<u8>) -> Result<(), String> {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(self.config.endpoint.clone())
            .header(header::CONTENT_TYPE, "application/x-protobuf");
        for (name, value) in &self.config.headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::from(body)).map_err(|error| error.to_string())?;
        let answer = client.request(request).await.map_err(|error| error.to_string())?;
        match answer.status() {
            StatusCode::OK | StatusCode::ACCEPTED => Ok(()),
            status => Err(format!("the answer is {status}")),
        }
    }
}

fn client() -> Result<Http, String> {
    let config = || {
        ClientConfig::builder_with_provider(aws_lc_rs::default_provider().into()).with_safe_default_protocol_versions()
    };
    let builder = config().map_err(|error| error.to_string())?;
    let tls = match builder.clone().with_native_roots() {
        Ok(builder) => builder.with_no_client_auth(),
        // In the clear it can still be reached.
        Err(_) => builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth(),
    };
    let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().build();
    Ok(Client::builder(TokioExecutor::new()).pool_max_idle_per_host(1).build(connector))
}
