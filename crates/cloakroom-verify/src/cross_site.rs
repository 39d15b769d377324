//! The cross-site rule: an unsafe request that a browser may have been talked into must show that it comes from a page
//! of the app. One pure function.
//!
//! The proof is an `Origin` that is listed, or `Sec-Fetch-Site: same-origin` at a host that is ours; with neither the
//! request is refused. A request without a cookie, an `Origin` and a `Sec-Fetch-Site` comes from a script and needs no
//! proof; one with `Authorization: Bearer` needs none either, for there cookies are not read, and a stranger's page
//! cannot send that header without a preflight. All this holds for logins too: there the stranger would sign the victim
//! in as the stranger (F023).

use cloakroom_core::refusal::{Reason, Refusal};
use http::{
    HeaderMap, HeaderValue, Method, Uri,
    header::{COOKIE, HOST, HeaderName, ORIGIN},
};

use crate::{credential::has_bearer, origins::Origins};

/// What is judged. In forward-auth it is the original request that counts: its method and host, as the proxy reports
/// them, with the headers that the proxy passed on.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'r> {
    /// The method.
    pub method: &'r Method,
    /// The headers.
    pub headers: &'r HeaderMap,
    /// The host, and the port where it is not the scheme's own.
    pub host: Option<&'r str>,
}

impl<'r> Asked<'r> {
    /// A request as it came.
    pub fn of(method: &'r Method, uri: &'r Uri, headers: &'r HeaderMap) -> Self {
        // HTTP/2 has the host in the address, HTTP/1 in a header (RFC 9113 section 8.3.1).
        let host = match uri.authority() {
            Some(authority) => Some(authority.as_str()),
            None => single(headers, &HOST).ok().flatten().and_then(|h| std::str::from_utf8(h).ok()),
        };
        Self { method, headers, host }
    }
}

/// Whether the request may go on, where pages of these origins may act. Refuses with [`Reason::CrossSite`].
pub fn judge(asked: Asked<'_>, allowed: &Origins) -> Result<(), Refusal> {
    shows_its_page(asked, allowed).map_err(|reason| Refusal::from(reason).because(DETAIL))
}

fn shows_its_page(asked: Asked<'_>, allowed: &Origins) -> Result<(), Reason> {
    // Safe methods change nothing (F022).
    if matches!(*asked.method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE) {
        return Ok(());
    }
    let headers = asked.headers;
    let origin = single(headers, &ORIGIN)?;
    let site = single(headers, &SEC_FETCH_SITE)?;
    if has_bearer(headers) || (origin.is_none() && site.is_none() && !headers.contains_key(COOKIE)) {
        return Ok(());
    }
    match (origin, site) {
        (Some(origin), _) if origin != b"null" => allowed.contains(origin).then_some(()).ok_or(Reason::CrossSite),
        // `none` is the person's own doing: an address typed, a page loaded anew. `null` says nothing and is as good as
        // no origin (F020). The host is asked too: a stranger's name may have been pointed at our address.
        (_, Some(b"same-origin" | b"none")) if asked.host.is_some_and(|h| allowed.contains_host(h)) => Ok(()),
        _ => Err(Reason::CrossSite),
    }
}

/// A header that must not be there twice.
fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h [u8]>, Reason> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() { Err(Reason::CrossSite) } else { Ok(first.map(HeaderValue::as_bytes)) }
}

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

