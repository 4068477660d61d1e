//! The queue with the parts of one body: filled by the producer, read by whoever needs the body, deleted once its change is
//! settled.
//!
//! Who reads takes nothing: parts are fetched without acknowledging them on a channel of its own, which gives all of them back
//! when it is closed, and also when its program dies.

use std::fs::File;
use std::io;
use std::time::Duration;

use lapin::BasicProperties;
use lapin::options::{BasicGetOptions, QueueDeleteOptions};
use lapin::types::{AMQPValue, FieldTable};
use tokio::time::{Instant, sleep};

use super::declare::some;
use super::header::text;
use super::{AmqpError, Link, Sender, depth};
use crate::order::RunId;
use crate::parts::{BYTES, COUNT, Damaged, Joining, NUMBER, Named, SHA256, Stored, cut};
use crate::topology::parts_queue;

/// So long is waited for parts that somebody else looks at, or that a connection held which is not given up yet.
const HELD_ELSEWHERE: Duration = Duration::from_secs(60);
/// Between two looks at them.
const AGAIN: Duration = Duration::from_secs(1);

/// A body in parts that is to be sent.
#[derive(Debug, Clone)]
pub struct Parcel {
    /// What the message in the shard says of it.
    pub named: Named,
    /// The body.
    pub body: bytes::Bytes,
}

impl Parcel {
    /// Of a change's body.
    #[must_use]
    pub fn of(run: RunId, seq: u64, body: Vec<u8>) -> Self {
        Self {
            named: Named::of(run, seq, &body),
            body: body.into(),
        }
    }

    /// The parts as they are sent.
    pub(super) fn parts(&self) -> impl Iterator<Item = (bytes::Bytes, BasicProperties)> {
        cut(&self.body).map(|(number, part)| (part, properties(number, self.named.count)))
    }
}

fn properties(number: u32, count: u32) -> BasicProperties {
    let mut table = FieldTable::default();
    table.insert(NUMBER.into(), AMQPValue::LongLongInt(number.into()));
    table.insert(COUNT.into(), AMQPValue::LongLongInt(count.into()));
    BasicProperties::default()
        .with_content_type("application/octet-stream".into())
        .with_delivery_mode(2)
        .with_headers(table)
}

