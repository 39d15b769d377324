//! What can be done with cookies by whoever can set some.

pub(super) mod duplicate_names;
pub(super) mod fixation;
pub(super) mod overflow;
pub(super) mod path_tricks;
pub(super) mod prefix_bypass;
mod tossed;
pub(super) mod tossing;
