//! How the work is at this moment, over AMQP alone.

pub mod gather;
mod json;
mod screen;
#[cfg(test)]
mod tests;
pub mod unsettled;
mod words;

use std::time::Duration;

use flowlift_common::amqp::{AmqpError, Consumers, Link, Sender, Wishes};
use flowlift_common::state::ConsumerState;
use flowlift_common::steer::Steering;
use flowlift_common::topology::Record;

use gather::Depths;

pub use json::json;
pub use screen::{History, Look, screen};
use unsettled::{Books, Unsettled};
pub use words::words;

/// All that is known.
#[derive(Debug, Clone)]
pub struct Now {
    /// host:port/vhost.
    pub broker: String,
    /// The topology record.
    pub record: Record,
    /// What is asked of the work.
    pub steering: Steering,
    /// The consumers that answered.
    pub consumers: Vec<ConsumerState>,
    /// The queues.
    pub depths: Depths,
    /// What is left by run and project.
    pub unsettled: Unsettled,
    /// This program's clock, ms since 1970.
    pub at_ms: u64,
}

/// Hears what people ask of the work, and how the consumers are.
pub struct Ears {
    consumers: Consumers,
    wishes: Wishes,
    steering: Steering,
}

impl Ears {
    /// Begins; the vhost is set up.
    ///
    /// # Errors
    /// [`AmqpError`].
    pub async fn open(link: &Link) -> Result<Self, AmqpError> {
        let sender = Sender::open(link).await?;
        let (steering, wishes) = Wishes::open(link, &sender).await?;
        Ok(Self {
            consumers: Consumers::open(link).await?,
            wishes,
            steering,
        })
    }

    /// What is asked by now, and the consumers' answers.
    ///
    /// # Errors
    /// [`AmqpError`].
    pub async fn hear(&mut self) -> Result<(Steering, Vec<ConsumerState>), AmqpError> {
        while let Some(wish) = self.wishes.try_next()? {
            self.steering.take(wish);
        }
        let consumers = self.consumers.ask().await?;
        Ok((self.steering.clone(), consumers))
    }
}

/// Keeps what is needed to look again.
pub struct Watch {
    ears: Ears,
    books: Books,
    record: Record,
}

impl Watch {
    /// Begins; the vhost is set up. With `on` it is looked at more than once.
    ///
    /// # Errors
    /// [`AmqpError`].
    pub async fn open(link: &Link, record: Record, on: bool, at_ms: u64) -> Result<Self, AmqpError> {
        Ok(Self {
            ears: Ears::open(link).await?,
            books: Books::open(link, on, at_ms).await?,
            record,
        })
    }

    /// Looks.
    ///
    /// # Errors
    /// [`AmqpError`].
    pub async fn look(&mut self, link: &Link, at_ms: u64) -> Result<Now, AmqpError> {
        let depths = gather::depths(link, self.record.shards);
        let (depths, (steering, consumers), ()) =
            tokio::try_join!(depths, self.ears.hear(), self.books.catch_up())?;
        Ok(Now {
            broker: link.broker().to_owned(),
            record: self.record.clone(),
            steering,
            consumers,
            depths,
            unsettled: self.books.unsettled(at_ms),
            at_ms,
        })
    }
}

impl Now {
    /// Messages that wait in shards.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.depths.waiting()
    }

    /// Messages that are set aside.
    #[must_use]
    pub fn parked(&self) -> u64 {
        self.depths.parked()
    }

    /// Messages and changes that consumers have in hand.
    #[must_use]
    pub fn in_hand(&self) -> (u64, u64) {
        let of = |number: fn(&ConsumerState) -> u64| self.consumers.iter().map(number).sum();
        (of(|state| state.messages), of(|state| state.changes))
    }

    /// The earliest deadline among what is in hand, ms since 1970.
    #[must_use]
    pub fn deadline_ms(&self) -> Option<u64> {
        self.consumers.iter().filter_map(|state| state.deadline_ms).min()
    }

    /// Age of the oldest message in hand since it was published.
    #[must_use]
    pub fn oldest(&self) -> Duration {
        let oldest = self.consumers.iter().map(|state| state.oldest_ms).max();
        Duration::from_millis(oldest.unwrap_or_default())
    }

    /// Changes, messages and uploads settled in a second, of all consumers together, by the last minute.
    #[must_use]
    pub fn rates(&self) -> (f64, f64, f64) {
        let lately = self.consumers.iter().map(|state| state.lately);
        lately.fold((0.0, 0.0, 0.0), |(changes, messages, uploads), rate| {
            (
                changes + rate.per_second(rate.changes),
                messages + rate.per_second(rate.messages),
                uploads + rate.per_second(rate.uploads),
            )
        })
    }

    /// How long what is queued takes at the present rate; none while nothing moves, or nothing is left.
    #[must_use]
    pub fn left(&self) -> Option<Duration> {
        let (_, messages, _) = self.rates();
        let left = self.waiting() + self.in_hand().0;
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let seconds = left as f64 / messages;
        (left > 0 && messages > 0.0).then(|| Duration::from_secs_f64(seconds.min(1e8)))
    }

    /// Shards with messages that nobody is subscribed to.
    #[must_use]
    pub fn unowned(&self) -> usize {
        let shards = self.depths.shards.iter();
        shards.filter(|depth| !depth.consumed).count()
    }

    /// The shards with the most messages, the fullest first.
    #[must_use]
    pub fn fullest(&self, at_most: usize) -> Vec<gather::ShardDepth> {
        let mut shards: Vec<_> = self.depths.shards.clone();
        shards.retain(|depth| depth.waiting + depth.parked > 0);
        shards.sort_by_key(|depth| (std::cmp::Reverse(depth.waiting + depth.parked), depth.shard));
        shards.truncate(at_most);
        shards
    }

    /// Who holds a shard, as they say.
    #[must_use]
    pub fn holder(&self, shard: u16) -> Option<&str> {
        let holder = self.consumers.iter().find(|state| state.shards.contains(&shard));
        holder.map(|state| state.name.as_str())
    }
}
