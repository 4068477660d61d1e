//! Actions that need RabbitMQ: taking over, announcing an upload, settling, looking again.

use std::sync::Arc;
use std::time::Instant;

use flowlift_azkaban::ProjectName;
use flowlift_common::amqp::{AmqpError, Headers, Link, Sender, properties};
use flowlift_common::ledger::Attempt;
use flowlift_common::topology::{LATER, shard_of, shard_queue};
use flowlift_common::{Envelope, RunId, Seen};
use lapin::BasicProperties;

use super::{Tools, What, words};
use crate::account::Facts;
use crate::attempts::OpenAttempts;
use crate::hands::Hands;
use crate::held::Held;
use crate::looks::Look;
use crate::metrics::Metrics;
use crate::permits::Permits;
use crate::project::{Doubtful, Event, Landing, OpenAttempt, Settlement, Trouble, UploadTrouble};
use crate::settle;

/// Asks what a former holder left: open attempts for the heart, and what no manifest tells for the plan.
pub(super) async fn take_over(attempts: &OpenAttempts, hands: &Hands) -> What {
    let (open, seen) = match attempts.open_for(&hands.project).await {
        Ok(found) => found,
        Err(error) => return What::Broken(error),
    };
    let mut work = hands.work();
    work.seen.merge(seen);
    let open: Vec<OpenAttempt> = open
        .into_iter()
        .map(|attempt| {
            work.left.insert(attempt.attempt.clone(), attempt.server);
            OpenAttempt {
                attempt: attempt.attempt,
                consumer: attempt.consumer,
                flows: attempt.flows,
            }
        })
        .collect();
    drop(work);
    What::Heard(Event::OpenAttempts(open))
}

/// An attempt's id, and the process of Azkaban it was sent to.
pub(super) fn attempt_of(hands: &Hands, whose: &Doubtful) -> (String, Option<String>) {
    let work = hands.work();
    match whose {
        Doubtful::Left(attempt) => (attempt.clone(), work.left.get(attempt).cloned().flatten()),
        Doubtful::Own => {
            let attempt = work.prepared.as_ref().map(|prepared| prepared.attempt.clone());
            (attempt.unwrap_or_default(), work.server.clone())
        }
    }
}

/// The upload that should be the newest now.
pub(super) fn uploaded_last(hands: &Hands) -> Option<String> {
    let work = hands.work();
    let upload = work.upload.as_ref().map(|upload| upload.attempt.clone());
    upload.or_else(|| work.known.as_ref().map(|known| known.attempt.clone()))
}

pub(super) async fn announce(attempts: &OpenAttempts, hands: &Hands) -> What {
    let server = hands.server().await;
    let begun = Instant::now();
    let attempt = {
        let mut work = hands.work();
        work.server.clone_from(&server);
        let Some(prepared) = &work.prepared else {
            drop(work);
            return What::Broken(AmqpError::Lost("nothing is prepared to be announced".into()));
        };
        Attempt {
            attempt: prepared.attempt.clone(),
            project: hands.project.clone(),
            generation: prepared.generation,
            consumer: hands.consumer.to_string(),
            at_ms: wall_ms(),
            zip_bytes: prepared.zip.len() as u64,
            flows: prepared.expected.len() as u64,
            server,
        }
    };
    match attempts.announce(&attempt).await {
        Ok(()) => {
            hands.lease.heard(begun);
            // from when the server told its process: it must be the one that gets the upload
            hands.work().announced = Some(begun);
            What::Heard(Event::Announced)
        }
        Err(error) => What::Broken(error),
    }
}

/// Writes down that nobody waits for an attempt any more. Before that, if it may still land, the doubt is written down and
/// checks of its project are queued: who dies in between leaves it open, and its successor begins again.
pub(super) async fn end_attempt(
    tools: &Tools,
    project: &ProjectName,
    attempt: &str,
    landing: Landing,
) -> Result<(), AmqpError> {
    if landing == Landing::NotSeen && tools.limits.safeguards.second_look {
        for (exchange, after) in LATER.into_iter().zip(tools.limits.later_looks) {
            // as published when it is due, for latencies
            let due_ms = wall_ms() + u64::try_from(after.as_millis()).unwrap_or_default();
            let (queue, body, properties) = check(project, tools.shards, due_ms);
            tools
                .sender
                .send_later(exchange, after, &queue, &body, properties)
                .await?;
        }
    }
    if landing == Landing::NotSeen {
        tools.attempts.seen(project, Seen::of_doubt()).await?;
    }
    let landed = landing == Landing::Landed;
    tools.attempts.ended(attempt, project, landed).await
}

