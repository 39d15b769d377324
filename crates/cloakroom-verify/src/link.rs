//! The server, as a process of its own speaks to it: small questions, bounded in time and size, that follow no redirect, and
//! one answer that goes on.

use std::time::Duration;

use bytes::Bytes;
use cloakroom_core::{key::JwkError, secret::SecretText};
use data_encoding::BASE64;
use http::{
    HeaderValue, Method, Request, Response, StatusCode, Uri,
    header::{ACCEPT, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE},
    uri::Scheme,
};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use thiserror::Error;

use crate::jwks::JwksError;

/// Why the server's answer could not be had.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The server cannot be spoken to.
    #[error("no answer: {0}")]
    Unreachable(#[from] hyper_util::client::legacy::Error),
    /// It answered, but not with what was asked for.
    #[error("the answer is {0}, not 200")]
    Status(StatusCode),
    /// The answer broke off, or is larger than it may be.
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
    /// Lines of the log are missing between what is known and what it goes on with.
    #[error("there is a gap in what has been heard")]
    Gap,
    /// It is not of the form that the contract gives it.
    #[error("the answer is not what the contract says")]
    Strange,
}

/// A way to the server.
pub(crate) struct Link {
    base: String,
    authorization: Option<HeaderValue>,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

/// How long a question may take in all.
const LIMIT: Duration = Duration::from_secs(5);
/// The most bytes of an answer; a key set of ten keys of RSA has about 5,000.
const MAX_BYTES: usize = 64 * 1024;
/// The most connections to the server that are kept open without use.
const MAX_IDLE: usize = 32;

impl Link {
    /// A way to the server at its public address; with a service's id and secret, where it asks for them.
    pub(crate) fn to(issuer: &str, service: Option<(&str, &SecretText)>) -> Result<Self, JwksError> {
        let base = issuer.trim_end_matches('/').to_owned();
        let url: Uri = base.parse().map_err(|error| JwksError::Address(base.clone(), error))?;
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
            return Err(JwksError::InTheClear(base));
        };
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().build();
        let authorization = service.map(|(id, secret)| basic(id, secret)).transpose()?;
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(MAX_IDLE).build(connector);
        Ok(Self { base, authorization, client })
    }

    /// The address of a path at the server.
    pub(crate) fn address(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// What a path answers.
    pub(crate) async fn get(&self, path: &str) -> Result<Bytes, FetchError> {
        self.whole(self.request(Method::GET, path), Bytes::new()).await
    }

    /// What a path answers now, whatever a cache on the way has kept (RFC 9111 section 5.2.1.4).
    pub(crate) async fn get_past_caches(&self, path: &str) -> Result<Bytes, FetchError> {
        let request = self.request(Method::GET, path).header(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        self.whole(request, Bytes::new()).await
    }

    /// What a path answers to a form.
    pub(crate) async fn post_form(&self, path: &str, fields: &[(&str, &str)]) -> Result<Bytes, FetchError> {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = self.request(Method::POST, path).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.whole(request, body.into()).await
    }

    /// An answer that goes on: its head must come in time, its body comes as it comes.
    pub(crate) async fn open(&self, path: &str, last_event: Option<&str>) -> Result<Incoming, FetchError> {
        let mut request = self.request(Method::GET, path).header(ACCEPT, "text/event-stream");
        if let Some(id) = last_event {
            request = request.header("last-event-id", id);
        }
        let answer = tokio::time::timeout(LIMIT, self.send(request, Bytes::new())).await;
        Ok(answer.map_err(|_| FetchError::Slow)??.into_body())
    }

    fn request(&self, method: Method, path: &str) -> http::request::Builder {
        let request = Request::builder().method(method).uri(self.address(path));
        match &self.authorization {
            Some(value) => request.header(AUTHORIZATION, value.clone()),
            None => request,
        }
    }

    async fn send(&self, request: http::request::Builder, body: Bytes) -> Result<Response<Incoming>, FetchError> {
        let request = request.body(Full::new(body)).map_err(|error| FetchError::Body(error.into()))?;
        let response = self.client.request(request).await?;
        if response.status() == StatusCode::OK { Ok(response) } else { Err(FetchError::Status(response.status())) }
    }

    async fn whole(&self, request: http::request::Builder, body: Bytes) -> Result<Bytes, FetchError> {
        let answer = async {
            let response = self.send(request, body).await?;
            let body = Limited::new(response.into_body(), MAX_BYTES).collect().await.map_err(FetchError::Body)?;
            Ok(body.to_bytes())
        };
        tokio::time::timeout(LIMIT, answer).await.map_err(|_| FetchError::Slow)?
    }
}

/// HTTP Basic (RFC 7617).
fn basic(id: &str, secret: &SecretText) -> Result<HeaderValue, JwksError> {
    let pair = SecretText::new(format!("{id}:{}", secret.expose()));
    let text = SecretText::new(format!("Basic {}", BASE64.encode(pair.expose().as_bytes())));
    let mut value = HeaderValue::from_str(text.expose()).map_err(|_| JwksError::Service)?;
    value.set_sensitive(true);
    Ok(value)
}

fn is_loopback(url: &Uri) -> bool {
    let host = url.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_asked_in_the_clear_of_another_host() {
        for issuer in ["http://auth.example", "http://10.0.0.1:8080", "http://localhost.example", "ftp://localhost"] {
            let refused = Link::to(issuer, None).err();
            assert!(issuer.starts_with("ftp") || matches!(refused, Some(JwksError::InTheClear(_))), "{issuer}");
        }
        for issuer in ["http://localhost:8080", "http://127.0.0.1:1/auth/", "http://[::1]:1"] {
            let address = Link::to(issuer, None).unwrap().address("/x");
            assert_eq!(address, format!("{}/x", issuer.trim_end_matches('/')));
        }
    }
}
