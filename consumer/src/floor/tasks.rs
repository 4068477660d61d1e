//! Actions that need RabbitMQ: announcing an upload, settling.

use std::sync::Arc;
use std::time::Instant;

use flowlift_common::amqp::{AmqpError, Sender};
use flowlift_common::ledger::Attempt;

use super::{What, words};
use crate::attempts::OpenAttempts;
use crate::hands::Hands;
use crate::held::Held;
use crate::metrics::Metrics;
use crate::project::{Doubtful, Event, OpenAttempt, Settlement};
use crate::settle::{self, Facts};

pub(super) fn left(attempt: Attempt) -> OpenAttempt {
    OpenAttempt {
        attempt: attempt.attempt,
        consumer: attempt.consumer,
    }
}

pub(super) fn name_of(hands: &Hands, whose: &Doubtful) -> String {
    match whose {
        Doubtful::Left(attempt) => attempt.clone(),
        Doubtful::Own => hands
            .work()
            .prepared
            .as_ref()
            .map(|prepared| prepared.attempt.clone())
            .unwrap_or_default(),
    }
}

pub(super) async fn announce(attempts: &OpenAttempts, hands: &Hands) -> What {
    let Some(prepared) = hands.work().prepared.clone() else {
        return What::Broken(AmqpError::Lost("nothing is prepared to be announced".into()));
    };
    let attempt = Attempt {
        attempt: prepared.attempt,
        project: hands.project.clone(),
        generation: prepared.generation,
        consumer: hands.consumer.to_string(),
        at_ms: wall_ms(),
        zip_bytes: prepared.zip.len() as u64,
    };
    match attempts.announce(&attempt).await {
        Ok(()) => {
            hands.work().announced = Some(Instant::now());
            What::Heard(Event::Announced)
        }
        Err(error) => What::Broken(error),
    }
}

pub(super) async fn settle_one(
    sender: &Sender,
    hands: &Hands,
    settlement: &Settlement,
    held: &[Arc<Held>],
    metrics: &Metrics,
) -> Result<(), AmqpError> {
    let (envelopes, upload, created) = {
        let work = hands.work();
        let envelopes = work
            .prepared
            .as_ref()
            .map(|prepared| Arc::clone(&prepared.envelopes));
        (envelopes.unwrap_or_default(), work.upload.clone(), work.created)
    };
    let now_ms = wall_ms();
    let facts = Facts {
        project: &hands.project,
        consumer: &hands.consumer,
        now_ms,
        upload,
        created,
        envelopes: &envelopes,
    };
    settle::settle(sender, &facts, settlement, held).await?;
    metrics.settled(settlement, &envelopes, held, now_ms);
    words::tell(&hands.project, settlement, facts.upload.as_ref());
    Ok(())
}

/// This machine's clock in ms since 1970; for people and latencies, never for order.
pub(super) fn wall_ms() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or_default()
}