const DETAIL: &str =
    "neither Origin nor Sec-Fetch-Site shows a page of the app; list the page's origin under the app's origins";

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(method: &str, host: &str, headers: &[(&str, &str)]) -> bool {
        let allowed = Origins::new(["https://auth.example", "https://shop.example"]);
        let headers = map(headers);
        let method = method.parse().unwrap();
        judge(Asked { method: &method, headers: &headers, host: Some(host) }, &allowed).is_ok()
    }

    fn map(headers: &[(&str, &str)]) -> HeaderMap {
        headers.iter().map(|(n, v)| (n.parse::<HeaderName>().unwrap(), HeaderValue::from_str(v).unwrap())).collect()
    }

    fn post_with(headers: &[(&str, &str)]) -> bool {
        judged("POST", "auth.example", headers)
    }

    const C: (&str, &str) = ("cookie", "theme=dark");

    /// F019: with a cookie and without proof there is no way through, whatever else is sent.
    #[test]
    fn a_cookie_without_proof_is_refused_and_a_script_without_cookie_is_not() {
        assert!(post_with(&[]));
        assert!(post_with(&[("sec-fetch-mode", "cors")]));
        assert!(!post_with(&[C]));
        assert!(!post_with(&[C, ("content-type", "application/json")]));
        assert!(!post_with(&[C, ("x-requested-with", "XMLHttpRequest")]));
        assert!(!post_with(&[C, ("referer", "https://auth.example/")]));
        assert!(!post_with(&[C, ("sec-fetch-mode", "navigate")]));
        for method in ["PUT", "PATCH", "DELETE", "PROPFIND", "get"] {
            assert!(!judged(method, "auth.example", &[C]), "{method}");
        }
        for method in ["GET", "HEAD", "OPTIONS"] {
            assert!(judged(method, "auth.example", &[C, ("sec-fetch-site", "cross-site")]), "{method}");
        }
    }

    #[test]
    fn a_listed_origin_is_proof_and_any_other_is_none() {
        for origin in ["https://auth.example", "https://shop.example"] {
            assert!(post_with(&[C, ("origin", origin)]));
            assert!(post_with(&[C, ("origin", origin), ("sec-fetch-site", "cross-site")]));
        }
        for origin in [
            "https://evil.example",
            "http://auth.example",
            "https://auth.example.",
            "https://auth.example:443",
            "https://auth.example.evil.example",
            "https://AUTH.example",
            "https://auth.example https://evil.example",
            "",
            "null ",
            "NULL",
        ] {
            assert!(!post_with(&[C, ("origin", origin)]), "{origin}");
            assert!(!post_with(&[C, ("origin", origin), ("sec-fetch-site", "same-origin")]), "{origin}");
        }
        assert!(!post_with(&[C, ("origin", "https://auth.example"), ("origin", "https://evil.example")]));
    }

    /// F020: `null` alone is never trusted; with `same-origin` only at a host of ours.
    #[test]
    fn a_null_origin_passes_only_as_same_origin_at_our_own_host() {
        assert!(!post_with(&[C, ("origin", "null")]));
        for site in ["cross-site", "same-site", "Same-Origin", "same-origin, same-origin", ""] {
            assert!(!post_with(&[C, ("origin", "null"), ("sec-fetch-site", site)]), "{site}");
        }
        let same: &[(&str, &str)] = &[C, ("origin", "null"), ("sec-fetch-site", "same-origin")];
        assert!(judged("POST", "auth.example", same));
        assert!(judged("POST", "shop.example", same));
        assert!(!judged("POST", "evil.example", same));
        let headers = map(same);
        let hostless = Asked { method: &Method::POST, headers: &headers, host: None };
        let refused = judge(hostless, &Origins::new(["https://auth.example"])).unwrap_err();
        assert_eq!(refused.reason, Reason::CrossSite);
    }

    #[test]
    fn without_an_origin_the_browser_must_say_same_origin_at_our_own_host() {
        assert!(post_with(&[C, ("sec-fetch-site", "same-origin")]));
        assert!(post_with(&[C, ("sec-fetch-site", "none")]));
        assert!(!post_with(&[C, ("sec-fetch-site", "same-site")]));
        assert!(!post_with(&[C, ("sec-fetch-site", "cross-site")]));
        assert!(!judged("POST", "rebound.example", &[C, ("sec-fetch-site", "same-origin")]));
        assert!(!post_with(&[C, ("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")]));
    }

    /// F023: a browser's login passes the same rule although there is no cookie yet.
    #[test]
    fn a_browser_without_a_cookie_is_judged_too() {
        assert!(!post_with(&[("origin", "https://evil.example")]));
        assert!(!post_with(&[("origin", "null")]));
        assert!(!post_with(&[("sec-fetch-site", "cross-site")]));
        assert!(!post_with(&[("sec-fetch-site", "same-site")]));
        assert!(post_with(&[("origin", "https://shop.example"), ("sec-fetch-site", "same-site")]));
    }

    #[test]
    fn a_bearer_needs_no_proof_and_basic_is_no_bearer() {
        assert!(post_with(&[C, ("authorization", "Bearer x"), ("origin", "chrome-extension://abc")]));
        assert!(!post_with(&[C, ("authorization", "Basic x"), ("origin", "https://evil.example")]));
        assert!(!post_with(&[C, ("authorization", "Basic x")]));
    }

    #[test]
    fn the_host_of_http_2_stands_in_the_address() {
        let (uri, headers) = (Uri::from_static("https://auth.example/v1/login"), map(&[("host", "evil.example")]));
        assert_eq!(Asked::of(&Method::POST, &uri, &headers).host, Some("auth.example"));
        let uri = Uri::from_static("/v1/login");
        assert_eq!(Asked::of(&Method::POST, &uri, &headers).host, Some("evil.example"));
    }
}
