//! Methods: how a device proves its session on each request.
//!
//! A method is four properties (one small file each below says which and why). Code asks for a property; nothing
//! branches on a method's name.

mod jwt;
mod jwt_stateless;
mod phantom;
mod session;

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// One of the four ways to remember who is asking. A session keeps the method that it was born with.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Method {
    /// A ticket in a cookie, looked up.
    Session,
    /// An access token checked by its signature, and a rotating refresh token.
    Jwt,
    /// Access and refresh tokens that carry all there is to know.
    JwtStateless,
    /// A ticket at the edge; upstreams get a short token.
    Phantom,
}

/// Whether the server keeps a record per login.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Memory {
    /// A record is kept: there is a device list, idle time-out and reuse detection.
    Record,
    /// Nothing is kept per login.
    Nothing,
}

/// How a presented credential is checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Check {
    /// By look-up of the record.
    LookUp,
    /// By its signature.
    Signature,
}

/// What the services behind a gateway are given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Upstream {
    /// Headers that name the account.
    Headers,
    /// Headers, and a short-lived token minted for them.
    MintedToken,
}

/// What a verifier does that has not heard from the revocation feed in time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnFeedLoss {
    /// Ask the server or the store; if that fails too, refuse.
    Refuse,
    /// Accept until the credential expires.
    UntilExpiry,
}

/// The properties that make a method.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Properties {
    /// Its name in configuration and answers.
    pub name: &'static str,
    /// Its number in records; never reused.
    pub code: u8,
    /// Whether a record is kept.
    pub memory: Memory,
    /// How it is checked.
    pub check: Check,
    /// What upstreams are given.
    pub upstream: Upstream,
    /// What happens without the feed, unless the app says otherwise.
    pub on_feed_loss: OnFeedLoss,
}

impl Method {
    /// Every method, in the order of the documentation.
    pub const ALL: [Self; 4] = [Self::Session, Self::Jwt, Self::JwtStateless, Self::Phantom];

    /// What it is made of.
    #[inline]
    pub const fn properties(self) -> &'static Properties {
        match self {
            Self::Session => &session::PROPERTIES,
            Self::Jwt => &jwt::PROPERTIES,
            Self::JwtStateless => &jwt_stateless::PROPERTIES,
            Self::Phantom => &phantom::PROPERTIES,
        }
    }

    /// Its name in configuration and answers.
    pub const fn name(self) -> &'static str {
        self.properties().name
    }

    /// The method of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|m| m.name() == name)
    }

    /// The method of that number.
    pub(crate) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|m| m.properties().code == code)
    }

    /// Whether a record is kept per login.
    #[inline]
    pub fn keeps_record(self) -> bool {
        self.properties().memory == Memory::Record
    }

    /// Whether clients hold an access token and a refresh token rather than a ticket.
    #[inline]
    pub fn has_tokens(self) -> bool {
        self.properties().check == Check::Signature
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Method {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Method {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let name = std::borrow::Cow::<str>::deserialize(from)?;
        Self::parse(&name).ok_or_else(|| de::Error::custom(format!("`{name}` is no method")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_is_found_by_its_name_and_its_number() {
        for method in Method::ALL {
            assert_eq!(Method::parse(method.name()), Some(method));
            assert_eq!(Method::from_code(method.properties().code), Some(method));
        }
        assert_eq!(Method::parse("jwtt"), None);
        assert_eq!(Method::from_code(0), None);
    }
}
