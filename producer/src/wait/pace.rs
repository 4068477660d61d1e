//! How fast a run is being settled, and what that means for its deadline. Pure.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::when::minute_ms;

/// So far back goes what counts: reading the past of a run comes much faster than its present.
const WINDOW: Duration = Duration::from_secs(60);
/// Between two points that are kept.
const APART: Duration = Duration::from_secs(1);

/// The last minute of a run.
#[derive(Debug, Default)]
pub(super) struct Pace {
    points: VecDeque<(Duration, u64)>,
    now: (Duration, u64),
}

impl Pace {
    /// So many changes were settled at this time.
    pub(super) fn at(&mut self, time: Duration, done: u64) {
        self.now = (time, done);
        if self.points.back().is_none_or(|(last, _)| *last + APART <= time) {
            self.points.push_back((time, done));
        }
        while self.points.len() > 2
            && self
                .points
                .front()
                .is_some_and(|(first, _)| *first + WINDOW < time)
        {
            self.points.pop_front();
        }
    }

    /// How long the rest takes at this pace; `None`: nothing moves.
    pub(super) fn left(&self, total: u64) -> Option<Duration> {
        let (first, before) = *self.points.front()?;
        let (now, done) = self.now;
        let moved = done.saturating_sub(before) as f64;
        let rate = moved / now.saturating_sub(first).as_secs_f64();
        (rate.is_finite() && rate > 0.0)
            .then(|| Duration::from_secs_f64((total.saturating_sub(done) as f64 / rate).min(1e7)))
    }
}

/// `deadline 07:00 in time`, `in danger`, or over; without an estimate only when it is.
pub(super) fn deadline_note(
    deadline_ms: u64,
    now_ms: u64,
    left: Option<Duration>,
    zone: &TimeZone,
) -> String {
    let at = minute_ms(deadline_ms, zone);
    let today = minute_ms(now_ms, zone);
    // the day is said where it is another one
    let short = match (at.split_once(' '), today.split_once(' ')) {
        (Some((day, time)), Some((now, _))) if day == now => time,
        _ => at.as_str(),
    };
    let end = left.map(|left| now_ms.saturating_add(u64::try_from(left.as_millis()).unwrap_or(u64::MAX)));
    let word = match end {
        _ if now_ms > deadline_ms => " is over",
        Some(end) if end > deadline_ms => " in danger",
        Some(_) => " in time",
        None => "",
    };
    format!("deadline {short}{word}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_takes_as_long_as_the_last_minute_says() {
        let mut pace = Pace::default();
        assert_eq!(pace.left(10), None);
        pace.at(Duration::ZERO, 0);
        assert_eq!(pace.left(10), None, "nothing moves");
        // the past comes at once, then ten a second
        for second in 1..=100 {
            pace.at(Duration::from_secs(second), 5_000 + second * 10);
        }
        let left = pace.left(7_000).unwrap();
        assert_eq!(left.as_secs(), 100);
    }

    #[test]
    fn a_deadline_is_in_time_in_danger_or_over() {
        let note = |now_ms, left: Option<u64>| {
            deadline_note(3_600_000, now_ms, left.map(Duration::from_secs), &TimeZone::UTC)
        };
        assert_eq!(note(0, Some(3_600)), "deadline 01:00 in time");
        assert_eq!(note(1, Some(3_600)), "deadline 01:00 in danger");
        assert_eq!(note(3_600_001, None), "deadline 01:00 is over");
        assert_eq!(note(0, None), "deadline 01:00");
        assert_eq!(
            deadline_note(90_000_000, 0, None, &TimeZone::UTC),
            "deadline 1970-01-02 01:00"
        );
    }
}
