//! Budgets: how large cookies and headers can become under a configuration. Browsers drop a cookie over 4 KB without a
//! word, and servers and proxies answer 431 to headers over 8 KB; what could pass them is refused at start (F017).
//!
//! Every figure is an upper bound for the largest account that the configuration allows.

use cloakroom_core::{app::App, method::Upstream, token::Algorithm};
use serde::Serialize;
use thiserror::Error;

use super::Config;

/// A cookie must stay below this with its name, value and attributes (RFC 6265 section 6.1).
pub const COOKIE_LIMIT: usize = 4096;
/// The headers of a request must stay below this: what nginx, Apache and most others take by default.
pub const HEADER_LIMIT: usize = 8192;
/// What a browser and the proxies on the way send besides credentials: request line, client hints, `X-Forwarded-*`.
pub const OTHER_HEADERS: usize = 2048;
/// A ticket of a session: 35 bytes in base64url.
pub const TICKET: usize = 47;
/// A rotating refresh token: a ticket with its generation, 39 bytes.
pub const REFRESH_TOKEN: usize = 52;
/// A refresh token of `jwt-stateless`, at most.
pub const STATELESS_REFRESH_TOKEN: usize = 128;

/// `; Max-Age=34560000; Path=/; Secure; HttpOnly; SameSite=Strict`.
const ATTRIBUTES: usize = "; Max-Age=34560000; Path=/; Secure; HttpOnly; SameSite=Strict".len();
/// The longest list of authentication methods (RFC 8176) that a login can gather.
const LONGEST_AMR: &str = r#"["pwd","otp","hwk","user","mfa"]"#;
/// Characters of an account's id and of a session's.
const ACCOUNT_ID: usize = 36;
const SESSION_ID: usize = 22;

/// The largest that things can become, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Budget {
    /// The largest cookie, with its name and attributes.
    pub cookie: usize,
    /// The `Cookie` header of somebody who is signed in at every app.
    pub cookie_header: usize,
    /// The largest access token; 0 where no app has any.
    pub access_token: usize,
    /// All headers of a request with the cookies and an access token.
    pub request_headers: usize,
    /// All headers of a request as a gateway passes it on, with who is asking and, for `phantom`, the minted token.
    pub upstream_headers: usize,
}

/// Something could become too large.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum OverBudget {
    /// A cookie.
    #[error(
        "the largest cookie could take {0} bytes, and browsers drop it from {COOKIE_LIMIT} on; shorten the app's name"
    )]
    Cookie(usize),
    /// The headers of a request.
    #[error(
        "the headers of a request could take {0} bytes, and servers refuse them from {HEADER_LIMIT} on; have fewer apps on \
         this host, or shorten their names"
    )]
    Request(usize),
    /// The headers that a gateway passes on.
    #[error(
        "the headers that upstreams get could take {0} bytes, and servers refuse them from {HEADER_LIMIT} on; have fewer \
         apps on this host, or shorten their names"
    )]
    Upstream(usize),
}

/// How large cookies, tokens and headers can become, if they stay within bounds.
pub fn budget(config: &Config) -> Result<Budget, OverBudget> {
    let (issuer, https) = (config.issuer(), config.is_https());
    let cookies = || config.apps.iter().map(|app| cookie_pair(https, app));
    let token_of = |app: &App| access_token(&issuer, app);
    let access_token = config.apps.iter().filter(|a| has_access_token(a)).map(|a| token_of(a)).max().unwrap_or(0);
    let minted = config.apps.iter().filter(|a| mints(a)).map(|a| token_of(a)).max().unwrap_or(0);
    let longest_app = config.apps.iter().map(|app| app.id.as_str().len()).max().unwrap_or(0);

    let cookie = cookies().max().unwrap_or(0) + ATTRIBUTES;
    let cookie_header = header("Cookie", cookies().map(|pair| pair + "; ".len()).sum());
    let bearer = if access_token == 0 { 0 } else { header("Authorization", "Bearer ".len() + access_token) };
    let request_headers = OTHER_HEADERS + cookie_header + bearer;
    let identity =
        header("X-Auth-Account", ACCOUNT_ID) + header("X-Auth-Session", SESSION_ID) + header("X-Auth-App", longest_app);
    let token = if minted == 0 { 0 } else { header("X-Auth-Token", minted) };
    let upstream_headers = request_headers + identity + token;
    Budget { cookie, cookie_header, access_token, request_headers, upstream_headers }.within_bounds()
}

impl Budget {
    fn within_bounds(self) -> Result<Self, OverBudget> {
        if self.cookie >= COOKIE_LIMIT {
            return Err(OverBudget::Cookie(self.cookie));
        }
        if self.request_headers >= HEADER_LIMIT {
            return Err(OverBudget::Request(self.request_headers));
        }
        if self.upstream_headers >= HEADER_LIMIT {
            return Err(OverBudget::Upstream(self.upstream_headers));
        }
        Ok(self)
    }
}

pub(super) fn cookie_name(https: bool, app: &App) -> String {
    format!("{}cloakroom-{}", if https { "__Host-" } else { "" }, app.id)
}

/// Name, `=` and value. The value may be one of an earlier method of the app, so that the largest counts.
fn cookie_pair(https: bool, app: &App) -> usize {
    cookie_name(https, app).len() + 1 + TICKET.max(REFRESH_TOKEN).max(STATELESS_REFRESH_TOKEN)
}

