//! The guard: reads what a request presents, has it checked, and says who is asking. The server's handlers, its
//! forward-auth and every app ask the same one.

use std::{fmt, sync::Arc};

use cloakroom_core::{
    ids::AppId,
    refusal::{Reason, Refusal},
    verify::{Activity, Identity, Question, Verifier},
};
use http::{HeaderMap, HeaderName, Method, header::ORIGIN};
use thiserror::Error;

use crate::{
    Scheme,
    cookie::AppCookies,
    credential::Presented,
    cross_site::{self, Asked},
    origins::{OriginBook, Origins, origin_of},
    query::parameter,
};

/// Guards requests with a [`Verifier`]. Cheap to clone; put around routes by a [`GuardLayer`](crate::GuardLayer).
#[derive(Clone)]
pub struct Guard(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    verifier: Arc<Verifier>,
    cookies: AppCookies,
    origins: Arc<OriginBook>,
    demand: Demand,
}

/// Which app a credential must belong to.
#[derive(Clone)]
enum Demand {
    Any,
    App(AppId),
    AsAsked,
}

/// There is no such app.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("there is no app `{0}`; name one of those that the verifier knows")]
pub struct NoSuchApp(pub String);

/// The address is none.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("`{0}` is no address of a server; write it as its `public_url` is written: https://auth.example")]
pub struct NoAddress(pub String);

impl Guard {
    /// A guard that takes the credentials of every app that the verifier knows, as cookies or as `Bearer`.
    /// `public_url` is the server's: it decides how cookies are named, and its pages may act for every app.
    pub fn new(verifier: Arc<Verifier>, public_url: &str) -> Result<Self, NoAddress> {
        let apps = || verifier.apps().iter();
        let own = origin_of(public_url).ok_or_else(|| NoAddress(public_url.to_owned()))?;
        let scheme = if own.starts_with("https:") { Scheme::Https } else { Scheme::Http };
        let cookies = AppCookies::new(scheme, apps().map(|app| app.id.clone()));
        let origins = OriginBook::new(own, apps().map(|app| (app.id.clone(), app.origins.as_slice())));
        Ok(Self(Arc::new(Inner { cookies, origins: Arc::new(origins), demand: Demand::Any, verifier })))
    }

    /// A guard that takes the credentials of one app only (F038), and whose unsafe requests must come from its pages.
    pub fn for_app(&self, app: &str) -> Result<Self, NoSuchApp> {
        let app = self.0.verifier.apps().get(app).ok_or_else(|| NoSuchApp(app.to_owned()))?;
        Ok(self.with(|inner| inner.demand = Demand::App(app.id.clone())))
    }

    /// A guard that takes the credentials of the app that a request names by `?app=`, or of any where it names none.
    #[must_use]
    pub fn as_asked(&self) -> Self {
        self.with(|inner| inner.demand = Demand::AsAsked)
    }

    /// A guard that reads no cookies, for verifiers that check access tokens only.
    #[must_use]
    pub fn without_cookies(&self) -> Self {
        self.with(|inner| inner.cookies = AppCookies::new(Scheme::Https, []))
    }

    /// Who is asking, whatever page the request comes from. Of several cookies the first valid one counts; where none is,
    /// the refusal of the first one that was ours.
    ///
    /// # Errors
    /// [`Reason::NoCredential`] where nothing is presented; the refusals of [`Presented::read`] and
    /// [`Verifier::verify`]; [`Reason::UnknownApp`].
    pub async fn identify(&self, headers: &HeaderMap, query: Option<&str>) -> Result<Identity, Refusal> {
        self.identify_by(headers, query).await.map(|(identity, _)| identity)
    }

    /// Who is asking. By a cookie, an unsafe request must come from a page of the very app that the cookie is of, and so
    /// must a page's reading from another origin: the page of another app is a stranger to it.
    ///
    /// # Errors
    /// Those of [`identify`](Self::identify), and [`Reason::CrossSite`].
    pub async fn admit(&self, asked: Asked<'_>, query: Option<&str>) -> Result<Identity, Refusal> {
        let (identity, by) = self.identify_by(asked.headers, query).await?;
        if by == By::Cookie {
            let allowed = self.0.origins.of(identity.app_id()).ok_or(Reason::AppGone)?;
            let reads_across = asked.headers.contains_key(ORIGIN);
            let method = if reads_across { &Method::POST } else { asked.method };
            cross_site::judge(Asked { method, ..asked }, allowed)?;
        }
        Ok(identity)
    }

