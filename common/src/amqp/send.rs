//! Sends one message and waits until the broker has it.

use std::time::Duration;

use lapin::Confirmation;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, ConnectionStatus, ErrorKind};
use tokio::time::timeout;

use super::declare::declare_again;
use super::header::text;
use super::{AmqpError, Link, standing};
use crate::envelope::Envelope;
use crate::parts::{BYTES, COUNT, Named, SHA256};
use crate::trace::{TRACEPARENT, TraceContext};

impl Headers {
    /// With the publisher that was noted before.
    #[must_use]
    pub fn noting(mut self, publisher: Option<&str>) -> Self {
        self.texts
            .extend(publisher.map(|publisher| (PUBLISHED_BY, publisher.to_owned())));
        self
    }
}

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

/// The message with the trace it belongs to.
#[must_use]
pub fn with_trace(properties: BasicProperties, trace: &TraceContext) -> BasicProperties {
    let mut table = properties.headers().clone().unwrap_or_default();
    let text = AMQPValue::LongString(trace.to_string().into());
    table.insert(TRACEPARENT.into(), text);
    properties.with_headers(table)
}

/// The trace a message belongs to, where it says so in the form of the standard. Anybody can write it, and nothing hangs on it.
#[must_use]
pub fn trace_of(properties: &BasicProperties) -> Option<TraceContext> {
    let headers = properties.headers().as_ref()?;
    TraceContext::parse(&text(headers, TRACEPARENT)?)
}

/// Where stands who published a message that somebody else passed on; RabbitMQ has verified it when that one took it.
pub(super) const PUBLISHED_BY: &str = "flowlift-published-by";

/// Signs a message with the user of the login, which RabbitMQ verifies: it refuses any other name.
pub(super) fn signed(properties: BasicProperties, user: &str) -> BasicProperties {
    properties.with_user_id(user.into())
}

/// Who published a message that was taken from a queue, by RabbitMQ's word; `own` is the user that consumers log in as.
///
/// Whoever passed it on before has noted it. Nobody else's note counts: anybody can write a header.
fn publisher(properties: &BasicProperties, own: &str) -> Option<String> {
    let signer = properties.user_id().as_ref()?.to_string();
    if signer == own {
        noted(properties)
    } else {
        Some(signer)
    }
}

fn noted(properties: &BasicProperties) -> Option<String> {
    let table = properties.headers().as_ref()?;
    match table.inner().get(PUBLISHED_BY)? {
        AMQPValue::LongString(text) => Some(text.to_string()),
        _ => None,
    }
}

/// The message with this publisher noted, and no other.
fn with_note(properties: BasicProperties, publisher: Option<String>) -> BasicProperties {
    let table = properties.headers().clone().unwrap_or_default();
    let mut entries = table.inner().clone();
    entries.remove(PUBLISHED_BY);
    if let Some(publisher) = publisher {
        entries.insert(PUBLISHED_BY.into(), AMQPValue::LongString(publisher.into()));
    }
    properties.with_headers(entries.into())
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
    broker: String,
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
        Ok(Self {
            channel,
            status,
            broker: link.broker().to_owned(),
        })
    }

    /// A message that was taken from a queue, as it is passed on: it cannot keep its publisher's signature, so that is noted.
    #[must_use]
    pub fn passed_on(&self, properties: &BasicProperties) -> BasicProperties {
        self.on_behalf(properties, properties.clone())
    }

    /// Notes in a message made from another who published that one.
    #[must_use]
    pub fn on_behalf(&self, of: &BasicProperties, properties: BasicProperties) -> BasicProperties {
        with_note(properties, publisher(of, &self.status.username()))
    }

    fn lost(&self, error: lapin::Error) -> AmqpError {
        match error.kind() {
            ErrorKind::ProtocolError(amqp) if amqp.get_id() == 403 => AmqpError::Access {
                broker: self.broker.clone(),
                reason: amqp.get_message().to_string(),
            },
            _ => error.into(),
        }
    }

    /// Publishes and waits for the confirm; an alarm of the broker may take as long as it takes.
    async fn publish(
        &self,
        (exchange, queue): (&str, &str),
        options: BasicPublishOptions,
        body: &[u8],
        properties: BasicProperties,
    ) -> Result<Confirmation, AmqpError> {
        let properties = signed(properties, &self.status.username());
        let publishing = async {
            let mut confirm = self
                .channel
                .basic_publish(exchange.into(), queue.into(), options, body, properties)
                .await
                .map_err(|error| self.lost(error))?;
            loop {
                if let Ok(confirmation) = timeout(CONFIRMED_WITHIN, &mut confirm).await {
                    return confirmation.map_err(|error| self.lost(error));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn passed_on(properties: &BasicProperties) -> BasicProperties {
        let noted = with_note(properties.clone(), publisher(properties, "consumer"));
        signed(noted, "consumer")
    }

    #[test]
    fn what_is_passed_on_is_signed_anew_and_says_who_published_it() {
        let parked = passed_on(&signed(properties(&Headers::default()), "producer"));
        assert_eq!(
            parked.user_id().as_ref().map(ToString::to_string).as_deref(),
            Some("consumer")
        );
        assert_eq!(noted(&parked).as_deref(), Some("producer"));
        assert_eq!(noted(&passed_on(&parked)).as_deref(), Some("producer"));
        let own = passed_on(&signed(properties(&Headers::default()), "consumer"));
        assert_eq!(noted(&own), None);
    }

    #[test]
    fn the_trace_of_a_message_outlives_its_being_passed_on_and_what_is_no_trace_hurts_nobody() {
        let plain = properties(&Headers::default());
        assert_eq!(trace_of(&plain), None);
        let trace = TraceContext::fresh();
        let traced = with_trace(plain, &trace);
        assert_eq!(trace_of(&traced), Some(trace));
        assert_eq!(trace_of(&passed_on(&traced)), Some(trace));
        for foreign in [
            AMQPValue::LongString("00-trace".into()),
            AMQPValue::LongString(vec![0xff; 55].into()),
            AMQPValue::LongLongInt(7),
            AMQPValue::Void,
        ] {
            let mut table = FieldTable::default();
            table.insert(TRACEPARENT.into(), foreign);
            assert_eq!(trace_of(&BasicProperties::default().with_headers(table)), None);
        }
        let mut table = FieldTable::default();
        let short = AMQPValue::ShortString(trace.to_string().into());
        table.insert(TRACEPARENT.into(), short);
        assert_eq!(
            trace_of(&BasicProperties::default().with_headers(table)),
            Some(trace)
        );
    }

    #[test]
    fn a_note_that_a_publisher_wrote_itself_counts_for_nothing() {
        let forged = with_note(properties(&Headers::default()), Some("somebody".into()));
        let signed_one = passed_on(&signed(forged.clone(), "producer"));
        assert_eq!(noted(&signed_one).as_deref(), Some("producer"));
        assert_eq!(noted(&passed_on(&forged)), None, "unsigned");
    }
}
