//! What proxies say of the client: a stranger's address is never one that no trusted hop told.
#![no_main]

use std::net::IpAddr;

use cloakroom_server::http::client_address::{client_address, forwarded, is_forwarded, x_forwarded_for};
use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|lines: Vec<(bool, Vec<u8>)>| {
    for (_, line) in &lines {
        let _ = (forwarded(line), x_forwarded_for(line));
    }
    let headers: HeaderMap = lines
        .iter()
        .filter_map(|(new, line)| {
            let name = HeaderName::from_static(if *new { "forwarded" } else { "x-forwarded-for" });
            Some((name, HeaderValue::from_bytes(line).ok()?))
        })
        .collect();
    let peer = IpAddr::from([203, 0, 113, 7]);
    assert_eq!(client_address(peer, &headers, |_| false), peer, "nobody is believed who is no proxy");
    let _ = client_address(peer, &headers, |_| true);
    let _ = is_forwarded(&headers);
});
