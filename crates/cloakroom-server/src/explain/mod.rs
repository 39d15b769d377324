//! `serve --explain`: a page on which a person signs in by each method and sees what is sent, kept and done.
//!
//! Nothing is acted: an [`Explainer`] is a client of the very server that shows it. It speaks HTTP over a connection of its own, and a
//! [trace](cloakroom_core::trace) tells what the server did for that connection's request. Without the flag there is no explainer, no
//! page, and no layer that begins traces for it.
//!
//! It shows a stranger's secrets to nobody: it signs in accounts that it makes, and it is there for loopback alone, never behind a
//! proxy ([`fit`], [`is_near`]).

mod act;
mod holder;
mod scene;
mod wire;

use std::{collections::HashMap, net::SocketAddr, sync::Arc};

pub use act::Act;
use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use cloakroom_core::{
    engine::Engine,
    method::Method,
    random::Rng,
    refusal::Refusal,
    trace::{Finished, Trace},
};
pub use holder::Held;
use http::{HeaderMap, header::HOST};
use parking_lot::Mutex;
pub use scene::{Kept, Scene, Step};
pub use wire::{Exchange, Message};

use crate::{
    config::Config,
    http::{client_address::is_forwarded, serve::Peer},
};

/// Plays the client, and shows what becomes of it.
pub struct Explainer {
    /// Where the server listens.
    listener: SocketAddr,
    /// What browsers call it: scheme and host.
    origin: String,
    base_path: String,
    /// The requests that are under way by the address that they come from, and what the server did for those that it has answered.
    heard: Mutex<HashMap<SocketAddr, Option<Finished>>>,
    scenes: tokio::sync::Mutex<Vec<Scene>>,
}

/// Whether a server that runs this configuration may explain itself.
///
/// # Errors
/// What stands against it, and what to change.
pub fn fit(config: &Config) -> Result<(), String> {
    if !config.listen.ip().to_canonical().is_loopback() {
        return Err(format!(
            "--explain is for loopback only, and the server listens on {}; write listen = \"127.0.0.1:8080\"",
            config.listen
        ));
    }
    if !config.public_url.is_loopback() {
        return Err(format!(
            "--explain is for loopback only, and `public_url` is {}; leave it out, or write http://localhost:8080",
            config.public_url
        ));
    }
    if config.proxy_ends_tls || !config.trusted_proxies.is_empty() {
        return Err("--explain is never shown through a proxy; leave `proxy_ends_tls` and `trusted_proxies` out".into());
    }
    if config.tls.is_some() {
        return Err("--explain shows messages as they are on the wire; leave [tls] out".into());
    }
    Ok(())
}

/// Whether a request comes from this machine, to a name of this machine, and by no proxy. A stranger's name may point at our address
/// (DNS rebinding), so that the host is asked too.
pub fn is_near<B>(request: &http::Request<B>) -> bool {
    let peer = request.extensions().get::<Peer>();
    let near = peer.is_some_and(|Peer(peer)| peer.ip().to_canonical().is_loopback());
    near && !is_forwarded(request.version(), request.headers()) && is_to_here(request.headers())
}

fn is_to_here(headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    let host = hosts.next().and_then(|host| host.to_str().ok()).filter(|_| hosts.next().is_none());
    host.is_some_and(is_own_name)
}

/// `localhost:8080`, `127.0.0.1`, `[::1]:8080`.
fn is_own_name(host: &str) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, port),
        _ => (host, ""),
    };
    matches!(name, "localhost" | "127.0.0.1" | "[::1]") && port.bytes().all(|b| b.is_ascii_digit())
}

impl Explainer {
    /// Of a server that runs this configuration; its listener is bound.
    pub fn new(config: &Config) -> Self {
        Self {
            listener: config.listen,
            origin: config.origin(),
            base_path: config.base_path.clone(),
            heard: Mutex::default(),
            scenes: tokio::sync::Mutex::default(),
        }
    }

    /// The methods that some app has.
    pub fn methods(engine: &Engine) -> Vec<Method> {
        Method::ALL.into_iter().filter(|method| engine.apps().iter().any(|app| app.method == *method)).collect()
    }

    /// The scene of a method as it stands; `None`: no app has it.
    pub async fn scene(&self, engine: &Engine, method: Method) -> Option<Scene> {
        let mut scenes = self.scenes.lock().await;
        place(&mut scenes, engine, method).map(|scene| scene.clone())
    }

