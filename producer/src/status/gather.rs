//! Asks RabbitMQ how full its queues are.

use flowlift_common::amqp::{AmqpError, Link, depth};
use flowlift_common::topology::{DEAD, parked_queue, shard_queue};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

/// Queues asked at the same time.
const AT_ONCE: usize = 32;
/// A shard's queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardDepth {
    /// The shard.
    pub shard: u16,
    /// Messages that nobody has in hand.
    pub waiting: u64,
    /// Messages set aside.
    pub parked: u64,
    /// Whether somebody is subscribed to it.
    pub consumed: bool,
}

/// How full the queues are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Depths {
    /// By shard.
    pub shards: Vec<ShardDepth>,
    /// Dead letters.
    pub dead: u64,
}

impl Depths {
    /// Messages that wait in shards.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.shards.iter().map(|depth| depth.waiting).sum()
    }

    /// Messages that are set aside.
    #[must_use]
    pub fn parked(&self) -> u64 {
        self.shards.iter().map(|depth| depth.parked).sum()
    }
}

/// Looks at all queues.
///
/// # Errors
/// [`AmqpError`]; [`AmqpError::Missing`] where somebody deleted one.
pub async fn depths(link: &Link, shards: u16) -> Result<Depths, AmqpError> {
    let asked = stream::iter(0..shards).map(|shard| async move {
        let (waiting, parked) = (
            depth(link, &shard_queue(shard)).await?,
            depth(link, &parked_queue(shard)).await?,
        );
        Ok::<_, AmqpError>(ShardDepth {
            shard,
            waiting: u64::from(waiting.waiting),
            parked: u64::from(parked.waiting),
            consumed: waiting.consumers > 0,
        })
    });
    let mut shards: Vec<ShardDepth> = asked.buffer_unordered(AT_ONCE).try_collect().await?;
    shards.sort_by_key(|depth| depth.shard);
    let dead = u64::from(depth(link, DEAD).await?.waiting);
    Ok(Depths { shards, dead })
}
