//! The audit log: who did what, when, from where, and why not. Append-only, without secrets, kept for a configured time.

mod event;
mod queue;

pub use event::{Event, Filter, Kind, Origin, Stored};
pub use queue::AuditQueue;
