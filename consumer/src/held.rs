//! A message in hand: its body, still compressed, and the way to settle it.

use std::time::Instant;

use flowlift_azkaban::ProjectName;
use flowlift_common::Envelope;
use flowlift_common::envelope::{DecodeError, MAX_BYTES};
use lapin::message::Delivery;
use lapin::types::{AMQPValue, FieldTable};

/// A delivery that is not settled.
#[derive(Debug)]
pub struct Held {
    /// Its number in this consumer.
    pub receipt: u64,
    /// The shard it came from.
    pub shard: u16,
    /// When it came.
    pub since: Instant,
    /// When it was published first, by the producer's clock in ms since 1970.
    pub published_ms: Option<u64>,
    /// When its run should be done, in ms since 1970.
    pub deadline_ms: Option<u64>,
    /// The delivery itself.
    pub delivery: Delivery,
}

impl Held {
    /// A delivery that came just now. Where its headers do not tell the times, its body does.
    #[must_use]
    pub fn new(receipt: u64, shard: u16, delivery: Delivery) -> Self {
        let mut held = Self {
            receipt,
            shard,
            since: Instant::now(),
            published_ms: None,
            deadline_ms: None,
            delivery,
        };
        held.published_ms = held.number("flowlift-published");
        held.deadline_ms = held.number("flowlift-deadline");
        if held.published_ms.is_none()
            && let Ok(envelope) = held.open()
        {
            held.published_ms = Some(envelope.published_ms);
            held.deadline_ms = envelope.deadline_ms;
        }
        held
    }

    /// The project by the headers, or by the body where a foreign producer left them out.
    #[must_use]
    pub fn project(&self) -> Option<ProjectName> {
        let by_header = self
            .text("flowlift-project")
            .and_then(|name| ProjectName::new(name).ok());
        by_header.or_else(|| self.open().ok().map(|envelope| envelope.project))
    }

    /// Reads the body.
    pub fn open(&self) -> Result<Envelope, DecodeError> {
        let size = self.delivery.data.len();
        if size > MAX_BYTES {
            return Err(DecodeError::Unreadable(format!(
                "it has {size} bytes, at most {MAX_BYTES} are allowed"
            )));
        }
        Envelope::decode(&self.delivery.data)
    }

    /// How often the broker handed it out before.
    #[must_use]
    pub fn returns(&self) -> u64 {
        match self
            .headers()
            .and_then(|headers| headers.inner().get("x-delivery-count"))
        {
            Some(AMQPValue::LongLongInt(count)) => u64::try_from(*count).unwrap_or_default(),
            Some(AMQPValue::LongUInt(count)) => u64::from(*count),
            _ => u64::from(self.delivery.redelivered),
        }
    }

    /// How many changes it holds, as far as its headers say.
    #[must_use]
    pub fn changes(&self) -> u64 {
        match (self.number("flowlift-first"), self.number("flowlift-last")) {
            (Some(first), Some(last)) => last.saturating_sub(first).saturating_add(1),
            _ => 1,
        }
    }

    fn headers(&self) -> Option<&FieldTable> {
        self.delivery.properties.headers().as_ref()
    }

    fn number(&self, name: &str) -> Option<u64> {
        match self.headers()?.inner().get(name)? {
            AMQPValue::LongLongInt(number) => u64::try_from(*number).ok(),
            _ => None,
        }
    }

    fn text(&self, name: &str) -> Option<String> {
        match self.headers()?.inner().get(name)? {
            AMQPValue::LongString(text) => Some(text.to_string()),
            AMQPValue::ShortString(text) => Some(text.to_string()),
            _ => None,
        }
    }
}
