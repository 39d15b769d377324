//! Apps: what people sign in to, and whom each lets in.
//!
//! An [`App`] is settled once, at start, and shared; [`Apps`] finds it by name or by the tag in a record. The
//! configuration's own types live with the server, which builds these.

use std::{sync::Arc, time::Duration};

use hashbrown::HashMap;
use thiserror::Error;

use crate::{
    account::EmailAddress,
    ids::{AppId, AppTag},
    method::{Check, Method, OnFeedLoss},
    token::Algorithm,
};

/// No session lives for longer: browsers keep no cookie for more (RFC 6265bis section 5.5).
pub const LONGEST_SESSION: Duration = Duration::from_hours(400 * 24);

/// Something that people sign in to (an OAuth "client").
#[derive(Clone, Debug)]
pub struct App {
    /// Its name.
    pub id: AppId,
    /// The method of new logins.
    pub method: Method,
    /// Who can make an account.
    pub registration: Registration,
    /// Which accounts may use it.
    pub admission: Admission,
    /// Where its pages live: origins as a browser writes them (`https://shop.example`).
    pub origins: Vec<String>,
    /// How long a session may rest.
    pub idle_timeout: Duration,
    /// How long a session can live at all.
    pub absolute_timeout: Duration,
    /// How long an access token lives, less up to 5 % at random.
    pub access_token_lifetime: Duration,
    /// How long after a rotation the same question gets the same answer.
    pub refresh_grace: Duration,
    /// How long after its acknowledgement an end may go unheard. Zero: not at all, so that each check reads the record.
    pub max_revocation_lag: Duration,
    /// What happens when the feed is lost.
    pub on_feed_loss: OnFeedLoss,
    /// What signs its access tokens.
    pub algorithm: Algorithm,
    /// Methods whose sessions may be exchanged for one of [`method`](Self::method); usually none.
    pub migrate_from: Vec<Method>,
}

impl App {
    /// The shortest time that an end may go unheard where nothing is read for each check.
    pub const SHORTEST_LAG: Duration = Duration::from_millis(100);

    /// How long an end may go unheard by whoever checks this way. A signature says nothing about ends, so that tokens of an app that
    /// reads each record (those of a method that it had before) have the shortest bound that the log can keep.
    #[inline]
    pub fn lag(&self, check: Check) -> Duration {
        match check {
            Check::LookUp => self.max_revocation_lag,
            Check::Signature => self.max_revocation_lag.max(Self::SHORTEST_LAG),
        }
    }
}

/// Whether strangers can make an account through an app.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Registration {
    /// Anyone can.
    Open,
    /// The operator adds accounts.
    Closed,
}

/// Which accounts may use an app; asked at login, renewal and read.
#[derive(Clone, Debug, Default)]
pub struct Admission(Vec<Rule>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Rule {
    Address(String),
    Domain(String),
}

impl Admission {
    /// Reads `allow`: e-mail addresses or `@domains`; an empty list admits every account. The error is the entry that is
    /// neither.
    pub fn parse<'a>(entries: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let rules = entries.into_iter().map(|entry| {
            let rule = match entry.strip_prefix('@') {
                // An address at that domain is read, so that domains have the one canonical form of addresses.
                Some(domain) => EmailAddress::parse(&format!("x@{domain}")).map(|e| Rule::Domain(e.domain().into())),
                None => EmailAddress::parse(entry).map(|e| Rule::Address(e.canonical().into())),
            };
            rule.map_err(|_| entry.to_owned())
        });
        rules.collect::<Result<_, _>>().map(Self)
    }

    /// Whether the account of that address may use the app.
    pub fn admits(&self, email: &EmailAddress) -> bool {
        self.0.is_empty()
            || self.0.iter().any(|rule| match rule {
                Rule::Address(address) => email.canonical() == address,
                Rule::Domain(domain) => email.domain() == domain,
            })
    }
}

/// The apps of one server, in the order of the configuration; the first is the default one.
#[derive(Clone, Debug)]
pub struct Apps {
    list: Vec<Arc<App>>,
    by_tag: HashMap<AppTag, usize>,
}

/// Why a list of apps cannot be used.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum AppsError {
    /// There is none.
    #[error("there is no app; add one [[app]]")]
    Empty,
    /// Two have the same name, or names that cannot be told apart in records.
    #[error("apps `{0}` and `{1}` cannot be told apart; rename one")]
    Alike(AppId, AppId),
}

impl Apps {
    /// The apps of a server.
    pub fn new(apps: Vec<App>) -> Result<Self, AppsError> {
        let mut by_tag = HashMap::new();
        for (i, app) in apps.iter().enumerate() {
            if let Some(other) = by_tag.insert(app.id.tag(), i) {
                return Err(AppsError::Alike(apps[other].id.clone(), app.id.clone()));
            }
        }
        if apps.is_empty() {
            return Err(AppsError::Empty);
        }
        Ok(Self { list: apps.into_iter().map(Arc::new).collect(), by_tag })
    }

    /// The default app.
    pub fn default_app(&self) -> &Arc<App> {
        &self.list[0]
    }

    /// The app of that name.
    pub fn get(&self, id: &str) -> Option<&Arc<App>> {
        self.list.iter().find(|app| app.id.as_str() == id)
    }

    /// The app that a record names.
    pub fn by_tag(&self, tag: AppTag) -> Option<&Arc<App>> {
        self.by_tag.get(&tag).map(|i| &self.list[*i])
    }

    /// All, in the order of the configuration.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<App>> {
        self.list.iter()
    }

    /// The longest that any app's access token can live, and with it how long a killed key or an end must be remembered.
    pub fn longest_access_token(&self) -> Duration {
        self.list.iter().map(|a| a.access_token_lifetime).max().unwrap_or_default()
    }

    /// The longest that any session can live.
    pub fn longest_session(&self) -> Duration {
        self.list.iter().map(|a| a.absolute_timeout).max().unwrap_or_default()
    }
}
