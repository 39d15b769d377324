//! The names of things: accounts, sessions, apps. Parsing is the only way in, and each has one spelling.

use std::{fmt, sync::Arc};

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::BASE64URL_NOPAD;
use serde::{Serialize, Serializer};
use uuid::Uuid;

use crate::{clock::Timestamp, random::Rng};

/// An account's id: a `UUIDv7` (RFC 9562 section 5.7), never used twice (F065).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId([u8; 16]);

impl AccountId {
    /// A new id, ordered by the time it was made.
    pub fn generate(now: Timestamp, rng: &Rng) -> Self {
        Self(*uuid::Builder::from_unix_timestamp_millis(now.millis(), &rng.bytes()).into_uuid().as_bytes())
    }

    /// Reads the hyphenated lower-case form, and no other.
    pub fn parse(text: &str) -> Option<Self> {
        let id = Uuid::try_parse(text).ok()?;
        (text.len() == 36 && !text.bytes().any(|b| b.is_ascii_uppercase())).then_some(Self(*id.as_bytes()))
    }

    /// The 16 bytes, as stores hold them.
    pub const fn bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// From the 16 bytes that a store held.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Uuid::from_bytes(self.0).hyphenated().fmt(f)
    }
}

impl fmt::Debug for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for AccountId {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

/// A session's id, `sid`: the first 16 bytes of SHA-256 of the ticket's secret. Whoever knows it cannot make the ticket.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId([u8; 16]);

impl SessionId {
    /// The id that belongs to a ticket's secret.
    pub(crate) fn of_secret(secret: &[u8; 16]) -> Self {
        let hash = digest(&SHA256, secret);
        let mut id = [0; 16];
        id.copy_from_slice(&hash.as_ref()[..16]);
        Self(id)
    }

    /// Reads 22 characters of base64url without padding or spare bits; the all-zero id is no id (F010).
    pub fn parse(text: &str) -> Option<Self> {
        let mut id = [0; 16];
        if text.len() != 22 {
            return None;
        }
        let n = BASE64URL_NOPAD.decode_mut(text.as_bytes(), &mut id).ok()?;
        (n == 16 && id != [0; 16]).then_some(Self(id))
    }

