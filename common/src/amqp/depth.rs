//! Looks at a queue without touching it.

use lapin::ErrorKind;
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

/// Asks a queue how deep it is; a broker's number may lag by some seconds.
///
/// # Errors
/// [`AmqpError::Missing`]; [`AmqpError::Lost`].
pub async fn depth(link: &Link, queue: &str) -> Result<Depth, AmqpError> {
    let work = async {
        // a channel of its own: a missing queue closes it
        let channel = link.channel().await?;
        let options = QueueDeclareOptions {
            passive: true,
            ..Default::default()
        };
        let asked = channel.queue_declare(queue.into(), options, FieldTable::default());
        let found = asked.await.map_err(|error| match error.kind() {
            ErrorKind::ProtocolError(amqp) if amqp.get_id() == 404 => AmqpError::Missing {
                queue: queue.to_owned(),
                reason: amqp.get_message().to_string(),
            },
            _ => error.into(),
        })?;
        channel.close(200, "done".into()).await?;
        Ok(Depth {
            waiting: found.message_count(),
            consumers: found.consumer_count(),
        })
    };
    link.standing(work).await
}
