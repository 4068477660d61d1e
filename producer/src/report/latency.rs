//! How long changes took from publishing to applied: counted exactly, to the millisecond. Pure.

use std::collections::BTreeMap;

/// Times and how many changes took each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Latencies {
    by_ms: BTreeMap<u64, u64>,
    count: u64,
}

impl Latencies {
    /// So many changes took so long.
    pub fn add(&mut self, ms: u64, changes: u64) {
        if changes > 0 {
            *self.by_ms.entry(ms).or_default() += changes;
            self.count += changes;
        }
    }

    /// The same, and so many that took no time.
    #[must_use]
    pub fn with_instant(&self, changes: u64) -> Self {
        let mut all = self.clone();
        all.add(0, changes);
        all
    }

    /// How many changes.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The time within which so many thousandths of the changes were applied (nearest rank); `None` of nothing.
    #[must_use]
    pub fn quantile(&self, thousandths: u16) -> Option<u64> {
        let rank = (u128::from(self.count) * u128::from(thousandths))
            .div_ceil(1_000)
            .max(1);
        let mut seen = 0_u128;
        self.by_ms.iter().find_map(|(ms, count)| {
            seen += u128::from(*count);
            (seen >= rank).then_some(*ms)
        })
    }

    /// The mean, in ms.
    #[must_use]
    pub fn mean(&self) -> Option<u64> {
        let sum: u128 = self
            .by_ms
            .iter()
            .map(|(ms, count)| u128::from(*ms) * u128::from(*count))
            .sum();
        let mean = sum.checked_div(u128::from(self.count))?;
        u64::try_from(mean).ok()
    }

    /// How many are in each step of a scale: up to and including each bound.
    #[must_use]
    pub fn steps(&self, bounds: &[u64]) -> Vec<u64> {
        let mut below = 0;
        let step = bounds.iter().map(|bound| {
            let first = std::mem::replace(&mut below, bound.saturating_add(1));
            self.by_ms.range(first..=*bound).map(|(_, count)| count).sum()
        });
        step.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_by_nearest_rank() {
        let mut latencies = Latencies::default();
        assert_eq!((latencies.quantile(500), latencies.mean()), (None, None));
        for ms in 1..=100 {
            latencies.add(ms, 1);
        }
        let all = [500, 900, 990, 1_000].map(|thousandths| latencies.quantile(thousandths));
        assert_eq!(all, [Some(50), Some(90), Some(99), Some(100)]);
        assert_eq!((latencies.mean(), latencies.count()), (Some(50), 100));
        assert_eq!(latencies.with_instant(100).quantile(500), Some(0));
    }

    #[test]
    fn steps_hold_what_lies_between_their_bounds() {
        let mut latencies = Latencies::default();
        latencies.add(5, 2);
        latencies.add(10, 3);
        latencies.add(11, 4);
        assert_eq!(latencies.steps(&[4, 10, 20, 30]), [0, 5, 4, 0]);
    }
}
