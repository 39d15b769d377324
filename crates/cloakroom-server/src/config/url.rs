//! Origins as a browser writes them: scheme, host and port, nothing else, each in its one spelling. The public address
//! and the origins of apps are such; what is compared with an `Origin` header must be spelt as browsers spell it.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use serde::{Serialize, Serializer};

/// A web origin (RFC 6454 section 4): `https://shop.example`, `http://localhost:8080`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct WebOrigin {
    https: bool,
    host: String,
    port: Option<u16>,
}

impl WebOrigin {
    /// Whether browsers reach it over TLS.
    pub const fn is_https(&self) -> bool {
        self.https
    }

    /// Its host in lower case, an IPv6 address in brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Its port, the scheme's own included.
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(if self.https { 443 } else { 80 })
    }

    /// What a `Host` header names it: the host, and the port where it is not the scheme's own.
    pub fn authority(&self) -> String {
        self.port.map_or_else(|| self.host.clone(), |port| format!("{}:{port}", self.host))
    }

    /// Whether only programs of the same machine can be there: `localhost` and names below it (RFC 6761 section 6.3),
    /// 127.0.0.0/8 and `::1`.
    pub fn is_loopback(&self) -> bool {
        let bare = self.host.trim_start_matches('[').trim_end_matches(']');
        match bare.parse::<IpAddr>() {
            Ok(address) => address.to_canonical().is_loopback(),
            Err(_) => self.host == "localhost" || self.host.ends_with(".localhost"),
        }
    }

    /// The same place as `https` sees it.
    pub(super) fn over_tls(self) -> Self {
        Self { https: true, port: self.port.filter(|port| *port != 443), ..self }
    }

    /// The loopback name that stands for a listener.
    pub(super) fn localhost(https: bool, port: u16) -> Self {
        let own = if https { 443 } else { 80 };
        Self { https, host: "localhost".into(), port: Some(port).filter(|port| *port != own) }
    }

    /// Reads an address that may be spelt carelessly: upper case, the scheme's own port or one slash at the end.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let quoted = super::kinds::quote(text);
        let lower = text.trim().to_ascii_lowercase();
        let (scheme, rest) = lower
            .split_once("://")
            .ok_or_else(|| format!("{quoted} is no web address; write it as https://auth.example"))?;
        let https = match scheme {
            "https" => true,
            "http" => false,
            _ => return Err(format!("{quoted} is neither https:// nor http://")),
        };
        let (authority, tail) = rest.find(['/', '?', '#', '\\']).map_or((rest, ""), |at| rest.split_at(at));
        if authority.contains('@') {
            // The text is not repeated: there can be a password in it.
            return Err("a user name has no place in it; write scheme, host and port only".into());
        }
        if !matches!(tail, "" | "/") {
            return Err(format!(
                "{quoted} has more than scheme, host and port; leave {} out",
                super::kinds::quote(tail)
            ));
        }
        let (host, port) =
            split_port(authority).ok_or_else(|| format!("{quoted} has no port from 1 to 65535 behind its host"))?;
        let host = read_host(host).ok_or_else(|| {
            format!("{quoted} has no good host; write a name in ASCII (an international one as xn--…), an IPv4 or an [IPv6] address")
        })?;
        Ok(Self { https, host, port: port.filter(|port| *port != if https { 443 } else { 80 }) })
    }

    /// Reads an origin that must be spelt exactly as a browser does.
    pub(super) fn parse_exact(text: &str) -> Result<Self, String> {
        let origin = Self::parse(text)?;
        let spelt = origin.to_string();
        if spelt != text {
            return Err(format!(
                "{} is not how a browser writes an origin; write `{spelt}`",
                super::kinds::quote(text)
            ));
        }
        Ok(origin)
    }
}

impl fmt::Display for WebOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.https { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.authority())
    }
}

