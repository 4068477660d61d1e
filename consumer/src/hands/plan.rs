//! Reads the bodies, plans, packs the zip; away from the async threads.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use flowlift_azkaban::{ProjectName, archive};
use flowlift_common::envelope::DecodeError;
use flowlift_common::{Envelope, manifest};
use uuid::Uuid;

use super::Hands;
use crate::base::Base;
use crate::held::Held;
use crate::plan::{Asked, ChangeId, Decision, Plan, Seen, plan};
use crate::project::{Event, PlanAsk, Planned};
use crate::work::{BaseInHand, Prepared};

struct Opened {
    envelopes: Vec<(u64, Envelope)>,
    unreadable: Vec<(u64, String)>,
    newer: Vec<u64>,
}

impl Hands {
    /// Plans the messages on the base in hand.
    pub async fn plan(&self, ask: PlanAsk, held: Vec<Arc<Held>>) -> Event {
        let Some(base) = self.work().base.take() else {
            tracing::error!(project = %self.project, "no base in hand when planning: a bug");
            return Event::Planned(Planned::default());
        };
        let seen = self.work().seen.clone();
        if let Some(oldest) = held.iter().map(|held| held.since).min() {
            self.metrics.batch_waited(oldest.elapsed());
        }
        let begun = Instant::now();
        let project = self.project.clone();
        let done = tokio::task::spawn_blocking(move || prepare(&base, &ask, &held, &project, &seen)).await;
        let (planned, prepared) = match done {
            Ok(done) => done,
            Err(error) => {
                tracing::error!(project = %self.project, %error, "planning panicked: a bug");
                std::process::abort();
            }
        };
        self.metrics.archived(begun.elapsed());
        self.work().prepared = Some(prepared);
        Event::Planned(planned)
    }
}

/// Reads the bodies; one that is for another project than its headers say would be applied to the wrong one.
fn open(held: &[Arc<Held>], project: &ProjectName) -> Opened {
    let mut opened = Opened {
        envelopes: Vec::new(),
        unreadable: Vec::new(),
        newer: Vec::new(),
    };
    for held in held {
        match held.open() {
            Ok(envelope) if envelope.project.key() == project.key() => {
                opened.envelopes.push((held.receipt, envelope));
            }
            Ok(envelope) => {
                let reason = format!(
                    "its headers name project {project}, its body {}",
                    envelope.project
                );
                opened.unreadable.push((held.receipt, reason));
            }
            Err(DecodeError::Newer(_)) => opened.newer.push(held.receipt),
            Err(error @ DecodeError::Unreadable(_)) => {
                opened.unreadable.push((held.receipt, error.to_string()));
            }
        }
    }
    opened
}

fn prepare(
    base: &BaseInHand,
    ask: &PlanAsk,
    held: &[Arc<Held>],
    project: &ProjectName,
    seen: &Seen,
) -> (Planned, Prepared) {
    let Opened {
        envelopes,
        unreadable,
        newer,
    } = open(held, project);
    let out = |id: &ChangeId| ask.settled.contains(id) || ask.held_back.contains(id);
    let asked: Vec<Asked<'_>> = envelopes
        .iter()
        .flat_map(|(receipt, envelope)| asked(*receipt, envelope))
        .filter(|one| !out(&one.id))
        .collect();
    let (asked, homeless): (Vec<_>, Vec<_>) =
        asked.into_iter().partition(|one| base.exists || one.rules.create);
    let plan = plan(&base.base, &asked, seen);
    let upload = plan.upload || ask.force;
    let attempt = format!("flowlift-{}.zip", Uuid::now_v7().simple());
    let zip = if upload {
        pack(&base.base, &plan, &attempt)
    } else {
        Bytes::new()
    };
    let missing = "the project does not exist, and creating it was ruled out";
    let mut decisions = plan.decisions;
    decisions.extend(
        homeless
            .iter()
            .map(|one| (one.id, Decision::Dead(missing.into()))),
    );
    let carried = decisions
        .iter()
        .filter(|(_, decision)| matches!(decision, Decision::Apply(_)))
        .count();
    let planned = Planned {
        decisions,
        unreadable,
        newer,
        upload,
        schedules: !plan.schedules.is_empty(),
        may_create: !base.exists,
    };
    let prepared = Prepared {
        envelopes: Arc::new(envelopes),
        attempt,
        generation: plan.manifest.generation,
        zip,
        expected: Arc::new(plan.expected),
        schedules: Arc::new(plan.schedules),
        highest: base.highest,
        carried,
        seen: plan.seen,
    };
    (planned, prepared)
}

fn asked(receipt: u64, envelope: &Envelope) -> impl Iterator<Item = Asked<'_>> {
    envelope.changes.iter().map(move |change| Asked {
        id: ChangeId {
            receipt,
            seq: change.seq,
        },
        order: envelope.order(change),
        owner: &envelope.owner,
        rules: envelope.rules,
        change,
    })
}

/// The new zip: untouched entries are copied as they are.
fn pack(base: &Base, plan: &Plan, attempt: &str) -> Bytes {
    let mut written = plan.manifest.clone();
    attempt.clone_into(&mut written.attempt);
    let mut put = plan.put.clone();
    put.insert(manifest::PATH.to_owned(), written.write().into());
    if base.zip.is_empty() {
        return archive::write_zip(&put).into();
    }
    let gone: BTreeSet<&str> = plan.remove.iter().map(String::as_str).collect();
    let merged = archive::merge_zip(&base.zip, |path| !gone.contains(path), &put);
    // a base that was read whole a moment ago can only be odd in a way that repacking mends
    merged
        .unwrap_or_else(|error| {
            tracing::warn!(%error, "untouched entries could not be copied as they are; packing them anew");
            let mut tree = base.tree.clone();
            tree.retain(|path, _| !gone.contains(path.as_str()));
            tree.extend(put);
            archive::write_zip(&tree)
        })
        .into()
}