/// A message that has a project checked, and the queue it belongs to.
fn check(project: &ProjectName, shards: u16, published_ms: u64) -> (String, Vec<u8>, BasicProperties) {
    let check = Envelope::check(project.clone(), RunId::fresh(), published_ms);
    let queue = shard_queue(shard_of(project, shards));
    (queue, check.encode(), properties(&Headers::of(&check, 1, 1)))
}

pub(super) async fn settle_one(
    (link, sender): (&Link, &Sender),
    attempts: &OpenAttempts,
    hands: &Hands,
    settlement: &Settlement,
    held: &[Arc<Held>],
    metrics: &Metrics,
) -> Result<(), AmqpError> {
    let now_ms = wall_ms();
    let (facts, seen) = {
        let work = hands.work();
        let prepared = work.prepared.as_ref();
        let facts = Facts {
            project: &hands.project,
            consumer: &hands.consumer,
            now_ms,
            upload: work.upload.clone().filter(|_| settlement.uploaded),
            created: work.created,
            restored: prepared
                .map(|prepared| prepared.restored.clone())
                .filter(|_| settlement.uploaded)
                .unwrap_or_default(),
            detail: work.detail(),
        };
        let seen = prepared
            .map(|prepared| prepared.seen.clone())
            .filter(|_| settlement.unwritten);
        (facts, seen.unwrap_or_default())
    };
    if !seen.is_empty() {
        attempts.seen(&hands.project, seen).await?;
    }
    let published = settle::settle(sender, &facts, settlement, held).await?;
    metrics.settled(&hands.project, settlement, &published, held, now_ms);
    words::tell(&hands.project, settlement, facts.upload.as_ref());
    let settled = |held: &&Arc<Held>| settlement.receipts.contains(&held.receipt);
    settle::clear(link, &held.iter().filter(settled).collect::<Vec<_>>()).await;
    Ok(())
}

/// Looks whether the newest upload is the one it should be, and if not has the project checked by whoever holds its shard.
/// `false`: Azkaban did not tell.
pub(super) async fn look_again(
    hands: &Hands,
    permits: &Permits,
    sender: &Sender,
    look: &Look,
    shards: u16,
) -> Result<bool, AmqpError> {
    let permit = permits.acquire().await?;
    let still = hands.is_still(&look.attempt).await;
    drop(permit);
    match still {
        Some(true) => Ok(true),
        None => Ok(false),
        Some(false) => {
            tracing::info!(project = %hands.project, "somebody uploaded after us; having the project checked");
            let (queue, body, properties) = check(&hands.project, shards, wall_ms());
            sender.send(&queue, &body, properties).await?;
            Ok(true)
        }
    }
}

/// Whether an event shows that Azkaban works, or that it is away; most say nothing.
pub(super) fn azkaban_answers(event: &Event) -> Option<bool> {
    match event {
        Event::Base(Err(Trouble::Away(_)))
        | Event::Made(Err(Trouble::Away(_)))
        | Event::Listed(Err(Trouble::Away(_)))
        | Event::Scheduled(Err(Trouble::Away(_)))
        | Event::Uploaded(Err(UploadTrouble::Not(Trouble::Away(_)))) => Some(false),
        Event::Base(_)
        | Event::Made(_)
        | Event::Listed(_)
        | Event::Scheduled(_)
        | Event::Uploaded(Ok(_))
        | Event::Looked(Ok(_)) => Some(true),
        _ => None,
    }
}

/// This machine's clock in ms since 1970; for people and latencies, never for order.
pub(super) fn wall_ms() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or_default()
}
