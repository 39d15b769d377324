//! Fetching a key set: one small `GET`, bounded in time and size, that follows no redirect.

use std::time::Duration;

use bytes::Bytes;
use cloakroom_core::key::{JwkError, VerifyingKeys, read_jwks};
use http::{StatusCode, Uri, uri::Scheme};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use thiserror::Error;

use super::JwksError;

/// Why a key set could not be had.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The server cannot be spoken to.
    #[error("no answer: {0}")]
    Unreachable(#[from] hyper_util::client::legacy::Error),
    /// It answered, but not with a key set.
    #[error("the answer is {0}, not 200")]
    Status(StatusCode),
    /// The answer broke off, or is larger than any key set.
    #[error("the answer cannot be read: {0}")]
    Body(Box<dyn std::error::Error + Send + Sync>),
    /// It took too long.
    #[error("no answer within {LIMIT:?}")]
    Slow,
    /// It is no key set.
    #[error(transparent)]
    Unusable(#[from] JwkError),
    /// It holds no key that checks signatures.
    #[error("it holds no key that checks access tokens")]
    Empty,
}

pub(super) struct Fetcher {
    url: Uri,
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
}

/// How long a fetch may take in all.
const LIMIT: Duration = Duration::from_secs(5);
/// The most bytes of a key set; ten keys of RSA take about 5,000.
const MAX_BYTES: usize = 64 * 1024;

impl Fetcher {
    /// Fetches from the issuer's well-known address.
    pub(super) fn of_issuer(issuer: &str) -> Result<Self, JwksError> {
        let address = format!("{}/.well-known/jwks.json", issuer.trim_end_matches('/'));
        let url: Uri = address.parse().map_err(|error| JwksError::Address(address.clone(), error))?;
        let config = || {
            ClientConfig::builder_with_provider(aws_lc_rs::default_provider().into())
                .with_safe_default_protocol_versions()
                .map_err(|error| JwksError::Roots(std::io::Error::other(error)))
        };
        let tls = if url.scheme() == Some(&Scheme::HTTPS) {
            config()?.with_native_roots().map_err(JwksError::Roots)?.with_no_client_auth()
        } else if is_loopback(&url) {
            config()?.with_root_certificates(RootCertStore::empty()).with_no_client_auth()
        } else {
            return Err(JwksError::InTheClear(address));
        };
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().build();
        Ok(Self { url, client: Client::builder(TokioExecutor::new()).build(connector) })
    }

    pub(super) const fn url(&self) -> &Uri {
        &self.url
    }

    pub(super) async fn fetch(&self) -> Result<VerifyingKeys, FetchError> {
        tokio::time::timeout(LIMIT, self.fetch_in_time()).await.map_err(|_| FetchError::Slow)?
    }

    async fn fetch_in_time(&self) -> Result<VerifyingKeys, FetchError> {
        let response = self.client.get(self.url.clone()).await?;
        if response.status() != StatusCode::OK {
            return Err(FetchError::Status(response.status()));
        }
        let body = Limited::new(response.into_body(), MAX_BYTES).collect().await.map_err(FetchError::Body)?;
        let body = body.to_bytes();
        let keys = read_jwks(std::str::from_utf8(&body).map_err(|_| JwkError::Malformed)?)?;
        if keys.is_empty() { Err(FetchError::Empty) } else { Ok(keys) }
    }
}

fn is_loopback(url: &Uri) -> bool {
    let host = url.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_never_fetched_in_the_clear_from_another_host() {
        for issuer in ["http://auth.example", "http://10.0.0.1:8080", "http://localhost.example", "ftp://localhost"] {
            let refused = Fetcher::of_issuer(issuer).err();
            assert!(issuer.starts_with("ftp") || matches!(refused, Some(JwksError::InTheClear(_))), "{issuer}");
        }
        for issuer in ["http://localhost:8080", "http://127.0.0.1:1/auth/", "http://[::1]:1"] {
            let url = Fetcher::of_issuer(issuer).unwrap().url.to_string();
            assert_eq!(url, format!("{}/.well-known/jwks.json", issuer.trim_end_matches('/')));
        }
    }
}
