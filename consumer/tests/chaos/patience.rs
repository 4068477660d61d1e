//! Waiting for conditions. The limits only bound a failing run: nothing here measures time.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Asks every 50 ms until there is an answer.
pub(crate) async fn until<T>(what: &str, limit: Duration, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + limit;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(
            Instant::now() < end,
            "it never came about within {limit:?}: {what}"
        );
        sleep(Duration::from_millis(50)).await;
    }
}

/// Asks like [`until`], but goes on without an answer when the time is over.
pub(crate) async fn or_go_on(limit: Duration, mut ask: impl AsyncFnMut() -> bool) -> bool {
    let end = Instant::now() + limit;
    while Instant::now() < end {
        if ask().await {
            return true;
        }
        sleep(Duration::from_millis(20)).await;
    }
    false
}

/// How long a fault lasts.
pub(crate) async fn for_seconds(seconds: u64) {
    sleep(Duration::from_secs(seconds)).await;
}
