//! The revocation feed: snapshot, events, resumption, and who may follow it.

use std::time::Duration;

use cloakroom_core::{engine::Client, ids::SessionId, revocation::Hold, store::EndRequest};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::lab::{Feed, Lab, Service, email, metric, until};

const DAY: Duration = Duration::from_hours(24);

async fn follow(lab: &Lab, service: &Service, last: Option<&str>) -> Feed {
    let mut ask = lab.get("/v1/revocations").basic(service);
    if let Some(last) = last {
        ask = ask.header("last-event-id", last);
    }
    Feed::open(ask).await
}

async fn head(lab: &Lab, service: &Service) -> Value {
    lab.get("/v1/revocations/head").basic(service).await.json()
}

fn id(head: &Value) -> String {
    format!("{}:{}", head["incarnation"].as_str().unwrap(), head["sequence"])
}

#[tokio::test]
async fn without_a_place_the_feed_begins_with_a_snapshot() {
    let lab = Lab::start().await;
    let service = lab.service().await;
    let ada = lab.login("ada", "web").await;
    lab.post("/v1/logout").bearer(ada.credential()).await;
    let mut feed = follow(&lab, &service, None).await;
    assert_eq!(feed.status, 200);
    let header = |name: &str| feed.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
    assert_eq!((header("content-type"), header("cache-control")), (Some("text/event-stream"), Some("no-store")));
    let snapshot = feed.next().await.unwrap();
    assert_eq!(snapshot.name.as_deref(), Some("snapshot"));
    assert_eq!(snapshot.data, json!({"ended": [{"kind": "session", "session": ada.session}]}));
    assert_eq!(snapshot.id, id(&head(&lab, &service).await));
}

#[tokio::test]
async fn each_kind_of_end_is_an_event_of_its_own() {
    let lab = Lab::start().await;
    let service = lab.service().await;
    let mut feed = follow(&lab, &service, None).await;
    assert_eq!(feed.next().await.unwrap().name.as_deref(), Some("snapshot"));
    let ada = lab.login("ada", "web").await;
    lab.post("/v1/logout").bearer(ada.credential()).await;
    let event = feed.next().await.unwrap();
    assert_eq!((event.name, event.data), (None, json!({"kind": "session", "session": ada.session})));

    let ada = lab.login("ada", "web").await;
    lab.post("/v1/logout").bearer(ada.credential()).json(json!({"everywhere": true})).await;
    // An epoch is the store's time in seconds, or the next number.
    let epoch = lab.now();
    assert_eq!(feed.next().await.unwrap().data, json!({"kind": "account", "account": ada.account, "epoch": epoch}));

    while feed.next().await.unwrap().data["kind"] != "session" {}
    let client = Client::default();
    let app = lab.engine.app(Some("api")).unwrap();
    lab.engine.end_app(app, None, &client).await.unwrap();
    lab.engine.end_app(app, Some(cloakroom_core::method::Method::Jwt), &client).await.unwrap();
    assert_eq!(feed.next().await.unwrap().data, json!({"kind": "app", "app": "api", "method": null, "epoch": epoch}));
    assert_eq!(
        feed.next().await.unwrap().data,
        json!({"kind": "app", "app": "api", "method": "jwt", "epoch": epoch + 1})
    );

    let kid = lab.engine.keys()[0].kid;
    lab.engine.kill_key(kid, &client).await.unwrap();
    let last = feed.next().await.unwrap();
    assert_eq!(last.data, json!({"kind": "key", "kid": kid.to_string()}));
    assert_eq!(last.id, id(&head(&lab, &service).await));
}

#[tokio::test]
async fn the_feed_resumes_where_it_was_left() {
    let lab = Lab::start().await;
    let service = lab.service().await;
    let begun = id(&head(&lab, &service).await);
    let mut ended = vec![];
    for _ in 0..3 {
        let ada = lab.login("ada", "web").await;
        lab.post("/v1/logout").bearer(ada.credential()).await;
        ended.push(ada.session);
    }
    let mut feed = follow(&lab, &service, Some(&begun)).await;
    let first = feed.next().await.unwrap();
    assert_eq!((first.name.as_deref(), &first.data["session"]), (None, &json!(ended[0])), "no snapshot");
    drop(feed);
    let mut feed = follow(&lab, &service, Some(&first.id)).await;
    for session in &ended[1..] {
        assert_eq!(feed.next().await.unwrap().data["session"], json!(session));
    }
    let ada = lab.login("ada", "web").await;
    lab.post("/v1/logout").bearer(ada.credential()).await;
    assert_eq!(feed.next().await.unwrap().data["session"], json!(ada.session), "and what ends from then on");
}

/// F062: an unknown incarnation, a place ahead of the log, and no place at all begin with a snapshot.
#[tokio::test]
async fn an_unknown_place_begins_with_a_snapshot() {
    let lab = Lab::start().await;
    let service = lab.service().await;
    let ada = lab.login("ada", "web").await;
    lab.post("/v1/logout").bearer(ada.credential()).await;
    let now = head(&lab, &service).await;
    let incarnation = now["incarnation"].as_str().unwrap();
    for last in [
        "0000000000000000:0".to_owned(),
        format!("{incarnation}:999"),
        format!("{incarnation}:x"),
        "junk".into(),
        String::new(),
        format!("{incarnation}:1:2"),
    ] {
        let mut feed = follow(&lab, &service, Some(&last)).await;
        let event = feed.next().await.unwrap();
        assert_eq!((event.name.as_deref(), event.id), (Some("snapshot"), id(&now)), "{last}");
    }
}

