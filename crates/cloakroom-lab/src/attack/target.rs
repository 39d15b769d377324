//! What an attack is run against: one face of the careless logins and of Cloakroom by each method. They answer at the same
//! paths, so an attack is written once.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use cloakroom_core::method::Method;
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};

use super::{
    http::{Answer, Http, Request, Site},
    plan::{Bound, Trouble},
};

/// Which login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The careless one, by a session's number in a cookie.
    CarelessSession,
    /// The careless one, by tokens that pages keep.
    CarelessJwt,
    /// Cloakroom.
    Cloakroom(Method),
}

impl Kind {
    /// `careless` or `cloakroom`.
    pub(super) const fn target(self) -> &'static str {
        if self.is_careless() { "careless" } else { "cloakroom" }
    }

    /// The method's name.
    pub(super) const fn method(self) -> &'static str {
        match self {
            Self::CarelessSession => "session",
            Self::CarelessJwt => "jwt",
            Self::Cloakroom(method) => method.properties().name,
        }
    }

    /// Whether it ought to give way.
    pub(super) const fn is_careless(self) -> bool {
        !matches!(self, Self::Cloakroom(_))
    }

    /// Whether its client holds tokens.
    pub(super) const fn has_tokens(self) -> bool {
        matches!(self, Self::CarelessJwt | Self::Cloakroom(Method::Jwt | Method::JwtStateless))
    }
}

/// Somebody with an account.
#[derive(Clone, Debug)]
pub(super) struct Person {
    pub(super) email: String,
    pub(super) password: String,
    /// Where the requests come from.
    pub(super) at: Ipv4Addr,
}

/// What a client holds after it has signed in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) cookies: Vec<(String, String)>,
    pub(super) access: Option<String>,
    pub(super) refresh: Option<String>,
}

impl Held {
    /// Out of an answer.
    pub(super) fn of(answer: &Answer) -> Self {
        let cookies = answer.headers.get_all("set-cookie").iter().filter_map(|line| {
            let (name, value) = line.to_str().ok()?.split(';').next()?.split_once('=')?;
            Some((name.to_owned(), value.to_owned()))
        });
        let body = answer.value();
        let member = |name: &str| body[name].as_str().map(str::to_owned);
        Self { cookies: cookies.collect(), access: member("access_token"), refresh: member("refresh_token") }
    }

    /// As the header `Cookie` has it.
    pub(super) fn cookie(&self) -> String {
        self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    /// The one thing that proves who asks.
    pub(super) fn credential(&self) -> String {
        self.access.clone().or_else(|| self.cookies.first().map(|(_, value)| value.clone())).unwrap_or_default()
    }
}

/// Signs with the very key of the server.
pub(super) type Signer = Arc<dyn Fn(&[u8]) -> Option<Vec<u8>> + Send + Sync>;

/// How long things last at a target.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lasting {
    /// `max_revocation_lag`.
    pub(super) lag: Duration,
    /// `access_token_lifetime`.
    pub(super) lifetime: Duration,
    /// `refresh_grace`.
    pub(super) grace: Duration,
}

/// The leeway on `exp`.
const LEEWAY: Duration = Duration::from_secs(5);

impl Lasting {
    /// The longest that a bound allows.
    pub(super) fn longest(&self, bound: Bound) -> Duration {
        match bound {
            Bound::Lag => self.lag,
            Bound::Lifetime => self.lifetime + LEEWAY,
            // The owner of these attacks renews as soon as the grace period has passed; a second for the requests themselves.
            Bound::Renewal => self.grace + self.lag + Duration::from_secs(1),
        }
    }
}

/// A login under attack.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) kind: Kind,
    pub(super) site: Site,
    pub(super) http: Http,
    /// The app, where there are several.
    pub(super) app: String,
    /// An app of the same server whose clients hold tokens: this one, or a neighbour.
    pub(super) token_app: String,
    pub(super) lasting: Lasting,
    /// The server's own key, where it is at hand.
    pub(super) signer: Option<Signer>,
}

impl Target {
    /// Sends a request.
    pub(super) async fn send(&self, request: Request) -> Result<Answer, Trouble> {
        self.http.send(&self.site, request).await
    }

    /// Makes an account.
    pub(super) async fn sign_up(&self, person: &Person) -> Result<(), Trouble> {
        let body = json!({ "email": person.email, "password": person.password, "app": self.app });
        let answer = self.send(Request::post("/v1/accounts").json(&body).from(person.at)).await?;
        answered(&answer, "the sign-up")
    }

    /// Signs in.
    pub(super) async fn sign_in(&self, person: &Person) -> Result<Held, Trouble> {
        self.sign_in_at(person, &self.app).await
    }

    /// Signs in at some app.
    pub(super) async fn sign_in_at(&self, person: &Person, app: &str) -> Result<Held, Trouble> {
        let answer = self.try_sign_in(person, &person.password, app).await?;
        answered(&answer, "the sign-in")?;
        Ok(Held::of(&answer))
    }

