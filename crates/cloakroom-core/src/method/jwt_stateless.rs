//! `jwt-stateless`: access and refresh tokens that stand for themselves. Nothing is kept per login, so there is no device
//! list, no reuse detection and no idle time-out; signing out writes one line into the revocation log.

use super::{Check, Memory, OnFeedLoss, Properties, Upstream};

pub(super) const PROPERTIES: Properties = Properties {
    name: "jwt-stateless",
    code: 3,
    memory: Memory::Nothing,
    check: Check::Signature,
    upstream: Upstream::Headers,
    on_feed_loss: OnFeedLoss::UntilExpiry,
};
