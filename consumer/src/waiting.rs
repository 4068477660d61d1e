//! How much lies in queues: the shards that would be served to this consumer, and the dead letters. RabbitMQ tells it over AMQP,
//! so a backlog is seen without any plugin of the broker's.

use std::time::Duration;

use flowlift_common::amqp::{AmqpError, Link};
use flowlift_common::topology::{DEAD, shard_queue};
use lapin::Channel;
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;

use crate::metrics::Waiting;

/// How often queues are looked at: all 256 take RabbitMQ some tens of milliseconds.
pub const EVERY: Duration = Duration::from_secs(10);

/// Looks at queues, on a channel of its own.
pub struct Queues(Channel);

impl Queues {
    /// Opens the channel.
    pub async fn open(link: &Link) -> Result<Self, AmqpError> {
        Ok(Self(link.channel().await?))
    }

    /// Looks at these shards and the dead letters.
    ///
    /// # Errors
    /// [`AmqpError`]: the connection broke, or a queue was deleted; the next session declares it anew.
    pub async fn look(&self, shards: &[u16]) -> Result<Waiting, AmqpError> {
        let mut in_shards = 0;
        for shard in shards {
            in_shards += self.messages(&shard_queue(*shard)).await?;
        }
        let dead = self.messages(DEAD).await?;
        Ok(Waiting { in_shards, dead })
    }

    async fn messages(&self, queue: &str) -> Result<u64, AmqpError> {
        let options = QueueDeclareOptions {
            passive: true,
            ..Default::default()
        };
        let found = self
            .0
            .queue_declare(queue.into(), options, FieldTable::default())
            .await?;
        Ok(u64::from(found.message_count()))
    }
}
