//! Declares the topology. Both programs do, so neither has to be started first.

use futures_util::stream::{FuturesUnordered, TryStreamExt as _};
use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, ErrorKind, ExchangeKind};

use super::{AmqpError, Link, depth};
use crate::topology::{self, Argument, Kind, Queue, Retention};

/// Channels that declare at the same time: making 512 quorum queues took 1.9 s over 16 channels, 4.6 s over one.
const CHANNELS: usize = 16;

/// Declares all queues, streams and exchanges of a topology with `shards` shards.
///
/// # Errors
/// [`AmqpError::Arguments`] where one stands there with other arguments; [`AmqpError::TooOld`] where the broker does not
/// know what 4.0 knows; [`AmqpError::Access`] without the right to configure; [`AmqpError::Lost`].
pub async fn declare(link: &Link, shards: u16, retention: &Retention) -> Result<(), AmqpError> {
    let mut queues = topology::queues(shards, retention);
    leave_ledger(link, &mut queues, retention).await?;
    // the target of dead-lettering first: what is dead-lettered before it stands comes minutes late
    queues.sort_by_key(|queue| queue.name != topology::DEAD);
    let (first, rest) = queues.split_at(1);
    some(link, first).await?;
    let share = rest.len().div_ceil(CHANNELS).max(1);
    let shares: FuturesUnordered<_> = rest.chunks(share).map(|queues| some(link, queues)).collect();
    shares.try_collect::<()>().await?;
    exchanges(link).await
}

/// The exchanges, all of them fanouts, and the queues behind them.
async fn exchanges(link: &Link) -> Result<(), AmqpError> {
    let work = async {
        let channel = link.channel().await?;
        for name in topology::LATER.into_iter().chain([topology::HELLO]) {
            let options = ExchangeDeclareOptions {
                durable: true,
                ..Default::default()
            };
            let kind = ExchangeKind::Fanout;
            channel
                .exchange_declare(name.into(), kind, options, FieldTable::default())
                .await?;
        }
        for name in topology::LATER {
            let options = QueueBindOptions::default();
            channel
                .queue_bind(
                    name.into(),
                    name.into(),
                    "".into(),
                    options,
                    FieldTable::default(),
                )
                .await?;
        }
        channel.close(200, "done".into()).await?;
        Ok(())
    };
    link.standing(work).await
}

/// Declares what every program needs at once: the record, the streams, the dead letters. The queues of the shards are not
/// among them: a message that finds its queue missing comes back, and [`declare_again`] makes it anew.
pub(super) async fn declare_common(link: &Link, shards: u16, retention: &Retention) -> Result<(), AmqpError> {
    let mut queues = topology::queues(shards, retention);
    queues.retain(|queue| queue.kind == Kind::Stream || queue.name == topology::DEAD);
    leave_ledger(link, &mut queues, retention).await?;
    some(link, &queues).await
}

/// What the ledger keeps is said by whoever sets the vhost up; a program that was told nothing takes it as it stands.
async fn leave_ledger(link: &Link, queues: &mut Vec<Queue>, retention: &Retention) -> Result<(), AmqpError> {
    if retention.told {
        return Ok(());
    }
    match depth(link, topology::OUTCOMES).await {
        Ok(_) => queues.retain(|queue| queue.name != topology::OUTCOMES),
        Err(AmqpError::Missing { .. }) => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Declares one queue of the topology that is missing.
///
/// # Errors
/// As [`declare`]; [`AmqpError::Missing`] where the topology has none of this name.
pub(super) async fn declare_again(link: &Link, shards: u16, name: &str) -> Result<(), AmqpError> {
    let mut queues = topology::queues(shards, &Retention::default());
    queues.retain(|queue| queue.name == name);
    if queues.is_empty() {
        let (queue, reason) = (name.to_owned(), "the topology has none of this name".into());
        return Err(AmqpError::Missing { queue, reason });
    }
    some(link, &queues).await
}

/// Declares some queues on a channel of their own.
pub(super) async fn some(link: &Link, queues: &[Queue]) -> Result<(), AmqpError> {
    let work = async {
        let channel = link.channel().await?;
        for (at, queue) in queues.iter().enumerate() {
            match one(&channel, queue, link).await {
                Ok(()) => {}
                Err(refused @ AmqpError::Access { .. }) => {
                    return as_they_stand(link, &queues[at..], refused).await;
                }
                Err(error) => return Err(error),
            }
        }
        channel.close(200, "done".into()).await?;
        Ok(())
    };
    link.standing(work).await
}

/// A user without the right to configure takes the queues as they stand; only where one is missing that right is needed.
async fn as_they_stand(link: &Link, queues: &[Queue], refused: AmqpError) -> Result<(), AmqpError> {
    for queue in queues {
        match depth(link, &queue.name).await {
            Ok(_) => {}
            Err(AmqpError::Missing { .. }) => return Err(refused),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

async fn one(channel: &Channel, queue: &Queue, link: &Link) -> Result<(), AmqpError> {
    let options = QueueDeclareOptions {
        durable: true,
        ..Default::default()
    };
    match channel
        .queue_declare(queue.name.as_str().into(), options, table(queue))
        .await
    {
        Ok(_) => Ok(()),
        Err(error) => Err(judge(&error, queue, link)),
    }
}

fn judge(error: &lapin::Error, queue: &Queue, link: &Link) -> AmqpError {
    let ErrorKind::ProtocolError(amqp) = error.kind() else {
        return AmqpError::Lost(error.to_string());
    };
    let reason = amqp.get_message().to_string();
    match amqp.get_id() {
        403 => AmqpError::Access {
            broker: link.broker().to_owned(),
            reason,
        },
        // an inequivalent argument is named with the queue it belongs to, whichever declaration hears of it
        406 if reason.contains("inequivalent") => AmqpError::Arguments {
            queue: named(&reason).unwrap_or_else(|| queue.name.clone()),
            reason,
        },
        406 => AmqpError::TooOld {
            broker: link.broker().to_owned(),
            version: format!("older than 4.0 ({reason})"),
        },
        _ => AmqpError::Lost(reason),
    }
}

/// The queue in `... for queue 'x' in vhost ...`.
fn named(reason: &str) -> Option<String> {
    let (_, rest) = reason.split_once("queue '")?;
    rest.split_once('\'').map(|(name, _)| name.to_owned())
}

/// A queue's arguments as AMQP writes them.
#[must_use]
pub fn table(queue: &Queue) -> FieldTable {
    let mut table = FieldTable::default();
    table.insert(
        "x-queue-type".into(),
        AMQPValue::LongString(queue.kind.as_str().into()),
    );
    for (name, value) in &queue.arguments {
        let value = match value {
            Argument::Number(number) => AMQPValue::LongLongInt(*number),
            Argument::Text(text) => AMQPValue::LongString(text.as_str().into()),
            Argument::Flag(flag) => AMQPValue::Boolean(*flag),
        };
        table.insert((*name).into(), value);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_is_read_from_the_brokers_words() {
        let reason =
            "PRECONDITION_FAILED - inequivalent arg 'x-max-age' for queue 'flowlift.runs' in vhost '/'";
        assert_eq!(named(reason).as_deref(), Some("flowlift.runs"));
    }
}
