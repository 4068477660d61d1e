//! Whether the right to write is still ours, as far as this side can know.
//!
//! A consumer that has not heard the broker for half the heartbeat time may have lost its shards to another one: it begins
//! nothing, and a body that has not fully left is broken off. A process that was frozen finds that out before its next piece.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// When the broker was last heard; cheap to clone.
#[derive(Debug, Clone)]
pub struct Lease {
    since: Instant,
    heard_ms: Arc<AtomicU64>,
    limit: Duration,
}

impl Lease {
    /// Heard just now; stale after `limit`.
    #[must_use]
    pub fn new(limit: Duration) -> Self {
        Self {
            since: Instant::now(),
            heard_ms: Arc::default(),
            limit,
        }
    }

    /// The broker has confirmed something that was sent at `sent`.
    pub fn heard(&self, sent: Instant) {
        let at = u64::try_from(sent.duration_since(self.since).as_millis()).unwrap_or(u64::MAX);
        self.heard_ms.fetch_max(at, Ordering::AcqRel);
    }

    /// Whether it was heard within the limit.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        let heard = Duration::from_millis(self.heard_ms.load(Ordering::Acquire));
        self.since.elapsed().saturating_sub(heard) < self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_stale_when_nothing_was_heard_for_the_limit() {
        let lease = Lease::new(Duration::ZERO);
        assert!(!lease.is_fresh());
        let lease = Lease::new(Duration::from_secs(60));
        assert!(lease.is_fresh());
        lease.clone().heard(Instant::now());
        assert!(lease.is_fresh());
    }
}
