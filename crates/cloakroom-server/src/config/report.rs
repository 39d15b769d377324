//! What a configuration comes to: each app's true bound on how long an ended credential can still be accepted, and the
//! budgets. `cloakroom config check` prints it.

use std::{collections::BTreeMap, time::Duration};

use cloakroom_core::{
    app::{App, Registration},
    ids::AppId,
    method::{Check, Method, OnFeedLoss},
    revocation::{EXP_LEEWAY, FACT_LIFE},
    token::Algorithm,
};
use serde::Serialize;

use super::{Budget, Config, Origin, duration::show};

/// A configuration in figures.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// Where the server listens.
    pub listen: String,
    /// Where browsers find it.
    pub public_url: String,
    /// What tokens name as their issuer.
    pub issuer: String,
    /// Whether cookies are `Secure` and named `__Host-…`.
    pub https: bool,
    /// Each app, in the order of the configuration.
    pub apps: Vec<AppReport>,
    /// How large cookies, tokens and headers can become.
    pub budget: Budget,
    /// What set each setting that is not at its default.
    pub set: BTreeMap<String, Origin>,
}

/// An app in figures.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct AppReport {
    /// Its name.
    pub id: AppId,
    /// How new logins are remembered.
    pub method: Method,
    /// Methods whose sessions may be exchanged for one of `method`.
    pub migrate_from: Vec<Method>,
    /// What signs its access tokens, if it has any.
    pub algorithm: Option<Algorithm>,
    /// `open` or `closed`.
    pub registration: &'static str,
    /// Where its pages live.
    pub origins: Vec<String>,
    /// The name of its cookie.
    pub cookie: String,
    /// How soon an end is heeded.
    pub revocation: RevocationBound,
}

/// How long after its acknowledgement an ended credential can still be accepted.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub struct RevocationBound {
    /// While verifiers hear the revocation feed: `max_revocation_lag`.
    pub with_feed: String,
    /// While a verifier hears nothing: the same where it then refuses, otherwise until the credential or what is known of
    /// it expires.
    pub without_feed: String,
    /// For who only checks the signature of a token and hears no feed at all; `None` where no token is handed out.
    pub by_signature_alone: Option<String>,
    /// The same in words.
    pub statement: String,
}

pub(super) fn report(config: &Config) -> Report {
    let app = |app: &App| {
        let has_token = super::budget::has_access_token(app);
        AppReport {
            id: app.id.clone(),
            method: app.method,
            migrate_from: app.migrate_from.clone(),
            algorithm: has_token.then_some(app.algorithm),
            registration: match app.registration {
                Registration::Open => "open",
                Registration::Closed => "closed",
            },
            origins: app.origins.clone(),
            cookie: config.cookie_name(app),
            revocation: bound(app, has_token),
        }
    };
    Report {
        listen: config.listen.to_string(),
        public_url: config.origin(),
        issuer: config.issuer(),
        https: config.is_https(),
        apps: config.apps.iter().map(|a| app(a)).collect(),
        budget: config.budget(),
        set: config.settings().map(|(path, origin)| (path.to_owned(), origin.clone())).collect(),
    }
}

fn bound(app: &App, has_token: bool) -> RevocationBound {
    let lag = app.max_revocation_lag;
    let token = app.access_token_lifetime + EXP_LEEWAY;
    let (without, meanwhile) = match (app.on_feed_loss, app.method.properties().check) {
        (OnFeedLoss::Refuse, _) => (lag, String::new()),
        // A token is checked anew from itself, so that only its expiry ends it.
        (OnFeedLoss::UntilExpiry, Check::Signature) => {
            (lag.max(token), format!("an access token goes on until it expires, at most {}", words(token)))
        }
        // What was read of a record is believed for so long; then it must be read again.
        (OnFeedLoss::UntilExpiry, Check::LookUp) => {
            let fact = FACT_LIFE.min(app.absolute_timeout);
            (lag.max(fact), format!("what was last read of a session is believed, at most {}", words(fact)))
        }
    };
    let statement = match app.on_feed_loss {
        _ if lag.is_zero() => "an end is heeded from the next request on: each check reads the record".to_owned(),
        OnFeedLoss::Refuse => {
            format!("an end is heeded within {}, always: without the feed, requests are refused", words(lag))
        }
        OnFeedLoss::UntilExpiry => format!("an end is heeded within {}; without the feed, {meanwhile}", words(lag)),
    };
    RevocationBound {
        with_feed: show(lag),
        without_feed: words(without),
        by_signature_alone: has_token.then(|| words(token)),
        statement,
    }
}

/// `5m 5s`: minutes and seconds, for sums that no unit divides.
fn words(duration: Duration) -> String {
    let (whole, rest) = (Duration::from_secs(duration.as_secs() / 60 * 60), duration.as_secs() % 60);
    let even = duration.subsec_nanos() != 0 || rest == 0 || whole.is_zero();
    if even { show(duration) } else { format!("{} {rest}s", show(whole)) }
}
