//! How long an idle project holds its batch open: until the stream of changes goes quiet, never longer than the upload that
//! it delays is expected to take, so waiting costs at most as much again as it can save.

use std::time::Duration;

use super::{Limits, ms};

/// An open batch's times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Linger {
    opened_ms: u64,
    quiet_ms: u64,
    longest_ms: u64,
    /// No batch is held open longer, however much there is in it.
    limit_ms: u64,
    full: bool,
}

/// What Azkaban needs for a flow, in µs (azkaban-api.md, fact 10).
const PER_FLOW_US: u64 = 600;

impl Linger {
    pub(super) fn open(now_ms: u64, limits: &Limits, last_upload: Option<Duration>, full: bool) -> Self {
        let expected = last_upload
            .unwrap_or(limits.first_linger)
            .clamp(limits.quiet, limits.longest_linger);
        Self {
            opened_ms: now_ms,
            quiet_ms: ms(limits.quiet),
            longest_ms: ms(expected),
            limit_ms: ms(limits.longest_linger),
            full,
        }
    }

    /// So many changes are in hand: the upload will take as long as they need at least.
    pub(super) fn hold(&mut self, changes: u64) {
        let expected = changes.saturating_mul(PER_FLOW_US) / 1_000;
        self.longest_ms = self.longest_ms.max(expected.min(self.limit_ms));
    }

    /// Nothing more can come before something is settled.
    pub(super) fn fill(&mut self) {
        self.full = true;
    }

    pub(super) fn ends_ms(&self, last_arrival_ms: u64) -> u64 {
        if self.full {
            return self.opened_ms;
        }
        (last_arrival_ms + self.quiet_ms).min(self.opened_ms + self.longest_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ends_when_quiet_and_never_later_than_the_upload_takes() {
        let limits = Limits::default();
        let linger = Linger::open(1_000, &limits, Some(Duration::from_millis(300)), false);
        assert_eq!(linger.ends_ms(1_000), 1_150);
        assert_eq!(linger.ends_ms(1_140), 1_290);
        assert_eq!(linger.ends_ms(1_290), 1_300);
        let slow = Linger::open(0, &limits, Some(Duration::from_secs(60)), false);
        assert_eq!(slow.ends_ms(100_000), 10_000);
    }

    #[test]
    fn many_changes_in_hand_are_worth_a_longer_wait_for_more() {
        let mut linger = Linger::open(0, &Limits::default(), None, false);
        assert_eq!(linger.ends_ms(900), 500);
        linger.hold(3_000);
        assert_eq!(linger.ends_ms(900), 1_050);
        linger.hold(1_000_000);
        assert_eq!(linger.ends_ms(60_000), 10_000);
    }

    #[test]
    fn a_full_window_ends_it_at_once() {
        let mut linger = Linger::open(1_000, &Limits::default(), None, false);
        linger.fill();
        assert_eq!(linger.ends_ms(1_500), 1_000);
    }
}
