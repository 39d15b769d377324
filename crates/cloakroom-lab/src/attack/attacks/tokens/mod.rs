//! Forged tokens, tokens meant for something else, and tokens that are over.

pub(super) mod alg_none;
pub(super) mod algorithm_confusion;
pub(super) mod critical;
pub(super) mod duplicate_claims;
pub(super) mod embedded_key;
pub(super) mod endless;
pub(super) mod expired;
pub(super) mod fetched_key;
pub(super) mod huge;
pub(super) mod id_token;
pub(super) mod key_kill;
pub(super) mod kid_injection;
pub(super) mod mistyped;
pub(super) mod nested;
pub(super) mod not_yet;
pub(super) mod other_audience;
pub(super) mod other_issuer;
mod own_key;
pub(super) mod refresh_as_access;
pub(super) mod replay_after_end;
pub(super) mod unencoded;
pub(super) mod zero_signature;
