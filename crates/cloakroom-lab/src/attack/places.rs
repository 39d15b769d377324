//! The other sites of the story: a stranger's, a sibling of the shop's, and the shop's own page, which uses Cloakroom and has a
//! hole through which script gets in. What reaches the stranger is kept.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, header},
    response::Response,
};
use parking_lot::Mutex;
use tokio::{
    net::TcpListener,
    task::JoinHandle,
    time::{Instant, sleep},
};

use super::{
    http::Site,
    plan::Trouble,
    tls::{Authority, serve},
};

/// A stranger's site.
pub(super) const EVIL: &str = "evil.test";
/// A sibling of the login's name, in the attacker's hands.
pub(super) const SIBLING: &str = "blog.shop.test";
/// The shop, which uses the login.
pub(super) const SHOP: &str = "app.shop.test";

/// The longest letter that the stranger takes.
const LONGEST: usize = 1 << 20;

/// A request that reached these sites.
#[derive(Clone, Debug)]
pub(super) struct Hit {
    pub(super) path_and_query: String,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Hit {
    /// A parameter of the query.
    pub(super) fn parameter(&self, name: &str) -> Option<String> {
        let query = self.path_and_query.split_once('?')?.1;
        form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    /// A header as text.
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// A page of the attacker's.
struct Page {
    html: String,
    cookies: Vec<String>,
}

#[derive(Default)]
struct Shared {
    pages: Mutex<HashMap<String, Arc<Page>>>,
    hits: Mutex<Vec<Hit>>,
    count: AtomicUsize,
}

/// The sites.
pub(super) struct Places {
    address: SocketAddr,
    shared: Arc<Shared>,
    serving: JoinHandle<std::io::Result<()>>,
}

impl Places {
    /// Serves them.
    pub(super) async fn start(authority: &Authority) -> Result<Self, Trouble> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let serving = tokio::spawn(serve(listener, authority.acceptor(), router, 10_000));
        Ok(Self { address, shared, serving })
    }

    /// One of them.
    pub(super) fn site(&self, host: &str) -> Site {
        Site { https: true, host: host.to_owned(), address: self.address, base: String::new() }
    }

    /// Puts a page at an address of its own.
    pub(super) fn publish(&self, host: &str, html: impl Into<String>) -> String {
        self.publish_with(host, html, Vec::new())
    }

    /// The same, with cookies that it sets.
    pub(super) fn publish_with(&self, host: &str, html: impl Into<String>, cookies: Vec<String>) -> String {
        let path = format!("/page/{}", self.shared.count.fetch_add(1, Ordering::Relaxed));
        self.shared.pages.lock().insert(path.clone(), Arc::new(Page { html: html.into(), cookies }));
        self.site(host).url(&path)
    }

    /// An address at the stranger's to which pages can send what they have found.
    pub(super) fn mailbox(&self) -> Mailbox {
        let path = format!("/take/{}", self.shared.count.fetch_add(1, Ordering::Relaxed));
        Mailbox { url: self.site(EVIL).url(&path), path, shared: Arc::clone(&self.shared) }
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// An address at the stranger's.
pub(super) struct Mailbox {
    pub(super) url: String,
    path: String,
    shared: Arc<Shared>,
}

impl Mailbox {
    /// What has come, once something has or the time is over.
    pub(super) async fn wait(&self, longest: Duration) -> Vec<Hit> {
        self.wait_for(1, longest).await
    }

    /// The same for so many letters.
    pub(super) async fn wait_for(&self, count: usize, longest: Duration) -> Vec<Hit> {
        let began = Instant::now();
        loop {
            let ours = |hit: &&Hit| hit.path_and_query.split('?').next() == Some(&self.path);
            let hits = self.shared.hits.lock().iter().filter(ours).cloned().collect::<Vec<_>>();
            if hits.len() >= count || began.elapsed() > longest {
                return hits;
            }
            sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Takes what is sent, shows what was published, and to the shop's visitors the shop.
async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let target = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
    let path = request.uri().path().to_owned();
    if path.starts_with("/take/") {
        let (parts, body) = request.into_parts();
        let body = to_bytes(body, LONGEST).await.unwrap_or_default();
        let body = String::from_utf8_lossy(&body).into_owned();
        shared.hits.lock().push(Hit { path_and_query: target, headers: parts.headers, body });
        return page("taken", &[]);
    }
    if path == "/home" {
        return page(&shop(request.uri().query().unwrap_or_default()), &[]);
    }
    let found = shared.pages.lock().get(&path).cloned();
    found.map_or_else(|| page("nothing here", &[]), |found| page(&found.html, &found.cookies))
}

fn page(html: &str, cookies: &[String]) -> Response {
    let mut response = Response::builder()
        .header(header::CONTENT_TYPE, "text/html; charset=utf-8")
        // Whoever wants may read what the stranger's site says.
        .header(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");
    for cookie in cookies {
        response = response.header(header::SET_COOKIE, cookie);
    }
    response.body(Body::from(html.to_owned())).unwrap_or_default()
}

/// The shop's page, as an app that uses Cloakroom has it: an access token stays in a variable, a refresh token and a ticket in
/// their cookies. Its hole: it shows what it was asked for (`q`) as it came.
fn shop(query: &str) -> String {
    let read = |name: &str| {
        form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    };
    let (login, app) = (read("login").unwrap_or_default(), read("app").unwrap_or_default());
    let by_token = read("tokens").is_some();
    let shown = read("q").unwrap_or_default();
    format!(
        r#"<!doctype html><title>Shop</title><h1>Shop</h1><p>You looked for {shown}</p><p id="who">…</p><script>
(() => {{
  let token;
  const ask = async () => {{
    if ({by_token} && !token) {{
      const renewed = await fetch('{login}/v1/refresh?app={app}', {{ method: 'POST', credentials: 'include' }});
      token = (await renewed.json()).access_token;
    }}
    const headers = token ? {{ authorization: 'Bearer ' + token }} : {{}};
    const answer = await fetch('{login}/v1/account?app={app}', {{ headers, credentials: 'include' }});
    const said = await answer.json();
    document.querySelector('#who').textContent = said.account ? said.account.email : 'nobody';
  }};
  window.reload = ask;
  ask();
}})();
</script>"#
    )
}
