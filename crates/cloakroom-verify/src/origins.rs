//! Where pages may live that speak to the server: the server's own origin and those that the apps list, spelt as
//! browsers spell them (RFC 6454 section 6.2).

use std::fmt;

use cloakroom_core::ids::AppId;

/// A list of origins.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Origins(Box<[Box<str>]>);

impl Origins {
    /// These origins, each as a browser writes it: `https://shop.example`. What is no such (`null`, `*`) is left out.
    pub fn new<T: AsRef<str>>(origins: impl IntoIterator<Item = T>) -> Self {
        let mut list: Vec<Box<str>> = Vec::new();
        for origin in origins {
            let origin = origin.as_ref();
            if authority(origin).is_some() && !list.iter().any(|o| **o == *origin) {
                list.push(origin.into());
            }
        }
        Self(list.into())
    }

    /// Whether an `Origin` header names one of them, byte for byte.
    pub fn contains(&self, origin: &[u8]) -> bool {
        self.0.iter().any(|o| o.as_bytes() == origin)
    }

    /// Whether a `Host` header names one of them.
    pub fn contains_host(&self, host: &str) -> bool {
        self.0.iter().any(|o| authority(o).is_some_and(|a| a.eq_ignore_ascii_case(host)))
    }

    /// All, in their order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|o| &**o)
    }
}

impl fmt::Debug for Origins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.0).finish()
    }
}

/// The origins of a server: its own, each app's, and all together.
#[derive(Clone, Debug)]
pub struct OriginBook {
    apps: Box<[(AppId, Origins)]>,
    all: Origins,
    listed: Origins,
}

impl OriginBook {
    /// `own` is the server's public origin: its pages may act for every app.
    pub fn new<'a, T: AsRef<str> + 'a>(own: &str, apps: impl IntoIterator<Item = (AppId, &'a [T])>) -> Self {
        let mut all = vec![own.to_owned()];
        let apps: Box<[_]> = apps
            .into_iter()
            .map(|(app, listed)| {
                all.extend(listed.iter().map(|o| o.as_ref().to_owned()));
                (app, Origins::new(std::iter::once(own).chain(listed.iter().map(AsRef::as_ref))))
            })
            .collect();
        let listed = Origins::new(all.iter().filter(|o| *o != own));
        Self { apps, all: Origins::new(all), listed }
    }

    /// The server's own and that app's; none where there is no such app.
    pub fn of(&self, app: &AppId) -> Option<&Origins> {
        self.apps.iter().find(|(a, _)| a == app).map(|(_, origins)| origins)
    }

    /// The server's own and every app's.
    pub const fn all(&self) -> &Origins {
        &self.all
    }

    /// Those that apps list beyond the server's own: the ones that need CORS.
    pub const fn listed(&self) -> &Origins {
        &self.listed
    }

    /// As [`of`](Self::of), by a name that a request gave.
    pub fn named(&self, app: &str) -> Option<&Origins> {
        self.apps.iter().find(|(a, _)| a.as_str() == app).map(|(_, origins)| origins)
    }
}

/// The origin of an address: scheme and authority, without a path.
pub(crate) fn origin_of(url: &str) -> Option<&str> {
    let after = url.find("://")? + 3;
    let end = url[after..].find('/').map_or(url.len(), |slash| after + slash);
    authority(&url[..end]).map(|_| &url[..end])
}

fn authority(origin: &str) -> Option<&str> {
    let rest = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"))?;
    let plain = !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_graphic() && !b"/?#@*\\\"',;".contains(&b));
    plain.then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_book_knows_whose_origin_is_whose() {
        let app = |name| AppId::parse(name).unwrap();
        let shop: &[&str] = &["https://shop.example", "https://auth.example"];
        let book =
            OriginBook::new("https://auth.example", [(app("shop"), shop), (app("blog"), &["https://blog.example"])]);
        assert!(book.of(&app("shop")).unwrap().contains(b"https://shop.example"));
        assert!(book.of(&app("shop")).unwrap().contains(b"https://auth.example"));
        assert!(!book.of(&app("blog")).unwrap().contains(b"https://shop.example"));
        assert_eq!(book.of(&app("none")), None);
        assert_eq!(book.all().iter().count(), 3);
        assert_eq!(book.listed().iter().collect::<Vec<_>>(), ["https://shop.example", "https://blog.example"]);
    }

    #[test]
    fn null_and_wildcards_are_no_origins() {
        let none = Origins::new([
            "null",
            "*",
            "https://*",
            "https://",
            "https://a.example/",
            "https://a@b.example",
            "ftp://a",
        ]);
        assert_eq!(none, Origins::default());
    }

    #[test]
    fn a_host_is_compared_with_its_port() {
        let origins = Origins::new(["http://localhost:8080", "https://shop.example"]);
        assert!(origins.contains_host("LOCALHOST:8080") && origins.contains_host("shop.example"));
        assert!(!origins.contains_host("localhost") && !origins.contains_host("shop.example."));
    }
}