fn header(name: &str, value: usize) -> usize {
    name.len() + ": ".len() + value + "\r\n".len()
}

pub(super) fn has_access_token(app: &App) -> bool {
    app.method.has_tokens() || mints(app)
}

fn mints(app: &App) -> bool {
    app.method.properties().upstream == Upstream::MintedToken
}

/// The largest access token of an app: the claims with the longest values they can have, and the signature.
fn access_token(issuer: &str, app: &App) -> usize {
    let header = format!(r#"{{"alg":"{}","typ":"at+jwt","kid":"kkkkkk"}}"#, app.algorithm.name());
    let (app_id, account, session, jti) = (&app.id, "a".repeat(ACCOUNT_ID), "s".repeat(SESSION_ID), "j".repeat(8));
    let (time, epoch) = (9_999_999_999_u64, u32::MAX);
    let claims = format!(
        r#"{{"iss":"{issuer}","sub":"{account}","aud":"{app_id}","exp":{time},"iat":{time},"jti":"{jti}","client_id":"{app_id}","sid":"{session}","auth_time":{time},"amr":{LONGEST_AMR},"epoch":{epoch},"app_epoch":{epoch}}}"#
    );
    let signature = match app.algorithm {
        Algorithm::EdDsa | Algorithm::Es256 => 64,
        Algorithm::Rs256 => 256,
        Algorithm::Hs256 => 32,
    };
    base64url(header.len()) + 1 + base64url(claims.len()) + 1 + base64url(signature)
}

/// Characters of so many bytes, without padding.
fn base64url(bytes: usize) -> usize {
    (bytes * 4).div_ceil(3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sources;

    fn with_apps(apps: &[(String, &str)], extra: &str) -> Result<Config, crate::config::ConfigErrors> {
        let text = apps.iter().fold(extra.to_owned(), |text, (id, method)| {
            text + &format!("[[app]]\nid = \"{id}\"\nmethod = \"{method}\"\n")
        });
        Config::load(Sources::new().text("cloakroom.toml", text))
    }

    #[test]
    fn the_ready_apps_stay_far_below_the_bounds() {
        let config = Config::load(Sources::new()).unwrap();
        let budget = budget(&config).unwrap();
        assert!(budget.cookie < 300, "{budget:?}");
        assert!(budget.upstream_headers < HEADER_LIMIT / 2 + OTHER_HEADERS, "{budget:?}");
        assert!((400..=600).contains(&budget.access_token), "{budget:?}");
    }

    #[test]
    fn the_cookie_is_counted_with_its_name_and_attributes() {
        let config = with_apps(&[("web".into(), "session")], "public_url = \"https://auth.example\"\n").unwrap();
        let longest = format!(
            "__Host-cloakroom-web={}; Max-Age=34560000; Path=/; Secure; HttpOnly; SameSite=Strict",
            "v".repeat(STATELESS_REFRESH_TOKEN)
        );
        assert_eq!(budget(&config).unwrap().cookie, longest.len());
    }

    /// F017: as many apps as the headers hold, and not one more.
    #[test]
    fn one_app_more_than_the_headers_hold_is_refused_at_start() {
        let apps: Vec<_> = (0..99).map(|i| (format!("app-with-a-name-of-28-chars-{i:02}"), "phantom")).collect();
        let most = (1..apps.len()).take_while(|n| with_apps(&apps[..*n], "").is_ok()).count();
        assert!((20..40).contains(&most), "{most}");
        let largest = budget(&with_apps(&apps[..most], "").unwrap()).unwrap();
        assert!(
            largest.upstream_headers < HEADER_LIMIT && largest.upstream_headers > HEADER_LIMIT - 300,
            "{largest:?}"
        );
        let errors = with_apps(&apps[..=most], "").unwrap_err();
        assert_eq!(errors.len(), 1);
        let error = errors.to_string();
        assert!(error.starts_with("`app`: the headers that upstreams get could take "), "{error}");
        assert!(error.ends_with("or shorten their names; set in cloakroom.toml line 1"), "{error}");
    }

    #[test]
    fn each_bound_is_judged() {
        let good =
            Budget { cookie: 4095, cookie_header: 0, access_token: 0, request_headers: 8191, upstream_headers: 8191 };
        assert_eq!(good.within_bounds(), Ok(good));
        assert_eq!(Budget { cookie: 4096, ..good }.within_bounds(), Err(OverBudget::Cookie(4096)));
        assert_eq!(Budget { request_headers: 8192, ..good }.within_bounds(), Err(OverBudget::Request(8192)));
        assert_eq!(Budget { upstream_headers: 8192, ..good }.within_bounds(), Err(OverBudget::Upstream(8192)));
    }

    #[test]
    fn a_longer_issuer_and_a_longer_signature_make_a_longer_token() {
        let size = |extra: &str, algorithm: &str| {
            let text = format!("{extra}[[app]]\nid = \"api\"\nmethod = \"jwt\"\nalgorithm = \"{algorithm}\"\n");
            budget(&Config::load(Sources::new().text("c.toml", text)).unwrap()).unwrap().access_token
        };
        assert!(size("", "RS256") > size("", "EdDSA") + 250);
        assert!(
            size("public_url = \"https://a-very-long-name.of-a-host.example\"\n", "EdDSA") > size("", "EdDSA") + 20
        );
    }
}