    /// Does one thing in the scene of a method.
    ///
    /// # Errors
    /// When the server cannot be spoken to, or makes no account. What the server refuses the client is no error: it is shown.
    pub async fn act(&self, engine: &Arc<Engine>, method: Method, act: Act) -> Result<(), Refusal> {
        let mut scenes = self.scenes.lock().await;
        match place(&mut scenes, engine, method) {
            Some(scene) => scene.act(self, engine, act).await,
            None => Ok(()),
        }
    }
}

fn place<'s>(scenes: &'s mut Vec<Scene>, engine: &Engine, method: Method) -> Option<&'s mut Scene> {
    if !scenes.iter().any(|scene| scene.app().method == method) {
        scenes.push(Scene::new(engine.apps().iter().find(|app| app.method == method)?));
    }
    scenes.iter_mut().find(|scene| scene.app().method == method)
}

/// A middleware around all routes: lays a trace around the requests of the explainer.
pub async fn listen(State(explainer): State<Arc<Explainer>>, request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<Peer>().map(|peer| peer.0);
    let Some(peer) = peer.filter(|peer| explainer.heard.lock().contains_key(peer)) else {
        return next.run(request).await;
    };
    let (trace, here) = Trace::begin(None, &Rng::system());
    let response = here.within(next.run(request)).await;
    if let Some(heard) = explainer.heard.lock().get_mut(&peer) {
        *heard = Some(trace.finish("request", Vec::new(), response.status().is_server_error()));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sources;

    fn config(text: &str) -> Config {
        let apps = "\n[[app]]\nid = \"web\"\nmethod = \"session\"\n";
        Config::load(Sources::new().text("cloakroom.toml", format!("{text}{apps}"))).unwrap()
    }

    #[test]
    fn only_a_server_that_is_alone_with_this_machine_explains_itself() {
        assert_eq!(fit(&config("")), Ok(()));
        assert_eq!(fit(&config("listen = \"[::1]:8080\"")), Ok(()));
        for (text, word) in [
            ("listen = \"0.0.0.0:8080\"\npublic_url = \"http://localhost:8080\"", "listens on 0.0.0.0:8080"),
            ("public_url = \"https://auth.example\"", "`public_url`"),
            ("proxy_ends_tls = true", "proxy"),
            ("trusted_proxies = [\"127.0.0.1\"]", "proxy"),
        ] {
            let refused = fit(&config(text)).unwrap_err();
            assert!(refused.contains(word), "{text}: {refused}");
        }
    }

    fn asked(peer: Option<&str>, headers: &[(&str, &str)]) -> http::Request<()> {
        let mut request = http::Request::builder().uri("/explain");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(()).unwrap();
        if let Some(peer) = peer {
            request.extensions_mut().insert(Peer(peer.parse().unwrap()));
        }
        request
    }

    #[test]
    fn what_a_proxy_or_a_strangers_name_brings_is_not_near() {
        let here = Some("127.0.0.1:4711");
        for host in ["localhost:8080", "localhost", "127.0.0.1:1", "[::1]:8080", "[::1]"] {
            assert!(is_near(&asked(here, &[("host", host)])), "{host}");
        }
        for host in ["auth.example", "localhost.example", "127.0.0.1.example:80", "", "localhost:x", "[::1", "10.0.0.1"]
        {
            assert!(!is_near(&asked(here, &[("host", host)])), "{host}");
        }
        assert!(!is_near(&asked(here, &[])));
        assert!(!is_near(&asked(here, &[("host", "localhost"), ("host", "localhost")])));
        for name in ["x-forwarded-for", "forwarded", "via", "x-real-ip", "x-forwarded-host", "cf-connecting-ip"] {
            assert!(!is_near(&asked(here, &[("host", "localhost"), (name, "127.0.0.1")])), "{name}");
        }
        let local = [("host", "localhost")];
        assert!(!is_near(&asked(Some("192.0.2.1:80"), &local)));
        assert!(!is_near(&asked(None, &local)));
        assert!(is_near(&asked(Some("[::ffff:127.0.0.1]:80"), &local)));
        let mut as_nginx_does = asked(here, &local);
        *as_nginx_does.version_mut() = http::Version::HTTP_10;
        assert!(!is_near(&as_nginx_does));
    }
}
