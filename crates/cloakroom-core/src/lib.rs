//! The domain of Cloakroom: who is signed in where, how a device proves it, and how it ends. It knows no HTTP.

// A line that cannot be written must not panic, and a task must not die unseen.
#![cfg_attr(not(test), warn(clippy::disallowed_methods, clippy::print_stdout, clippy::print_stderr))]

pub mod account;
pub mod app;
pub mod audit;
pub mod clock;
pub mod credential;
pub mod engine;
pub mod health;
pub mod ids;
pub mod key;
pub mod manual;
pub mod method;
pub mod random;
pub mod refusal;
pub mod revocation;
mod rounds;
mod seats;
pub mod secret;
pub mod session;
pub mod store;
pub mod tally;
pub mod tasks;
pub mod ticket;
pub mod token;
pub mod trace;
pub mod verify;
