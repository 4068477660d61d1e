//! Looks through the queue of dead letters, the oldest first, without taking anything from it.
//!
//! What is read is held unacknowledged until it is acknowledged one by one or given back with its channel. The broker hands a
//! page at a time: a page is a consumer with its prefetch, so memory does not grow with the queue. A walk that goes to the end
//! and gives everything back leaves the order as it was. For that (tried on 4.0.5): a closed channel gives back before all that
//! nobody has looked at, in the order of its consumers' tags, as long as the queue has no more than 32 consumers. Beyond, and
//! between channels, the order is any; there each channel rejects what it holds, which the broker appends in order. (basic.get
//! would not do: each get counts as a consumer.)

use std::time::Duration;

use futures_util::StreamExt as _;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicGetOptions, BasicNackOptions,
    BasicQosOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Acker, Channel, Consumer};

use super::header::text;
use super::send::PUBLISHED_BY;
use super::{AmqpError, Link, depth};
use crate::ledger::REASON_HEADER;
use crate::parts::Named;
use crate::topology::DEAD;

/// Messages of a page; a dead letter is seldom larger than 12 KiB.
const PAGE: u16 = 200;
/// Pages on one channel; up to 32 consumers come back in the order of their tags.
const PAGES: usize = 30;
/// So often is waited once more while the queue says that it is not empty; a consumer may be overlooked for good.
const LATE: u32 = 10;
/// So long is waited for a message before the broker is asked whether there is one.
const QUIET: Duration = Duration::from_millis(100);

/// What a message says beside its body; all of it may be absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// `flowlift-run`.
    pub run: Option<String>,
    /// `flowlift-project`.
    pub project: Option<String>,
    /// `flowlift-first` and `flowlift-last`.
    pub span: Option<(u64, u64)>,
    /// `flowlift-reason`: why the body lies there as it came.
    pub reason: Option<String>,
    /// The broker's own dead-lettering.
    pub death: Option<Death>,
    /// Where its body lies, if not in it.
    pub parts: Option<Named>,
    /// The user who published it, by RabbitMQ's word to whoever put it there.
    pub published_by: Option<String>,
}

/// Why the broker itself put a message there, from `x-death`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Death {
    /// The broker's word: `delivery_limit`, `rejected`, `expired`, `maxlen`.
    pub reason: String,
    /// The queue it lay in.
    pub queue: String,
    /// The broker's clock, ms since 1970.
    pub at_ms: u64,
}

/// A message of the queue, held.
#[derive(Debug)]
pub struct Found {
    /// The body.
    pub body: Vec<u8>,
    /// What else is said.
    pub facts: Facts,
    acker: Acker,
}

impl Found {
    /// Takes it out of the queue for good.
    ///
    /// # Errors
    /// [`AmqpError::Lost`] also where the channel it came on is gone: it lies in the queue again.
    pub async fn remove(&self) -> Result<(), AmqpError> {
        if self.acker.ack(BasicAckOptions::default()).await? {
            Ok(())
        } else {
            Err(AmqpError::Lost("a dead letter could not be acknowledged".into()))
        }
    }
}

/// A walk through the queue.
pub struct Letters<'a> {
    link: &'a Link,
    channels: Vec<Channel>,
    page: Option<Page>,
    pages: usize,
}

struct Page {
    consumer: Consumer,
    received: u16,
}

impl<'a> Letters<'a> {
    /// Begins with the oldest one.
    #[must_use]
    pub fn of(link: &'a Link) -> Self {
        Self {
            link,
            channels: Vec::new(),
            page: None,
            pages: 0,
        }
    }

    /// The next one; none when nothing is left that nobody holds.
    pub async fn next(&mut self) -> Result<Option<Found>, AmqpError> {
        let link = self.link;
        link.standing(self.receive()).await
    }

    async fn receive(&mut self) -> Result<Option<Found>, AmqpError> {
        let (mut asked, mut late) = (false, 0);
        loop {
            let page = match self.page.as_mut() {
                Some(page) => page,
                None => self.turn().await?,
            };
            if page.received == PAGE {
                // what comes beyond a page, because of what was acknowledged, has come when this ends
                match page.consumer.next().await {
                    Some(delivery) => return Ok(Some(found(delivery?))),
                    None => self.page = None,
                }
                continue;
            }
            match tokio::time::timeout(QUIET, page.consumer.next()).await {
                Ok(Some(delivery)) => {
                    page.received += 1;
                    let full = page.received == PAGE;
                    let found = found(delivery?);
                    if full {
                        self.end_page().await?;
                    }
                    return Ok(Some(found));
                }
                Ok(None) => return Err(ended()),
                // the consumer could take more and nothing came, twice, and the queue says that it is empty
                Err(_) if asked => return Ok(None),
                Err(_) => asked = true,
            }
            // a broker with much to do is late: what is fetched past the consumer would lose its place
            if late < LATE && depth(self.link, DEAD).await?.waiting > 0 {
                (asked, late) = (false, late + 1);
                continue;
            }
            if let Some(channel) = self.channels.last()
                && let Some(got) = channel.basic_get(DEAD.into(), BasicGetOptions::default()).await?
            {
                return Ok(Some(found(got.delivery)));
            }
        }
    }

