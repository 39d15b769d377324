//! `phantom`: a `session` at the edge, while the services behind it get a token minted for each request.

use super::{Check, Memory, OnFeedLoss, Properties, Upstream};

pub(super) const PROPERTIES: Properties = Properties {
    name: "phantom",
    code: 4,
    memory: Memory::Record,
    check: Check::LookUp,
    upstream: Upstream::MintedToken,
    on_feed_loss: OnFeedLoss::Refuse,
};
