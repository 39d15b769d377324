//! The files that pages refer to: the stylesheet and the icon. Compiled in; their addresses carry a hash of their
//! content, so that they can be cached for good.

use std::sync::LazyLock;

/// One file to serve.
#[derive(Debug)]
pub struct Asset {
    /// Its path below the base path: `/assets/style.0123456789abcdef.css`.
    pub path: String,
    /// Its `Content-Type`.
    pub content_type: &'static str,
    /// What is in it.
    pub body: &'static str,
}

/// What to answer as `Cache-Control` with an asset: under this address there will never be anything else.
pub const CACHE_CONTROL: &str = "public, max-age=31536000, immutable";

/// Every file.
pub fn all() -> &'static [Asset] {
    &*ASSETS
}

/// The file at a path below the base path.
pub fn find(path: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.path == path)
}

/// The stylesheet.
pub fn stylesheet() -> &'static Asset {
    &ASSETS[0]
}

/// The stylesheet of the page that explains.
pub fn explaining() -> &'static Asset {
    &ASSETS[2]
}

/// The icon, as SVG.
pub fn icon() -> &'static Asset {
    &ASSETS[1]
}

static ASSETS: LazyLock<[Asset; 3]> = LazyLock::new(|| {
    [
        asset("style", "css", "text/css; charset=utf-8", include_str!("../../assets/style.css")),
        asset("icon", "svg", "image/svg+xml", include_str!("../../assets/icon.svg")),
        asset("explain", "css", "text/css; charset=utf-8", include_str!("../../assets/explain.css")),
    ]
});

fn asset(name: &str, extension: &str, content_type: &'static str, body: &'static str) -> Asset {
    let hash = body.bytes().fold(FNV_BASIS, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME));
    Asset { path: format!("/assets/{name}.{hash:016x}.{extension}"), content_type, body }
}

// FNV-1a: it tells releases apart; nobody gains anything from two files of one hash.
const FNV_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0100_0000_01b3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_asset_is_found_under_its_hashed_path_and_no_other() {
        for asset in all() {
            assert_eq!(find(&asset.path).map(|found| found.body), Some(asset.body));
        }
        assert!(find("/assets/style.css").is_none());
        assert_ne!(super::asset("a", "css", "text/css", "a{}").path, super::asset("a", "css", "text/css", "b{}").path);
    }

    /// The policy of the pages lets nothing be loaded from elsewhere.
    #[test]
    fn no_asset_refers_to_another_host() {
        for asset in all() {
            let text = asset.body.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
            assert!(!text.contains("//") && !text.contains("url(") && !text.contains("@import"), "{}", asset.path);
        }
    }
}
