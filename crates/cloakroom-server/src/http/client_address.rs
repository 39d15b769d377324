//! The address of the client: the first hop, counted from the right, that is not a proxy of ours (F112).
//!
//! `Forwarded` (RFC 7239) and `X-Forwarded-For` are looked at only where the peer itself is a proxy of ours; from anyone
//! else they are noise (F104). An entry that cannot be read ends the walk, and the proxy that wrote it counts. Where
//! both headers are there and disagree, one of them came from the client: then the peer counts. An IPv4 address that is
//! written as IPv6 is the IPv4 address (F117).

use std::net::{IpAddr, Ipv6Addr};

use http::{
    HeaderMap, HeaderValue, Version,
    header::{FORWARDED, HeaderName},
};

/// The client's address. `is_proxy` says whose headers count; give it addresses in canonical form.
pub fn client_address(peer: IpAddr, headers: &HeaderMap, is_proxy: impl Fn(IpAddr) -> bool) -> IpAddr {
    let peer = peer.to_canonical();
    if !is_proxy(peer) {
        return peer;
    }
    let walk = |hops: Vec<Hop>| {
        let mut nearest = peer;
        for hop in hops.into_iter().rev().take(MAX_HOPS) {
            let Some(address) = hop else { break };
            nearest = address;
            if !is_proxy(address) {
                break;
            }
        }
        nearest
    };
    let lines = |name: &HeaderName| -> Option<Vec<&[u8]>> {
        headers.contains_key(name).then(|| headers.get_all(name).iter().map(HeaderValue::as_bytes).collect())
    };
    let standard = lines(&FORWARDED).map(|lines| walk(lines.into_iter().flat_map(forwarded).collect()));
    let common = lines(&X_FORWARDED_FOR).map(|lines| walk(lines.into_iter().flat_map(x_forwarded_for).collect()));
    match (standard, common) {
        (Some(address), None) | (None, Some(address)) => address,
        (Some(a), Some(b)) if a == b => a,
        _ => peer,
    }
}

/// Whether a proxy says that it passed the request on, or speaks as one. Whoever serves loopback clients only must ask this too.
///
/// nginx, unless it is told otherwise, says nothing of itself; but it speaks HTTP/1.0, which no browser and no Prometheus does.
pub fn is_forwarded(version: Version, headers: &HeaderMap) -> bool {
    version <= Version::HTTP_10
        || headers.keys().any(|name| {
            let name = name.as_str();
            PROXIES_SAY.contains(&name) || PROXIES_BEGIN.iter().any(|begin| name.starts_with(begin))
        })
}

/// An address that a proxy reports; nothing, where what it reports is none.
pub type Hop = Option<IpAddr>;

/// The hops of one `X-Forwarded-For` header, the nearest last. There is one per comma, so that none is skipped.
pub fn x_forwarded_for(header: &[u8]) -> Vec<Hop> {
    header.split(|b| *b == b',').map(|entry| node(entry.trim_ascii())).collect()
}

/// The hops of one `Forwarded` header (RFC 7239 section 4), the nearest last. A header with a quote that does not end is
/// one hop that cannot be read.
pub fn forwarded(header: &[u8]) -> Vec<Hop> {
    let Some(elements) = split_outside_quotes(header, b',') else { return vec![None] };
    elements.into_iter().map(forwarded_for).collect()
}

/// The `for` parameter of one element.
fn forwarded_for(element: &[u8]) -> Hop {
    let mut hop = None;
    for pair in split_outside_quotes(element, b';')? {
        let equals = pair.iter().position(|b| *b == b'=')?;
        if !pair[..equals].trim_ascii().eq_ignore_ascii_case(b"for") {
            continue;
        }
        if hop.is_some() {
            return None;
        }
        let value = pair[equals + 1..].trim_ascii();
        // A quoted value never needs its escapes here: an address has none.
        hop = Some(match value {
            [b'"', inner @ .., b'"'] => node(inner)?,
            _ => node(value)?,
        });
    }
    hop
}