    /// Whether an unsafe request comes from a page that may send one here, before it is known who asks. With neither
    /// cookies nor a browser's marks there is nothing to show.
    ///
    /// # Errors
    /// [`Reason::CrossSite`].
    pub fn judge_page(&self, asked: Asked<'_>, query: Option<&str>) -> Result<(), Refusal> {
        cross_site::judge(asked, self.pages(query))
    }

    /// What checks the credentials.
    pub fn verifier(&self) -> &Arc<Verifier> {
        &self.0.verifier
    }

    /// The cookies that it reads.
    pub fn cookies(&self) -> &AppCookies {
        &self.0.cookies
    }

    /// Whose pages may act.
    pub fn origins(&self) -> &Arc<OriginBook> {
        &self.0.origins
    }

    fn with(&self, change: impl FnOnce(&mut Inner)) -> Self {
        let mut inner = Inner::clone(&self.0);
        change(&mut inner);
        Self(Arc::new(inner))
    }

    fn pages(&self, query: Option<&str>) -> &Origins {
        let book = &self.0.origins;
        let named = match &self.0.demand {
            Demand::Any => None,
            Demand::App(app) => book.of(app),
            // Who names an app that there is not is told so later.
            Demand::AsAsked => parameter(query, "app").and_then(|app| book.named(&app)),
        };
        named.unwrap_or(book.all())
    }

    fn wanted(&self, query: Option<&str>) -> Result<Option<&AppId>, Refusal> {
        match &self.0.demand {
            Demand::Any => Ok(None),
            Demand::App(app) => Ok(Some(app)),
            Demand::AsAsked => match parameter(query, "app") {
                Some(app) => Ok(Some(&self.0.verifier.apps().get(&app).ok_or(Reason::UnknownApp)?.id)),
                None => Ok(None),
            },
        }
    }

    async fn identify_by(&self, headers: &HeaderMap, query: Option<&str>) -> Result<(Identity, By), Refusal> {
        let wanted = self.wanted(query)?;
        let activity = activity(headers);
        match Presented::read(headers, query, &self.0.cookies, wanted)? {
            Presented::Bearer(credential) => Ok((self.check(credential, wanted, activity).await?, By::Bearer)),
            Presented::Cookies(candidates) => {
                let mut refused = None;
                for (index, credential) in candidates.iter() {
                    match self.check(credential, self.0.cookies.app(index), activity).await {
                        Ok(identity) => return Ok((identity, By::Cookie)),
                        Err(refusal) => refused = Some(telling(refused, refusal)),
                    }
                }
                Err(refused.unwrap_or_else(|| Reason::NoCredential.into()))
            }
        }
    }

    async fn check(&self, credential: &str, app: Option<&AppId>, activity: Activity) -> Result<Identity, Refusal> {
        let checked = self.0.verifier.verify(Question { credential, app, activity }).await;
        // An app that the verifier does not know is another one than the one that it is set up for.
        let only_one = matches!(self.0.demand, Demand::App(_));
        checked.map_err(|refusal| match refusal.reason {
            Reason::AppGone if only_one => Reason::WrongApp.into(),
            _ => refusal,
        })
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0.demand {
            Demand::Any => "Guard(any app)",
            Demand::App(app) => return write!(f, "Guard({app})"),
            Demand::AsAsked => "Guard(as asked)",
        })
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Bearer,
    Cookie,
}

/// Whether a request counts as use of the session; a poll says with `X-Cloakroom-Passive: 1` that it does not.
pub fn activity(headers: &HeaderMap) -> Activity {
    match headers.get(PASSIVE) {
        Some(value) if value == "1" => Activity::Passive,
        _ => Activity::Active,
    }
}

const PASSIVE: HeaderName = HeaderName::from_static("x-cloakroom-passive");

/// Of two refusals the one that tells more: a credential that was ours says more than one that never was.
pub fn telling(first: Option<Refusal>, next: Refusal) -> Refusal {
    match first {
        Some(first) if !is_noise(first.reason) => first,
        _ => next,
    }
}

/// Whether a refusal only says that something never was a credential of the asked kind.
pub const fn is_noise(reason: Reason) -> bool {
    matches!(reason, Reason::NoCredential | Reason::Malformed | Reason::BadMac | Reason::UnknownKey | Reason::WrongKind)
}
