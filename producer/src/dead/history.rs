//! Reads the streams up to now, for what became of the flows of dead letters.

use std::collections::HashMap;
use std::time::Duration;

use flowlift_common::RunId;
use flowlift_common::amqp::{AmqpError, Link, Read, Start, StreamReader};
use flowlift_common::ledger::{self, RunEvent, Settled};
use flowlift_common::topology::{OUTCOMES, RUNS};

use super::overtaken::Watch;
use super::picked::Picked;

/// Clocks of producers and of the broker may differ by this much.
const CLOCKS_MS: u64 = 24 * 3_600_000;
/// The last chunk of a stream comes at once; nothing for so long means that there is none.
const FIRST: Duration = Duration::from_secs(2);
/// Records of one chunk come one behind the other.
const NEXT: Duration = Duration::from_millis(200);

/// Tells `watch` what was settled since the oldest of these runs was published.
pub async fn read(link: &Link, picked: &Picked, watch: &mut Watch) -> Result<(), AmqpError> {
    let made = picked.runs().map(RunId::made_at_ms).min().flatten();
    let from = made.map_or(Start::First, |ms| Start::Since(ms.saturating_sub(CLOCKS_MS)));
    let mut ranks: HashMap<RunId, u64> = HashMap::new();
    if watch.needs_ranks() {
        to_end(link, RUNS, from, |body| {
            if let Ok(event) = ledger::decode::<RunEvent>(body)
                && let Some(rank) = event.rank()
            {
                let highest = ranks.entry(event.run()).or_default();
                *highest = rank.max(*highest);
            }
        })
        .await?;
    }
    to_end(link, OUTCOMES, from, |body| {
        // a record of a newer form is nothing this program can judge
        if let Ok(record) = ledger::decode::<Settled>(body) {
            watch.settled(&record, |run| ranks.get(&run).copied());
        }
    })
    .await
}

/// Hands over each record that stands there when this begins.
async fn to_end(
    link: &Link,
    stream: &str,
    from: Start,
    mut each: impl FnMut(&[u8]),
) -> Result<(), AmqpError> {
    let Some(last) = last(link, stream).await? else {
        return Ok(());
    };
    let mut reader = StreamReader::open(link, stream, from).await?;
    while let Some(Read { offset, body }) = within(FIRST, &mut reader).await? {
        each(&body);
        if offset >= last {
            break;
        }
    }
    reader.close().await;
    Ok(())
}

async fn last(link: &Link, stream: &str) -> Result<Option<u64>, AmqpError> {
    let mut reader = StreamReader::open(link, stream, Start::Last).await?;
    let (mut last, mut patience) = (None, FIRST);
    while let Some(read) = within(patience, &mut reader).await? {
        (last, patience) = (Some(read.offset), NEXT);
    }
    reader.close().await;
    Ok(last)
}

async fn within(time: Duration, reader: &mut StreamReader) -> Result<Option<Read>, AmqpError> {
    tokio::time::timeout(time, reader.next()).await.ok().transpose()
}
