//! Lays the tokens into a queue, once per vhost, and once more whenever a person asks for another number or the node of a
//! cluster that has them is away.
//!
//! A classic queue lives on one node, and its name is taken as long as that node is away; so it may stand at any of
//! [`PLACES`]. Under a lock, so that consumers that start together lay once. Beside the tokens stands a second queue exactly
//! while all of them are laid, and carries their number as an argument: unlike what a stream says, it is seen by the next
//! consumer at once. It goes first and comes last, so whoever dies in between leaves its work to be done again.

use std::time::Duration;

use flowlift_common::amqp::{self, AmqpError, Link, Sender, lock, unlock};
use flowlift_common::backoff::Backoff;
use flowlift_common::topology::{Argument, Kind, PERMITS, Queue};
use lapin::options::{QueueDeclareOptions, QueueDeleteOptions};
use lapin::{BasicProperties, ErrorKind};
use tokio::time::{Instant, sleep};

/// How many connections to Azkaban all consumers together open, where nobody says otherwise: a third of the threads of a
/// fresh Azkaban, so that people still get pages while everything uploads.
pub const DEFAULT_TOTAL: u16 = 8;

/// Where the tokens may lie. A cluster of three nodes can do without one of them, one of five without two: as many places
/// can be on nodes that are away.
const PLACES: [Place; 3] = [
    Place(PERMITS),
    Place("flowlift.permits.2"),
    Place("flowlift.permits.3"),
];
/// Held while somebody looks after them.
const LOCK: &str = "flowlift.permits.lock";
/// Laying takes milliseconds; the lock of a machine that lost its power stays for two heartbeats.
const LOCKED_AT_MOST: Duration = Duration::from_secs(150);
/// Between two tries for the lock: consumers that start together get it quickly, one that waits long asks seldom.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
/// A permit is held for one exchange with Azkaban. The broker's default of 30 minutes would end the channel of a slow one;
/// a day returns the token of a consumer that hangs.
const HELD_AT_MOST_MS: i64 = 24 * 3_600_000;

/// Between two tries to clear a place whose node is away.
const CLEAR_EVERY: Duration = Duration::from_secs(1);

/// A queue in which all tokens may lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place(&'static str);

impl Place {
    pub(super) fn tokens(self) -> &'static str {
        self.0
    }

    /// Stands while the tokens are laid in full.
    fn sign(self) -> String {
        format!("{}.laid", self.0)
    }
}

/// The tokens as they lie.
#[derive(Debug, Clone, Copy)]
pub(super) struct Laid {
    pub(super) place: Place,
    pub(super) total: u16,
    /// Whether another place could not be cleared, because its node is away.
    pub(super) uncleared: bool,
}

/// Sees to it that the tokens are laid, at one place.
pub(super) async fn ensure(link: &Link, wish: Option<u16>) -> Result<Laid, AmqpError> {
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
    let unlocked = unlock(link, LOCK).await;
    let laid = done?;
    unlocked?;
    Ok(laid)
}

async fn under_lock(link: &Link, wish: Option<u16>) -> Result<Laid, AmqpError> {
    let before = amqp::permits(link).await?;
    let total = wish.or(before).unwrap_or(DEFAULT_TOTAL).max(1);
    let mut standing = Vec::new();
    for place in PLACES {
        if stands(link, place.tokens()).await? && stands(link, &place.sign()).await? {
            standing.push(place);
        }
    }
    // two stand when a node has come back whose tokens were laid elsewhere meanwhile: nobody can tell which are in use
    if let [place] = standing[..]
        && (wish.is_none() || are(link, place, total).await?)
    {
        return Ok(Laid {
            place,
            total,
            uncleared: false,
        });
    }
    let place = lay(link, &standing, total).await?;
    let mut uncleared = false;
    for other in PLACES.into_iter().filter(|other| *other != place) {
        uncleared |= !clear(link, other).await?;
    }
    match before {
        Some(before) if before != total => tracing::info!(
            permits = total,
            before,
            "all consumers together now open at most {total} connections to Azkaban instead of {before}"
        ),
        Some(_) => tracing::info!(
            permits = total,
            "the {total} connections to Azkaban are given out anew"
        ),
        None => tracing::info!(
            permits = total,
            "all consumers together open at most {total} connections to Azkaban"
        ),
    }
    Ok(Laid {
        place,
        total,
        uncleared,
    })
}

/// Lays the tokens at a place whose node is there: whoever waits at another is sent here when that one is cleared.
async fn lay(link: &Link, standing: &[Place], total: u16) -> Result<Place, AmqpError> {
    let fresh = PLACES.iter().filter(|place| !standing.contains(place));
    for &place in fresh.chain(standing) {
        if !clear(link, place).await? {
            continue;
        }
        let held = Argument::Number(HELD_AT_MOST_MS);
        declare(link, &queue(place.tokens(), "x-consumer-timeout", held), None).await?;
        let sender = Sender::open(link).await?;
        for _ in 0..total {
            let persistent = BasicProperties::default().with_delivery_mode(2);
            sender.send(place.tokens(), b"permit", persistent).await?;
        }
        amqp::set_permits(link, total).await?;
        declare(link, &sign(place, total), None).await?;
        return Ok(place);
    }
    Err(AmqpError::Lost(
        "the nodes of RabbitMQ that have the permits are all away".into(),
    ))
}

/// Clears the other places as soon as their node is back: who found two that stand would have to lay once more. Ends also when
/// the place in use is gone: whoever lays anew then clears.
pub(super) async fn clear_others(link: &Link, used: Place) -> Result<(), AmqpError> {
    for other in PLACES.into_iter().filter(|other| *other != used) {
        while stands(link, used.tokens()).await? && !clear(link, other).await? {
            sleep(CLEAR_EVERY).await;
        }
    }
    Ok(())
}

/// Takes a place away, if it stands; `false` while its node is away.
async fn clear(link: &Link, place: Place) -> Result<bool, AmqpError> {
    Ok(delete(link, &place.sign()).await? && delete(link, place.tokens()).await?)
}

fn sign(place: Place, total: u16) -> Queue {
    queue(&place.sign(), "x-max-length", Argument::Number(i64::from(total)))
}

fn queue(name: &str, argument: &'static str, value: Argument) -> Queue {
    Queue {
        name: name.to_owned(),
        kind: Kind::Classic,
        arguments: vec![(argument, value)],
    }
}

/// Whether the laid tokens are so many: the broker refuses (406) to declare a queue again with another number.
async fn are(link: &Link, place: Place, total: u16) -> Result<bool, AmqpError> {
    declare(link, &sign(place, total), Some(406)).await
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

/// Whether a queue is there, and its node.
async fn stands(link: &Link, queue: &str) -> Result<bool, AmqpError> {
    match amqp::depth(link, queue).await {
        Ok(_) => Ok(true),
        Err(AmqpError::Missing { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Deletes a queue; `true` also where there is none, `false` while its node is away.
async fn delete(link: &Link, queue: &str) -> Result<bool, AmqpError> {
    let channel = link.channel().await?;
    let deleted = channel.queue_delete(queue.into(), QueueDeleteOptions::default());
    answer(deleted.await, Some(404))
}

/// Whether the broker says yes, where `no` is its way of saying no.
fn answer<T>(answered: lapin::Result<T>, no: Option<u16>) -> Result<bool, AmqpError> {
    match answered {
        Ok(_) => Ok(true),
        Err(error) => match error.kind() {
            ErrorKind::ProtocolError(amqp) if no == Some(amqp.get_id()) => Ok(false),
            _ => Err(error.into()),
        },
    }
}