    /// The 16 bytes, as stores hold them.
    pub const fn bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// From the 16 bytes that a store held.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; 22];
        BASE64URL_NOPAD.encode_mut(&self.0, &mut text);
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for SessionId {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

/// An app's name in configuration, cookies and claims: 1 to 32 characters of `a-z 0-9 - _`, beginning with a letter
/// or digit.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppId(Arc<str>);

impl AppId {
    /// Reads an app's name.
    ///
    /// ```
    /// use cloakroom_core::ids::AppId;
    /// assert!(AppId::parse("web").is_some());
    /// assert!(AppId::parse("Web").is_none());
    /// ```
    pub fn parse(text: &str) -> Option<Self> {
        let ok = matches!(text.as_bytes(), [first, ..] if first.is_ascii_lowercase() || first.is_ascii_digit())
            && text.len() <= 32
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_');
        ok.then(|| Self(text.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The short form that records and stateless refresh tokens carry.
    pub fn tag(&self) -> AppTag {
        let hash = digest(&SHA256, self.0.as_bytes());
        let mut tag = [0; 4];
        tag.copy_from_slice(&hash.as_ref()[..4]);
        AppTag(tag)
    }
}

impl fmt::Display for AppId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for AppId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for AppId {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.0)
    }
}

/// Four bytes that stand for an [`AppId`]: a function of the name, so that the order of the configuration does not
/// matter. Two apps of one configuration with the same tag are refused at start.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct AppTag(pub [u8; 4]);

/// Goes up whenever everything of an account, or of an app, is ended. A credential carries the epoch it was born in and is
/// refused below the present one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize)]
pub struct Epoch(pub u32);

impl Epoch {
    /// What a deleted account ends with: nothing of it goes on.
    pub const DELETED: Self = Self(u32::MAX);
    /// The highest that a living account, or an app, is raised to.
    const LAST: u32 = u32::MAX - 1;
    /// The store's clock counts up to here (in 2038), so that one which is far ahead leaves room for the raises to come.
    const CLOCK: u64 = 1 << 31;

    /// The one after.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// What no epoch is raised to less than after a log has gone on in another incarnation at this time: an hour ahead, so that a
    /// clock which went back with the store gives no number again either.
    #[must_use]
    pub(crate) fn floor_at(time: Timestamp) -> Self {
        Self(u32::try_from((time.secs() + 3600).min(Self::CLOCK)).unwrap_or(u32::MAX))
    }

    /// Where a raise leads: to the next number, the store's time in seconds or the log's floor, whichever is highest. A store
    /// that has lost a raise with its last moments so gives no number twice: its clock has gone on.
    #[must_use]
    pub fn raised(self, time: Timestamp, floor: Self) -> Self {
        let clock = u32::try_from(time.secs().min(Self::CLOCK)).unwrap_or(u32::MAX);
        Self(self.0.saturating_add(1).max(clock).max(floor.0).min(Self::LAST))
    }
}

/// How often a session's refresh token has been rotated.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize)]
pub struct Generation(pub u32);

impl Generation {
    /// The one after.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// A key's public name in a token's header: 1 to 6 characters of `A-Z a-z 0-9`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kid {
    len: u8,
    text: [u8; 6],
}

impl Kid {
    /// Reads a key's name.
    pub fn parse(name: &str) -> Option<Self> {
        let ok = (1..=6).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric());
        ok.then(|| {
            let mut text = [0; 6];
            text[..name.len()].copy_from_slice(name.as_bytes());
            Self { len: name.len() as u8, text }
        })
    }

    /// A fresh random name of 5 characters.
    pub fn generate(rng: &Rng) -> Self {
        const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
        let mut text = [0; 6];
        for (to, from) in text[..5].iter_mut().zip(rng.bytes::<5>()) {
            *to = LETTERS[usize::from(from % 32)];
        }
        Self { len: 5, text }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.text[..usize::from(self.len)]).unwrap_or_default()
    }
}

impl fmt::Display for Kid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Kid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Kid {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// F010: what is no id never becomes one.
    #[test]
    fn empty_zero_short_long_and_foreign_ids_are_refused() {
        for bad in
            ["", "AAAAAAAAAAAAAAAAAAAAAA", "AAAA", "AAAAAAAAAAAAAAAAAAAAAAAA", "ÄÄÄÄÄÄÄÄÄÄÄ", "+/+/+/+/+/+/+/+/+/+/+g"]
        {
            assert_eq!(SessionId::parse(bad), None, "{bad:?}");
        }
    }

    /// R12, R14: a raise goes up, to the time at least, and never to what only a deleted account has.
    #[test]
    fn a_raise_goes_to_the_next_number_the_time_or_the_floor() {
        let at = |secs| Timestamp::from_secs(secs);
        for (from, time, floor, to) in [
            (0, 1_800_000_000, 0, 1_800_000_000),
            (1_800_000_000, 1_800_000_000, 0, 1_800_000_001),
            (5, 7, 9, 9),
            (0, 9_000_000_000, 0, 1 << 31),
            (1 << 31, 9_000_000_000, 0, (1 << 31) + 1),
            (u32::MAX - 2, 0, 0, u32::MAX - 1),
            (u32::MAX - 1, 0, 0, u32::MAX - 1),
        ] {
            assert_eq!(Epoch(from).raised(at(time), Epoch(floor)), Epoch(to), "{from} at {time}");
        }
        assert_eq!(Epoch::floor_at(at(1_800_000_000)), Epoch(1_800_003_600));
        assert_eq!(Epoch::floor_at(at(9_000_000_000)), Epoch(1 << 31));
    }

    proptest! {
        #[test]
        fn a_session_id_has_one_spelling(bytes in prop::array::uniform16(any::<u8>()), other in ".{22}") {
            let id = SessionId::from_bytes(bytes);
            prop_assert_eq!(SessionId::parse(&id.to_string()), (bytes != [0; 16]).then_some(id));
            if let Some(read) = SessionId::parse(&other) {
                prop_assert_eq!(read.to_string(), other);
            }
        }

        #[test]
        fn an_account_id_has_one_spelling(bytes in prop::array::uniform16(any::<u8>())) {
            let id = AccountId::from_bytes(bytes);
            prop_assert_eq!(AccountId::parse(&id.to_string()), Some(id));
            prop_assert_eq!(AccountId::parse(&format!("{{{id}}}")), None);
        }
    }
}
