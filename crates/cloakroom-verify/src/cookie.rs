//! The one place that sets and reads cookies.
//!
//! On https a credential's cookie is named `__Host-cloakroom-<app>`, on http (loopback only) `cloakroom-<app>`; never
//! are both read. Names are compared byte for byte: what a lenient parser would fold into one of these names is another
//! cookie (F013, F014). Reading borrows from the request, and takes memory from the heap only where there are more than two.

use std::{fmt, time::Duration};

use cloakroom_core::{
    ids::AppId,
    refusal::{Reason, Refusal},
};
use http::{HeaderMap, HeaderValue, header::COOKIE};
use smallvec::SmallVec;

use crate::Scheme;

/// The cookies of a server's apps, in the order of the configuration.
#[derive(Clone, Debug)]
pub struct AppCookies {
    scheme: Scheme,
    apps: Box<[AppId]>,
}

/// What a cookie carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Carries {
    /// The ticket of a session: `SameSite=Lax`, so that a link from elsewhere lands signed in (F018).
    SessionTicket,
    /// A refresh token: `SameSite=Strict`; only the app's own pages need it.
    RefreshToken,
}

/// Cookies of a request that may hold a credential: those of the app that comes first in the configuration come first,
/// and of several with one name each is there in the order of the request, so that a valid one can win (F015).
#[derive(Clone, Default)]
pub struct Candidates<'h> {
    found: SmallVec<[(usize, &'h str); 2]>,
}

/// The most cookies of one name that are tried.
pub const MAX_PER_NAME: usize = 4;
/// The most cookies of one request that are tried; the last apps of the configuration lose.
pub const MAX_CANDIDATES: usize = 16;
/// The most bytes of `Cookie` headers that are read; more is refused.
pub const MAX_COOKIE_BYTES: usize = 8 * 1024;

impl AppCookies {
    /// The cookies of these apps, in the order of the configuration.
    pub fn new(scheme: Scheme, apps: impl IntoIterator<Item = AppId>) -> Self {
        Self { scheme, apps: apps.into_iter().collect() }
    }

    /// The app at a place that [`Candidates`] names.
    pub fn app(&self, index: usize) -> Option<&AppId> {
        self.apps.get(index)
    }

    /// The name of an app's cookie.
    pub fn name(&self, app: &AppId) -> String {
        format!("{}{app}", self.prefix())
    }

    /// A `Set-Cookie` that hands a credential out. `until_expiry` is the time to the absolute expiry; a part of a second
    /// is dropped. Fails only where the credential is none that can stand in a cookie (RFC 6265 section 4.1.1).
    pub fn set(
        &self,
        app: &AppId,
        carries: Carries,
        credential: &str,
        until_expiry: Duration,
    ) -> Result<HeaderValue, Reason> {
        if credential.is_empty() || !credential.bytes().all(is_cookie_octet) {
            return Err(Reason::Fault);
        }
        self.line(app, credential, carries, until_expiry.as_secs(), "")
    }

    /// A `Set-Cookie` that deletes an app's cookie: same name, path, domain and `Secure` as the one that set it (F016).
    pub fn delete(&self, app: &AppId) -> Result<HeaderValue, Reason> {
        self.line(app, "", Carries::SessionTicket, 0, "; Expires=Thu, 01 Jan 1970 00:00:00 GMT")
    }

    /// The cookies of the app that is asked for, or of all. Refuses more than [`MAX_COOKIE_BYTES`].
    pub fn read<'h>(&self, headers: &'h HeaderMap, wanted: Option<&AppId>) -> Result<Candidates<'h>, Refusal> {
        let mut candidates = Candidates::default();
        let mut bytes = 0;
        // HTTP/2 may split the header (RFC 9113 section 8.2.3): each line is a list of its own.
        for line in headers.get_all(COOKIE) {
            bytes += line.len();
            if bytes > MAX_COOKIE_BYTES {
                return Err(Refusal::from(Reason::TooLarge).because("the cookies are too large"));
            }
            for (name, value) in pairs(line.as_bytes()) {
                let Some(index) = self.app_of(name).filter(|i| wanted.is_none_or(|app| self.apps[*i] == *app)) else {
                    continue;
                };
                if let Some(value) = octets(value) {
                    candidates.offer(index, value);
                }
            }
        }
        Ok(candidates)
    }

    fn prefix(&self) -> &'static str {
        match self.scheme {
            Scheme::Https => "__Host-cloakroom-",
            Scheme::Http => "cloakroom-",
        }
    }

    fn app_of(&self, name: &[u8]) -> Option<usize> {
        let app = name.strip_prefix(self.prefix().as_bytes())?;
        self.apps.iter().position(|a| a.as_str().as_bytes() == app)
    }

    fn line(&self, app: &AppId, value: &str, carries: Carries, age: u64, more: &str) -> Result<HeaderValue, Reason> {
        let secure = match self.scheme {
            Scheme::Https => "; Secure",
            Scheme::Http => "",
        };
        let same_site = match carries {
            Carries::SessionTicket => "Lax",
            Carries::RefreshToken => "Strict",
        };
        let prefix = self.prefix();
        let line =
            format!("{prefix}{app}={value}; Path=/; Max-Age={age}{more}; HttpOnly; SameSite={same_site}{secure}");
        let mut line = HeaderValue::try_from(line).map_err(|_| Reason::Fault)?;
        line.set_sensitive(true);
        Ok(line)
    }
}

