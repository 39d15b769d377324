//! Logs and metrics hold no secret: every call is made while everything is logged, and what was logged is searched.

use std::{
    io,
    sync::{Arc, LazyLock},
};

use cloakroom_core::engine::Client;
use parking_lot::Mutex;
use serde_json::json;

use crate::lab::{APPS, Lab, PASSWORD};

/// What the process has logged. Of all of it: another test's lines do no harm here.
static LOGGED: LazyLock<Log> = LazyLock::new(|| {
    let log = Log::default();
    let lines = log.clone();
    let all = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false);
    all.with_writer(move || lines.clone()).init();
    log
});

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// F126, F127, F128: at trace level, with every call made and many refused, no 8 bytes of any secret are logged or measured.
#[tokio::test]
async fn no_piece_of_a_secret_is_logged() {
    let log = LazyLock::force(&LOGGED).clone();
    let lab = Lab::start().await;
    let service = lab.service().await;
    let new_password = "seven unlikely otters juggle";
    let mut secrets =
        vec![PASSWORD.to_owned(), new_password.into(), service.secret.clone(), "wr0ng-pa55w0rd-typ0".into()];
    for app in APPS {
        let ada = lab.login("ada", app).await;
        secrets.push(ada.credential().to_owned());
        secrets.extend(ada.body["refresh_token"].as_str().map(str::to_owned));
        let credential = ada.credential();
        lab.try_login("ada", "wr0ng-pa55w0rd-typ0", app).await;
        let minted = lab.verify(credential).await.header("x-auth-token").unwrap().to_owned();
        secrets.extend((!minted.is_empty()).then_some(minted));
        for path in ["/v1/verify", "/v1/account", "/v1/sessions", "/v1/verify/a"] {
            lab.get(path).bearer(credential).await;
            lab.get(path).cookie(&format!("cloakroom-{app}={credential}; cloakroom-web={credential}")).await;
            lab.get(&format!("{path}?access_token={credential}")).await;
            lab.get(&format!("{path}?before={credential}&app={credential}")).bearer(credential).await;
            lab.get(path).bearer(&format!("{credential}x")).await;
            lab.get(path).header("authorization", format!("Basic {credential}")).await;
        }
        lab.get(&format!("/{credential}")).await;
        lab.delete(&format!("/v1/sessions/{credential}")).bearer(credential).await;
        lab.introspect(&service, credential).await;
        lab.post("/oauth/introspect").form(&[("token", credential)]).await;
        lab.post("/v1/login")
            .body("application/json", format!("{{\"password\":\"{PASSWORD}\",\"email\":{credential}"))
            .await;
        lab.post("/v1/login").body("text/plain", PASSWORD).await;
        lab.post("/v1/accounts").json(json!({"email": PASSWORD, "password": PASSWORD, "name": credential})).await;
        lab.post("/v1/password").bearer(credential).json(json!({"current": "wr0ng-pa55w0rd-typ0", "new": "x"})).await;
        lab.advance(60);
        for token in [ada.body["refresh_token"].as_str().unwrap_or(credential), "junk"] {
            let renewed = lab.refresh(token).await;
            if renewed.status == 200 {
                secrets.extend(
                    ["access_token", "refresh_token"].map(|name| renewed.json()[name].as_str().unwrap().to_owned()),
                );
            }
        }
        lab.advance(60);
        if let Some(token) = ada.body["refresh_token"].as_str() {
            lab.refresh(token).await;
        }
        lab.post("/oauth/revoke").basic(&service).form(&[("token", credential)]).await;
        lab.post("/v1/logout").bearer(credential).json(json!({"everywhere": true})).await;
    }
    let ada = lab.login("ada", "web").await;
    lab.post("/v1/password").bearer(ada.credential()).json(json!({"current": PASSWORD, "new": new_password})).await;
    lab.engine.kill_key(lab.engine.keys()[0].kid, &Client::default()).await.unwrap();
    let metrics = lab.get("/metrics").await.text();
    let audit = format!("{:?}", lab.audit().await);
    let logged = String::from_utf8_lossy(&log.0.lock()).into_owned();
    assert!(logged.contains("refused"), "it was listening");
    for (name, text) in [("log", &logged), ("metrics", &metrics), ("audit log", &audit)] {
        for secret in &secrets {
            for piece in pieces(secret) {
                assert!(!text.contains(piece), "the {name} holds {piece:?}: {}", line_of(text, piece));
            }
        }
    }
}

/// Every run of 8 bytes, but those that are no secret: a token's header and claims, which are no more than base64 of what
/// anybody may know, count from their signature on only.
fn pieces(secret: &str) -> impl Iterator<Item = &str> {
    let secret = secret.rsplit_once('.').map_or(secret, |(_, signature)| signature);
    // The version, kind and key of a ticket stand in every one of them.
    let secret = if secret.len() == 47 || secret.len() == 52 { &secret[8..] } else { secret };
    (0..secret.len().saturating_sub(7)).filter_map(|at| secret.get(at..at + 8))
}

fn line_of<'t>(text: &'t str, piece: &str) -> &'t str {
    text.lines().find(|line| line.contains(piece)).unwrap_or_default()
}
