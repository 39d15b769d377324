//! What can be wrong with a server's keys, in words for its operator.

use std::fmt;

use super::row::Purpose;
use crate::ids::Kid;

/// Something that is wrong with the keys at a server.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum KeyTrouble {
    /// The store's keys are under a master secret that this server does not have.
    OtherSecret,
    /// A key that other servers can open, and this one cannot: it lacks the secret that the store names.
    Lacking(Kid, Purpose),
    /// A key that the master secret which the store names does not open: it was wrapped under another one.
    Unreadable(Kid, Purpose),
    /// A key that was killed, and that the store holds as a living one.
    Revived(Kid, Purpose),
}

impl KeyTrouble {
    /// What to do.
    pub fn remedy(&self) -> String {
        match self {
            Self::OtherSecret | Self::Lacking(..) => "restart this server with the new master secret".to_owned(),
            Self::Unreadable(kid, _) => format!(
                "start every server with the store's master secret, then run `cloakroom key kill {kid}`, which makes another \
                 key if none is left"
            ),
            Self::Revived(kid, _) => format!(
                "was the store restored from a backup? Run `cloakroom key kill {kid}`: a server that starts now would accept \
                 what it signs"
            ),
        }
    }
}

impl fmt::Display for KeyTrouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherSecret => f.write_str(
                "the store's keys are under another master secret than this server's: it goes on with the keys that it has \
                 opened, and can neither make keys nor open new ones",
            ),
            Self::Lacking(kid, purpose) => write!(
                f,
                "key {kid} ({}) is under a master secret that this server does not have: what it made is answered with 503 here",
                purpose.name()
            ),
            Self::Unreadable(kid, purpose) => write!(
                f,
                "key {kid} ({}) is not under the store's master secret: what it made is answered with 503",
                purpose.name()
            ),
            Self::Revived(kid, purpose) => {
                write!(f, "key {kid} ({}) was killed, and the store has forgotten that", purpose.name())
            }
        }
    }
}
