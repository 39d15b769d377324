//! What a request says, wherever it says it: in the query, in a form, in JSON of whatever content type. Whoever writes the page
//! that sends it need not care, be it ours or a stranger's.

use std::{collections::HashMap, convert::Infallible, sync::Arc};

use axum::{
    extract::{FromRequest, Request},
    http::{HeaderMap, header},
};

use super::{super::tls::Peer, Login};

/// A request, read.
pub(super) struct Params {
    all: HashMap<String, String>,
    headers: HeaderMap,
    peer: String,
}

impl FromRequest<Arc<Login>> for Params {
    type Rejection = Infallible;

    async fn from_request(request: Request, _: &Arc<Login>) -> Result<Self, Infallible> {
        let (parts, body) = request.into_parts();
        // As long as it likes to be.
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
        let query = parts.uri.query().unwrap_or_default().as_bytes();
        let mut all = form_urlencoded::parse(query).into_owned().collect::<HashMap<_, _>>();
        match serde_json::from_slice::<HashMap<String, serde_json::Value>>(&body) {
            Ok(json) => all.extend(json.into_iter().map(|(key, value)| {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                (key, text)
            })),
            Err(_) => all.extend(form_urlencoded::parse(&body).into_owned()),
        }
        let peer = parts.extensions.get::<Peer>().map_or_else(String::new, |peer| peer.0.ip().to_string());
        Ok(Self { all, headers: parts.headers, peer })
    }
}

impl Params {
    /// A value, or nothing.
    pub(super) fn read(&self, name: &str) -> &str {
        self.all.get(name).map(String::as_str).unwrap_or_default()
    }

    /// The first cookie of that name, as the browser happens to send them.
    pub(super) fn cookie(&self, name: &str) -> Option<&str> {
        let cookies =
            self.headers.get_all(header::COOKIE).iter().filter_map(|line| std::str::from_utf8(line.as_bytes()).ok());
        cookies
            .flat_map(|line| line.split(';'))
            // Trims whatever Unicode calls white space.
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(found, _)| found.trim() == name)
            .map(|(_, value)| value.trim_matches('"'))
    }

    /// The session's number: from the address, or else from the cookie.
    pub(super) fn session(&self) -> Option<&str> {
        match self.read("sid") {
            "" => self.cookie("sid"),
            sid => Some(sid),
        }
    }

    /// The token: from the address, or else from the header.
    pub(super) fn token(&self) -> Option<&str> {
        let header = self.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        match self.read("token") {
            "" => header.and_then(|value| value.strip_prefix("Bearer ")),
            token => Some(token),
        }
    }

    /// Who asks, as the client says.
    pub(super) fn client(&self) -> String {
        let forwarded = self.headers.get("x-forwarded-for").and_then(|value| value.to_str().ok());
        forwarded.map_or_else(|| self.peer.clone(), str::to_owned)
    }
}
