//! Keys: random, kept in the account store, wrapped by the master secret.
//!
//! A key's state is a function of its row's times and its neighbours' ([`schedule`]), so that servers agree without
//! talking.

mod master;
mod row;
pub mod schedule;

pub use master::{MasterSecret, SecretError, WrappedKey};
pub use row::{KeyRow, Purpose};
