//! What a client holds, and how secrets are shown: shortened, wherever they stand.

use data_encoding::BASE64URL_NOPAD;
use serde_json::Value;

use super::Message;

/// What a client holds.
#[derive(Clone, Default)]
pub(super) struct Holder {
    /// The cookie's name and value.
    pub(super) cookie: Option<(String, String)>,
    access: Option<String>,
    pub(super) refresh: Option<String>,
}

/// Something that is held, as it may be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// `cookie`, `access_token` or `refresh_token`.
    pub what: &'static str,
    /// Shortened.
    pub value: String,
    /// Its size.
    pub bytes: usize,
    /// What a token says, to whoever holds it.
    pub claims: Option<String>,
}

impl Holder {
    /// Whether there is nothing to show oneself by.
    pub(super) fn is_empty(&self) -> bool {
        self.cookie.is_none() && self.access.is_none()
    }

    /// The header that shows who it is.
    pub(super) fn presents(&self) -> Option<String> {
        let bearer = self.access.as_ref().map(|token| format!("Authorization: Bearer {token}"));
        bearer.or(self.cookie.as_ref().map(|(name, value)| format!("Cookie: {name}={value}")))
    }

    /// Takes in what an answer gives.
    pub(super) fn learn(&mut self, answer: &Message) {
        let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
        let text = |name: &str| body[name].as_str().map(str::to_owned);
        self.access = text("access_token").or(self.access.take());
        self.refresh = text("refresh_token").or(self.refresh.take());
        let set = answer.values("set-cookie").find_map(|cookie| {
            let (name, value) = cookie.split(';').next()?.split_once('=')?;
            Some((name.to_owned(), value.to_owned())).filter(|(_, value)| !value.is_empty())
        });
        self.cookie = set.or(self.cookie.take());
    }

    /// What of it may be looked at.
    pub(super) fn shown(&self) -> Vec<Held> {
        let held = |what, value: &String, claims| Held { what, value: short(value), bytes: value.len(), claims };
        let cookie = self
            .cookie
            .as_ref()
            .map(|(name, value)| Held { value: format!("{name}={}", short(value)), ..held("cookie", value, None) });
        let access = self.access.as_ref().map(|token| held("access_token", token, claims(token)));
        let refresh = self.refresh.as_ref().map(|token| held("refresh_token", token, None));
        [cookie, access, refresh].into_iter().flatten().collect()
    }
}

/// A message in which every secret is shortened: this password, and whatever is as long as a credential.
pub(super) fn shorten(message: &mut Message, password: Option<&str>) {
    let shown = |text: &str| {
        let text = without_credentials(text);
        password.map_or(text.clone(), |password| text.replace(password, &short(password)))
    };
    message.headers.iter_mut().for_each(|line| *line = shown(line));
    message.body = shown(&message.body);
}

/// The shortest credential, a ticket, has 47 characters; ids, and words of HTTP, are shorter.
const LONGEST_SHOWN: usize = 40;

/// A text in which whatever is as long as a credential is shortened.
fn without_credentials(text: &str) -> String {
    let of_credential = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let (run, behind) = rest.split_at(rest.find(|c| !of_credential(c)).unwrap_or(rest.len()));
        shown.push_str(&if run.len() > LONGEST_SHOWN { short(run) } else { run.to_owned() });
        let between = behind.find(of_credential).unwrap_or(behind.len());
        shown.push_str(&behind[..between]);
        rest = &behind[between..];
    }
    shown
}

/// The beginning and the end of a secret.
fn short(secret: &str) -> String {
    match (secret.get(..6), secret.len().checked_sub(4).and_then(|at| secret.get(at..))) {
        (Some(begin), Some(end)) if secret.len() > 16 => format!("{begin}…{end}"),
        _ => "…".to_owned(),
    }
}

/// What a token says: anybody can read it.
fn claims(token: &str) -> Option<String> {
    let payload = BASE64URL_NOPAD.decode(token.split('.').nth(1)?.as_bytes()).ok()?;
    let claims: Value = serde_json::from_slice(&payload).ok()?;
    serde_json::to_string_pretty(&claims).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_as_long_as_a_credential_is_shortened() {
        let ticket = "AQEDqv2c0hB3l0Q4m6Yk7J5n1p8r9s2t3u4v5w6x7y8z9A";
        let id = "01a2219f-7d68-7074-a999-d298cb108b39";
        let text = format!("set-cookie: cloakroom-web={ticket}; Path=/ é \"{id}\"");
        let shown = format!("set-cookie: cloakroom-web=AQEDqv…8z9A; Path=/ é \"{id}\"");
        assert_eq!(without_credentials(&text), shown);
        assert_eq!(without_credentials(""), "");
        assert_eq!(short("secret"), "…");
    }
}
