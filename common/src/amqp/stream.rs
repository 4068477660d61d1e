//! Reads a stream over AMQP 0-9-1, by offset.

use std::time::Duration;

use futures_util::StreamExt as _;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Acker, Channel, ConnectionStatus, Consumer};
use tokio::time::{Instant, timeout_at};

use super::{AmqpError, Link, standing};

/// Records handed over ahead; each is under 1 MiB.
const AHEAD: u16 = 100;
/// The same where a whole stream is read at once: a record of a settlement has some kilobytes.
const FAR_AHEAD: u16 = 500;
/// So many are acknowledged together: one by one, acknowledging costs as much as reading.
const TOGETHER: u16 = 50;
/// Or as many as there are after this time: RabbitMQ ends a channel on which something is unacknowledged for half an hour.
const UNACKNOWLEDGED_AT_MOST: Duration = Duration::from_secs(5);

/// Where reading begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At the oldest record kept.
    First,
    /// At the last chunk; on an empty stream with the next record.
    Last,
    /// With records written from now on.
    Next,
    /// At this offset, or the oldest kept after it.
    Offset(u64),
    /// At the chunk written at this time by the broker's clock, in ms since 1970.
    Since(u64),
}

/// A record.
#[derive(Debug)]
pub struct Read {
    /// Its place in the stream.
    pub offset: u64,
    /// The body.
    pub body: Vec<u8>,
}

/// An open reader; dropping it ends the subscription with its channel.
pub struct StreamReader {
    channel: Channel,
    consumer: Consumer,
    status: ConnectionStatus,
    unacknowledged: Option<Unacknowledged>,
}

/// What was read since the last acknowledgement.
struct Unacknowledged {
    count: u16,
    since: Instant,
    last: Acker,
}

impl StreamReader {
    /// Begins to read.
    pub async fn open(link: &Link, stream: &str, from: Start) -> Result<Self, AmqpError> {
        Self::with(link, stream, from, AHEAD).await
    }

    /// The same for whoever reads much at once.
    pub(super) async fn open_wide(link: &Link, stream: &str, from: Start) -> Result<Self, AmqpError> {
        Self::with(link, stream, from, FAR_AHEAD).await
    }

    async fn with(link: &Link, stream: &str, from: Start, ahead: u16) -> Result<Self, AmqpError> {
        let work = async {
            let channel = link.channel().await?;
            channel.basic_qos(ahead, BasicQosOptions::default()).await?;
            let mut arguments = FieldTable::default();
            let offset = match from {
                Start::First => AMQPValue::LongString("first".into()),
                Start::Last => AMQPValue::LongString("last".into()),
                Start::Next => AMQPValue::LongString("next".into()),
                Start::Offset(offset) => AMQPValue::LongLongInt(i64::try_from(offset).unwrap_or(i64::MAX)),
                Start::Since(ms) => AMQPValue::Timestamp(ms / 1000),
            };
            arguments.insert("x-stream-offset".into(), offset);
            let consumer = channel
                .basic_consume(
                    stream.into(),
                    "".into(),
                    BasicConsumeOptions::default(),
                    arguments,
                )
                .await?;
            Ok::<_, AmqpError>((channel, consumer))
        };
        let (channel, consumer) = link.standing(work).await?;
        Ok(Self {
            channel,
            consumer,
            status: link.connection().status().clone(),
            unacknowledged: None,
        })
    }

    /// The next record; waits for one to be written.
    pub async fn next(&mut self) -> Result<Read, AmqpError> {
        let status = self.status.clone();
        standing(&status, self.receive()).await
    }

    async fn receive(&mut self) -> Result<Read, AmqpError> {
        let Some(delivery) = self.delivery().await? else {
            return Err(AmqpError::Lost(
                "the broker ended the subscription to a stream".into(),
            ));
        };
        let headers = delivery.properties.headers().as_ref();
        let offset = match headers.and_then(|table| table.inner().get("x-stream-offset")) {
            Some(AMQPValue::LongLongInt(offset)) => u64::try_from(*offset).unwrap_or_default(),
            _ => 0,
        };
        let before = self.unacknowledged.take();
        let unacknowledged = Unacknowledged {
            count: before.as_ref().map_or(1, |before| before.count + 1),
            since: before.map_or_else(Instant::now, |before| before.since),
            last: delivery.acker,
        };
        self.unacknowledged = Some(unacknowledged);
        Ok(Read {
            offset,
            body: delivery.data,
        })
    }

    /// The next delivery; what came before it is acknowledged when it is due.
    async fn delivery(&mut self) -> Result<Option<Delivery>, AmqpError> {
        if let Some(waiting) = &self.unacknowledged {
            let due = waiting.since + UNACKNOWLEDGED_AT_MOST;
            if waiting.count < TOGETHER
                && let Ok(next) = timeout_at(due, self.consumer.next()).await
            {
                return Ok(next.transpose()?);
            }
            waiting.last.ack(BasicAckOptions { multiple: true }).await?;
            self.unacknowledged = None;
        }
        Ok(self.consumer.next().await.transpose()?)
    }

    /// Ends the subscription.
    pub async fn close(self) {
        let closing = async { Ok::<(), AmqpError>(self.channel.close(200, "done".into()).await?) };
        if let Err(error) = standing(&self.status, closing).await {
            tracing::debug!(%error, "a stream's channel was gone before it was closed");
        }
    }
}
