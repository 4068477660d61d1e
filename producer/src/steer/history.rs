//! What the stream of runs says about one run, up to now.

use flowlift_common::amqp::{AmqpError, Link, Start, runs_until_now};
use flowlift_common::fold::RunState;
use flowlift_common::ledger::{self, RunEvent};
use flowlift_common::order::RunId;

/// Clocks of producers and of the broker may differ by this much.
const CLOCKS_MS: u64 = 24 * 3_600_000;

/// Reads it.
///
/// # Errors
/// [`AmqpError::Lost`] also where the stream is not served in time.
pub async fn read(link: &Link, run: RunId) -> Result<RunState, AmqpError> {
    let from = run
        .made_at_ms()
        .map_or(Start::First, |ms| Start::Since(ms.saturating_sub(CLOCKS_MS)));
    let mut state = RunState::new(run);
    runs_until_now(link, from, |body| {
        if let Ok(event) = ledger::decode::<RunEvent>(body) {
            state.run_event(&event);
        }
    })
    .await?;
    Ok(state)
}
