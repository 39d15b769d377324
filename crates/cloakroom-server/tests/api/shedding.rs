//! What goes on, and what is turned away first, while a store is slow or answers nothing at all.

use std::{future::IntoFuture, time::Duration};

use cloakroom_core::engine::{REFRESHES, SIGN_INS};
use serde_json::json;
use tokio::task::JoinSet;

use crate::{
    lab::{Answer, Ask, Cluster, Lab, PASSWORD, metric, until},
    redis::Redis,
};

const OPTIONS: &str = "pool_size=8&connect_timeout=4&statement_timeout=4";
/// As `password.threads` and `password.queue` of the lab.
const HASHING: usize = 2 + 24;

/// Sends so many at once; how many were answered with which status and code.
fn flood(times: usize, ask: impl Fn(usize) -> Ask) -> JoinSet<Answer> {
    let mut flood = JoinSet::new();
    for n in 0..times {
        let ask = ask(n);
        flood.spawn(async move { ask.await });
    }
    flood
}

async fn refused(flood: JoinSet<Answer>) -> (usize, usize) {
    let answers = flood.join_all().await;
    for answer in &answers {
        assert_eq!(answer.status, 503, "{}", answer.text());
        assert!(answer.header("retry-after").unwrap().parse::<u64>().unwrap() > 0);
    }
    let count = |code: &str| answers.iter().filter(|answer| answer.code() == code).count();
    (count("store_unavailable"), count("overloaded"))
}

/// How many of a kind wait for a place, or have waited in vain: on a busy machine the last may come when the first have gone.
async fn without_a_place(lab: &Lab, kind: &str) -> f64 {
    metric(lab, &format!("cloakroom_work_waiting{{kind=\"{kind}\"}}")).await
        + metric(lab, &format!("cloakroom_work_turned_away_total{{kind=\"{kind}\"}}")).await
}

