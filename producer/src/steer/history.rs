//! What the stream of runs says about one run, up to now.

use std::time::Duration;

use flowlift_common::amqp::{AmqpError, Link, Sender, Start, StreamReader};
use flowlift_common::fold::RunState;
use flowlift_common::ledger::{self, RunEvent};
use flowlift_common::order::RunId;
use flowlift_common::topology::RUNS;

/// Clocks of producers and of the broker may differ by this much.
const CLOCKS_MS: u64 = 24 * 3_600_000;
/// How long the end of the stream may take to come.
const PATIENCE: Duration = Duration::from_secs(60);

/// Reads it. A record of our own marks the end: the broker's count of a stream lags.
///
/// # Errors
/// [`AmqpError::Lost`] also where the stream is not served in time.
pub async fn read(link: &Link, run: RunId) -> Result<RunState, AmqpError> {
    let from = run
        .made_at_ms()
        .map_or(Start::First, |ms| Start::Since(ms.saturating_sub(CLOCKS_MS)));
    let mut reader = StreamReader::open(link, RUNS, from).await?;
    let mark = ledger::encode(&RunEvent::Opening { run: RunId::fresh() });
    Sender::open(link).await?.record(RUNS, &mark).await?;
    let reading = async {
        let mut state = RunState::new(run);
        loop {
            let body = reader.next().await?.body;
            if body == mark {
                return Ok(state);
            }
            if let Ok(event) = ledger::decode::<RunEvent>(&body) {
                state.run_event(&event);
            }
        }
    };
    let late = || AmqpError::Lost("the stream of runs is not served".into());
    tokio::time::timeout(PATIENCE, reading)
        .await
        .unwrap_or_else(|_| Err(late()))
}
