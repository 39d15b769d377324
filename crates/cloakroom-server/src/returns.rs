//! Where a person may be sent back to after signing in: pages of the app, and nothing else (F025, F134).
//!
//! An address is parsed as browsers parse it (the WHATWG URL standard), and what goes into `Location` is the parsed form,
//! so that no reader sees another address than was judged.

use cloakroom_core::app::App;
use url::Url;

/// Judges return addresses.
pub struct ReturnAddresses {
    own: Option<Url>,
}

/// The longest address that is looked at.
const MAX_ADDRESS: usize = 2048;

impl ReturnAddresses {
    /// For a server at this public origin.
    pub fn new(own_origin: &str) -> Self {
        Self { own: Url::parse(own_origin).ok() }
    }

    /// The address in the form in which it may be followed, if it lies at an origin of the app or at the server's own.
    pub fn judge(&self, address: &str, app: &App) -> Option<String> {
        // What a browser would mend or skip is not mended here: a page of ours links to nothing of the kind.
        let odd = |c: char| c.is_control() || c == '\\' || c.is_whitespace();
        if address.len() > MAX_ADDRESS || address.chars().any(odd) {
            return None;
        }
        let own = self.own.as_ref()?;
        let url = if address.starts_with('/') && !address.starts_with("//") {
            own.join(address).ok()?
        } else {
            Url::parse(address).ok()?
        };
        let web = matches!(url.scheme(), "https" | "http") && url.username().is_empty() && url.password().is_none();
        let origin = url.origin();
        let known = origin == own.origin() || app.origins.iter().any(|listed| *listed == origin.ascii_serialization());
        (web && known).then(|| url.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Sources};

    fn judge(address: &str) -> Option<String> {
        let text = "public_url = 'https://auth.example'\nproxy_ends_tls = true\n\
                    [[app]]\nid = 'web'\nmethod = 'session'\norigins = ['https://shop.example', 'https://shop.example:8443']";
        let config = Config::load(Sources::new().text("cloakroom.toml", text)).unwrap();
        ReturnAddresses::new("https://auth.example").judge(address, config.apps().default_app())
    }

    #[test]
    fn pages_of_the_app_and_of_the_server_are_taken() {
        assert_eq!(judge("https://shop.example/a?b=c#d").as_deref(), Some("https://shop.example/a?b=c#d"));
        assert_eq!(judge("https://SHOP.example:443/a").as_deref(), Some("https://shop.example/a"));
        assert_eq!(judge("https://shop.example:8443/").as_deref(), Some("https://shop.example:8443/"));
        assert_eq!(judge("/devices").as_deref(), Some("https://auth.example/devices"));
    }

    /// F025, F134: what would lead to a stranger is refused, however it is spelt.
    #[test]
    fn strangers_are_refused_in_every_spelling() {
        for bad in [
            "",
            "//evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "/%09/evil.example\t",
            "/\t/evil.example",
            "https:evil.example",
            "https:/evil.example",
            "http:shop.example",
            "https://shop.example@evil.example",
            "https://evil.example#shop.example",
            "https://shop.example.evil.example",
            "https://evil.example/shop.example",
            "https://user:pw@shop.example/",
            "http://shop.example/",
            "https://shop.example:444/",
            "javascript:alert(1)",
            "JavaScript:alert(1)",
            " javascript:alert(1)",
            "java\nscript:alert(1)",
            "data:text/html,x",
            "vbscript:x",
            "blob:https://shop.example/x",
            "file:///etc/passwd",
            "https://shop.example\u{0}.evil.example",
            "https://shop。example.evil",
            "///evil.example",
            "https://[::1]/",
            "ftp://shop.example/",
            "shop.example",
            "https://shop.example%2eevil.example/",
            "https://evil.example?https://shop.example",
        ] {
            assert_eq!(judge(bad), None, "{bad:?}");
        }
        assert_eq!(judge(&format!("https://shop.example/{}", "a".repeat(3000))), None);
    }
}
