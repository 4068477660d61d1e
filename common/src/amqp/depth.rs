//! Looks at a queue without touching it.

use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;

use super::{AmqpError, Link};

/// What a queue says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depth {
    /// Messages that nobody holds yet.
    pub waiting: u32,
    /// Consumers; with single active consumer 1 when there is any.
    pub consumers: u32,
}

/// Asks a queue how deep it is. A missing queue is an error, and a broker's number may lag by some seconds.
pub async fn depth(link: &Link, queue: &str) -> Result<Depth, AmqpError> {
    // a channel of its own: a missing queue closes it
    let channel = link.channel().await?;
    let options = QueueDeclareOptions {
        passive: true,
        ..Default::default()
    };
    let found = channel
        .queue_declare(queue.into(), options, FieldTable::default())
        .await?;
    channel.close(200, "done".into()).await?;
    Ok(Depth {
        waiting: found.message_count(),
        consumers: found.consumer_count(),
    })
}
