//! The one place that reads what a request presents as its credential.
//!
//! An `Authorization: Bearer` header counts alone; without any `Authorization` header the cookies count. A credential in
//! a URL is refused, for it would end up in logs and in `Referer` (F127). Reading borrows from the request.

use std::fmt;

use cloakroom_core::{
    ids::AppId,
    refusal::{Reason, Refusal},
};
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};

use crate::{
    cookie::{AppCookies, Candidates},
    query::parameters,
};

/// What a request presents.
#[derive(Clone)]
pub enum Presented<'h> {
    /// The token of an `Authorization: Bearer` header.
    Bearer(&'h str),
    /// One or more cookies; the first valid one counts.
    Cookies(Candidates<'h>),
}

impl<'h> Presented<'h> {
    /// Reads headers and query; with `wanted` only that app's cookie counts. Refuses with
    /// [`Reason::NoCredential`] where nothing is presented, with [`Reason::WrongKind`] or [`Reason::Malformed`] where
    /// the `Authorization` header is another or no good one, with [`Reason::BadRequest`] where there are two, and with
    /// [`Reason::CredentialInUrl`].
    pub fn read(
        headers: &'h HeaderMap,
        query: Option<&str>,
        cookies: &AppCookies,
        wanted: Option<&AppId>,
    ) -> Result<Self, Refusal> {
        refuse_credential_in_query(query)?;
        if let Some(value) = authorization(headers)? {
            return Ok(Self::Bearer(bearer(value)?));
        }
        let candidates = cookies.read(headers, wanted)?;
        if candidates.is_empty() { Err(Reason::NoCredential.into()) } else { Ok(Self::Cookies(candidates)) }
    }
}

/// Says the kind, never the credential.
impl fmt::Debug for Presented<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bearer(_) => "Bearer",
            Self::Cookies(_) => "Cookies",
        })
    }
}

/// Refuses a query that has a parameter which could hold a credential, however its name is spelt. What a proxy says of
/// the original address of a request is not meant: that belongs to the app behind it.
pub fn refuse_credential_in_query(query: Option<&str>) -> Result<(), Refusal> {
    let Some(query) = query.filter(|q| !q.is_empty()) else { return Ok(()) };
    let mut names = parameters(query).map(|(name, _)| name);
    if names.any(|name| CREDENTIAL_PARAMETERS.iter().any(|p| name.trim().eq_ignore_ascii_case(p))) {
        return Err(Refusal::from(Reason::CredentialInUrl).because("a credential has no place in a URL"));
    }
    Ok(())
}

/// The token of an `Authorization` header: `Bearer`, in any case, and one `token68` (RFC 6750 section 2.1, RFC 9110
/// section 11.2). Another scheme is [`Reason::WrongKind`].
pub fn bearer(header: &[u8]) -> Result<&str, Reason> {
    let token = after_scheme(header, b"Bearer")?;
    let body = token.iter().rposition(|b| *b != b'=').map_or(0, |last| last + 1);
    // Without a way out in between, so that the compiler takes many bytes at a time: a token is some hundred of them.
    let sound = token[..body].iter().fold(true, |sound, b| sound & is_token68(*b));
    if sound && body > 0 && token.len() <= MAX_TOKEN {
        std::str::from_utf8(token).map_err(|_| Reason::Malformed)
    } else {
        Err(Reason::Malformed)
    }
}

/// A character of `token68` but the `=` at its end (RFC 9110 section 11.2).
#[expect(
    clippy::needless_bitwise_bool,
    reason = "a way out after each comparison is what keeps bytes from going together"
)]
const fn is_token68(b: u8) -> bool {
    b.is_ascii_alphanumeric() | (b == b'-') | (b == b'.') | (b == b'_') | (b == b'~') | (b == b'+') | (b == b'/')
}

/// Whether the request brings an `Authorization: Bearer` header. A page of another site cannot make a browser send one
/// without asking first (a CORS preflight), and where there is one, cookies are not read.
pub(crate) fn has_bearer(headers: &HeaderMap) -> bool {
    headers.get(AUTHORIZATION).is_some_and(|v| after_scheme(v.as_bytes(), b"Bearer").is_ok())
}

/// The only `Authorization` header; two are [`Reason::BadRequest`], for readers differ on which one counts.
pub fn authorization(headers: &HeaderMap) -> Result<Option<&[u8]>, Refusal> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(Refusal::from(Reason::BadRequest).because("there is more than one Authorization header"));
    }
    Ok(first.map(HeaderValue::as_bytes))
}

/// What follows the scheme, in any case, and its spaces (RFC 9110 section 11.4). Another scheme is [`Reason::WrongKind`].
pub fn after_scheme<'h>(header: &'h [u8], scheme: &[u8]) -> Result<&'h [u8], Reason> {
    let end = header.iter().position(|b| *b == b' ').unwrap_or(header.len());
    if !header[..end].eq_ignore_ascii_case(scheme) {
        return Err(Reason::WrongKind);
    }
    let rest = &header[end..];
    let spaces = rest.iter().take_while(|b| **b == b' ').count();
    Ok(&rest[spaces..])
}

