//! How long to wait before the next try: doubling, capped, with jitter so that many who wait do not return at once.

use std::time::Duration;

/// A doubling delay between two bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    cap: Duration,
}

impl Backoff {
    /// A delay that starts near `first` and never exceeds `cap`; a cap below the first delay is raised to it.
    #[must_use]
    pub fn new(first: Duration, cap: Duration) -> Self {
        Self {
            first,
            cap: cap.max(first),
        }
    }

    /// The delay before try number `attempt` (from 0); `random` in 0..1 takes away up to half of it.
    #[must_use]
    pub fn delay(&self, attempt: u32, random: f64) -> Duration {
        let full = self
            .first
            .saturating_mul(2_u32.saturating_pow(attempt.min(30)))
            .min(self.cap);
        full.mul_f64(1.0 - random.clamp(0.0, 1.0) / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_up_to_the_cap_and_jitter_takes_at_most_half() {
        let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));
        let plain: Vec<u128> = (0..7)
            .map(|attempt| backoff.delay(attempt, 0.0).as_millis())
            .collect();
        assert_eq!(plain, [100, 200, 400, 800, 1600, 2000, 2000]);
        assert_eq!(backoff.delay(u32::MAX, 1.0).as_millis(), 1000);
    }
}