impl Serialize for WebOrigin {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    // A colon within brackets belongs to the address.
    let after = authority.rfind(']').map_or(0, |at| at + 1);
    let Some(colon) = authority[after..].find(':') else { return Some((authority, None)) };
    let (host, port) = (&authority[..after + colon], &authority[after + colon + 1..]);
    let plain = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    let port = plain.then(|| port.parse::<u16>().ok()).flatten().filter(|port| *port != 0)?;
    Some((host, Some(port)))
}

fn read_host(host: &str) -> Option<String> {
    if let Some(inner) = host.strip_prefix('[') {
        let address: Ipv6Addr = inner.strip_suffix(']')?.parse().ok()?;
        // Browsers spell a mapped address otherwise than everybody else; nobody needs it.
        return address.to_ipv4_mapped().is_none().then(|| format!("[{address}]"));
    }
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last = host.rsplit('.').next()?;
    // A browser takes a host for an IPv4 address when its last label is a number, whatever the others are.
    let number = last.bytes().all(|b| b.is_ascii_digit())
        || last.strip_prefix("0x").is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
    let good = host.len() <= 253 && host.split('.').all(label) && (!number || host.parse::<Ipv4Addr>().is_ok());
    good.then(|| host.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_careless_address_gets_the_browsers_spelling() {
        for (text, spelt) in [
            ("https://auth.example", "https://auth.example"),
            ("https://auth.example/", "https://auth.example"),
            ("HTTPS://Auth.Example:443/", "https://auth.example"),
            ("http://localhost:8080", "http://localhost:8080"),
            ("http://localhost:80", "http://localhost"),
            ("https://localhost:80", "https://localhost:80"),
            ("http://[0:0:0:0:0:0:0:1]:8080", "http://[::1]:8080"),
            ("https://192.0.2.1:8443", "https://192.0.2.1:8443"),
        ] {
            assert_eq!(WebOrigin::parse(text).unwrap().to_string(), spelt);
        }
    }

    #[test]
    fn what_a_browser_would_read_otherwise_is_refused() {
        for text in [
            "",
            "auth.example",
            "ftp://auth.example",
            "https://",
            "https:///",
            "https://:443",
            "https://a:0",
            "https://a:99999",
            "https://a:",
            "https://a:+1",
            "https://a/b",
            "https://a?b",
            "https://a#b",
            "https://a\\b",
            "https://a b",
            "https://user:pw@a",
            "https://a..b",
            "https://-a",
            "https://bücher.example",
            "https://127.1",
            "https://0x7f",
            "https://256.1.1.1",
            "https://[::1",
            "https://::1",
            "https://[::ffff:1.2.3.4]",
            "https://a%2eb",
            "https://a.",
            "null",
            "*",
            "https://*.example",
        ] {
            WebOrigin::parse(text).expect_err(text);
        }
    }

    #[test]
    fn a_password_in_an_address_is_not_repeated() {
        assert!(!WebOrigin::parse("https://ada:hunter22@a.example").unwrap_err().contains("hunter22"));
    }

    #[test]
    fn only_hosts_of_this_machine_are_loopback() {
        for (text, loopback) in [
            ("http://localhost", true),
            ("http://web.localhost:8080", true),
            ("http://127.0.0.1", true),
            ("http://127.255.255.254", true),
            ("http://[::1]", true),
            ("http://localhost.example", false),
            ("http://notlocalhost", false),
            ("http://127.example", false),
            ("http://128.0.0.1", false),
            ("http://0.0.0.0", false),
            ("http://[::]", false),
        ] {
            assert_eq!(WebOrigin::parse(text).unwrap().is_loopback(), loopback, "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_spelling_reads_back_as_itself(text in "https?://[a-zA-Z0-9.\\-\\[\\]:/]{0,24}|.{0,30}") {
            if let Ok(origin) = WebOrigin::parse(&text) {
                prop_assert_eq!(WebOrigin::parse_exact(&origin.to_string()), Ok(origin));
            }
        }
    }
}
