//! How long ends took to be heard: from just before they were acknowledged to when this verifier knew of them.
//!
//! Measured by wall clocks, so it is as good as those agree. What this process has written itself is known before it is
//! acknowledged, and a snapshot says nothing of when its ends would have been heard: neither counts.

use std::time::Duration;

use crate::tally::TimeCounts;

/// The upper bounds of the classes that ends are counted in; one more class has none.
pub const LAG_BOUNDS: [Duration; 10] = [
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
];

/// The ends that were heard, by how long that took.
pub type LagCounts = TimeCounts<{ LAG_BOUNDS.len() }>;
