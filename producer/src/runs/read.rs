//! Reads the streams of runs and outcomes up to now.

use flowlift_common::amqp::{AmqpError, Link, Start, outcomes_until_now, runs_until_now};
use flowlift_common::ledger::{self, RunEvent, Settled};
use flowlift_common::order::RunId;
use serde::Deserialize;

use super::Runs;

/// Clocks of producers, consumers and of the broker may differ by this much.
pub const CLOCKS_MS: u64 = 24 * 3_600_000;

/// Where records that were written since then begin, however wrong the clocks are.
#[must_use]
pub fn begin(since_ms: Option<u64>) -> Start {
    since_ms.map_or(Start::First, |ms| Start::Since(ms.saturating_sub(CLOCKS_MS)))
}

/// All runs that the stream keeps.
pub async fn runs(link: &Link) -> Result<Runs, AmqpError> {
    let mut runs = Runs::default();
    each_run_event(link, Start::First, |event| runs.run_event(&event)).await?;
    Ok(runs)
}

/// Hands over each record of the stream of runs.
pub async fn each_run_event(
    link: &Link,
    from: Start,
    mut each: impl FnMut(RunEvent),
) -> Result<(), AmqpError> {
    runs_until_now(link, from, |body| {
        // a record of a newer form is nothing this program can count
        if let Ok(event) = ledger::decode::<RunEvent>(body) {
            each(event);
        }
    })
    .await
}

/// The parts of a record that say whether it matters; everything else is passed over unread.
#[derive(Debug, Deserialize)]
pub struct Glance {
    /// Its project.
    pub project: String,
    /// Of what runs it tells.
    pub results: Vec<GlanceAt>,
}

/// A result's run.
#[derive(Debug, Deserialize)]
pub struct GlanceAt {
    /// The run.
    pub run: RunId,
}

/// Hands over those records of the ledger that `matters` picks at a glance: names are unfolded of these alone.
pub async fn each_settled(
    link: &Link,
    from: Start,
    matters: impl Fn(&Glance) -> bool,
    mut each: impl FnMut(Settled),
) -> Result<(), AmqpError> {
    outcomes_until_now(link, from, |body| {
        if let Some(record) = picked(body, &matters) {
            each(record);
        }
    })
    .await
}

/// The record, if it is one and matters.
fn picked(body: &[u8], matters: impl Fn(&Glance) -> bool) -> Option<Settled> {
    let json = flowlift_common::envelope::unpack(body, flowlift_common::envelope::MAX_UNPACKED).ok()?;
    let glance: Glance = serde_json::from_slice(&json).ok()?;
    matters(&glance)
        .then(|| serde_json::from_slice(&json).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runs::tests::settled;
    use flowlift_common::ledger::{Mark, Outcome, encode};

    #[test]
    fn only_what_matters_is_unfolded_and_what_is_no_record_is_passed_over() {
        let record = settled(1, Outcome::Applied, (1, 3));
        let body = encode(&record);
        assert_eq!(
            picked(&body, |glance| glance.project == "p"),
            Some(record.clone())
        );
        assert_eq!(
            picked(&body, |glance| glance
                .results
                .iter()
                .any(|at| at.run == record.results[0].run)),
            Some(record)
        );
        assert_eq!(picked(&body, |glance| glance.project == "other"), None);
        let mark = encode(&Mark {
            mark: uuid::Uuid::nil(),
        });
        assert_eq!(picked(&mark, |_| true), None);
        assert_eq!(picked(b"junk", |_| true), None);
    }
}
