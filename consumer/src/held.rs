//! A message in hand: its body, still compressed, and the way to settle it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use flowlift_azkaban::ProjectName;
use flowlift_common::envelope::{DecodeError, MAX_BYTES};
use flowlift_common::parts::{self, Damaged, Named, Stored};
use flowlift_common::trace::TraceContext;
use flowlift_common::{Envelope, amqp};
use lapin::Channel;
use lapin::message::Delivery;
use lapin::types::{AMQPValue, FieldTable};

/// A change takes some so many bytes while it is planned.
pub(crate) const CHANGE_BYTES: u64 = 3_000;

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
    body: Body,
    /// The channel it came on, where its parts are to be deleted after it is acknowledged.
    channel: Option<Channel>,
    /// Its parts are needed further on: a dead letter names them.
    kept: AtomicBool,
}

/// Where the body is.
#[derive(Debug)]
enum Body {
    /// In the message, as far as is known.
    Here,
    /// It came in parts.
    Stored(Stored),
    /// Its parts are gone, and why; what the message says of it without its content is there.
    Gone(Box<Envelope>, String),
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
            body: Body::Here,
            channel: None,
            kept: AtomicBool::new(false),
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

    /// What it says of parts of its body; `None`: the body is in it.
    #[must_use]
    pub fn named(&self) -> Option<Result<Named, Damaged>> {
        amqp::named(self.headers()?)
    }

    /// The body is there.
    pub fn has_body(&mut self, body: Stored) {
        self.body = Body::Stored(body);
    }

    /// The body is gone for this reason. What the message itself says of it counts then.
    ///
    /// # Errors
    /// The reason, where it says nothing that can be read.
    pub fn has_no_body(&mut self, reason: String) -> Result<(), String> {
        match self.outline() {
            Some(outline) => {
                self.body = Body::Gone(Box::new(outline), reason);
                Ok(())
            }
            None => Err(reason),
        }
    }

    /// Why the content of its changes cannot be had.
    #[must_use]
    pub fn missing(&self) -> Option<&str> {
        match &self.body {
            Body::Gone(_, reason) => Some(reason),
            Body::Here | Body::Stored(_) => None,
        }
    }

    /// `, published 2026-11-26`, where that is known.
    #[must_use]
    pub fn published(&self) -> String {
        let ms = self.published_ms.and_then(|ms| i64::try_from(ms).ok());
        let at = ms.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
        at.map_or_else(String::new, |at| {
            format!(", published {}", at.strftime("%Y-%m-%d"))
        })
    }

    /// The trace it belongs to.
    #[must_use]
    pub fn trace(&self) -> Option<TraceContext> {
        amqp::trace_of(&self.delivery.properties)
    }

    /// The channel it came on.
    pub fn came_on(&mut self, channel: Option<Channel>) {
        self.channel = channel;
    }

    /// A dead letter names its parts.
    pub fn keep_parts(&self) {
        self.kept.store(true, Ordering::Relaxed);
    }

    /// The parts that nobody needs once it is acknowledged, and the channel on which that is done.
    #[must_use]
    pub fn spent(&self) -> Option<(Named, &Channel)> {
        let named = self.named()?.ok()?;
        let channel = self.channel.as_ref()?;
        (!self.kept.load(Ordering::Relaxed)).then_some((named, channel))
    }

    /// As much memory as so many changes take, in which projects are weighed before they are unpacked.
    #[must_use]
    pub fn weight(&self) -> u64 {
        let bytes = match &self.body {
            Body::Stored(body) => body.bytes(),
            Body::Here | Body::Gone(..) => 0,
        };
        self.changes().saturating_add(bytes / CHANGE_BYTES)
    }

    /// What the message says of a body in parts, where that can be.
    fn outline(&self) -> Option<Envelope> {
        let named = self.named()?.ok()?;
        let outline = parts::read_outline(&self.delivery.data).ok()?;
        holds(&outline, &named).then_some(outline)
    }

    /// Its changes, perhaps without their content: a large body is not read where that is enough.
    pub fn brief(&self) -> Result<Envelope, DecodeError> {
        match &self.body {
            Body::Here | Body::Gone(..) => self.open(),
            Body::Stored(_) => self.outline().map_or_else(|| self.open(), Ok),
        }
    }

    /// Reads the body.
    pub fn open(&self) -> Result<Envelope, DecodeError> {
        match &self.body {
            Body::Here => {}
            Body::Gone(outline, _) => return Ok((**outline).clone()),
            Body::Stored(body) => {
                let envelope = body.open()?;
                let named = self.named().and_then(Result::ok);
                if named.is_some_and(|named| holds(&envelope, &named)) {
                    return Ok(envelope);
                }
                let text = "a body in parts holds one change, the one that its headers name";
                return Err(DecodeError::Unreadable(text.into()));
            }
        }
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
        amqp::header_text(self.headers()?, name)
    }
}

/// Whether an envelope has the one change of parts.
fn holds(envelope: &Envelope, named: &Named) -> bool {
    matches!(&envelope.changes[..], [change] if change.seq == named.seq && envelope.run == named.run)
}
