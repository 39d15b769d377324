//! Traces: a collector that takes what a real server sends, and reads it by the protocol's own definitions.

use std::{
    future::{Ready, ready},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value::Value},
    trace::v1::{Span, span::SpanKind},
};
use parking_lot::Mutex;
use prost::Message;
use tokio::net::TcpListener;

use crate::lab::{Lab, PASSWORD};

/// A collector of traces.
#[derive(Clone)]
struct Collector {
    address: SocketAddr,
    taken: Arc<Mutex<Vec<(HeaderMap, ExportTraceServiceRequest, Bytes)>>>,
}

impl Collector {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let collector = Self { address: listener.local_addr().unwrap(), taken: Arc::default() };
        let service = Router::new().route("/v1/traces", post(Self::take)).with_state(collector.clone());
        tokio::spawn(async move { axum::serve(listener, service).await });
        collector
    }

    fn take(State(collector): State<Self>, headers: HeaderMap, body: Bytes) -> Ready<StatusCode> {
        let request = ExportTraceServiceRequest::decode(body.clone()).unwrap();
        collector.taken.lock().push((headers, request, body));
        ready(StatusCode::OK)
    }

    fn settings(&self, more: &str) -> String {
        format!("telemetry.traces.endpoint = 'http://{}/v1/traces'\ntelemetry.traces.one_in = 1\n{more}", self.address)
    }

    /// The spans of all traces; their server has ended, so that nothing is still on its way.
    fn spans(&self) -> Vec<Span> {
        let taken = self.taken.lock();
        let of_resources = taken.iter().flat_map(|(_, request, _)| &request.resource_spans);
        of_resources.flat_map(|one| &one.scope_spans).flat_map(|one| one.spans.clone()).collect()
    }
}

fn root<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let found: Vec<_> = spans.iter().filter(|span| span.name == name).collect();
    let [root] = found[..] else { panic!("one {name}: {:?}", names(spans)) };
    assert_eq!((root.kind, root.parent_span_id.is_empty()), (SpanKind::Server as i32, true));
    root
}

fn names(spans: &[Span]) -> Vec<&str> {
    spans.iter().map(|span| span.name.as_str()).collect()
}

/// A trace as names that lie in one another, in the order in which they began.
fn tree(spans: &[Span], of: &Span) -> String {
    let mut parts: Vec<_> = spans.iter().filter(|span| span.parent_span_id == of.span_id).collect();
    parts.sort_by_key(|span| span.start_time_unix_nano);
    for part in &parts {
        assert!(part.trace_id == of.trace_id && part.start_time_unix_nano >= of.start_time_unix_nano);
        assert!(part.end_time_unix_nano <= of.end_time_unix_nano, "{} ends within {}", part.name, of.name);
    }
    let inner: Vec<_> = parts.into_iter().map(|part| tree(spans, part)).collect();
    if inner.is_empty() { of.name.clone() } else { format!("{}({})", of.name, inner.join(", ")) }
}

fn attribute<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a Value> {
    attributes.iter().find(|one| one.key == key)?.value.as_ref()?.value.as_ref()
}

#[tokio::test]
async fn a_login_a_refresh_and_checks_are_told_part_by_part() {
    let collector = Collector::start().await;
    let settings = collector.settings("telemetry.traces.service_name = 'doors'");
    let lab = Lab::with_settings(&settings).await;
    lab.register("ada").await;
    let api = lab.login("ada", "api").await;
    lab.advance(60);
    // So that the refresh finds a lease, whether or not the server has just renewed it by itself.
    assert_eq!(lab.engine.ready().await, []);
    let token = lab.refresh(api.refresh_token()).await.json()["access_token"].as_str().unwrap().to_owned();
    let web = lab.login_request("ada", PASSWORD, "web").on_own_page().await.cookies()[0].pair();
    // So that nothing is known of the session any more.
    let mut lab = lab.restart_ready(&settings).await;
    for _ in 0..2 {
        assert_eq!(lab.get("/v1/verify").cookie(&web).await.status, 200);
    }
    for _ in 0..2 {
        assert_eq!(lab.verify(&token).await.status, 200);
    }
    lab.stop().await;

    let spans = collector.spans();
    let logins: Vec<_> =
        spans.iter().filter(|span| span.name == "POST /v1/login").map(|span| tree(&spans, span)).collect();
    let login = |issued: &str| {
        format!(
            "POST /v1/login(place, store AccountStore::login, limits, store AccountStore::standing, \
             password check(wait for a thread, hash), issue({issued}), store AccountStore::standing)"
        )
    };
    assert_eq!(logins, [login("store SessionStore::write, sign"), login("store SessionStore::write")]);
    assert_eq!(
        tree(&spans, root(&spans, "POST /v1/refresh")),
        "POST /v1/refresh(place, read the session(store SessionStore::find, store AccountStore::standing), judge, \
         store SessionStore::write, sign)"
    );
    let checks: Vec<_> =
        spans.iter().filter(|span| span.name == "GET /v1/verify").map(|span| tree(&spans, span)).collect();
    let cold = "GET /v1/verify(look up(store SessionStore::read, store AccountStore::standing))";
    let new_token = "GET /v1/verify(check the token)";
    assert_eq!(checks, [cold, "GET /v1/verify", new_token, "GET /v1/verify"]);

    let login = spans.iter().find(|span| span.name == "POST /v1/login").unwrap();
    let text = |key| attribute(&login.attributes, key).cloned();
    assert_eq!(text("http.request.method"), Some(Value::StringValue("POST".into())));
    assert_eq!(text("http.route"), Some(Value::StringValue("/v1/login".into())));
    assert_eq!(text("http.response.status_code"), Some(Value::IntValue(200)));
    assert_eq!(text("url.scheme"), Some(Value::StringValue("http".into())));
    let (_, request, _) = collector.taken.lock()[0].clone();
    let resource = request.resource_spans[0].resource.clone().unwrap();
    assert_eq!(attribute(&resource.attributes, "service.name"), Some(&Value::StringValue("doors".into())));
}