    /// Gives back what was not removed, in its order.
    pub async fn give_back(self) -> Result<(), AmqpError> {
        let link = self.link;
        link.standing(self.end()).await
    }

    async fn end(self) -> Result<(), AmqpError> {
        // the last page has room: what the others give back would come to it, and lie behind them afterwards
        self.end_page().await?;
        let several = self.channels.len() > 1;
        for channel in self.channels {
            if several {
                // delivery tag 0 is all that the channel holds
                let all = BasicNackOptions {
                    multiple: true,
                    requeue: true,
                };
                channel.basic_nack(0, all).await?;
            }
            channel.close(200, "done".into()).await?;
        }
        Ok(())
    }

    async fn turn(&mut self) -> Result<&mut Page, AmqpError> {
        if self.pages.is_multiple_of(PAGES) {
            let channel = self.link.channel().await?;
            channel.basic_qos(PAGE, BasicQosOptions::default()).await?;
            self.channels.push(channel);
        }
        let channel = self.channels.last().ok_or_else(ended)?;
        let tag = format!("page-{:02}", self.pages % PAGES);
        self.pages += 1;
        let consumer = channel
            .basic_consume(
                DEAD.into(),
                tag.as_str().into(),
                BasicConsumeOptions::default(),
                FieldTable::default(),
            )
            .await?;
        Ok(self.page.insert(Page {
            consumer,
            received: 0,
        }))
    }

    /// No more for this consumer, even where some of the page is acknowledged; what it has stays held.
    async fn end_page(&self) -> Result<(), AmqpError> {
        if let (Some(channel), Some(page)) = (self.channels.last(), &self.page) {
            let tag = page.consumer.tag();
            channel.basic_cancel(tag, BasicCancelOptions::default()).await?;
        }
        Ok(())
    }
}

fn ended() -> AmqpError {
    AmqpError::Lost("the broker ended the reading of the dead letters".into())
}

fn found(delivery: Delivery) -> Found {
    let headers = delivery.properties.headers().as_ref();
    let mut facts = headers.map(facts).unwrap_or_default();
    // what RabbitMQ dead-lettered by itself still has a signature, and a note in it may be anybody's
    if facts.death.is_some() {
        let user = delivery.properties.user_id().as_ref();
        facts.published_by = user.map(ToString::to_string);
    }
    Found {
        facts,
        body: delivery.data,
        acker: delivery.acker,
    }
}

fn facts(table: &FieldTable) -> Facts {
    let first = number(table, "flowlift-first");
    let last = number(table, "flowlift-last");
    Facts {
        run: text(table, "flowlift-run"),
        project: text(table, "flowlift-project"),
        span: first.zip(last).filter(|(first, last)| first <= last),
        reason: text(table, REASON_HEADER),
        death: death(table),
        parts: super::named(table).and_then(Result::ok),
        published_by: text(table, PUBLISHED_BY),
    }
}

fn death(table: &FieldTable) -> Option<Death> {
    let AMQPValue::FieldArray(deaths) = table.inner().get("x-death")? else {
        return None;
    };
    // the newest stands first
    let AMQPValue::FieldTable(newest) = deaths.as_slice().first()? else {
        return None;
    };
    Some(Death {
        reason: text(newest, "reason").unwrap_or_default(),
        queue: text(newest, "queue").unwrap_or_default(),
        at_ms: number(newest, "time").unwrap_or_default() * 1000,
    })
}

fn number(table: &FieldTable, name: &str) -> Option<u64> {
    match table.inner().get(name)? {
        AMQPValue::LongLongInt(number) => u64::try_from(*number).ok(),
        AMQPValue::LongInt(number) => u64::try_from(*number).ok(),
        AMQPValue::Timestamp(seconds) => Some(*seconds),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_people_and_of_the_broker_are_read() {
        let mut newest = FieldTable::default();
        newest.insert("reason".into(), AMQPValue::LongString("delivery_limit".into()));
        newest.insert("queue".into(), AMQPValue::LongString("flowlift.shard.007".into()));
        newest.insert("time".into(), AMQPValue::Timestamp(12));
        let mut table = FieldTable::default();
        table.insert("flowlift-run".into(), AMQPValue::LongString("r".into()));
        table.insert(PUBLISHED_BY.into(), AMQPValue::LongString("ann".into()));
        table.insert("flowlift-first".into(), AMQPValue::LongLongInt(3));
        table.insert("flowlift-last".into(), AMQPValue::LongLongInt(5));
        table.insert(
            "x-death".into(),
            AMQPValue::FieldArray(vec![AMQPValue::FieldTable(newest)].into()),
        );
        let wanted = Facts {
            run: Some("r".into()),
            project: None,
            span: Some((3, 5)),
            reason: None,
            death: Some(Death {
                reason: "delivery_limit".into(),
                queue: "flowlift.shard.007".into(),
                at_ms: 12_000,
            }),
            parts: None,
            published_by: Some("ann".into()),
        };
        assert_eq!(facts(&table), wanted);
        let junk = FieldTable::default();
        assert_eq!(facts(&junk), Facts::default());
    }
}