/// Why a body in parts cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The queue is gone, or does not have all of them.
    #[error("the parts of its body are no longer kept ({0})")]
    Gone(String),
    /// They are not what was sent.
    #[error(transparent)]
    Damaged(#[from] Damaged),
    /// They cannot be written down here.
    #[error("the parts of a body cannot be stored in the folder for temporary files: {0}")]
    File(#[from] io::Error),
    /// RabbitMQ.
    #[error(transparent)]
    Amqp(#[from] AmqpError),
}

/// Declares the queue and sends all parts; returns when the broker has them.
///
/// # Errors
/// [`AmqpError`]; what was sent lies there until somebody deletes it or it expires.
pub async fn send_parts(link: &Link, sender: &Sender, parcel: &Parcel) -> Result<(), AmqpError> {
    let queue = parcel.named.queue();
    declare_parts(link, parcel).await?;
    for (part, properties) in parcel.parts() {
        sender.send(&queue.name, &part, properties).await?;
    }
    Ok(())
}

pub(super) async fn declare_parts(link: &Link, parcel: &Parcel) -> Result<(), AmqpError> {
    some(link, &[parcel.named.queue()]).await
}

/// Deletes the parts of a change, where there are any.
///
/// # Errors
/// [`AmqpError::Lost`].
pub async fn delete_parts(link: &Link, run: RunId, seq: u64) -> Result<(), AmqpError> {
    let work = async {
        let channel = link.channel().await?;
        let queue = parts_queue(run, seq).name;
        channel
            .queue_delete(queue.as_str().into(), QueueDeleteOptions::default())
            .await?;
        channel.close(200, "done".into()).await?;
        Ok(())
    };
    link.standing(work).await
}

/// Puts a body together in an empty file. Nothing is taken from the queue.
///
/// # Errors
/// [`FetchError`].
pub async fn fetch_parts(link: &Link, named: &Named, file: File) -> Result<Stored, FetchError> {
    let mut joining = Joining::new(named.clone(), file)?;
    let begun = Instant::now();
    loop {
        link.standing(look(link, named, &mut joining)).await?;
        if joining.missing() == 0 {
            break;
        }
        if begun.elapsed() >= HELD_ELSEWHERE {
            let (missing, count) = (joining.missing(), named.count);
            return Err(FetchError::Gone(format!("{missing} of {count} are missing")));
        }
        sleep(AGAIN).await;
    }
    let checked = tokio::task::spawn_blocking(move || joining.done()).await;
    Ok(checked.map_err(io::Error::other)???)
}

/// Takes in what lies there that nobody else looks at.
async fn look(link: &Link, named: &Named, joining: &mut Joining) -> Result<(), FetchError> {
    let queue = named.queue().name;
    match depth(link, &queue).await {
        Ok(_) => {}
        Err(AmqpError::Missing { .. }) => return Err(FetchError::Gone(format!("there is no queue {queue}"))),
        Err(error) => return Err(error.into()),
    }
    let channel = link.channel().await?;
    while joining.missing() > 0 {
        let got = channel.basic_get(queue.as_str().into(), BasicGetOptions::default());
        let Some(got) = got.await.map_err(AmqpError::from)? else {
            break;
        };
        let headers = got.delivery.properties.headers().as_ref();
        let number = headers.and_then(|headers| number(headers, NUMBER));
        if let Some(number) = number.and_then(|number| u32::try_from(number).ok()) {
            joining.take(number, &got.delivery.data)?;
        }
    }
    // all goes back
    channel.close(200, "done".into()).await.map_err(AmqpError::from)?;
    Ok(())
}

/// What a message's headers say of parts; `None`: its body is in it.
#[must_use]
pub fn named(table: &FieldTable) -> Option<Result<Named, Damaged>> {
    table.inner().get(COUNT)?;
    let all = || {
        Some(Named {
            run: text(table, "flowlift-run")?.parse().ok()?,
            seq: number(table, "flowlift-first")?,
            count: u32::try_from(number(table, COUNT)?).ok()?,
            bytes: number(table, BYTES)?,
            sha256: text(table, SHA256)?.to_ascii_lowercase(),
        })
    };
    Some(all().ok_or_else(|| {
        Damaged(format!(
            "its headers do not name its parts ({COUNT}, {BYTES}, {SHA256}, flowlift-run, flowlift-first)"
        ))
    }))
}

fn number(table: &FieldTable, name: &str) -> Option<u64> {
    match table.inner().get(name)? {
        AMQPValue::LongLongInt(number) => u64::try_from(*number).ok(),
        AMQPValue::LongInt(number) => u64::try_from(*number).ok(),
        AMQPValue::LongUInt(number) => Some((*number).into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::amqp::{Headers, properties};

    #[test]
    fn headers_come_back_as_they_were_named_and_half_of_them_are_none() {
        let run = RunId(uuid::Uuid::from_u128(9));
        let parcel = Parcel::of(run, 7, vec![1; 10]);
        let headers = Headers {
            texts: vec![("flowlift-run", run.to_string())],
            numbers: vec![("flowlift-first", 7)],
        };
        let table = |headers: &Headers| properties(headers).headers().clone().unwrap();
        assert_eq!(named(&table(&headers)), None);
        let with = headers.clone().with_parts(&parcel.named);
        assert_eq!(named(&table(&with)), Some(Ok(parcel.named.clone())));
        let mut half = with;
        half.texts.retain(|(name, _)| *name != SHA256);
        assert!(matches!(named(&table(&half)), Some(Err(Damaged(_)))));
    }
}
