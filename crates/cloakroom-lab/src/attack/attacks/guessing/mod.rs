//! Guesses: at passwords, at who has an account, at the next session.

mod both;
pub(super) mod brute_force;
pub(super) mod enumeration_status;
pub(super) mod enumeration_text;
pub(super) mod enumeration_time;
pub(super) mod forged_address;
pub(super) mod prediction;
pub(super) mod spraying;
pub(super) mod stuffing;
