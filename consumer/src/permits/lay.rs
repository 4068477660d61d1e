//! Lays the tokens into a queue, once per vhost, and once more whenever a person asks for another number or the node of a
//! cluster that has them is away.
//!
//! Under a lock, so that consumers that start together lay once. Beside the tokens stands a second queue exactly while all of
//! them are laid, and carries their number as an argument: unlike what a stream says, it is seen by the next consumer at
//! once. It goes first and comes last, so whoever dies in between leaves its work to be done again.
//!
//! A classic queue lives on one node. While that is away RabbitMQ (tried on 4.0.5) ends the subscriptions at once, answers
//! nothing to who asks for the queue or subscribes to it, and deletes it when told to; it does not come back with its node
//! then. What was left unanswered is answered when the tokens are laid anew: a late subscription may get one, and gives it back
//! with its channel, whose end was asked for right behind it. Where tokens stand already, another number is laid at another of
//! [`PLACES`], so that no moment is without.

use std::time::Duration;

use flowlift_common::amqp::{self, AmqpError, Link, Sender, lock, unlock};
use flowlift_common::backoff::Backoff;
use flowlift_common::topology::{Argument, Kind, PERMITS, Queue};
use lapin::options::{QueueDeclareOptions, QueueDeleteOptions};
use lapin::{BasicProperties, ErrorKind};
use tokio::time::{Instant, sleep, timeout};

/// How many connections to Azkaban all consumers together open, where nobody says otherwise: a third of the threads of a
/// fresh Azkaban, so that people still get pages while everything uploads.
pub const DEFAULT_TOTAL: u16 = 8;

/// Where the tokens may lie.
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

/// A queue whose node is there answers within milliseconds; one that does not for so long is away.
pub(super) const ANSWERS_IN: Duration = Duration::from_secs(2);

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
    // where two stand nobody can tell which are in use
    if let [place] = standing[..]
        && (wish.is_none() || are(link, place, total).await?)
    {
        return Ok(Laid { place, total });
    }
    let place = lay(link, &standing, total).await?;
    for other in PLACES.into_iter().filter(|other| *other != place) {
        clear(link, other).await?;
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
    Ok(Laid { place, total })
}

/// Lays the tokens, best where none have lain: whoever waits at another place is sent here when that one is cleared.
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
        "RabbitMQ cannot take the permits away that it does not give out".into(),
    ))
}

/// Takes a place away, if it stands; `false` where the broker cannot.
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
    match timeout(ANSWERS_IN, amqp::depth(link, queue)).await {
        Ok(Ok(_)) => Ok(true),
        Err(_) | Ok(Err(AmqpError::Missing { .. })) => Ok(false),
        Ok(Err(error)) => Err(error),
    }
}

/// Deletes a queue; `true` also where there is none, `false` where the broker cannot.
async fn delete(link: &Link, queue: &str) -> Result<bool, AmqpError> {
    let channel = link.channel().await?;
    let deleting = channel.queue_delete(queue.into(), QueueDeleteOptions::default());
    match timeout(ANSWERS_IN, deleting).await {
        Ok(deleted) => answer(deleted, Some(404)),
        Err(_) => Ok(false),
    }
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
