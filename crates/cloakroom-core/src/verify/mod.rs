//! Verification: one [`Verifier`] serves the server's own `/v1/verify` and the middleware inside an app.
//!
//! A request takes the same few steps everywhere: find the credential's fact (cached, else checked or read once), apply
//! the acceptance rule ([`judge`]), return an [`Identity`]. What differs between a verifier in the server and one in an app
//! is its [`Backing`].

mod accept;
mod backing;
mod cache;
mod fact;
mod lag;
#[cfg(test)]
mod model;
mod verifier;

pub use accept::{Basis, Judgement, Moment, judge, judge_unasked};
pub use backing::{Backing, NotFound};
pub use cache::CacheBounds;
pub use fact::{Fact, Finding, Identity};
pub use lag::{LAG_BOUNDS, LagCounts};
pub use verifier::{
    Activity, CLOCK_TOLERANCE, Counts, FILLING, IAT_LEEWAY, MOST_UNDER_WAY, Question, Renewal, Verifier,
    VerifierSettings,
};
