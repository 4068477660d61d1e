//! Lays the tokens into their queue, once per vhost and once more whenever a person asks for another number.
//!
//! Under a lock, so that consumers that start together do it once. A second queue, [`LAID`], stands exactly while all tokens
//! are laid and carries their number as an argument: unlike what a stream says, it is seen by the next consumer at once. It
//! goes first and comes last, so whoever dies in between leaves its work to be done again.

use std::time::Duration;

use flowlift_common::amqp::{self, AmqpError, Link, Sender, lock};
use flowlift_common::backoff::Backoff;
use flowlift_common::topology::{Argument, Kind, PERMITS, Queue};
use lapin::options::{QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, ErrorKind};
use tokio::time::{Instant, sleep};

/// How many connections to Azkaban all consumers together open, where nobody says otherwise: a third of the threads of a
/// fresh Azkaban, so that people still get pages while everything uploads.
pub const DEFAULT_TOTAL: u16 = 8;

/// Stands while the tokens are laid in full.
const LAID: &str = "flowlift.permits.laid";
/// Held while somebody looks after them.
const LOCK: &str = "flowlift.permits.lock";
/// Laying takes milliseconds; the lock of a machine that lost its power stays for two heartbeats.
const LOCKED_AT_MOST: Duration = Duration::from_secs(150);
/// Between two tries for the lock: consumers that start together get it quickly, one that waits long asks seldom.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
/// A permit is held for one exchange with Azkaban. The broker's default of 30 minutes would end the channel of a slow one;
/// a day returns the token of a consumer that hangs.
const HELD_AT_MOST_MS: i64 = 24 * 3_600_000;

/// Sees to it that the tokens are laid; how many there are.
pub(super) async fn ensure(link: &Link, wish: Option<u16>) -> Result<u16, AmqpError> {
    let end = Instant::now() + LOCKED_AT_MOST;
    let mut tries = 0;
    while !lock(link, LOCK).await? {
        if Instant::now() >= end {
            return Err(AmqpError::Lost(
                "another consumer has been laying the permits for too long".into(),
            ));
        }
        sleep(Backoff::new(PAUSE.0, PAUSE.1).delay(tries, rand::random())).await;
        tries += 1;
    }
    let done = under_lock(link, wish).await;
    let unlocked = delete(link, LOCK).await;
    let total = done?;
    unlocked?;
    Ok(total)
}

async fn under_lock(link: &Link, wish: Option<u16>) -> Result<u16, AmqpError> {
    let before = amqp::permits(link).await?;
    let total = wish.or(before).unwrap_or(DEFAULT_TOTAL).max(1);
    if stands(link, PERMITS).await?
        && stands(link, LAID).await?
        && (wish.is_none() || are(link, total).await?)
    {
        return Ok(total);
    }
    lay(link, total).await?;
    match before {
        Some(before) if before != total => {
            tracing::info!(
                permits = total,
                before,
                "all consumers together now open at most {total} connections to Azkaban instead of {before}"
            );
        }
        _ => tracing::info!(
            permits = total,
            "all consumers together open at most {total} connections to Azkaban"
        ),
    }
    Ok(total)
}

async fn lay(link: &Link, total: u16) -> Result<(), AmqpError> {
    delete(link, LAID).await?;
    delete(link, PERMITS).await?;
    let held = Argument::Number(HELD_AT_MOST_MS);
    declare(link, &queue(PERMITS, "x-consumer-timeout", held), None).await?;
    let sender = Sender::open(link).await?;
    for _ in 0..total {
        let persistent = BasicProperties::default().with_delivery_mode(2);
        sender.send(PERMITS, b"permit", persistent).await?;
    }
    amqp::set_permits(link, total).await?;
    declare(link, &laid(total), None).await?;
    Ok(())
}

fn laid(total: u16) -> Queue {
    queue(LAID, "x-max-length", Argument::Number(i64::from(total)))
}

fn queue(name: &str, argument: &'static str, value: Argument) -> Queue {
    Queue {
        name: name.to_owned(),
        kind: Kind::Classic,
        arguments: vec![(argument, value)],
    }
}

/// Whether the laid tokens are so many: the broker refuses (406) to declare a queue again with another number.
async fn are(link: &Link, total: u16) -> Result<bool, AmqpError> {
    declare(link, &laid(total), Some(406)).await
}

/// Declares; whether the broker says yes, where `no` is its way of saying no.
async fn declare(link: &Link, queue: &Queue, no: Option<u16>) -> Result<bool, AmqpError> {
    let options = QueueDeclareOptions {
        durable: true,
        ..Default::default()
    };
    let channel = link.channel().await?;
    let name = queue.name.as_str().into();
    answer(channel.queue_declare(name, options, amqp::table(queue)).await, no)
}

async fn stands(link: &Link, queue: &str) -> Result<bool, AmqpError> {
    let options = QueueDeclareOptions {
        passive: true,
        ..Default::default()
    };
    let channel = link.channel().await?;
    let declared = channel.queue_declare(queue.into(), options, FieldTable::default());
    answer(declared.await, Some(404))
}

fn answer(declared: lapin::Result<lapin::Queue>, no: Option<u16>) -> Result<bool, AmqpError> {
    match declared {
        Ok(_) => Ok(true),
        Err(error) => match error.kind() {
            ErrorKind::ProtocolError(amqp) if no == Some(amqp.get_id()) => Ok(false),
            _ => Err(error.into()),
        },
    }
}

async fn delete(link: &Link, queue: &str) -> Result<(), AmqpError> {
    let channel = link.channel().await?;
    channel
        .queue_delete(queue.into(), QueueDeleteOptions::default())
        .await?;
    Ok(())
}
