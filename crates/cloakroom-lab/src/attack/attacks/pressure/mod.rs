//! What many requests can do to everybody else.

mod bystander;
pub(super) mod garbage_flood;
pub(super) mod hash_queue;
pub(super) mod huge_body;
pub(super) mod login_flood;
pub(super) mod refresh_flood;
pub(super) mod session_flood;
pub(super) mod slow_clients;
