//! Waiting for something to become true.

use std::time::{Duration, Instant};

/// Asks again and again until the answer is yes; gives up after ten seconds.
pub(crate) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !is_so().await {
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "never came true: {what}"
        );
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
