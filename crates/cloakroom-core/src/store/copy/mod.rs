//! Moving what is stored from one store to another.
//!
//! Sessions move while servers serve ([`sessions`], beside [`Moving`](super::Moving)). Accounts and all that stands beside them
//! (keys, the revocation log, services, the audit log) move while none does.

mod accounts;
mod sessions;

pub(crate) use accounts::UNFINISHED;
pub use accounts::{Cell, Head, Kind, Row, Table, Tables, accounts};
pub use sessions::{Copied, Count, Verified, sessions, verify_sessions};
