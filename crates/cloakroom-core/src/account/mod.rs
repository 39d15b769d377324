//! Accounts: who can sign in.

mod email;

pub use email::{EmailAddress, EmailError};
