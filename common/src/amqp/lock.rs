//! A lock in RabbitMQ: an exclusive queue, which one connection holds and the broker takes back with it.

use lapin::ErrorKind;
use lapin::options::{QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::{AMQPValue, FieldTable};

use super::{AmqpError, Link};

/// Tries once; whether the lock is held by this connection now.
///
/// # Errors
/// [`AmqpError::Access`] without the right to configure; [`AmqpError::Arguments`] where a queue of this name stands that is
/// no lock; [`AmqpError::Lost`].
pub async fn lock(link: &Link, queue: &str) -> Result<bool, AmqpError> {
    let work = async {
        // a channel of its own: a refusal (405) closes it
        let channel = link.channel().await?;
        let options = QueueDeclareOptions {
            exclusive: true,
            ..Default::default()
        };
        let mut arguments = FieldTable::default();
        // a vhost may make quorum queues by default, which cannot be exclusive
        arguments.insert("x-queue-type".into(), AMQPValue::LongString("classic".into()));
        match channel.queue_declare(queue.into(), options, arguments).await {
            Ok(_) => {
                channel.close(200, "done".into()).await?;
                Ok(true)
            }
            Err(error) => match error.kind() {
                ErrorKind::ProtocolError(amqp) if amqp.get_id() == 405 => Ok(false),
                // somebody made a queue of this name that is none of ours: waiting for it would take for ever
                ErrorKind::ProtocolError(amqp) if amqp.get_id() == 406 => Err(AmqpError::Arguments {
                    queue: queue.to_owned(),
                    reason: amqp.get_message().to_string(),
                }),
                ErrorKind::ProtocolError(amqp) if amqp.get_id() == 403 => Err(AmqpError::Access {
                    broker: link.broker().to_owned(),
                    reason: amqp.get_message().to_string(),
                }),
                _ => Err(error.into()),
            },
        }
    };
    link.standing(work).await
}

/// Lets go of a lock that this connection holds.
pub async fn unlock(link: &Link, queue: &str) -> Result<(), AmqpError> {
    let work = async {
        let channel = link.channel().await?;
        channel
            .queue_delete(queue.into(), QueueDeleteOptions::default())
            .await?;
        channel.close(200, "done".into()).await?;
        Ok(())
    };
    link.standing(work).await
}
