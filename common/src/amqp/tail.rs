//! Reads a stream up to now.
//!
//! A broker's own count of a stream lags by seconds, and a reader that waits for the next record cannot tell the end from a
//! pause. So the reader writes a mark: it is attached before, and the broker appends in one order, so all that was confirmed
//! before stands before the mark.

use std::time::Duration;

use uuid::Uuid;

use super::{AmqpError, Link, Sender, Start, StreamReader};
use crate::ledger::{self, Mark, RunEvent};
use crate::order::RunId;
use crate::topology::{OUTCOMES, RUNS};

/// A stream that is served hands over the next record within this time; the mark at the latest.
const PATIENCE: Duration = Duration::from_secs(30);

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
    Sender::open(link).await?.record(stream, mark).await?;
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