    /// Tries a password.
    pub(super) async fn try_sign_in(&self, person: &Person, password: &str, app: &str) -> Result<Answer, Trouble> {
        let body = json!({ "email": person.email, "password": password, "app": app });
        self.send(Request::post("/v1/login").json(&body).from(person.at)).await
    }

    /// Signs in as a page does, with whatever cookies are there already, so that what is given is in cookies.
    pub(super) async fn sign_in_by_cookie(&self, person: &Person, planted: Option<&str>) -> Result<Held, Trouble> {
        let body =
            json!({ "email": person.email, "password": person.password, "app": self.app, "transport": "cookie" });
        let mut request = Request::post("/v1/login").json(&body).from(person.at).header("origin", self.site.origin());
        if let Some(planted) = planted {
            request = request.header("cookie", planted);
        }
        let answer = self.send(request).await?;
        answered(&answer, "the sign-in")?;
        Ok(Held { access: None, refresh: None, ..Held::of(&answer) })
    }

    /// Whose account cookies open, asked as a page asks.
    pub(super) async fn account_by_cookies(&self, cookies: impl AsRef<[u8]>) -> Result<Option<String>, Trouble> {
        let mut request = Request::get(format!("/v1/account?app={}", self.app));
        if self.kind.has_tokens() {
            let renewal = Request::post(format!("/v1/refresh?app={}", self.app));
            let renewal = renewal.header("cookie", cookies).header("origin", self.site.origin());
            let Some(token) = Held::of(&self.send(renewal).await?).access else { return Ok(None) };
            request = request.bearer(&token);
        } else {
            request = request.header("cookie", cookies);
        }
        let answer = self.send(request).await?.value();
        let email = answer["account"]["email"].as_str().or(answer["email"].as_str());
        Ok(email.map(str::to_owned))
    }

    /// An account, signed in.
    pub(super) async fn welcome(&self, person: &Person) -> Result<Held, Trouble> {
        self.sign_up(person).await?;
        self.sign_in(person).await
    }

    /// A request with what a client holds, as the client's own page would send it.
    pub(super) fn with(&self, held: &Held, request: Request) -> Request {
        if let Some(token) = &held.access {
            return request.bearer(token);
        }
        let request = if request.is_unsafe() { request.header("origin", self.site.origin()) } else { request };
        if held.cookies.is_empty() { request } else { request.header("cookie", held.cookie()) }
    }

    /// Where a credential is checked.
    pub(super) fn verify_path(&self) -> String {
        format!("/v1/verify?app={}", self.app)
    }

    /// Asks whether a credential is accepted.
    pub(super) async fn verify(&self, held: &Held) -> Result<Answer, Trouble> {
        self.send(self.with(held, Request::get(self.verify_path()))).await
    }

    /// Asks whether a token is accepted.
    pub(super) async fn verify_token(&self, token: &str) -> Result<Answer, Trouble> {
        self.send(Request::get(self.verify_path()).bearer(token)).await
    }

    /// Renews with a refresh token.
    pub(super) async fn refresh(&self, token: &str) -> Result<Answer, Trouble> {
        self.send(Request::post("/v1/refresh").json(&json!({ "refresh_token": token }))).await
    }

    /// Signs out.
    pub(super) async fn sign_out(&self, held: &Held) -> Result<(), Trouble> {
        let body = held.refresh.as_ref().map_or_else(|| json!({}), |token| json!({ "refresh_token": token }));
        answered(&self.send(self.with(held, Request::post("/v1/logout").json(&body))).await?, "the sign-out")
    }

    /// A good access token of somebody: of this app, or of the neighbour where this app's clients hold none.
    pub(super) async fn access_token(&self, person: &Person) -> Result<String, Trouble> {
        let held = self.sign_in_at(person, &self.token_app).await?;
        held.access.ok_or_else(|| "no access token was given".into())
    }

    /// A token with other contents, signed by the server's own key, where that is at hand.
    pub(super) fn sealed(&self, header: &str, payload: &str) -> Option<String> {
        let signed = format!("{}.{}", encode(header), encode(payload));
        let signature = self.signer.as_ref()?(signed.as_bytes())?;
        Some(format!("{signed}.{}", BASE64URL_NOPAD.encode(&signature)))
    }
}

/// A part of a token.
pub(super) fn encode(part: impl AsRef<[u8]>) -> String {
    BASE64URL_NOPAD.encode(part.as_ref())
}

/// Header and claims of a token.
pub(super) fn opened(token: &str) -> Result<(Value, Value), Trouble> {
    let mut parts = token.split('.').map(|part| BASE64URL_NOPAD.decode(part.as_bytes()));
    let (Some(Ok(header)), Some(Ok(claims))) = (parts.next(), parts.next()) else { return Err("no token".into()) };
    Ok((serde_json::from_slice(&header)?, serde_json::from_slice(&claims)?))
}

fn answered(answer: &Answer, what: &str) -> Result<(), Trouble> {
    if answer.is_ok() { Ok(()) } else { Err(format!("{what} was answered {}", answer.said()).into()) }
}
