//! `jwt`: a short access token, checked without I/O, and a refresh token that rotates on a kept record.

use super::{Check, Memory, OnFeedLoss, Properties, Upstream};

pub(super) const PROPERTIES: Properties = Properties {
    name: "jwt",
    code: 2,
    memory: Memory::Record,
    check: Check::Signature,
    upstream: Upstream::Headers,
    on_feed_loss: OnFeedLoss::UntilExpiry,
};
