//! Subscriptions to the shards: one channel each, with the rendezvous weight as consumer priority, so that the broker itself
//! gives each shard to the living consumer with the greatest weight.

use std::collections::BTreeMap;

use flowlift_common::amqp::{AmqpError, Link};
use flowlift_common::topology::shard_queue;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use lapin::message::Delivery;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, Consumer};
use tokio::sync::mpsc;

use crate::rendezvous::weight;

/// Subscriptions that are set up at the same time.
const AT_ONCE: usize = 32;
/// The priority of a consumer that cannot read what lies in a shard: below every weight.
const LOWEST: i32 = -1;

/// What comes from a subscription.
#[derive(Debug)]
pub enum FromShard {
    /// A message.
    Delivered {
        /// The shard.
        shard: u16,
        /// The subscription it came by; an older one than the present has been given up.
        generation: u64,
        /// The message.
        delivery: Box<Delivery>,
    },
    /// The broker ended the subscription, or the connection is gone.
    Ended {
        /// The shard.
        shard: u16,
        /// The subscription.
        generation: u64,
        /// Why.
        reason: String,
    },
}

struct Subscription {
    channel: Channel,
    tag: ShortString,
    generation: u64,
}

/// All subscriptions of a session.
pub struct Shards {
    consumer: String,
    by_shard: BTreeMap<u16, Subscription>,
    out: mpsc::UnboundedSender<FromShard>,
}

impl Shards {
    /// Subscribes to all shards; messages begin to come on the receiver.
    pub async fn subscribe(
        link: &Link,
        consumer: &str,
        shards: u16,
        prefetch: u16,
    ) -> Result<(Self, mpsc::UnboundedReceiver<FromShard>), AmqpError> {
        let (out, messages) = mpsc::unbounded_channel();
        let by_shard = stream::iter(0..shards)
            .map(|shard| open(link, consumer, shard, prefetch, &out))
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        Ok((
            Self {
                consumer: consumer.to_owned(),
                by_shard,
                out,
            },
            messages,
        ))
    }

    /// Whether this is the present subscription of a shard.
    #[must_use]
    pub fn is_present(&self, shard: u16, generation: u64) -> bool {
        self.by_shard
            .get(&shard)
            .is_some_and(|subscription| subscription.generation == generation)
    }

    /// The present subscription of a shard.
    #[must_use]
    pub fn generation(&self, shard: u16) -> Option<u64> {
        self.by_shard
            .get(&shard)
            .map(|subscription| subscription.generation)
    }

    /// The channel a shard's messages come on.
    #[must_use]
    pub fn channel(&self, shard: u16) -> Option<Channel> {
        self.by_shard
            .get(&shard)
            .map(|subscription| subscription.channel.clone())
    }

    /// Cancels and subscribes again, at the end of the queue of equals; messages in hand must be given back before.
    ///
    /// The order matters: nack, cancel, subscribe. Staying subscribed after the last nack hangs the shard for good.
    pub async fn step_back(&mut self, shard: u16, readable: bool) -> Result<(), AmqpError> {
        let Some(subscription) = self.by_shard.get_mut(&shard) else {
            return Ok(());
        };
        subscription
            .channel
            .basic_cancel(subscription.tag.clone(), BasicCancelOptions::default())
            .await?;
        let priority = if readable {
            weight(&self.consumer, shard)
        } else {
            LOWEST
        };
        let consumer = consume(&subscription.channel, shard, priority).await?;
        subscription.tag = consumer.tag();
        subscription.generation += 1;
        forward(consumer, shard, subscription.generation, self.out.clone());
        Ok(())
    }
}

async fn open(
    link: &Link,
    name: &str,
    shard: u16,
    prefetch: u16,
    out: &mpsc::UnboundedSender<FromShard>,
) -> Result<(u16, Subscription), AmqpError> {
    let channel = link.channel().await?;
    channel.basic_qos(prefetch, BasicQosOptions::default()).await?;
    let consumer = consume(&channel, shard, weight(name, shard)).await?;
    let tag = consumer.tag();
    forward(consumer, shard, 0, out.clone());
    Ok((
        shard,
        Subscription {
            channel,
            tag,
            generation: 0,
        },
    ))
}

async fn consume(channel: &Channel, shard: u16, priority: i32) -> Result<Consumer, AmqpError> {
    let mut arguments = FieldTable::default();
    arguments.insert("x-priority".into(), AMQPValue::LongInt(priority));
    let queue = shard_queue(shard);
    let options = BasicConsumeOptions::default();
    Ok(channel
        .basic_consume(queue.as_str().into(), "".into(), options, arguments)
        .await?)
}

/// Passes messages on; lapin's own queue and this one are bounded by the prefetch.
fn forward(mut consumer: Consumer, shard: u16, generation: u64, out: mpsc::UnboundedSender<FromShard>) {
    tokio::spawn(async move {
        let reason = loop {
            match consumer.next().await {
                Some(Ok(delivery)) => {
                    let delivery = Box::new(delivery);
                    if out
                        .send(FromShard::Delivered {
                            shard,
                            generation,
                            delivery,
                        })
                        .is_err()
                    {
                        return;
                    }
                }
                Some(Err(error)) => break error.to_string(),
                None => break "the broker cancelled the subscription".to_owned(),
            }
        };
        // nobody listens any more when the session is over
        let _ = out.send(FromShard::Ended {
            shard,
            generation,
            reason,
        });
    });
}
