//! `Cookie` headers: a bounded number of candidates, each a credential's alphabet, none under another name.
#![no_main]

use cloakroom_core::ids::AppId;
use cloakroom_verify::{
    Scheme,
    cookie::{AppCookies, MAX_CANDIDATES},
};
use http::{HeaderMap, HeaderValue, header::COOKIE};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|lines: Vec<Vec<u8>>| {
    let apps = || ["web", "api", "web2"].map(|app| AppId::parse(app).expect("an app's name"));
    let headers: HeaderMap =
        lines.iter().filter_map(|line| Some((COOKIE, HeaderValue::from_bytes(line).ok()?))).collect();
    for scheme in [Scheme::Http, Scheme::Https] {
        let cookies = AppCookies::new(scheme, apps());
        for wanted in [None, cookies.app(0)] {
            let Ok(found) = cookies.read(&headers, wanted) else { continue };
            assert!(found.iter().count() <= MAX_CANDIDATES);
            for (index, value) in found.iter() {
                let app = cookies.app(index).expect("a place in the list");
                assert!(wanted.is_none_or(|wanted| wanted == app));
                let pair = format!("{}={value}", cookies.name(app));
                let quoted = format!("{}=\"{value}\"", cookies.name(app));
                let stands =
                    |text: &str| lines.iter().any(|line| line.windows(text.len()).any(|part| part == text.as_bytes()));
                assert!(stands(&pair) || stands(&quoted), "a cookie that is not there");
            }
        }
    }
});
