//! What was settled in the last minute. Pure: time is an argument.

use std::collections::VecDeque;

use flowlift_common::state::Rate;

/// The while that is told.
const WINDOW_MS: u64 = 60_000;
/// What happens within this is counted together.
const SLOT_MS: u64 = 5_000;

/// Counts by slots of time.
#[derive(Debug, Default)]
pub struct Rates {
    slots: VecDeque<(u64, Rate)>,
}

impl Rates {
    /// A settlement.
    pub fn settled(&mut self, changes: u64, messages: u64, uploads: u64, now_ms: u64) {
        self.forget(now_ms);
        let slot = now_ms / SLOT_MS;
        if self.slots.back().is_none_or(|(last, _)| *last != slot) {
            self.slots.push_back((slot, Rate::default()));
        }
        if let Some((_, rate)) = self.slots.back_mut() {
            rate.changes += changes;
            rate.messages += messages;
            rate.uploads += uploads;
        }
    }

    /// The last minute, or what there was of it since 0.
    pub fn lately(&mut self, now_ms: u64) -> Rate {
        self.forget(now_ms);
        let begin = (now_ms / SLOT_MS + 1).saturating_sub(WINDOW_MS / SLOT_MS) * SLOT_MS;
        #[expect(clippy::cast_precision_loss, reason = "at most a minute")]
        let seconds = now_ms.saturating_sub(begin) as f64 / 1_000.0;
        let mut all = Rate {
            seconds,
            ..Rate::default()
        };
        for (_, rate) in &self.slots {
            all.changes += rate.changes;
            all.messages += rate.messages;
            all.uploads += rate.uploads;
        }
        all
    }

    fn forget(&mut self, now_ms: u64) {
        let oldest = (now_ms / SLOT_MS + 1).saturating_sub(WINDOW_MS / SLOT_MS);
        while self.slots.front().is_some_and(|(slot, _)| *slot < oldest) {
            self.slots.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_older_than_a_minute_is_forgotten() {
        let mut rates = Rates::default();
        rates.settled(10, 1, 1, 1_000);
        rates.settled(20, 2, 0, 2_000);
        let told = rates.lately(10_000);
        assert_eq!((told.changes, told.messages, told.uploads), (30, 3, 1));
        assert!((told.seconds - 10.0).abs() < 1e-9);
        assert!((told.per_second(told.changes) - 3.0).abs() < 1e-9);
        rates.settled(5, 1, 1, 64_000);
        let told = rates.lately(64_000);
        assert_eq!((told.changes, told.uploads), (5, 1));
        assert!((told.seconds - 59.0).abs() < 1e-9);
        assert_eq!(rates.lately(200_000).changes, 0);
    }
}