#[tokio::test]
async fn from_too_far_back_the_feed_begins_with_a_snapshot() {
    let lab = Lab::start().await;
    let service = lab.service().await;
    let begun = id(&head(&lab, &service).await);
    for app in ["web", "stateless"] {
        let ada = lab.login("ada", app).await;
        lab.post("/v1/logout").bearer(ada.credential()).await;
    }
    lab.advance(3 * 86_400);
    lab.engine.sweep().await.unwrap();
    let mut feed = follow(&lab, &service, Some(&begun)).await;
    let event = feed.next().await.unwrap();
    assert_eq!(event.name.as_deref(), Some("snapshot"));
    assert_eq!(event.data, json!({"ended": []}), "nobody can accept what ended so long ago");
}

#[tokio::test]
async fn the_log_goes_on_over_a_restart() {
    let lab = Lab::start().await;
    let service = lab.service().await;
    let before = head(&lab, &service).await;
    let ada = lab.login("ada", "web").await;
    lab.post("/v1/logout").bearer(ada.credential()).await;
    let lab = lab.restart_ready("").await;
    let mut feed = follow(&lab, &service, Some(&id(&before))).await;
    assert_eq!(feed.next().await.unwrap().data["session"], json!(ada.session));
}

#[tokio::test]
async fn the_head_has_its_three_fields() {
    let lab = Lab::start().await;
    let service = lab.service().await;
    let head = head(&lab, &service).await;
    assert_eq!(head["time"], "2027-01-15T08:00:00.000Z");
    assert_eq!(head["sequence"], 0);
    assert!(!head["incarnation"].as_str().unwrap().is_empty());
}

#[tokio::test]
async fn only_services_follow() {
    let lab = Lab::start().await;
    let ada = lab.login("ada", "web").await;
    let wrong = Service { id: "svc_nobody".into(), secret: "x".into() };
    for path in ["/v1/revocations", "/v1/revocations/head"] {
        for ask in [lab.get(path), lab.get(path).bearer(ada.credential()), lab.get(path).basic(&wrong)] {
            let answer = ask.await;
            assert_eq!(answer.status, 401, "{path}");
            assert!(answer.header("www-authenticate").unwrap().starts_with("Basic "));
        }
    }
}

async fn end_new_session(lab: &Lab) -> Value {
    let ada = lab.login("ada", "web").await;
    lab.post("/v1/logout").bearer(ada.credential()).await;
    json!(ada.session)
}

/// Readings of the log and of the services so far.
fn readings(lab: &Lab) -> u64 {
    let read = |name: &&str| ["log_since", "log_head", "services"].contains(name);
    let operations = lab.engine.store_operations().into_iter();
    operations.filter(|one| read(&one.operation)).map(|one| one.times.count).sum()
}

/// However many follow, the log is read once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_readers_cost_as_many_readings_as_one() {
    const READERS: usize = 150;
    let lab = Lab::start().await;
    let service = lab.service().await;
    let begun = id(&head(&lab, &service).await);
    let mut feeds = join_all((0..READERS).map(|_| follow(&lab, &service, Some(&begun)))).await;
    let (before, mut told) = (readings(&lab), vec![]);
    for _ in 0..5 {
        told.push(end_new_session(&lab).await);
        let heard = join_all(feeds.iter_mut().map(Feed::next)).await;
        assert!(heard.into_iter().all(|event| event.unwrap().data["session"] == *told.last().unwrap()));
    }
    let readings = readings(&lab) - before;
    assert!(readings < READERS as u64, "{readings} readings for 5 ends");
    join_all((0..READERS).map(|_| head(&lab, &service))).await;
    let mut late = follow(&lab, &service, Some(&begun)).await;
    for session in &told {
        assert_eq!(late.next().await.unwrap().data["session"], *session, "from what the server still has");
    }
}

#[tokio::test]
async fn who_does_not_keep_up_is_dropped_and_catches_up() {
    let lab = Lab::start().await;
    let service = lab.service().await;
    let mut slow = follow(&lab, &service, None).await;
    let snapshot = slow.next().await.unwrap();
    let mut prompt = follow(&lab, &service, Some(&snapshot.id)).await;
    let session = |n: u128| EndRequest::Session(SessionId::from_bytes(n.to_be_bytes()));
    let mut written = Vec::new();
    for batch in 0..14 {
        let ends: Vec<_> = (batch * 8000..(batch + 1) * 8000).map(|n| (session(n), Hold::lasting(DAY))).collect();
        let lines = lab.engine.stores().accounts.end(&ends, None).await.unwrap();
        for entry in &lines {
            assert!(prompt.next().await.unwrap().id.ends_with(&format!(":{}", entry.sequence)));
        }
        written.extend(lines);
    }
    // What was on its way to it still comes; then it ends.
    let mut came = 0;
    while slow.next().await.is_some() {
        came += 1;
    }
    assert!(came < written.len(), "{came}");
    let metrics = lab.get("/metrics").await.text();
    assert!(metrics.contains("\ncloakroom_feed_readers_dropped_total 1\n"), "{metrics}");
    let mut feed = follow(&lab, &service, Some(&snapshot.id)).await;
    for entry in &written {
        assert!(feed.next().await.unwrap().id.ends_with(&format!(":{}", entry.sequence)));
    }
    let last = end_new_session(&lab).await;
    assert_eq!(feed.next().await.unwrap().data["session"], last);
}

