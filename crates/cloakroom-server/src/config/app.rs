//! `[[app]]`: what people sign in to. Each table becomes one of the core's apps.

use std::time::Duration;

use cloakroom_core::{
    app::{Admission, App, LONGEST_SESSION, Registration},
    ids::AppId,
    method::{Check, Method, OnFeedLoss, Upstream},
    token::Algorithm,
};

use super::{
    kinds::{self, Step},
    read::{Reading, Section},
    tree::Value,
    url::WebOrigin,
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const DAY: Duration = Duration::from_hours(24);

/// An access token outlives an end that no one has told its verifier of, so it is short.
const LONGEST_ACCESS_TOKEN: Duration = Duration::from_hours(1);
/// Claims count whole seconds; a lifetime this short is for tests and demonstrations.
const SHORTEST_ACCESS_TOKEN: Duration = SECOND;
/// What upstreams are given is used at once.
const MINTED_TOKEN: Duration = Duration::from_mins(1);

/// An app as it is configured, and its origins apart: an app without any has the public address's.
pub(super) struct Read {
    pub(super) app: App,
    pub(super) own_origins: bool,
}

/// Reads every `[[app]]`. `public` is where an app without `origins` lives.
pub(super) fn apps(reading: &mut Reading, root: &mut Section, public: &WebOrigin) -> Vec<Read> {
    let sections = reading.sections(root, "app");
    let none = sections.as_ref().is_none_or(Vec::is_empty) && reading.sound(&["app"]);
    if none {
        let path = root.path_of("app");
        let origin = if reading.is_set(&path) { reading.origin(&path) } else { root.origin().clone() };
        let problem =
            "there is no app; with a file only the file's apps exist, so write [[app]] with an `id` and a `method`";
        reading.refuse_at(path, problem, origin);
    }
    let mut seen: Vec<(AppId, String)> = Vec::new();
    let mut apps = Vec::new();
    for mut section in sections.unwrap_or_default() {
        let path = section.path().to_owned();
        let app = app(reading, &mut section, public);
        reading.close(section);
        let Some(read) = app else { continue };
        let id = &read.app.id;
        match seen.iter().find(|(other, _)| other.tag() == id.tag()) {
            Some((other, at)) if other == id => {
                reading
                    .refuse(format!("{path}.id"), format!("`{id}` is the name of {at} already; give each app its own"));
            }
            Some((other, at)) => reading.refuse(
                format!("{path}.id"),
                format!("`{id}` cannot be told from `{other}` ({at}) in records; give it another name"),
            ),
            None => seen.push((id.clone(), path)),
        }
        apps.push(read);
    }
    apps
}

fn app(reading: &mut Reading, section: &mut Section, public: &WebOrigin) -> Option<Read> {
    let methods = Method::ALL.map(|method| (method.name(), method));
    let id = required(reading, section, "id", "a name, as in id = \"web\"", id);
    let example = format!(
        "method = \"session\", or one of {}",
        methods[1..].iter().map(|(n, _)| *n).collect::<Vec<_>>().join(", ")
    );
    let method = required(reading, section, "method", &example, kinds::one_of("method", &methods));
    let registrations = [("open", Registration::Open), ("closed", Registration::Closed)];
    let registration = reading.value(
        section,
        "registration",
        Registration::Open,
        kinds::one_of("kind of registration", &registrations),
    );
    let admission = admission(reading, section);
    let origins = reading.list(section, "origins", page_origin);
    let own_origins = !origins.is_empty();
    let (idle_timeout, absolute_timeout) = lifetimes(reading, section);
    // A mistaken method has been noted; what depends on it is read as for the first one.
    let properties = method.unwrap_or(Method::Session).properties();
    let minted = properties.upstream == Upstream::MintedToken;
    let access_token_lifetime = reading.value(
        section,
        "access_token_lifetime",
        if minted { MINTED_TOKEN } else { MINUTE * 5 },
        kinds::lasting(SHORTEST_ACCESS_TOKEN..=LONGEST_ACCESS_TOKEN, Step::Seconds),
    );
    let refresh_grace =
        reading.value(section, "refresh_grace", SECOND * 30, kinds::lasting(SECOND..=MINUTE * 5, Step::Seconds));
    let max_revocation_lag = reading.value(section, "max_revocation_lag", SECOND * 2, lag);
    let losses = [("refuse", OnFeedLoss::Refuse), ("until_expiry", OnFeedLoss::UntilExpiry)];
    let on_feed_loss = reading.value(
        section,
        "on_feed_loss",
        properties.on_feed_loss,
        kinds::one_of("answer to a lost feed", &losses),
    );
    let paths = ["method", "max_revocation_lag", "on_feed_loss"].map(|key| section.path_of(key));
    if max_revocation_lag.is_zero() && reading.sound(&paths.each_ref().map(String::as_str)) {
        if properties.check == Check::Signature {
            reading.refuse(
                paths[1].as_str(),
                "a token is checked without asking anybody, so that an end cannot be heeded at the next request; write 100ms or \
                 more, or take a method that looks up (session, phantom)",
            );
        } else if on_feed_loss == OnFeedLoss::UntilExpiry {
            let problem = "`until_expiry` goes on without hearing of ends, which `max_revocation_lag` = \"0s\" forbids; write refuse";
            reading.refuse(paths[2].as_str(), problem);
        }
    }
    let algorithms = Algorithm::ALL.map(|a| (a.name(), a));
    let algorithm = reading.value(section, "algorithm", Algorithm::default(), kinds::one_of("algorithm", &algorithms));
    let migrate_from = migrate_from(reading, section, method);
    let app = App {
        id: id?,
        method: method?,
        registration,
        admission,
        origins: if own_origins { origins.iter().map(ToString::to_string).collect() } else { vec![public.to_string()] },
        idle_timeout,
        absolute_timeout,
        access_token_lifetime,
        refresh_grace,
        max_revocation_lag,
        on_feed_loss,
        algorithm,
        migrate_from,
    };
    Some(Read { app, own_origins })
}

/// Zero, or as long as it takes to hear of an end.
fn lag(value: &Value) -> Result<Duration, String> {
    let read = |shortest| kinds::lasting(shortest..=MINUTE * 5, Step::Milliseconds)(value);
    if read(Duration::ZERO).is_ok_and(|lag| lag.is_zero()) {
        return Ok(Duration::ZERO);
    }
    read(App::SHORTEST_LAG)
        .map_err(|problem| problem.replace(" is possible", ", or 0s (each check reads the record), is possible"))
}

/// While it is set, whoever holds a session of such a method can exchange it.
fn migrate_from(reading: &mut Reading, section: &mut Section, own: Option<Method>) -> Vec<Method> {
    let methods = Method::ALL.map(|method| (method.name(), method));
    let other = |value: &Value| {
        let method = kinds::one_of("method", &methods)(value)?;
        if own == Some(method) {
            return Err(format!("`{method}` is the app's own method; name those that it had before"));
        }
        Ok(method)
    };
    reading.list(section, "migrate_from", other)
}

/// Where only one of the two is set, the other's default gives way as far as it can.
fn lifetimes(reading: &mut Reading, section: &mut Section) -> (Duration, Duration) {
    let bounds = SECOND..=LONGEST_SESSION;
    let absolute = reading.value(section, "absolute_timeout", DAY * 30, kinds::lasting(bounds.clone(), Step::Seconds));
    let idle = reading.value(section, "idle_timeout", absolute.min(DAY * 7), kinds::lasting(bounds, Step::Seconds));
    let (idle_path, absolute_path) = (section.path_of("idle_timeout"), section.path_of("absolute_timeout"));
    if idle > absolute && reading.sound(&[&idle_path, &absolute_path]) {
        let origin = reading.origin(&absolute_path);
        let problem = format!(
            "`{}` is longer than `{absolute_path}`, which is `{}` {}; shorten it, or lengthen that",
            super::duration::show(idle),
            super::duration::show(absolute),
            origin
        );
        reading.refuse(idle_path, problem);
    }
    (idle, absolute)
}

fn admission(reading: &mut Reading, section: &mut Section) -> Admission {
    let one = |value: &Value| {
        let text = kinds::text(value)?;
        Admission::parse([text])
            .map(|_| text.to_owned())
            .map_err(|_| format!("{} is neither an e-mail address nor an @domain", kinds::quote(text)))
    };
    let entries = reading.list(section, "allow", one);
    Admission::parse(entries.iter().map(String::as_str)).unwrap_or_default()
}

fn required<T>(
    reading: &mut Reading,
    section: &mut Section,
    key: &'static str,
    example: &str,
    read: impl Fn(&Value) -> Result<T, String>,
) -> Option<T> {
    let value = reading.optional(section, key, read);
    let path = section.path_of(key);
    if value.is_none() && reading.sound(&[&path]) {
        reading.refuse_at(path, format!("it is missing; write {example}"), section.origin().clone());
    }
    value
}

fn id(value: &Value) -> Result<AppId, String> {
    let text = kinds::text(value)?;
    AppId::parse(text).ok_or_else(|| {
        format!(
            "{} is no name for an app; take 1 to 32 of a-z 0-9 - _, beginning with a letter or digit",
            kinds::quote(text)
        )
    })
}

/// Where pages live: over TLS, unless on this machine.
fn page_origin(value: &Value) -> Result<WebOrigin, String> {
    let origin = WebOrigin::parse_exact(kinds::text(value)?)?;
    if !origin.is_https() && !origin.is_loopback() {
        return Err(format!(
            "`{origin}` is not https; write `{}` (http is for loopback only)",
            origin.clone().over_tls()
        ));
    }
    Ok(origin)
}
