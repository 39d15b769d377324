//! Sessions: what is remembered of one signed-in device, and how it changes.
//!
//! [`Record`] is all that is stored per login. Its transitions are pure functions: [`rotation`](Record::rotation) judges
//! a presented generation, `Write::apply` is what a store does. Stores, verifier and model call these and no others.

mod client;
#[cfg(test)]
mod properties;
mod record;
mod refresh;
mod succession;
mod write;

pub use client::{Browser, ClientKind, System};
pub use record::{AuthMethods, BrokenRecord, Found, Lapse, Record};
pub use refresh::Rotation;
pub use succession::Succession;
pub(crate) use write::Effect;
pub use write::{Write, Written};
