//! `cloakroom compare`: the four methods measured on one's own case.

mod result;

pub use result::*;
