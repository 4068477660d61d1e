//! Sends one message and waits until the broker has it.

use std::time::Duration;

use lapin::Confirmation;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, ConnectionStatus};
use tokio::time::timeout;

use super::declare::declare_again;
use super::{AmqpError, Link, standing};
use crate::envelope::Envelope;
use crate::parts::{BYTES, COUNT, Named, SHA256};

/// What an envelope's headers say, so that an unreadable body can still be accounted for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers {
    /// Texts: `flowlift-run`, `flowlift-project`.
    pub texts: Vec<(&'static str, String)>,
    /// Numbers: `flowlift-version`, `flowlift-rank`, `flowlift-first`, `flowlift-last`, `flowlift-published`, and
    /// `flowlift-deadline` where there is one.
    pub numbers: Vec<(&'static str, i64)>,
}

impl Headers {
    /// The headers of changes `first..=last` of an envelope.
    #[must_use]
    pub fn of(envelope: &Envelope, first: u64, last: u64) -> Self {
        let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let deadline = envelope.deadline_ms.map(|ms| ("flowlift-deadline", number(ms)));
        let numbers = [
            ("flowlift-version", i64::from(envelope.v)),
            ("flowlift-rank", number(envelope.rank)),
            ("flowlift-first", number(first)),
            ("flowlift-last", number(last)),
            ("flowlift-published", number(envelope.published_ms)),
        ];
        Self {
            texts: vec![
                ("flowlift-run", envelope.run.to_string()),
                ("flowlift-project", envelope.project.to_string()),
            ],
            numbers: numbers.into_iter().chain(deadline).collect(),
        }
    }

    /// The same, of a message whose body lies in parts.
    #[must_use]
    pub fn with_parts(mut self, named: &Named) -> Self {
        let bytes = i64::try_from(named.bytes).unwrap_or(i64::MAX);
        self.numbers.push((COUNT, named.count.into()));
        self.numbers.push((BYTES, bytes));
        self.texts.push((SHA256, named.sha256.clone()));
        self
    }
}

/// Properties of a persistent gzip JSON message.
#[must_use]
pub fn properties(headers: &Headers) -> BasicProperties {
    let mut table = FieldTable::default();
    for (name, text) in &headers.texts {
        table.insert((*name).into(), AMQPValue::LongString(text.as_str().into()));
    }
    for (name, number) in &headers.numbers {
        table.insert((*name).into(), AMQPValue::LongLongInt(*number));
    }
    BasicProperties::default()
        .with_content_type("application/json".into())
        .with_content_encoding("gzip".into())
        .with_delivery_mode(2)
        .with_headers(table)
}

/// Judges a confirm: only a plain ack means that a queue has the message.
pub(super) fn judge(confirmation: Confirmation, queue: &str) -> Result<(), AmqpError> {
    let queue = queue.to_owned();
    match confirmation {
        Confirmation::Ack(None) => Ok(()),
        Confirmation::Ack(Some(returned)) => {
            let reason = format!("{} {}", returned.reply_code, returned.reply_text);
            Err(AmqpError::Missing { queue, reason })
        }
        Confirmation::Nack(_) => Err(AmqpError::NotTaken {
            queue,
            reason: "it was refused (nack)".into(),
        }),
        Confirmation::NotRequested => Err(AmqpError::Lost("the channel does not confirm".into())),
    }
}

/// A broker that says nothing of an alarm confirms within this time, or never: one that was killed and comes back may have
/// taken a message before its queues were there.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(60);

/// Whether a confirm that has been waited for this long does not come any more.
pub(super) fn is_lost(waited: Duration, status: &ConnectionStatus) -> bool {
    waited >= CONFIRMED_WITHIN && !status.blocked()
}

/// A channel on which every message is confirmed.
#[derive(Clone)]
pub struct Sender {
    channel: Channel,
    status: ConnectionStatus,
}

impl Sender {
    /// Opens such a channel.
    pub async fn open(link: &Link) -> Result<Self, AmqpError> {
        let channel = link.channel().await?;
        let status = link.connection().status().clone();
        let confirming = async {
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            Ok::<(), AmqpError>(())
        };
        standing(&status, confirming).await?;
        Ok(Self { channel, status })
    }

    /// Publishes and waits for the confirm; an alarm of the broker may take as long as it takes.
    async fn publish(
        &self,
        (exchange, queue): (&str, &str),
        options: BasicPublishOptions,
        body: &[u8],
        properties: BasicProperties,
    ) -> Result<Confirmation, AmqpError> {
        let publishing = async {
            let mut confirm = self
                .channel
                .basic_publish(exchange.into(), queue.into(), options, body, properties)
                .await?;
            loop {
                if let Ok(confirmation) = timeout(CONFIRMED_WITHIN, &mut confirm).await {
                    return Ok(confirmation?);
                }
                if is_lost(CONFIRMED_WITHIN, &self.status) {
                    return Err(AmqpError::Lost("a confirm did not come".into()));
                }
            }
        };
        standing(&self.status, publishing).await
    }

    /// Sends to a queue by the default exchange; returns when the broker has it on disk (quorum: a majority has).
    ///
    /// # Errors
    /// [`AmqpError::Missing`]; [`AmqpError::NotTaken`] when the queue refuses; [`AmqpError::Lost`].
    pub async fn send(&self, queue: &str, body: &[u8], properties: BasicProperties) -> Result<(), AmqpError> {
        self.deliver("", queue, body, properties).await
    }

    /// The same; a queue of the topology that somebody deleted is declared anew.
    ///
    /// # Errors
    /// As [`Self::send`] and as [`super::declare()`].
    pub async fn send_on(
        &self,
        link: &Link,
        shards: u16,
        queue: &str,
        body: &[u8],
        properties: BasicProperties,
    ) -> Result<(), AmqpError> {
        match self.send(queue, body, properties.clone()).await {
            Err(AmqpError::Missing { .. }) => {
                declare_again(link, shards, queue).await?;
                self.send(queue, body, properties).await
            }
            sent => sent,
        }
    }

    /// Sends a record to a stream.
    pub async fn record(&self, stream: &str, body: &[u8]) -> Result<(), AmqpError> {
        self.send(stream, body, properties(&Headers::default())).await
    }

    /// Sends to a queue, where it arrives after `after`; `exchange` is the one of [`crate::topology::LATER`] for this delay.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn send_later(
        &self,
        exchange: &str,
        after: Duration,
        queue: &str,
        body: &[u8],
        properties: BasicProperties,
    ) -> Result<(), AmqpError> {
        let properties = properties.with_expiration(after.as_millis().to_string().into());
        self.deliver(exchange, queue, body, properties).await
    }

    async fn deliver(
        &self,
        exchange: &str,
        queue: &str,
        body: &[u8],
        properties: BasicProperties,
    ) -> Result<(), AmqpError> {
        let options = BasicPublishOptions {
            mandatory: true,
            ..Default::default()
        };
        let confirmed = self.publish((exchange, queue), options, body, properties).await?;
        judge(confirmed, if exchange.is_empty() { queue } else { exchange })
    }

    /// Answers to somebody's own queue; who has gone meanwhile needs no answer.
    pub async fn answer(&self, queue: &str, body: &[u8]) -> Result<(), AmqpError> {
        let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
        judge(self.publish(("", queue), options, body, properties).await?, queue)
    }

    /// Says something to everybody who listens on an exchange, without waiting for listeners.
    pub async fn broadcast(&self, exchange: &str, body: &[u8], ttl_ms: u32) -> Result<(), AmqpError> {
        let properties = BasicProperties::default().with_expiration(ttl_ms.to_string().into());
        let options = BasicPublishOptions::default();
        judge(
            self.publish((exchange, ""), options, body, properties).await?,
            exchange,
        )
    }
}
