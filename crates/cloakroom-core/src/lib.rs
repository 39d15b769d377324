//! The domain of Cloakroom: who is signed in where, how a device proves it, and how it ends. It knows no HTTP.

pub mod account;
pub mod clock;
pub mod credential;
pub mod random;
