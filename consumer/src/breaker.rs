//! The circuit breaker for Azkaban: when it is away for one project it is away for all, and then one asks for all. Pure.

use std::time::Duration;

/// So many failures in a row, of any projects, and Azkaban counts as away.
const FAILURES: u32 = 5;
/// How long nobody asks: at first, at most.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Whether projects may turn to Azkaban.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// All may.
    Closed { failures: u32 },
    /// Nobody may before this time.
    Open { until_ms: u64, pause_ms: u64 },
    /// One is trying for all.
    Probing { pause_ms: u64 },
}

/// The breaker of one Azkaban.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Breaker(State);

impl Default for Breaker {
    fn default() -> Self {
        Self(State::Closed { failures: 0 })
    }
}

impl Breaker {
    /// Whether a project may begin now; while Azkaban is away only the first one that asks after the pause.
    pub fn admit(&mut self, now_ms: u64) -> bool {
        match self.0 {
            State::Closed { .. } => true,
            State::Open { until_ms, pause_ms } if until_ms <= now_ms => {
                self.0 = State::Probing { pause_ms };
                true
            }
            State::Open { .. } | State::Probing { .. } => false,
        }
    }

    /// Azkaban answered; returns whether it had been away.
    pub fn worked(&mut self) -> bool {
        let before = std::mem::replace(&mut self.0, State::Closed { failures: 0 });
        !matches!(before, State::Closed { .. })
    }

    /// It did not; returns whether it counts as away from now on.
    pub fn failed(&mut self, now_ms: u64) -> bool {
        let longest = millis(PAUSE.1);
        let (pause_ms, tripped) = match self.0 {
            State::Closed { failures } if failures + 1 < FAILURES => {
                self.0 = State::Closed {
                    failures: failures + 1,
                };
                return false;
            }
            State::Closed { .. } => (millis(PAUSE.0), true),
            State::Probing { pause_ms } => ((pause_ms * 2).min(longest), false),
            // somebody who had begun before
            State::Open { .. } => return false,
        };
        self.0 = State::Open {
            until_ms: now_ms + pause_ms,
            pause_ms,
        };
        tripped
    }

    /// The one who was to try gave up without an answer: another one may.
    pub fn gave_up(&mut self, now_ms: u64) {
        if let State::Probing { pause_ms } = self.0 {
            self.0 = State::Open {
                until_ms: now_ms,
                pause_ms,
            };
        }
    }

    /// When the next one may try.
    #[must_use]
    pub fn retry_at_ms(&self) -> Option<u64> {
        match self.0 {
            State::Open { until_ms, .. } => Some(until_ms),
            _ => None,
        }
    }

    /// Whether Azkaban counts as away.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !matches!(self.0, State::Closed { .. })
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tripped() -> Breaker {
        let mut breaker = Breaker::default();
        let last: Vec<bool> = (0..FAILURES).map(|_| breaker.failed(0)).collect();
        assert_eq!(last.iter().filter(|tripped| **tripped).count(), 1);
        breaker
    }

    #[test]
    fn one_tries_for_all_and_its_success_lets_all_in() {
        let mut breaker = tripped();
        assert!(!breaker.admit(999));
        assert!(breaker.admit(1_000));
        assert!(!breaker.admit(1_001), "one is enough");
        assert!(breaker.worked());
        assert!(breaker.admit(1_002) && !breaker.is_open());
    }

    #[test]
    fn pauses_double_up_to_a_minute() {
        let mut breaker = tripped();
        let mut now = 0;
        let mut pauses = Vec::new();
        for _ in 0..8 {
            let next = breaker.retry_at_ms().unwrap();
            pauses.push((next - now) / 1_000);
            now = next;
            assert!(breaker.admit(now));
            assert!(!breaker.failed(now));
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
    }

    #[test]
    fn a_success_in_between_counts_failures_anew_and_a_prober_that_gives_up_makes_room() {
        let mut breaker = Breaker::default();
        for _ in 0..20 {
            assert!(!breaker.failed(0));
            assert!(!breaker.worked());
        }
        let mut breaker = tripped();
        assert!(breaker.admit(1_000));
        breaker.gave_up(1_500);
        assert!(breaker.admit(1_500));
    }
}
