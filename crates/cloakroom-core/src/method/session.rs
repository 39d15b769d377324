//! `session`: a ticket in an `HttpOnly` cookie; each check is a near-cache hit or one read of the store.

use super::{Check, Memory, OnFeedLoss, Properties, Upstream};

pub(super) const PROPERTIES: Properties = Properties {
    name: "session",
    code: 1,
    memory: Memory::Record,
    check: Check::LookUp,
    upstream: Upstream::Headers,
    on_feed_loss: OnFeedLoss::Refuse,
};
