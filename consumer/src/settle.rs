//! Makes outcomes known, then acknowledges: dead letters are confirmed first, then the ledger, then the messages go. Whoever
//! dies in between leaves messages that come again, and records that come twice; nothing is lost.

use std::collections::HashMap;
use std::sync::Arc;

use flowlift_common::amqp::{AmqpError, Headers, Link, Sender, delete_parts, properties};
use flowlift_common::ledger::{self, REASON_HEADER};
use flowlift_common::topology::{DEAD, OUTCOMES, shard_queue};
use lapin::options::{BasicAckOptions, BasicNackOptions, QueueDeclareOptions};
use lapin::types::FieldTable;

use crate::account::{Account, Facts};
use crate::held::Held;
use crate::metrics::COUNTS;
use crate::project::Settlement;

/// Settles: returns when everything is confirmed and acknowledged, with when each message was published (by receipt).
///
/// The bodies are read once more, one at a time: kept unpacked through an upload they would be most of a consumer's memory.
/// A body in parts is not: its letter is the message as it came, and names the parts.
pub async fn settle(
    sender: &Sender,
    facts: &Facts<'_>,
    settlement: &Settlement,
    held: &[Arc<Held>],
) -> Result<HashMap<u64, u64>, AmqpError> {
    let mut account = Account::of(facts, settlement);
    for held in held {
        let Ok(envelope) = held.brief() else {
            continue;
        };
        for letter in account.add(held.receipt, &envelope) {
            if held.named().is_some() {
                let reason = letter.reasons.values().next().map_or("", String::as_str);
                bury_unread(sender, held, reason).await?;
                continue;
            }
            let (first, last) = letter.envelope.span();
            let properties = properties(&Headers::of(&letter.envelope, first, last));
            let properties = sender.on_behalf(&held.delivery.properties, properties);
            sender.send(DEAD, &ledger::encode(&letter), properties).await?;
        }
    }
    for (receipt, reason) in &settlement.unreadable {
        if let Some(held) = held.iter().find(|held| held.receipt == *receipt) {
            bury_unread(sender, held, reason).await?;
        }
    }
    let records = if COUNTS { account.records() } else { Vec::new() };
    for record in records {
        sender.record(OUTCOMES, &ledger::encode(&record)).await?;
    }
    for held in held
        .iter()
        .filter(|held| settlement.receipts.contains(&held.receipt))
    {
        acknowledge(held).await?;
    }
    Ok(account.published().clone())
}

/// Moves messages to another queue: each is confirmed there before it is acknowledged here.
pub async fn move_to(sender: &Sender, queue: &str, held: &[Arc<Held>]) -> Result<(), AmqpError> {
    for held in held {
        let properties = sender.passed_on(&held.delivery.properties);
        sender.send(queue, &held.delivery.data, properties).await?;
        acknowledge(held).await?;
    }
    Ok(())
}

/// Puts a body that nobody can read among the dead letters, as it came.
pub async fn bury_unread(sender: &Sender, held: &Held, reason: &str) -> Result<(), AmqpError> {
    held.keep_parts();
    let mut table = held.delivery.properties.headers().clone().unwrap_or_default();
    let reason = ledger::cut(reason);
    table.insert(
        REASON_HEADER.into(),
        lapin::types::AMQPValue::LongString(reason.as_str().into()),
    );
    let properties = properties(&Headers::default()).with_headers(table);
    let properties = sender.on_behalf(&held.delivery.properties, properties);
    sender.send(DEAD, &held.delivery.data, properties).await
}

/// Deletes the parts of messages that are settled for good. Not before RabbitMQ has them as acknowledged: one that came again
/// and found its parts gone would have to be called lost. So something is asked on the channel of the acknowledgement, whose
/// answer cannot come before; where the channel is gone, and the message with it comes again, nothing is deleted. Who dies in
/// between leaves a queue that expires by itself.
///
/// A broker that forgets the acknowledgement after that (a node that dies before the others of the quorum heard of it) hands
/// the message out once more: then the manifest tells that it is applied, and a change that it knows needs no content.
pub async fn clear(link: &Link, settled: &[&Arc<Held>]) {
    for held in settled {
        let Some((named, channel)) = held.spent() else {
            continue;
        };
        let asked = async {
            let options = QueueDeclareOptions {
                passive: true,
                ..Default::default()
            };
            let queue = shard_queue(held.shard);
            channel
                .queue_declare(queue.as_str().into(), options, FieldTable::default())
                .await?;
            Ok::<_, AmqpError>(())
        };
        let cleared = match link.standing(asked).await {
            Ok(()) => delete_parts(link, named.run, named.seq).await,
            Err(error) => Err(error),
        };
        if let Err(error) = cleared {
            let queue = named.queue().name;
            tracing::warn!(%error, queue, "parts that nobody needs any more could not be deleted; they expire by themselves");
        }
    }
}

/// Acknowledges a message; where its channel is gone (`false` from the library), it comes again.
pub async fn acknowledge(held: &Held) -> Result<(), AmqpError> {
    held.delivery.acker.ack(BasicAckOptions::default()).await?;
    Ok(())
}

/// Gives a message back to its queue.
pub async fn give_back(held: &Held) -> Result<(), AmqpError> {
    held.delivery
        .acker
        .nack(BasicNackOptions {
            requeue: true,
            ..Default::default()
        })
        .await?;
    Ok(())
}