/// The longest `Authorization` value that is looked at; ours are far shorter.
pub const MAX_TOKEN: usize = 4096;

const CREDENTIAL_PARAMETERS: &[&str] =
    &["access_token", "refresh_token", "id_token", "token", "ticket", "password", "client_secret", "authorization"];

#[cfg(test)]
mod tests {
    use std::slice::from_ref;

    use http::{HeaderName, header::COOKIE};
    use proptest::prelude::*;

    use super::*;
    use crate::Scheme;

    fn headers(list: &[(HeaderName, &str)]) -> HeaderMap {
        list.iter().map(|(n, v)| (n.clone(), HeaderValue::from_str(v).unwrap())).collect()
    }

    fn read(list: &[(HeaderName, &str)], query: Option<&str>, wanted: Option<&str>) -> Result<String, Reason> {
        let apps = ["web", "api"].map(|a| AppId::parse(a).unwrap());
        let cookies = AppCookies::new(Scheme::Http, apps);
        let headers = headers(list);
        let wanted = wanted.map(|a| AppId::parse(a).unwrap());
        match Presented::read(&headers, query, &cookies, wanted.as_ref()).map_err(|r| r.reason)? {
            Presented::Bearer(token) => Ok(format!("bearer {token}")),
            Presented::Cookies(list) => Ok(list.iter().map(|(i, v)| format!("{i}:{v}")).collect::<Vec<_>>().join(" ")),
        }
    }

    #[test]
    fn the_header_counts_alone_and_without_one_the_cookies() {
        let cookie = (COOKIE, "cloakroom-api=a; cloakroom-web=w");
        assert_eq!(read(&[(AUTHORIZATION, "Bearer abc.def"), cookie.clone()], None, None), Ok("bearer abc.def".into()));
        assert_eq!(read(from_ref(&cookie), None, None), Ok("0:w 1:a".into()));
        assert_eq!(read(from_ref(&cookie), Some("app=api"), Some("api")), Ok("1:a".into()));
        assert_eq!(read(&[], None, None), Err(Reason::NoCredential));
        assert_eq!(read(&[(COOKIE, "theme=dark")], None, None), Err(Reason::NoCredential));
    }

    #[test]
    fn a_header_that_is_no_good_never_falls_back_to_the_cookie() {
        let cookie = (COOKIE, "cloakroom-web=w");
        for (value, reason) in [
            ("Basic YTpi", Reason::WrongKind),
            ("", Reason::WrongKind),
            ("Bearer", Reason::Malformed),
            ("Bearer  ", Reason::Malformed),
            ("Bearer a b", Reason::Malformed),
            ("Bearer a,b", Reason::Malformed),
            ("Bearer \"a\"", Reason::Malformed),
            ("Bearer a=b", Reason::Malformed),
            ("Bearer =", Reason::Malformed),
            ("Bearer\ta", Reason::WrongKind),
        ] {
            assert_eq!(read(&[(AUTHORIZATION, value), cookie.clone()], None, None), Err(reason), "{value:?}");
        }
        let twice = [(AUTHORIZATION, "Bearer a"), (AUTHORIZATION, "Bearer a"), cookie];
        assert_eq!(read(&twice, None, None), Err(Reason::BadRequest));
    }

    #[test]
    fn the_scheme_may_be_written_in_any_case() {
        for value in ["Bearer a-._~+/==", "bearer a-._~+/==", "BEARER   a-._~+/=="] {
            assert_eq!(bearer(value.as_bytes()), Ok("a-._~+/=="));
        }
        assert_eq!(bearer(format!("Bearer {}", "a".repeat(MAX_TOKEN + 1)).as_bytes()), Err(Reason::Malformed));
    }

    /// F127: a credential in a URL is refused, however its name is spelt.
    #[test]
    fn a_credential_in_a_url_is_refused() {
        for query in [
            "access_token=x",
            "a=b&refresh_token=x",
            "TOKEN=x",
            "%74oken=x",
            "access%5ftoken",
            "ticket=",
            "+password=x",
            "app=web&password",
        ] {
            let good = [(AUTHORIZATION, "Bearer a")];
            assert_eq!(read(&good, Some(query), None), Err(Reason::CredentialInUrl), "{query}");
        }
        for query in ["", "app=web", "tokens=1", "q=token", "rd=%2F%3Ftoken%3Dx"] {
            assert!(read(&[(AUTHORIZATION, "Bearer a")], Some(query), None).is_ok(), "{query}");
        }
    }

    #[test]
    fn what_is_presented_prints_as_its_kind_only() {
        assert_eq!(format!("{:?}", Presented::Bearer("topsecret")), "Bearer");
    }

    proptest! {
        #[test]
        fn reading_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..100), query in ".{0,60}") {
            let _ = (bearer(&bytes), refuse_credential_in_query(Some(&query)));
            let mut with_scheme = b"Bearer ".to_vec();
            with_scheme.extend(&bytes);
            if let Ok(token) = bearer(&with_scheme) {
                prop_assert!(!token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic()));
            }
        }
    }
}