#[tokio::test]
async fn a_feed_goes_on_after_everybody_has_left_it() {
    let lab = Lab::start().await;
    let service = lab.service().await;
    let mut feed = follow(&lab, &service, None).await;
    let mut last = feed.next().await.unwrap().id;
    for _ in 0..3 {
        drop(feed);
        until("the server notices", async || metric(&lab, "cloakroom_feed_readers ").await == 0.0).await;
        // At what ends now it finds nobody there, and follows the log no longer.
        let session = end_new_session(&lab).await;
        feed = follow(&lab, &service, Some(&last)).await;
        let event = feed.next().await.unwrap();
        assert_eq!(event.data["session"], session);
        last = event.id;
    }
}

/// F063: the open feed of a removed service ends within the lag.
#[tokio::test]
async fn the_feed_of_a_removed_service_ends() {
    let lab = Lab::start().await;
    let service = lab.service().await;
    let mut feed = follow(&lab, &service, None).await;
    feed.next().await.unwrap();
    lab.engine.remove_service(&service.id, &Client::default()).await.unwrap();
    let begun = std::time::Instant::now();
    assert!(feed.next().await.is_none());
    assert!(begun.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn an_open_feed_does_not_hold_up_the_end_of_the_server() {
    let mut lab = Lab::start().await;
    let service = lab.service().await;
    let mut feed = follow(&lab, &service, None).await;
    feed.next().await.unwrap();
    let begun = std::time::Instant::now();
    lab.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(3));
    assert!(feed.next().await.is_none());
}

/// F058: each way to end is in the feed within the lag, measured from the answer.
#[tokio::test]
async fn every_way_to_end_reaches_the_feed_within_the_lag() {
    let lab = Lab::start().await;
    let service = lab.service().await;
    let client = Client::default();
    let mut feed = follow(&lab, &service, None).await;
    feed.next().await.unwrap();
    lab.login("ada", "web").await;
    let account = lab.engine.find_account(&email("ada")).await.unwrap().id;
    for way in 0_u64..4 {
        match way {
            0 => lab.engine.end_account(account, &client).await.unwrap(),
            1 => drop(lab.engine.set_password(account, "seven unlikely otters juggle", &client).await.unwrap()),
            2 => {
                let state = cloakroom_core::account::AccountState::Disabled;
                drop(lab.engine.set_state(account, state, &client).await.unwrap());
            }
            _ => drop(lab.engine.remove_account(account, &client).await.unwrap()),
        }
        let begun = std::time::Instant::now();
        let event = feed.next().await.unwrap();
        assert_eq!((&event.data["kind"], &event.data["account"]), (&json!("account"), &json!(account.to_string())));
        assert!(event.data["epoch"].as_u64().unwrap() > way, "{}", event.data);
        assert!(begun.elapsed() < Duration::from_secs(2), "{way}");
    }
}

/// R1: a long snapshot comes in pages where it is asked for so, and in one event where it is not: both say the same, and one
/// who begins again in the middle has no place to go on from.
#[tokio::test]
async fn a_long_snapshot_comes_in_pages_where_it_is_asked_for_so() {
    let lab = Lab::start().await;
    let service = lab.service().await;
    let session = |n: u128| EndRequest::Session(SessionId::from_bytes(n.to_be_bytes()));
    let ends: Vec<_> = (0..20_000).map(|n| (session(n), Hold::NOTED)).collect();
    lab.engine.stores().accounts.end(&ends, lab.engine.clock().by_hand()).await.unwrap();
    let mut whole = follow(&lab, &service, None).await;
    let whole = whole.next().await.unwrap();
    let now = id(&head(&lab, &service).await);
    assert_eq!((whole.name.as_deref(), &whole.id), (Some("snapshot"), &now));

    let mut feed = Feed::open(lab.get("/v1/revocations?pages=1").basic(&service)).await;
    let mut told = vec![];
    for name in ["page", "page", "snapshot"] {
        let event = feed.next().await.unwrap();
        assert_eq!(event.name.as_deref(), Some(name));
        assert_eq!(event.id, if name == "snapshot" { now.as_str() } else { "" });
        told.extend(event.data["ended"].as_array().unwrap().iter().cloned());
    }
    assert_eq!(told.len(), 20_000);
    assert_eq!(&told, whole.data["ended"].as_array().unwrap());
    let last = end_new_session(&lab).await;
    assert_eq!(feed.next().await.unwrap().data["session"], last, "and what ends from then on");
}