/// `192.0.2.1`, `192.0.2.1:8080`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:8080`; a zone behind `%` is dropped.
fn node(text: &[u8]) -> Hop {
    let text = std::str::from_utf8(text).ok()?;
    let address = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, tail) = rest.split_once(']')?;
            if !tail.is_empty() {
                port(tail.strip_prefix(':')?)?;
            }
            IpAddr::V6(without_zone(address)?)
        }
        None if text.bytes().filter(|b| *b == b':').count() > 1 => IpAddr::V6(without_zone(text)?),
        None => {
            let (address, tail) = text.split_once(':').map_or((text, None), |(a, p)| (a, Some(p)));
            if let Some(tail) = tail {
                port(tail)?;
            }
            IpAddr::V4(address.parse().ok()?)
        }
    };
    Some(address.to_canonical())
}

fn without_zone(text: &str) -> Option<Ipv6Addr> {
    text.split_once('%').map_or(text, |(address, _)| address).parse().ok()
}

/// A port, or the hidden one of RFC 7239 section 6.
fn port(text: &str) -> Option<()> {
    let digits = (1..=5).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    let hidden = text.len() > 1
        && text.starts_with('_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    (digits || hidden).then_some(())
}

fn split_outside_quotes(text: &[u8], separator: u8) -> Option<Vec<&[u8]>> {
    let (mut parts, mut start, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (at, b) in text.iter().enumerate() {
        match *b {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b if b == separator && !quoted => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    (!quoted).then_some(parts)
}

/// No honest chain of our own proxies is longer.
const MAX_HOPS: usize = 32;

/// What proxies and networks of delivery add to a request.
const PROXIES_SAY: [&str; 9] = [
    "forwarded",
    "via",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "true-client-ip",
    "cf-connecting-ip",
    "fastly-client-ip",
    "cdn-loop",
];
const PROXIES_BEGIN: [&str; 3] = ["x-forwarded-", "x-original-", "x-envoy-"];

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The proxies are 10.0.0.0/8 and `fd00::/8`.
    fn address(peer: &str, headers: &[(&'static str, &str)]) -> String {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let is_proxy = |a: IpAddr| match a {
            IpAddr::V4(a) => a.octets()[0] == 10,
            IpAddr::V6(a) => a.octets()[0] == 0xfd,
        };
        client_address(peer.parse().unwrap(), &map, is_proxy).to_string()
    }

    const XFF: &str = "x-forwarded-for";
    const FWD: &str = "forwarded";

    /// F104: headers from anyone but a proxy of ours are noise.
    #[test]
    fn a_stranger_cannot_choose_its_address() {
        assert_eq!(address("192.0.2.9", &[(XFF, "198.51.100.1")]), "192.0.2.9");
        assert_eq!(address("192.0.2.9", &[(FWD, "for=198.51.100.1")]), "192.0.2.9");
        assert_eq!(address("192.0.2.9", &[(XFF, "10.0.0.1")]), "192.0.2.9");
        assert_eq!(address("::ffff:192.0.2.9", &[]), "192.0.2.9");
    }

    /// F112: the first hop from the right that is no proxy of ours.
    #[test]
    fn the_first_untrusted_hop_from_the_right_counts() {
        for (value, expected) in [
            ("198.51.100.1", "198.51.100.1"),
            ("1.1.1.1, 198.51.100.1", "198.51.100.1"),
            ("1.1.1.1, 198.51.100.1, 10.0.0.2", "198.51.100.1"),
            ("1.1.1.1,198.51.100.1\t,10.0.0.2 , 10.0.0.3", "198.51.100.1"),
            ("10.0.0.7", "10.0.0.7"),
            ("198.51.100.1:4711", "198.51.100.1"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:DB8:0::1]:4711", "2001:db8::1"),
            ("fe80::1%eth0", "fe80::1"),
            ("::ffff:198.51.100.1", "198.51.100.1"),
            ("1.1.1.1, [fd00::2]:80", "1.1.1.1"),
        ] {
            assert_eq!(address("10.0.0.1", &[(XFF, value)]), expected, "{value}");
            assert_eq!(address("::ffff:10.0.0.1", &[(XFF, value)]), expected, "{value}");
        }
        assert_eq!(address("10.0.0.1", &[(XFF, "1.1.1.1"), (XFF, "198.51.100.1, 10.0.0.2")]), "198.51.100.1");
    }

    /// F112: what cannot be read ends the walk at the proxy that wrote it, and is never skipped.
    #[test]
    fn garbage_ends_the_walk() {
        for (value, expected) in [
            ("", "10.0.0.1"),
            (",", "10.0.0.1"),
            ("1.1.1.1,", "10.0.0.1"),
            ("1.1.1.1, unknown", "10.0.0.1"),
            ("1.1.1.1, unknown, 10.0.0.2", "10.0.0.2"),
            ("1.1.1.1, , 198.51.100.1", "198.51.100.1"),
            ("1.1.1.1, 198.51.100.256", "10.0.0.1"),
            ("1.1.1.1, 198.51.100.1:", "10.0.0.1"),
            ("1.1.1.1, 198.51.100.1:123456", "10.0.0.1"),
            ("1.1.1.1, [2001:db8::1", "10.0.0.1"),
            ("1.1.1.1, [2001:db8::1]x", "10.0.0.1"),
            ("1.1.1.1, [192.0.2.1]", "10.0.0.1"),
            ("1.1.1.1, \"198.51.100.1\"", "10.0.0.1"),
            ("1.1.1.1, 198.51.100.01", "10.0.0.1"),
            ("1.1.1.1 198.51.100.1", "10.0.0.1"),
            ("1.1.1.1, ä", "10.0.0.1"),
        ] {
            assert_eq!(address("10.0.0.1", &[(XFF, value)]), expected, "{value:?}");
        }
    }

    #[test]
    fn the_standard_header_is_read_by_its_grammar() {
        for (value, expected) in [
            ("for=198.51.100.1", "198.51.100.1"),
            ("For=\"198.51.100.1:47\";proto=https;by=10.0.0.1", "198.51.100.1"),
            ("for=1.1.1.1, for=\"[2001:db8::1]:80\", for=10.0.0.2", "2001:db8::1"),
            ("by=\"a,for=9.9.9.9\";for=198.51.100.1", "198.51.100.1"),
            ("by=\"\\\"\";for=198.51.100.1", "198.51.100.1"),
            ("for=198.51.100.1:_hidden", "198.51.100.1"),
            ("for=1.1.1.1, for=_secret", "10.0.0.1"),
            ("for=1.1.1.1, for=unknown", "10.0.0.1"),
            ("for=1.1.1.1, proto=https", "10.0.0.1"),
            ("for=1.1.1.1, for=2.2.2.2;for=3.3.3.3", "10.0.0.1"),
            ("for=1.1.1.1, by=\"", "10.0.0.1"),
            ("for=1.1.1.1, for", "10.0.0.1"),
            ("198.51.100.1", "10.0.0.1"),
        ] {
            assert_eq!(address("10.0.0.1", &[(FWD, value)]), expected, "{value:?}");
        }
    }

    #[test]
    fn two_headers_that_disagree_count_as_none() {
        assert_eq!(address("10.0.0.1", &[(FWD, "for=1.1.1.1"), (XFF, "1.1.1.1")]), "1.1.1.1");
        assert_eq!(address("10.0.0.1", &[(FWD, "for=1.1.1.1"), (XFF, "2.2.2.2")]), "10.0.0.1");
    }

    #[test]
    fn a_forwarded_request_is_known_as_such() {
        let begun = ["x-forwarded-for", "x-forwarded-anything", "x-original-host", "x-envoy-external-address"];
        for name in PROXIES_SAY.into_iter().chain(begun) {
            let headers = [(HeaderName::from_static(name), HeaderValue::from_static("x"))].into_iter().collect();
            assert!(is_forwarded(Version::HTTP_11, &headers), "{name}");
        }
        for (version, forwarded) in [(Version::HTTP_10, true), (Version::HTTP_11, false), (Version::HTTP_2, false)] {
            assert_eq!(is_forwarded(version, &HeaderMap::new()), forwarded, "{version:?}");
        }
    }

    proptest! {
        #[test]
        fn reading_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..100), text in "[a-z0-9.:;,=\"\\[\\]% ]{0,60}") {
            for input in [&bytes[..], text.as_bytes()] {
                                prop_assert_eq!(x_forwarded_for(input).len(), input.split(|b| *b == b',').count());
                prop_assert!(!forwarded(input).is_empty());
            }
        }

        #[test]
        fn what_a_client_puts_to_the_left_changes_nothing(junk in "[ -~]{0,60}", bits: u32) {
            let client = std::net::Ipv4Addr::from_bits(bits & 0x7fff_ffff | 0x4000_0000);
            let value = format!("{junk}, {client}, 10.0.0.3");
            prop_assert_eq!(address("10.0.0.2", &[(XFF, &value)]), client.to_string());
        }
    }
}
