//! Messages of projects that could not go on: they lie in the parked queue of their shard and come back from time to time.
//!
//! Whoever would be served a shard looks after its parked queue. All that lies there goes back to the shard; what still cannot
//! go on is parked anew. Order does not matter: rank decides. The pause doubles while the queue does not stay empty.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use flowlift_common::amqp::{AmqpError, Link, Sender};
use flowlift_common::topology::{parked_queue, shard_queue};
use lapin::Channel;
use lapin::options::{BasicAckOptions, BasicGetOptions, QueueDeclareOptions};
use lapin::types::FieldTable;

/// How often parked queues are looked at.
pub const EVERY: Duration = Duration::from_secs(30);

/// When which shard's parked messages come back. Pure.
#[derive(Debug)]
pub struct Pauses {
    first: Duration,
    longest: Duration,
    shards: BTreeMap<u16, (Instant, Duration)>,
}

impl Pauses {
    /// With the first pause and the longest.
    #[must_use]
    pub fn new((first, longest): (Duration, Duration)) -> Self {
        Self {
            first,
            longest,
            shards: BTreeMap::new(),
        }
    }

    /// Whether a shard's messages, which lie there now, come back now.
    pub fn is_over(&mut self, shard: u16, now: Instant) -> bool {
        let begin = (now + self.first, self.first);
        let (until, pause) = self.shards.entry(shard).or_insert(begin);
        if now < *until {
            return false;
        }
        *pause = (*pause * 2).min(self.longest);
        *until = now + *pause;
        true
    }

    /// What lies there waits for somebody to end a pause: it comes back as seldom as can be.
    pub fn is_paused(&mut self, shard: u16, now: Instant) {
        let (_, pause) = self
            .shards
            .entry(shard)
            .or_insert((now + self.longest, self.longest));
        *pause = self.longest;
    }

    /// Comes back with the next look.
    pub fn hurry(&mut self, shard: u16, now: Instant) {
        self.shards.insert(shard, (now, self.first / 2));
    }

    /// Nothing lies there.
    pub fn is_empty_now(&mut self, shard: u16) {
        self.shards.remove(&shard);
    }
}

/// Looks after parked queues, on a channel of its own.
pub struct Parked {
    channel: Channel,
    sender: Sender,
    pauses: Pauses,
}

impl Parked {
    /// Opens the channel.
    pub async fn open(link: &Link, pauses: (Duration, Duration)) -> Result<Self, AmqpError> {
        Ok(Self {
            channel: link.channel().await?,
            sender: Sender::open(link).await?,
            pauses: Pauses::new(pauses),
        })
    }

    /// Looks at the parked queues of these shards; returns how many messages lie there still. `paused`: shards of projects that
    /// somebody paused; `hurried`: shards whose messages come back now.
    ///
    /// # Errors
    /// [`AmqpError`]: the connection broke. What was moved and not acknowledged comes twice, which changes nothing.
    pub async fn look(
        &mut self,
        shards: &[u16],
        paused: &BTreeSet<u16>,
        hurried: &BTreeSet<u16>,
    ) -> Result<u64, AmqpError> {
        let (mut parked, now) = (0, Instant::now());
        hurried.iter().for_each(|shard| self.pauses.hurry(*shard, now));
        for shard in shards {
            let queue = parked_queue(*shard);
            // nearly all are empty: to ask first costs RabbitMQ less than to fetch, and breaks nothing where a node has just died
            let first = match self.waiting(&queue).await? {
                0 => None,
                _ => self.get(&queue).await?,
            };
            let Some(first) = first else {
                self.pauses.is_empty_now(*shard);
                continue;
            };
            let count = u64::from(first.message_count) + 1;
            if paused.contains(shard) {
                self.pauses.is_paused(*shard, Instant::now());
            }
            if self.pauses.is_over(*shard, Instant::now()) {
                tracing::info!(shard, messages = count, "trying again what was parked");
                self.bring_back(*shard, &queue, first, count).await?;
            } else {
                first
                    .delivery
                    .acker
                    .nack(lapin::options::BasicNackOptions {
                        requeue: true,
                        ..Default::default()
                    })
                    .await?;
                parked += count;
            }
        }
        Ok(parked)
    }

    /// Only as many as lay there at first: what comes meanwhile has just been parked.
    async fn bring_back(
        &self,
        shard: u16,
        queue: &str,
        first: lapin::message::BasicGetMessage,
        count: u64,
    ) -> Result<(), AmqpError> {
        let mut next = Some(first);
        for _ in 0..count {
            let Some(message) = next.take() else {
                return Ok(());
            };
            let properties = self.sender.passed_on(&message.delivery.properties);
            self.sender
                .send(&shard_queue(shard), &message.delivery.data, properties)
                .await?;
            message.delivery.acker.ack(BasicAckOptions::default()).await?;
            next = self.get(queue).await?;
        }
        if let Some(beyond) = next {
            let requeue = lapin::options::BasicNackOptions {
                requeue: true,
                ..Default::default()
            };
            beyond.delivery.acker.nack(requeue).await?;
        }
        Ok(())
    }

    async fn waiting(&self, queue: &str) -> Result<u32, AmqpError> {
        let options = QueueDeclareOptions {
            passive: true,
            ..Default::default()
        };
        let asked = self
            .channel
            .queue_declare(queue.into(), options, FieldTable::default());
        Ok(asked.await?.message_count())
    }

    async fn get(&self, queue: &str) -> Result<Option<lapin::message::BasicGetMessage>, AmqpError> {
        Ok(self
            .channel
            .basic_get(queue.into(), BasicGetOptions::default())
            .await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_stay_away_comes_back_ever_more_seldom() {
        let pause = (Duration::from_secs(60), Duration::from_secs(900));
        let (mut pauses, begin) = (Pauses::new(pause), Instant::now());
        let at = |seconds| begin + Duration::from_secs(seconds);
        assert!(!pauses.is_over(1, begin));
        let back: Vec<u64> = (0..3_600)
            .filter(|second| pauses.is_over(1, at(*second)))
            .collect();
        assert_eq!(back, [60, 180, 420, 900, 1_800, 2_700]);
        pauses.is_empty_now(1);
        assert!(!pauses.is_over(1, at(4_000)) && pauses.is_over(1, at(4_060)));
    }
}