/// F124: PostgreSQL stops in the middle of things. Sign-ins and refreshes are turned away first, most of them at once;
/// sessions that are warm go on while their lease lasts, and tokens until they expire; and when it goes on, so does everything.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_postgres_that_stops_takes_no_warm_verification_with_it() {
    let cluster = Cluster::start().await;
    let lab =
        Lab::with_settings(&format!("{}limits.failures_per_network.burst = 1000", cluster.settings(OPTIONS))).await;
    let web = lab.login("ada", "web").await;
    let cold = lab.login("ada", "web").await;
    let tokens = [lab.login("ada", "api").await, lab.login("ada", "stateless").await];
    for signed_in in tokens.iter().chain([&web]) {
        assert_eq!(lab.verify(signed_in.credential()).await.status, 200);
    }
    lab.advance(31);
    until("the lease", async || lab.verify(web.credential()).await.status == 200).await;

    cluster.stop();
    let refreshes = flood(REFRESHES + 40, |n| {
        lab.post("/v1/refresh").json(json!({"refresh_token": tokens[n % 2].refresh_token()}))
    });
    let logins = flood(SIGN_INS + HASHING + 40, |_| lab.login_request("ada", PASSWORD, "web"));
    let reads = flood(20, |_| lab.get("/v1/verify").bearer(cold.credential()));
    until("they do not wait", async || without_a_place(&lab, "sign_in").await >= 40.0).await;
    for _ in 0..20 {
        assert_eq!(lab.verify(web.credential()).await.status, 200, "warm, and the lease lasts");
        for signed_in in &tokens {
            assert_eq!(lab.verify(signed_in.credential()).await.status, 200, "a signature needs no store");
        }
    }
    assert_eq!(refused(refreshes).await, (REFRESHES, 40));
    assert_eq!(refused(logins).await, (SIGN_INS + HASHING, 40));
    assert_eq!(refused(reads).await, (20, 0), "who asks for one session shares one question");

    // The bound of what a session may be believed without the log is reached; tokens go on.
    lab.advance(3);
    assert_eq!(refused(flood(50, |_| lab.get("/v1/verify").bearer(web.credential()))).await, (50, 0));
    // Another server would be no better off: the balancer keeps this one, and is told.
    let ready = lab.get("/readyz").await;
    assert_eq!(ready.status, 200);
    assert_eq!(ready.text(), "ready\nshared: store both: what has ended cannot be heard from it\n");
    assert!((metric(&lab, r#"cloakroom_troubles{part="store",whose="shared"}"#).await - 1.0).abs() < f64::EPSILON);
    for signed_in in &tokens {
        assert_eq!(lab.verify(signed_in.credential()).await.status, 200);
    }

    cluster.go_on();
    until("it does not go on", async || lab.verify(web.credential()).await.status == 200).await;
    until("it does not go on", async || lab.try_login("ada", PASSWORD, "web").await.status == 200).await;
    assert_eq!(lab.refresh(tokens[0].refresh_token()).await.status, 200);
    assert_eq!(lab.get("/readyz").await.text(), "ready\n");
    for name in ["cloakroom_verifications_under_way", "cloakroom_work_under_way{kind=\"refresh\"}"] {
        until(name, async || metric(&lab, name).await == 0.0).await;
    }
}

/// Writes hang, as on a disk that does: those who wait for them are turned away in the end, and cold sessions are read on.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writes_that_hang_leave_reads_alone() {
    let cluster = Cluster::start().await;
    let lab = Lab::with_settings(&cluster.settings("pool_size=8&connect_timeout=2&statement_timeout=8")).await;
    let mut cold = Vec::new();
    for _ in 0..5 {
        cold.push(lab.login("ada", "web").await);
    }
    let api = lab.login("ada", "api").await;
    lab.advance(31);
    let tool = cluster.tool().await.unwrap();
    tool.batch_execute("BEGIN; LOCK TABLE cloakroom_sessions IN SHARE MODE").await.unwrap();
    let refreshes =
        flood(REFRESHES + 40, |_| lab.post("/v1/refresh").json(json!({"refresh_token": api.refresh_token()})));
    let logins = flood(6, |_| lab.login_request("ada", PASSWORD, "web"));
    until("they do not wait", async || without_a_place(&lab, "refresh").await >= 40.0).await;
    // As many as may write: a quarter of the connections.
    let hanging = "SELECT count(*) FROM pg_locks WHERE NOT granted";
    until("they do not hang", async || tool.query_one(hanging, &[]).await.unwrap().get::<_, i64>(0) == 2).await;
    for session in &cold {
        assert_eq!(lab.verify(session.credential()).await.status, 200);
    }
    assert_eq!(refused(refreshes).await, (REFRESHES, 40));
    assert_eq!(refused(logins).await, (6, 0));
    tool.batch_execute("ROLLBACK").await.unwrap();
    until("it does not go on", async || lab.refresh(api.refresh_token()).await.status == 200).await;
}

/// F124: clients that hang up leave nothing behind in the queue of a PostgreSQL that does not answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_asked_for_those_who_have_hung_up() {
    let cluster = Cluster::start().await;
    let tool = cluster.tool().await.unwrap();
    tool.batch_execute("ALTER DATABASE postgres SET log_statement = 'all'").await.unwrap();
    let lab = Lab::with_settings(&cluster.settings("pool_size=4&connect_timeout=4&statement_timeout=4")).await;
    let api = lab.login("ada", "api").await;
    assert_eq!(lab.refresh(api.refresh_token()).await.status, 200);
    let reads = || cluster.log().lines().filter(|line| line.contains("JOIN cloakroom_sessions ON sid")).count();
    let before = reads();
    assert!(before > 0, "{}", cluster.log());
    cluster.stop();
    for _ in 0..100 {
        let ask = lab.post("/v1/refresh").json(json!({"refresh_token": api.refresh_token()}));
        let _ = tokio::time::timeout(Duration::from_millis(20), ask.into_future()).await;
    }
    cluster.go_on();
    until("it does not go on", async || lab.refresh(api.refresh_token()).await.status == 200).await;
    // What was sent and not taken yet is taken by now.
    let mut asked = 0;
    while asked != reads() - before {
        asked = reads() - before;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    assert!((1..20).contains(&asked), "{asked}");
}

/// The same with a Redis that stops.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_redis_that_stops_takes_no_warm_verification_with_it() {
    let redis = Redis::start();
    let lab = Lab::with_settings(&redis.settings()).await;
    let web = lab.login("ada", "web").await;
    assert_eq!(lab.verify(web.credential()).await.status, 200);
    let api = lab.login("ada", "api").await;
    redis.signal("STOP");
    let refreshes =
        flood(REFRESHES + 40, |_| lab.post("/v1/refresh").json(json!({"refresh_token": api.refresh_token()})));
    until("they do not wait", async || without_a_place(&lab, "refresh").await >= 40.0).await;
    // The log is elsewhere, so the lease goes on too.
    lab.advance(10);
    for credential in [web.credential(), api.credential()] {
        until("a warm verification stops", async || lab.verify(credential).await.status == 200).await;
    }
    assert_eq!(refused(refreshes).await, (REFRESHES, 40));
    redis.signal("CONT");
    until("it does not go on", async || lab.refresh(api.refresh_token()).await.status == 200).await;
}
