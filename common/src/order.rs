//! The order of changes: (rank, run, sequence). It never depends on the order a queue delivers in, nor on clocks alone.
//!
//! A run's rank is drawn from the stream of runs: one more than every rank confirmed there before, and not below the
//! producer's clock. A run opened after another one was opened is therefore the newer one, whatever their clocks say.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The identity of one publishing (UUIDv7, so ids sort by time where clocks agree).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub Uuid);

impl RunId {
    /// A new id for a run that begins now.
    #[must_use]
    pub fn fresh() -> Self {
        Self(Uuid::now_v7())
    }

    /// A new id that sorts above others, also where those were made by a clock that is ahead.
    #[must_use]
    pub fn fresh_after(others: impl IntoIterator<Item = Self>) -> Self {
        let fresh = Self::fresh();
        match others
            .into_iter()
            .max()
            .map(|highest| (highest, highest.made_at_ms()))
        {
            Some((highest, Some(ms))) if highest > fresh => {
                let next = ms + 1;
                let nanos = u32::try_from(next % 1000 * 1_000_000).unwrap_or_default();
                let time = uuid::Timestamp::from_unix(uuid::NoContext, next / 1000, nanos);
                Self(Uuid::new_v7(time))
            }
            _ => fresh,
        }
    }

    /// The producer's clock when the id was made, in ms since 1970; `None` for an id that is not a UUIDv7.
    #[must_use]
    pub fn made_at_ms(self) -> Option<u64> {
        let (seconds, nanos) = self.0.get_timestamp()?.to_unix();
        Some(seconds * 1000 + u64::from(nanos) / 1_000_000)
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for RunId {
    type Err = uuid::Error;
    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        text.parse().map(Self)
    }
}

/// Where a change stands among all changes: the greatest one of a flow wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Order {
    /// Rank of the run when the change was published.
    pub rank: u64,
    /// The run; it decides between runs of one rank.
    pub run: RunId,
    /// Place in the run, from 1.
    pub seq: u64,
}

/// The rank of a run that opens now: not below the clock, above every rank seen in the stream of runs.
#[must_use]
pub fn next_rank(clock_ms: u64, last_seen: Option<u64>) -> u64 {
    last_seen.map_or(clock_ms, |last| clock_ms.max(last + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rank_decides_before_run_and_run_before_sequence() {
        let (a, b) = (RunId(Uuid::from_u128(1)), RunId(Uuid::from_u128(2)));
        let order = |rank, run, seq| Order { rank, run, seq };
        assert!(order(2, a, 1) > order(1, b, 9));
        assert!(order(1, b, 1) > order(1, a, 9));
        assert!(order(1, a, 2) > order(1, a, 1));
    }

    #[test]
    fn an_id_can_be_made_above_one_of_a_clock_that_is_ahead() {
        let ahead = uuid::Timestamp::from_unix(uuid::NoContext, 4_000_000_000, 999_000_000);
        let ahead = RunId(Uuid::new_v7(ahead));
        let above = RunId::fresh_after([RunId::fresh(), ahead]);
        assert!(above > ahead && above.made_at_ms() == ahead.made_at_ms().map(|ms| ms + 1));
        let old = RunId(Uuid::from_u128(1));
        assert!(RunId::fresh_after([old]) > old);
    }

    #[test]
    fn a_clock_that_is_hours_behind_still_draws_the_higher_rank() {
        assert_eq!(next_rank(1_000, Some(9_000_000)), 9_000_001);
        assert_eq!(next_rank(9_000_000, Some(1_000)), 9_000_000);
        assert_eq!(next_rank(5, None), 5);
    }
}
