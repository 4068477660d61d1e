//! Counts what the broker has confirmed, and passes on what a publisher tells.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use flowlift_azkaban::ProjectName;
use flowlift_common::amqp::Notice;

use super::outbox::{Outbox, untag};
use crate::reporter::{Reporter, Stage};

/// Counts of confirmed changes, by the project's place in tags.
#[derive(Debug, Default)]
pub(super) struct Tally {
    changes: Vec<u64>,
    /// Confirmed messages.
    pub(super) messages: u64,
}

impl Tally {
    /// Confirmed changes per project.
    pub(super) fn by_project(&self, outbox: &Outbox) -> BTreeMap<ProjectName, u64> {
        let counts = self.changes.iter().copied().chain(std::iter::repeat(0));
        outbox
            .projects()
            .iter()
            .cloned()
            .zip(counts)
            .filter(|(_, count)| *count > 0)
            .collect()
    }
}

/// What a publisher tells, counted and said.
pub(super) fn listener(reporter: Reporter, stage: Stage, tally: Arc<Mutex<Tally>>) -> impl FnMut(Notice) {
    let mut gone = false;
    let mut remade = BTreeSet::new();
    move |notice| match notice {
        Notice::Confirmed(tag) => {
            let (place, changes) = untag(tag);
            let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
            if tally.changes.len() <= place {
                tally.changes.resize(place + 1, 0);
            }
            tally.changes[place] += changes;
            tally.messages += 1;
            drop(tally);
            stage.add(changes);
        }
        Notice::Lost(reason) => {
            tracing::debug!(reason, "connection lost");
            if !std::mem::replace(&mut gone, true) {
                reporter
                    .warn("the connection to RabbitMQ is lost; waiting for it, what is queued stays queued");
            }
        }
        Notice::Back => {
            gone = false;
            reporter.warn("RabbitMQ is back, publishing goes on");
        }
        Notice::Remade(queue) => {
            if remade.insert(queue.clone()) {
                reporter.warn(&super::remade(&queue));
            }
        }
        Notice::Blocked => {
            reporter.warn("RabbitMQ has confirmed nothing for 10 s (a memory or disk alarm?); waiting");
        }
    }
}
