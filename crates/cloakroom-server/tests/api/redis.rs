//! Sessions in a Redis of their own: the whole walk, and what happens while it is away.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::json;

use crate::lab::{APPS, BY_TICKET, Lab};

/// A Redis that keeps what it has acknowledged.
pub(crate) struct Redis {
    port: u16,
    process: Child,
    directory: tempfile::TempDir,
}

impl Redis {
    pub(crate) fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let directory = tempfile::tempdir().unwrap();
        let process = Self::spawn(port, directory.path());
        Self { port, process, directory }
    }

    fn spawn(port: u16, directory: &std::path::Path) -> Child {
        let mut process = Command::new("redis-server")
            .args([
                "--port",
                &port.to_string(),
                "--bind",
                "127.0.0.1",
                "--appendonly",
                "yes",
                "--appendfsync",
                "always",
                "--dir",
            ])
            .arg(directory)
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is installed (package redis-server)");
        let began = Instant::now();
        while !Self::answers(port) {
            if began.elapsed() > Duration::from_secs(60) {
                let _ = process.kill();
                panic!("redis-server does not come up");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        process
    }

    fn answers(port: u16) -> bool {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
        let mut answer = [0; 5];
        stream.write_all(b"PING\r\n").is_ok() && stream.read_exact(&mut answer).is_ok() && answer == *b"+PONG"
    }

    pub(crate) fn settings(&self) -> String {
        format!("store.sessions = 'redis://127.0.0.1:{}'", self.port)
    }

    /// As `kill -NAME` does.
    pub(crate) fn signal(&self, name: &str) {
        let number = self.process.id().to_string();
        assert!(Command::new("kill").arg(format!("-{name}")).arg(number).status().unwrap().success());
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    fn resume(&mut self) {
        self.process = Self::spawn(self.port, self.directory.path());
    }
}

impl Redis {
    /// Its files as they are now, for [`Self::go_back`].
    fn copy(&mut self) -> tempfile::TempDir {
        self.kill();
        let copy = tempfile::tempdir().unwrap();
        copy_files(self.directory.path(), copy.path());
        self.resume();
        copy
    }

    /// Comes up as it was when the copy was made.
    fn go_back(&mut self, copy: &tempfile::TempDir) {
        self.kill();
        self.directory = tempfile::tempdir().unwrap();
        copy_files(copy.path(), self.directory.path());
        self.resume();
    }
}

fn copy_files(from: &std::path::Path, to: &std::path::Path) {
    let done = Command::new("cp").arg("-a").arg(from.join(".")).arg(to).status().unwrap();
    assert!(done.success());
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_walk_goes_with_sessions_in_redis() {
    let redis = Redis::start();
    let mut lab = Lab::with_settings(&redis.settings()).await;
    for app in APPS {
        let ada = lab.login("ada", app).await;
        assert_eq!(lab.verify(ada.credential()).await.status, 200, "{app}");
    }
    let devices = lab.login("ada", "web").await;
    let listed = lab.get("/v1/sessions").bearer(devices.credential()).await.json();
    assert_eq!(listed["sessions"].as_array().unwrap().len(), 4, "all that have a record: {listed}");

    let api = lab.login("ada", "api").await;
    lab.advance(31);
    let renewed = lab.refresh(api.refresh_token()).await;
    assert_eq!(renewed.status, 200, "{}", renewed.text());
    let again = lab.refresh(api.refresh_token()).await.json();
    assert_eq!(again["refresh_token"], renewed.json()["refresh_token"], "the same successor again");
    lab.advance(31);
    assert_eq!(lab.refresh(api.refresh_token()).await.refusal(), (401, "token_reused".to_owned()));

    let web = lab.login("eve", "web").await;
    lab.advance(7200);
    assert_eq!(lab.verify(web.credential()).await.status, 200);
    lab.engine.flush().await.unwrap();
    let listed = lab.get("/v1/sessions").bearer(web.credential()).await.json();
    assert_eq!(listed["sessions"][0]["last_active_at"], "2027-01-15T10:01:02Z");
    let other = lab.login("eve", "edge").await;
    let end_other =
        |by: &crate::lab::SignedIn| lab.delete(&format!("/v1/sessions/{}", other.session)).bearer(by.credential());
    assert_eq!(end_other(&web).await.refusal(), (401, "reauthentication_required".to_owned()));
    assert_eq!(end_other(&lab.login("eve", "web").await).await.status, 204);
    assert_eq!(lab.verify(other.credential()).await.code(), "session_revoked");

    // Sessions are there after a restart of the server, and end all at once.
    lab = lab.restart_ready(&redis.settings()).await;
    assert_eq!(lab.verify(web.credential()).await.status, 200);
    let everywhere = lab.post("/v1/logout").bearer(web.credential()).json(json!({"everywhere": true})).await;
    assert_eq!(everywhere.status, 204);
    assert_eq!(lab.verify(web.credential()).await.status, 401);
    assert_eq!(lab.login("eve", "web").await.body["session"]["method"], "session");
}

/// F066, F124: what was read within its time goes on, everything else is told that the store is away, and nothing has been
/// forgotten when it is back.
#[tokio::test(flavor = "multi_thread")]
async fn while_redis_is_away_only_what_is_known_goes_on() {
    let mut redis = Redis::start();
    let lab = Lab::with_settings(&redis.settings()).await;
    let mut held = Vec::new();
    for app in BY_TICKET {
        let (warm, cold, ended) =
            (lab.login("ada", app).await, lab.login("ada", app).await, lab.login("ada", app).await);
        assert_eq!(lab.verify(warm.credential()).await.status, 200);
        assert_eq!(lab.post("/v1/logout").bearer(ended.credential()).await.status, 204);
        held.push((warm, cold, ended));
    }
    let api = lab.login("ada", "api").await;
    let fresh = lab.login("ada", "web").await;

    redis.kill();
    let began = Instant::now();
    for (warm, cold, ended) in &held {
        assert_eq!(lab.verify(warm.credential()).await.status, 200, "a fact lives on");
        assert_eq!(lab.verify(cold.credential()).await.refusal(), (503, "store_unavailable".to_owned()));
        assert_ne!(lab.verify(ended.credential()).await.status, 200);
    }
    assert_eq!(lab.verify(api.credential()).await.status, 200, "a signature needs no store");
    lab.advance(31);
    assert_eq!(lab.refresh(api.refresh_token()).await.refusal(), (503, "store_unavailable".to_owned()));
    assert_eq!(
        lab.try_login("ada", crate::lab::PASSWORD, "web").await.refusal(),
        (503, "store_unavailable".to_owned())
    );
    // The log is elsewhere, and has what ends.
    assert_eq!(lab.post("/v1/logout").bearer(fresh.credential()).await.status, 204);
    assert_ne!(lab.verify(fresh.credential()).await.status, 200);
    // Facts have become too old.
    lab.advance(300);
    for (warm, cold, ended) in &held {
        for session in [warm, cold] {
            assert_eq!(lab.verify(session.credential()).await.refusal(), (503, "store_unavailable".to_owned()));
        }
        assert_ne!(lab.verify(ended.credential()).await.status, 200);
    }
    assert!(began.elapsed() < Duration::from_secs(40), "nobody waits long");
    // R29: it is told that the store is away; but no other server would be better off.
    let ready = lab.get("/readyz").await;
    assert_eq!((ready.status, ready.text().as_str()), (200, "ready\nshared: store sessions: it does not answer\n"));
    let metrics = lab.get("/metrics").await.text();
    assert!(metrics.contains("cloakroom_troubles{part=\"store\",whose=\"shared\"} 1\n"), "{metrics}");

    redis.resume();
    let began = Instant::now();
    while lab.verify(held[0].0.credential()).await.status != 200 {
        assert!(began.elapsed() < Duration::from_secs(60), "it does not recover");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for (warm, cold, ended) in &held {
        assert_eq!(lab.verify(warm.credential()).await.status, 200);
        assert_eq!(lab.verify(cold.credential()).await.status, 200);
        assert_eq!(lab.verify(ended.credential()).await.status, 401);
    }
    assert_eq!(lab.verify(fresh.credential()).await.refusal(), (401, "session_revoked".to_owned()));
    assert_eq!(lab.refresh(api.refresh_token()).await.status, 200);
    lab.login("ada", "web").await;
    assert_eq!(lab.get("/readyz").await.text(), "ready\n");
}

/// F138: a configuration that cannot be served is told at start.
#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_may_evict_sessions_stops_the_start() {
    let redis = Redis::start();
    let mut control = TcpStream::connect(("127.0.0.1", redis.port)).unwrap();
    control.write_all(b"CONFIG SET maxmemory-policy allkeys-lru\r\n").unwrap();
    let mut answer = [0; 5];
    control.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"+OK\r\n");
    let dir = tempfile::tempdir().unwrap();
    let apps = "[[app]]\nid = 'web'\nmethod = 'session'\n";
    let config = crate::lab::config(dir.path(), &redis.settings(), apps).unwrap();
    let (clock, rng) = (cloakroom_core::clock::Clock::system(), cloakroom_core::random::Rng::system());
    let Err(error) = cloakroom_server::Server::bind_with(config, clock, rng).await else { panic!("it starts") };
    assert!(error.to_string().contains("CONFIG SET maxmemory-policy noeviction"), "{error}");
}

/// Waits until a session is not there any more.
async fn gone(sessions: &std::sync::Arc<dyn cloakroom_core::store::SessionStore>, id: cloakroom_core::ids::SessionId) {
    let began = Instant::now();
    while !matches!(sessions.read(id).await, Ok(None)) {
        assert!(began.elapsed() < Duration::from_secs(20), "it is still there");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What a verification says once the store is there again.
async fn settled(lab: &Lab, credential: &str) -> crate::lab::Answer {
    let began = Instant::now();
    loop {
        let answer = lab.verify(credential).await;
        if answer.status != 503 {
            return answer;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "it stays away: {}", answer.text());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// F068: a Redis that comes back from an older copy brings no ended session back, neither at the next question nor later.
#[tokio::test(flavor = "multi_thread")]
async fn what_has_ended_does_not_come_back_with_an_older_redis() {
    let mut redis = Redis::start();
    let lab = Lab::with_settings(&redis.settings()).await;
    let (asked, unasked, goes_on) =
        (lab.login("ada", "web").await, lab.login("ada", "edge").await, lab.login("eve", "web").await);
    let copy = redis.copy();
    assert_eq!(settled(&lab, asked.credential()).await.status, 200);
    for ended in [&asked, &unasked] {
        assert_eq!(lab.post("/v1/logout").bearer(ended.credential()).await.status, 204);
    }
    lab.engine.assert_ends().await.unwrap();
    assert_eq!(lab.engine.assert_ends().await.unwrap(), 0, "all of it is known to be done");
    // Longer than any verifier holds an end.
    lab.advance(2 * 3600);
    redis.go_back(&copy);
    assert_eq!(settled(&lab, goes_on.credential()).await.status, 200);
    assert_eq!(lab.verify(asked.credential()).await.refusal(), (401, "session_revoked".to_owned()));
    // It came back too, and goes as soon as Redis is reached again.
    let sessions = &lab.engine.stores().sessions;
    let unasked = cloakroom_core::ids::SessionId::parse(&unasked.session).unwrap();
    gone(sessions, unasked).await;
    // Whoever deleted it notes that a moment later.
    let began = Instant::now();
    while lab.engine.assert_ends().await.unwrap() > 0 {
        assert!(began.elapsed() < Duration::from_secs(20), "it is never known to be done");
    }
    assert_eq!(lab.verify(goes_on.credential()).await.status, 200);

    // The same at a start.
    redis.go_back(&copy);
    let lab = lab.restart_ready(&redis.settings()).await;
    assert!(lab.engine.stores().sessions.read(unasked).await.unwrap().is_none());

    // From a time that the log no longer reaches, it is refused.
    lab.advance(3 * 86_400);
    assert!(lab.engine.sweep().await.unwrap() > 0);
    redis.go_back(&copy);
    let clock = lab.engine.clock().clone();
    let (dir, ()) = {
        let mut lab = lab;
        lab.stop().await;
        lab.give_up_dir(async || ()).await
    };
    let app = "[[app]]\nid = 'web'\nmethod = 'session'";
    let config = crate::lab::config(dir.path(), &redis.settings(), app).unwrap();
    let started = cloakroom_server::Server::bind_with(config, clock, cloakroom_core::random::Rng::system()).await;
    let error = started.err().expect("it is refused").to_string();
    assert!(error.contains("too old") && error.contains("empty it"), "{error}");
}

/// R20: an old copy that comes back while servers run is not used, and they say so.
#[tokio::test(flavor = "multi_thread")]
async fn an_older_redis_under_a_running_server_is_not_used() {
    let mut redis = Redis::start();
    let lab = Lab::with_settings(&redis.settings()).await;
    let (ended, goes_on) = (lab.login("ada", "web").await, lab.login("eve", "web").await);
    let copy = redis.copy();
    assert_eq!(settled(&lab, ended.credential()).await.status, 200);
    assert_eq!(lab.post("/v1/logout").bearer(ended.credential()).await.status, 204);
    lab.engine.assert_ends().await.unwrap();
    lab.advance(3 * 86_400);
    assert!(lab.engine.sweep().await.unwrap() > 0);
    assert_eq!(lab.verify(goes_on.credential()).await.status, 200);

    redis.go_back(&copy);
    let began = Instant::now();
    while lab.engine.refused_sessions().is_none() {
        // As soon as it is reached again, whoever asks.
        lab.verify(goes_on.credential()).await;
        assert!(began.elapsed() < Duration::from_secs(20), "nobody finds out");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for credential in [ended.credential(), goes_on.credential()] {
        assert_eq!(lab.verify(credential).await.refusal(), (503, "store_unavailable".to_owned()));
    }
    // Nor later, nor by a server that starts; until it is emptied.
    lab.engine.assert_ends().await.unwrap_err();
    let mut control = TcpStream::connect(("127.0.0.1", redis.port)).unwrap();
    control.write_all(b"FLUSHALL\r\n").unwrap();
    let mut answer = [0; 5];
    control.read_exact(&mut answer).unwrap();
    lab.engine.assert_ends().await.unwrap();
    assert_eq!(lab.verify(ended.credential()).await.status, 401);
    lab.login("eve", "web").await;
}
