//! Reads a stream up to now.
//!
//! A broker's own count of a stream lags by seconds, and a reader that waits for the next record cannot tell the end from a
//! pause. So the reader writes a mark: it is attached before, and the broker appends in one order, so all that was confirmed
//! before stands before the mark. A user who may only read finds the end by a second reader, which begins at the last chunk
//! and has seen it when a while is over.

use std::time::Duration;

use uuid::Uuid;

use super::{AmqpError, Link, Sender, Start, StreamReader};
use crate::ledger::{self, Mark, RunEvent};
use crate::order::RunId;
use crate::topology::{OUTCOMES, RUNS};

/// A stream that is served hands over the next record within this time; the mark at the latest.
const PATIENCE: Duration = Duration::from_secs(30);
/// So long the end is looked for by whoever may not write a mark; what is written meanwhile may be missed.
const LOOKING: Duration = Duration::from_millis(1_500);

/// Hands over the body of each record of the stream of outcomes that was confirmed before this was called.
///
/// # Errors
/// [`AmqpError::Lost`], also where the stream is not served.
pub async fn outcomes_until_now(link: &Link, from: Start, each: impl FnMut(&[u8])) -> Result<(), AmqpError> {
    let mark = ledger::encode(&Mark { mark: Uuid::now_v7() });
    until_mark(link, OUTCOMES, from, &mark, each).await
}

/// Hands over the body of each record of the stream of runs that was confirmed before this was called.
///
/// The mark is an opening that nothing follows, as of a producer that died there: every reader passes over it.
///
/// # Errors
/// As [`outcomes_until_now`].
pub async fn runs_until_now(link: &Link, from: Start, each: impl FnMut(&[u8])) -> Result<(), AmqpError> {
    let mark = ledger::encode(&RunEvent::Opening { run: RunId::fresh() });
    until_mark(link, RUNS, from, &mark, each).await
}

async fn until_mark(
    link: &Link,
    stream: &str,
    from: Start,
    mark: &[u8],
    mut each: impl FnMut(&[u8]),
) -> Result<(), AmqpError> {
    let mut reader = StreamReader::open_wide(link, stream, from).await?;
    match Sender::open(link).await?.record(stream, mark).await {
        Ok(()) => {}
        Err(AmqpError::Access { .. }) => {
            let read = until_end(link, stream, &mut reader, each).await;
            reader.close().await;
            return read;
        }
        Err(error) => return Err(error),
    }
    loop {
        let read = tokio::time::timeout(PATIENCE, reader.next()).await;
        let read =
            read.unwrap_or_else(|_| Err(AmqpError::Lost(format!("the stream {stream} is not served"))))?;
        if read.body == mark {
            break;
        }
        each(&read.body);
    }
    reader.close().await;
    Ok(())
}

/// Hands over what stands in a stream at this moment, without writing to it.
async fn until_end(
    link: &Link,
    stream: &str,
    reader: &mut StreamReader,
    mut each: impl FnMut(&[u8]),
) -> Result<(), AmqpError> {
    let Some(end) = end(link, stream).await? else {
        return Ok(());
    };
    // where reading began behind the end, nothing comes at all
    let mut patience = LOOKING;
    while let Ok(read) = tokio::time::timeout(patience, reader.next()).await {
        let read = read?;
        each(&read.body);
        if read.offset >= end {
            return Ok(());
        }
        patience = PATIENCE;
    }
    if patience == LOOKING {
        Ok(())
    } else {
        Err(AmqpError::Lost(format!("the stream {stream} is not served")))
    }
}

/// The offset of the last record; none in an empty stream.
pub(super) async fn end(link: &Link, stream: &str) -> Result<Option<u64>, AmqpError> {
    let mut reader = StreamReader::open(link, stream, Start::Last).await?;
    let mut end = None;
    let until = tokio::time::Instant::now() + LOOKING;
    while let Ok(read) = tokio::time::timeout_at(until, reader.next()).await {
        end = Some(read?.offset);
    }
    reader.close().await;
    Ok(end)
}
