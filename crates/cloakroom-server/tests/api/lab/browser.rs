//! A browser: a jar of cookies, and the headers that a page of the server's own origin sends.

use std::{collections::BTreeMap, net::SocketAddr};

use parking_lot::Mutex;
use serde_json::json;

use super::{Answer, Ask, PASSWORD, SignedIn, email};

pub(crate) struct Browser {
    address: SocketAddr,
    origin: String,
    pub(crate) jar: Mutex<BTreeMap<String, String>>,
}

impl Browser {
    pub(super) fn new(address: SocketAddr, origin: &str) -> Self {
        Self { address, origin: origin.to_owned(), jar: Mutex::default() }
    }

    /// A request with the jar's cookies, from a page of the server.
    pub(crate) fn ask(&self, method: &str, path: &str) -> Ask {
        let mut ask = Ask::new(self.address, method, path).header("sec-fetch-site", "same-origin");
        if method != "GET" {
            ask = ask.header("origin", &self.origin);
        }
        let jar = self.jar.lock();
        let pairs: Vec<_> = jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if pairs.is_empty() { ask } else { ask.cookie(&pairs.join("; ")) }
    }

    /// Takes over what an answer sets.
    pub(crate) fn keep(&self, answer: &Answer) {
        let mut jar = self.jar.lock();
        for cookie in answer.cookies() {
            if cookie.max_age() == 0 {
                jar.remove(&cookie.name);
            } else {
                jar.insert(cookie.name, cookie.value);
            }
        }
    }

    pub(crate) async fn send(&self, ask: Ask) -> Answer {
        let answer = ask.await;
        self.keep(&answer);
        answer
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.ask("GET", path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: serde_json::Value) -> Answer {
        self.send(self.ask("POST", path).json(body)).await
    }

    /// Signs in; a refresh token goes into its cookie.
    pub(crate) async fn login(&self, name: &str, app: &str) -> SignedIn {
        let body = json!({"email": email(name), "password": PASSWORD, "app": app, "transport": "cookie"});
        let answer = self.post("/v1/login", body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        SignedIn::read(&answer)
    }

    pub(crate) fn cookie(&self, app: &str) -> Option<String> {
        self.jar.lock().get(&format!("cloakroom-{app}")).cloned()
    }
}
