//! What an operation has read before it writes.
//!
//! Between the reading and the write anything may happen: the owner signs out everywhere, the operator disables the account,
//! somebody else changes the password. So a change of an account says what it goes by, and the store compares that in the
//! transaction that writes. A change that lost does nothing, as if it had come second.

use crate::{
    ids::{AppId, Epoch, SessionId},
    method::Method,
    verify::Identity,
};

/// What a change of an account goes by.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Basis {
    /// The word of a session: it goes on as long as its account is active and stands at its epoch, neither its app nor its
    /// own end is in the log.
    Session(Acting),
    /// The account as a proof was checked against it: it is active and stands at this epoch. Whatever changes a password or
    /// a state raises the epoch, so the proof still holds.
    Proof(Epoch),
    /// An operator's word. It goes by no reading: done before or after anything else, it does the same.
    Operator,
}

/// A session that acts on its own account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Acting {
    /// Which.
    pub session: SessionId,
    /// The account's epoch that it carries.
    pub epoch: Epoch,
    /// Where it is signed in.
    pub app: AppId,
    /// By which method.
    pub method: Method,
    /// The app's epoch that it carries.
    pub app_epoch: Epoch,
}

/// An account and what concerns an acting session, as they stand when the change is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Present {
    pub(crate) epoch: Epoch,
    pub(crate) active: bool,
    /// Whether the log holds an end of the acting session.
    pub(crate) ended: bool,
    /// The first epoch of the acting session's app that goes on.
    pub(crate) app_cut: Epoch,
}

impl Basis {
    /// The session that acts, if one does.
    pub(crate) const fn acting(&self) -> Option<&Acting> {
        match self {
            Self::Session(acting) => Some(acting),
            Self::Proof(_) | Self::Operator => None,
        }
    }

    /// Whether what was read still stands.
    pub(crate) fn holds(&self, present: &Present) -> bool {
        match self {
            Self::Session(acting) => {
                present.active && !present.ended && acting.epoch == present.epoch && acting.app_epoch >= present.app_cut
            }
            Self::Proof(epoch) => present.active && *epoch == present.epoch,
            Self::Operator => true,
        }
    }
}

impl From<&Identity> for Acting {
    fn from(identity: &Identity) -> Self {
        let (epoch, app_epoch) = identity.epochs();
        Self {
            session: identity.session(),
            epoch,
            app: identity.app_id().clone(),
            method: identity.method(),
            app_epoch,
        }
    }
}

impl From<&Identity> for Basis {
    fn from(identity: &Identity) -> Self {
        Self::Session(identity.into())
    }
}
