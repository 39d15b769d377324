//! Accounts: who can sign in.

mod email;

use serde::Serialize;

pub use email::{EmailAddress, EmailError};

use crate::{
    clock::Timestamp,
    ids::{AccountId, Epoch},
};

/// A person who can sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// Its e-mail address.
    pub email: EmailAddress,
    /// What the person wants to be called.
    pub name: Option<String>,
    /// Whether it may sign in.
    pub state: AccountState,
    /// Raised to end all its sessions.
    pub epoch: Epoch,
    /// When it was made.
    pub created: Timestamp,
}

/// Whether an account may sign in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AccountState {
    /// It may.
    Active,
    /// The operator has disabled it.
    Disabled,
}
