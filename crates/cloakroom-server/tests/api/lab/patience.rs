//! What comes about in its own time: asked for again and again, within a bound.

use std::time::{Duration, Instant};

use super::Lab;

/// Until something is so.
pub(crate) async fn until(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !so().await {
        assert!(began.elapsed() < Duration::from_secs(60), "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The value of a metric whose series begins so.
pub(crate) async fn metric(lab: &Lab, name: &str) -> f64 {
    let text = lab.get("/metrics").await.text();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name}: {text}"));
    line.rsplit_once(' ').unwrap().1.parse().unwrap()
}
