//! Compares this program's settings with the topology record of the vhost, and writes what it does not say yet.
//!
//! The record lives in a stream, so that everybody reads it without taking it away; the first word on a matter counts, so
//! two programs that start at once agree without a lock.

use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use uuid::Uuid;

use super::{AmqpError, Link, Sender, Start, StreamReader, depth};
use crate::envelope::VERSION;
use crate::ledger;
use crate::topology::{self, PREFETCH, RECORD, Record};

/// The first record is there and comes at once; a broker that takes longer is in trouble.
const FIRST_RECORD: std::time::Duration = std::time::Duration::from_secs(10);

/// Where only is looked, a record that is there comes within this time.
const FIRST_LOOK: std::time::Duration = std::time::Duration::from_secs(2);
/// And the next ones within this.
const NEXT_LOOK: std::time::Duration = std::time::Duration::from_millis(300);

/// What a program knows and needs.
#[derive(Debug, Clone, Copy)]
pub struct Needs<'a> {
    /// K as set here.
    pub shards: u16,
    /// The Azkaban, where the program was told one.
    pub azkaban: Option<&'a str>,
}

/// Reads the record and compares. Returns what the vhost says.
///
/// # Errors
/// [`AmqpError::Disagreement`] with a sentence that names both sides.
pub async fn agree(link: &Link, needs: Needs<'_>) -> Result<Record, AmqpError> {
    let there = read(link).await?;
    agree_on(link, needs, &there).await
}

/// The same with the records that were read.
pub(super) async fn agree_on(link: &Link, needs: Needs<'_>, there: &[Record]) -> Result<Record, AmqpError> {
    let folded = topology::fold(there);
    let news = folded
        .as_ref()
        .is_none_or(|record| record.azkaban.is_none() && needs.azkaban.is_some());
    let folded = match folded {
        Some(folded) if !news => folded,
        _ => write(link, needs).await?,
    };
    topology::agree(&folded, needs.shards, needs.azkaban)?;
    Ok(folded)
}

/// What the vhost's record says, without declaring or writing anything; `None` where nobody has set the vhost up yet.
///
/// # Errors
/// [`AmqpError`].
pub async fn look_at_record(link: &Link) -> Result<Option<Record>, AmqpError> {
    match depth(link, RECORD).await {
        Ok(_) => {}
        Err(AmqpError::Missing { .. }) => return Ok(None),
        Err(error) => return Err(error),
    }
    // the broker's count lags, and nothing may be written here to mark the end
    let mut reader = StreamReader::open(link, RECORD, Start::First).await?;
    let mut records = Vec::new();
    let mut patience = FIRST_LOOK;
    while let Ok(read) = tokio::time::timeout(patience, reader.next()).await {
        records.extend(ledger::decode::<Record>(&read?.body).ok());
        patience = NEXT_LOOK;
    }
    reader.close().await;
    Ok(topology::fold(&records))
}

/// Appends a record and reads from the start until it appears: whatever stood before it counts first.
async fn write(link: &Link, needs: Needs<'_>) -> Result<Record, AmqpError> {
    let ours = Record {
        id: Uuid::now_v7(),
        shards: needs.shards,
        wire: VERSION,
        prefetch: PREFETCH,
        azkaban: needs.azkaban.map(str::to_owned),
        permits: None,
    };
    append(link, &ours).await
}

/// Appends a record; returns what all records up to it say together.
async fn append(link: &Link, ours: &Record) -> Result<Record, AmqpError> {
    Sender::open(link)
        .await?
        .record(RECORD, &ledger::encode(ours))
        .await?;
    let mut reader = StreamReader::open(link, RECORD, Start::First).await?;
    let mut records = Vec::new();
    loop {
        let read = reader.next().await?;
        if let Ok(record) = ledger::decode::<Record>(&read.body) {
            let is_ours = record.id == ours.id;
            records.push(record);
            if is_ours {
                break;
            }
        }
    }
    reader.close().await;
    topology::fold(&records)
        .ok_or_else(|| AmqpError::Lost("the topology record could not be read back".into()))
}

/// How many connections all consumers together may open to the Azkaban, as recorded last; `None`: nobody has said it yet.
///
/// [`agree`] has to come before: it writes the vhost's first record.
pub async fn permits(link: &Link) -> Result<Option<u16>, AmqpError> {
    let counted = topology::fold(&read(link).await?).and_then(|record| record.permits);
    if counted.is_some() {
        return Ok(counted);
    }
    let note = note(link, None).await?;
    Ok(append(link, &note).await?.permits)
}

/// Records that number; whoever does so has laid the tokens before.
///
/// [`agree`] has to come before: it writes the vhost's first record.
pub async fn set_permits(link: &Link, permits: u16) -> Result<(), AmqpError> {
    let note = note(link, Some(permits)).await?;
    append(link, &note).await.map(drop)
}

/// A record that says nothing new but the permits: the rest is the first record's, which counts for it.
async fn note(link: &Link, permits: Option<u16>) -> Result<Record, AmqpError> {
    let mut reader = StreamReader::open(link, RECORD, Start::First).await?;
    let first = tokio::time::timeout(FIRST_RECORD, async {
        loop {
            if let Ok(record) = ledger::decode::<Record>(&reader.next().await?.body) {
                return Ok::<_, AmqpError>(record);
            }
        }
    })
    .await
    .map_err(|_| AmqpError::Lost("the topology record could not be read".into()))??;
    reader.close().await;
    Ok(Record {
        id: Uuid::now_v7(),
        azkaban: None,
        permits,
        ..first
    })
}

/// The records the broker counts. Its count of a stream lags for some seconds after a write: too few are read then, and a
/// record too many is written, which changes nothing.
pub(super) async fn read(link: &Link) -> Result<Vec<Record>, AmqpError> {
    let work = async {
        let channel = link.channel().await?;
        let options = QueueDeclareOptions {
            passive: true,
            ..Default::default()
        };
        let count = channel
            .queue_declare(RECORD.into(), options, FieldTable::default())
            .await?
            .message_count();
        channel.close(200, "done".into()).await?;
        let mut records = Vec::new();
        if count > 0 {
            let mut reader = StreamReader::open(link, RECORD, Start::First).await?;
            for _ in 0..count {
                records.extend(ledger::decode::<Record>(&reader.next().await?.body));
            }
            reader.close().await;
        }
        Ok(records)
    };
    link.standing(work).await
}
