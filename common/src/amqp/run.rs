//! Opens a run: draws a rank above every rank that was confirmed before.

use std::time::Duration;

use super::{AmqpError, Link, Read, Sender, Start, StreamReader};
use crate::ledger::{self, RunEvent};
use crate::order::{RunId, next_rank};
use crate::topology::RUNS;

/// How far back to look when the last chunk states no rank: nearly each opening is followed by one.
const LOOK_BACK: u64 = 1_000;

/// A run whose opening is confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenRun {
    /// Its id.
    pub run: RunId,
    /// Its rank.
    pub rank: u64,
}

impl OpenRun {
    /// Draws a rank and announces the run. `clock_ms` is the producer's clock.
    ///
    /// Reading starts before the own mark is written and ends at it, so every rank confirmed earlier is seen, whether or
    /// not the stream is empty.
    pub async fn open(
        link: &Link,
        run: RunId,
        clock_ms: u64,
        opened: impl FnOnce(u64) -> RunEvent,
    ) -> Result<Self, AmqpError> {
        let rank = draw(link, run, clock_ms).await?;
        Sender::open(link)
            .await?
            .record(RUNS, &ledger::encode(&opened(rank)))
            .await?;
        Ok(Self { run, rank })
    }

    /// Draws a new rank for a run that has been publishing for a while.
    pub async fn renew(&mut self, link: &Link, clock_ms: u64) -> Result<(), AmqpError> {
        let rank = draw(link, self.run, clock_ms).await?.max(self.rank + 1);
        let renewed = RunEvent::Renewed { run: self.run, rank };
        Sender::open(link)
            .await?
            .record(RUNS, &ledger::encode(&renewed))
            .await?;
        self.rank = rank;
        Ok(())
    }
}

async fn draw(link: &Link, run: RunId, clock_ms: u64) -> Result<u64, AmqpError> {
    let mut reader = StreamReader::open(link, RUNS, Start::Last).await?;
    let mark = ledger::encode(&RunEvent::Opening { run });
    Sender::open(link).await?.record(RUNS, &mark).await?;
    let (mut last, own) = until_mark(&mut reader, &mark).await?;
    reader.close().await;
    // openings that nothing follows may be many: readers mark their place with one
    for back in [Start::Offset(own.saturating_sub(LOOK_BACK)), Start::First] {
        if last.is_some() || own == 0 {
            break;
        }
        let mut reader = StreamReader::open(link, RUNS, back).await?;
        last = until_mark(&mut reader, &mark).await?.0;
        reader.close().await;
    }
    Ok(next_rank(clock_ms, last))
}

/// How long the own mark may take to come back: a reader that was opened while a broker recovers may never get it.
const PATIENCE: Duration = Duration::from_secs(30);

/// Reads up to the mark; returns the highest rank seen and the mark's offset.
///
/// # Errors
/// [`AmqpError::Lost`] also where the mark does not come back in time: a new connection finds a stream that is served again.
async fn until_mark(reader: &mut StreamReader, mark: &[u8]) -> Result<(Option<u64>, u64), AmqpError> {
    tokio::time::timeout(PATIENCE, read_to(reader, mark))
        .await
        .unwrap_or_else(|_| Err(AmqpError::Lost("the stream of runs is not served".into())))
}

async fn read_to(reader: &mut StreamReader, mark: &[u8]) -> Result<(Option<u64>, u64), AmqpError> {
    let mut last = None;
    loop {
        let Read { offset, body } = reader.next().await?;
        if let Ok(event) = ledger::decode::<RunEvent>(&body) {
            last = last.max(event.rank());
        }
        if body == mark {
            return Ok((last, offset));
        }
    }
}