/// F126, F128: whatever stands in a request, nothing of it is told: neither addresses nor credentials nor paths of strangers.
#[tokio::test]
async fn nothing_of_a_request_stands_in_a_trace() {
    let collector = Collector::start().await;
    let headers = "telemetry.traces.headers = ['Authorization: Bearer collectors-own']";
    let mut lab = Lab::with_settings(&collector.settings(headers)).await;
    let ada = lab.login("ada", "api").await;
    lab.refresh(ada.refresh_token()).await;
    lab.verify(ada.credential()).await;
    lab.try_login("eve", "sesame-sesame", "web").await;
    lab.get("/secret-path?token=sesame").header("user-agent", "strange-agent").await;
    lab.ask("SESAME", "/v1/login").await;
    lab.get(&format!("/v1/sessions/{}", ada.session)).await;
    lab.stop().await;
    let taken = collector.taken.lock();
    assert!(!taken.is_empty() && taken.iter().all(|(headers, ..)| headers["authorization"] == "Bearer collectors-own"));
    for (_, _, body) in &*taken {
        let text = String::from_utf8_lossy(body);
        for told in [
            "ada",
            "eve",
            "example",
            "sesame",
            "SESAME",
            PASSWORD,
            "secret-path",
            "strange-agent",
            &ada.session,
            "collectors-own",
            ada.credential(),
            ada.refresh_token(),
        ] {
            assert!(!text.contains(told), "{told}");
        }
    }
}

#[tokio::test]
async fn only_a_trusted_proxy_says_what_is_traced() {
    let collector = Collector::start().await;
    let parent = |flags| format!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{flags}");
    let never = "telemetry.traces.one_in = 1000000";
    let settings = collector.settings("").replace("telemetry.traces.one_in = 1", never);
    let mut stranger = Lab::with_settings(&settings).await;
    stranger.get("/healthz").header("traceparent", parent("01")).await;
    stranger.stop().await;
    assert_eq!(names(&collector.spans()), [""; 0]);

    let mut lab = Lab::with_settings(&format!("trusted_proxies = ['127.0.0.0/8']\n{settings}")).await;
    lab.get("/healthz").header("traceparent", parent("01")).await;
    lab.get("/readyz").header("traceparent", parent("00")).await;
    lab.stop().await;
    let spans = collector.spans();
    assert_eq!(names(&spans), ["GET /healthz"]);
    assert_eq!(spans[0].trace_id, 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c_u128.to_be_bytes());
    assert_eq!(spans[0].parent_span_id, 0xb7ad_6b71_6920_3331_u64.to_be_bytes());
}

/// A collector that is away costs what it does not take: every answer comes as before, and the loss is counted.
#[tokio::test]
async fn a_collector_that_is_away_holds_nothing_up() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let settings = format!("telemetry.traces.endpoint = 'http://{nobody}/v1/traces'\ntelemetry.traces.one_in = 1");
    let mut lab = Lab::with_settings(&settings).await;
    lab.login("ada", "web").await;
    let lost = async || {
        let text = lab.get("/metrics").await.text();
        let line = text.lines().find_map(|line| line.strip_prefix("cloakroom_traces_lost_total ")).unwrap();
        line.parse::<u64>().unwrap()
    };
    let noticed = async {
        while lost().await == 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), noticed).await.unwrap();
    lab.stop().await;
}