impl<'h> Candidates<'h> {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// The place of the app in the configuration, and what its cookie holds.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &'h str)> + '_ {
        self.found.iter().copied()
    }

    fn offer(&mut self, index: usize, value: &'h str) {
        let at = self.found.partition_point(|(i, _)| *i <= index);
        let alike = self.found[..at].iter().rev().take_while(|(i, _)| *i == index);
        if alike.clone().count() >= MAX_PER_NAME || alike.clone().any(|(_, v)| *v == value) || at == MAX_CANDIDATES {
            return;
        }
        self.found.truncate(MAX_CANDIDATES - 1);
        self.found.insert(at, (index, value));
    }
}

/// Says how many there are, never what they hold.
impl fmt::Debug for Candidates<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Candidates({})", self.found.len())
    }
}

/// The name-value pairs of one `Cookie` header (RFC 6265 section 4.2.1), nothing unquoted, decoded or trimmed but the
/// spaces behind a semicolon. A header of the older form, which begins with `$Version` (RFC 2965), has none: in it
/// quotes hide separators.
pub fn pairs(header: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let old = header.trim_ascii_start().get(..8).is_some_and(|b| b.eq_ignore_ascii_case(b"$version"));
    let header = if old { &[][..] } else { header };
    header.split(|b| *b == b';').filter_map(|pair| {
        let start = pair.iter().position(|b| *b != b' ')?;
        let pair = &pair[start..];
        let equals = pair.iter().position(|b| *b == b'=')?;
        Some((&pair[..equals], &pair[equals + 1..]))
    })
}

/// The `Cookie` header for an app behind a proxy: the request's cookies without any that is named as a credential of ours,
/// whichever the app, the scheme and the case (F014). Empty where none is left.
pub fn foreign(headers: &HeaderMap) -> HeaderValue {
    let mut left: Vec<u8> = Vec::new();
    for line in headers.get_all(COOKIE) {
        for pair in line.as_bytes().split(|b| *b == b';').map(<[u8]>::trim_ascii) {
            if pair.is_empty() || is_ours(pair) {
                continue;
            }
            if !left.is_empty() {
                left.extend_from_slice(b"; ");
            }
            left.extend_from_slice(pair);
        }
    }
    let mut value = HeaderValue::from_bytes(&left).unwrap_or(HeaderValue::from_static(""));
    value.set_sensitive(true);
    value
}

fn is_ours(pair: &[u8]) -> bool {
    let begins = |text: &[u8], with: &[u8]| text.get(..with.len()).is_some_and(|b| b.eq_ignore_ascii_case(with));
    let bare = if begins(pair, b"__Host-") { &pair[b"__Host-".len()..] } else { pair };
    begins(bare, b"cloakroom-")
}

/// A value that can be a credential at all: quotes, white space and what is not ASCII cannot (F014).
fn octets(value: &[u8]) -> Option<&str> {
    let sound = !value.is_empty() && value.iter().copied().all(is_cookie_octet);
    if sound { std::str::from_utf8(value).ok() } else { None }
}

/// RFC 6265 section 4.1.1, `cookie-octet`.
const fn is_cookie_octet(b: u8) -> bool {
    matches!(b, 0x21 | 0x23..=0x2B | 0x2D..=0x3A | 0x3C..=0x5B | 0x5D..=0x7E)
}

#[cfg(test)]
#[path = "cookie_tests.rs"]
mod tests;
