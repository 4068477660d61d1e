//! Takes the records of a run in and keeps what a report needs of them. Pure.

use std::collections::{BTreeMap, BTreeSet};

use flowlift_azkaban::ProjectName;
use flowlift_common::fold::RunState;
use flowlift_common::ledger::{Detail, Outcome, Outcomes, RunEvent, Settled};
use flowlift_common::order::RunId;

use super::latency::Latencies;
use super::threshold::Measures;

/// An upload that carried changes of the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// When its changes were settled first, ms since 1970.
    pub at_ms: u64,
    /// Its project.
    pub project: ProjectName,
    /// The version Azkaban gave.
    pub version: u32,
    /// Size of the zip in bytes.
    pub zip_bytes: u64,
    /// Flows in the project afterwards.
    pub flows: u64,
    /// From the first byte sent to the answer, ms.
    pub upload_ms: u64,
    /// Changes of the run that it carried.
    pub changes: u64,
    /// Who uploaded.
    pub consumer: String,
}

/// What became of a project's changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProjectFigures {
    /// Settled changes.
    pub changes: u64,
    /// Those of them that could not be applied.
    pub dead: u64,
    /// The longest way from publishing to applied, ms.
    pub slowest_ms: u64,
    /// All of these times.
    latency_sum: u128,
    /// How many they are.
    latencies: u64,
    /// Its uploads.
    pub uploads: u64,
    /// Their time together, ms.
    pub upload_ms: u64,
    /// Calls to Azkaban that failed.
    pub faults: u64,
}

impl ProjectFigures {
    /// The mean way from publishing to applied, ms.
    #[must_use]
    pub fn mean_ms(&self) -> Option<u64> {
        let mean = self.latency_sum.checked_div(u128::from(self.latencies))?;
        u64::try_from(mean).ok()
    }
}

/// A consumer's part.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConsumerFigures {
    /// Changes it settled.
    pub changes: u64,
    /// Its uploads.
    pub uploads: u64,
    /// Its versions; more than one where it was replaced on the way.
    pub versions: BTreeSet<String>,
}

/// Calls that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultAt {
    /// When the settlement after them was written, ms since 1970.
    pub at_ms: u64,
    /// What can be done about it.
    pub class: String,
    /// What it was.
    pub code: String,
    /// How many.
    pub count: u64,
}

/// Changes that died for one reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeadFigures {
    /// How many.
    pub count: u64,
    /// Project and name of the first ones.
    pub first: Vec<(ProjectName, String)>,
}

/// One line of the table for other programs: changes of a settlement with one outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// When, ms since 1970.
    pub at_ms: u64,
    /// The project.
    pub project: ProjectName,
    /// The outcome.
    pub outcome: Outcome,
    /// How many changes.
    pub changes: u64,
    /// From the earliest publishing among them, ms.
    pub latency_ms: u64,
    /// The upload.
    pub upload: Option<String>,
    /// Who settled them.
    pub consumer: String,
    /// Why, or what else there is to say.
    pub note: String,
}

/// How long a step took in all settlements together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Step {
    /// How often it was measured.
    pub count: u64,
    /// Together, ms.
    pub sum_ms: u64,
    /// The longest, ms.
    pub max_ms: u64,
}

impl Step {
    fn add(&mut self, ms: Option<u64>) {
        if let Some(ms) = ms {
            self.count += 1;
            self.sum_ms = self.sum_ms.saturating_add(ms);
            self.max_ms = self.max_ms.max(ms);
        }
    }

    /// The mean, ms.
    #[must_use]
    pub fn mean_ms(&self) -> Option<u64> {
        self.sum_ms.checked_div(self.count)
    }
}

/// The steps of a batch, in their order.
pub const STEPS: [&str; 5] = [
    "waiting for its turn",
    "planning and packing",
    "uploading",
    "reading back",
    "scheduling",
];

/// Names kept of the changes that died for one reason.
const NAMED: usize = 5;
/// Reasons told apart; what comes after these is counted under one heading.
const REASONS: usize = 1_000;
/// The heading.
const OTHER_REASONS: &str = "(other reasons)";

/// A run, as far as its records were read.
#[derive(Debug, Clone)]
pub struct Collect {
    pub(super) state: RunState,
    pub(super) latencies: Latencies,
    pub(super) uploads: BTreeMap<String, Upload>,
    pub(super) projects: BTreeMap<ProjectName, ProjectFigures>,
    pub(super) consumers: BTreeMap<String, ConsumerFigures>,
    pub(super) faults: Vec<FaultAt>,
    pub(super) dead: BTreeMap<String, DeadFigures>,
    pub(super) lines: Vec<Line>,
    keeps_lines: bool,
    pub(super) steps: [Step; STEPS.len()],
}

impl Collect {
    /// A run of which nothing was read yet.
    #[must_use]
    pub fn new(run: RunId) -> Self {
        Self {
            state: RunState::new(run),
            latencies: Latencies::default(),
            uploads: BTreeMap::new(),
            projects: BTreeMap::new(),
            consumers: BTreeMap::new(),
            faults: Vec::new(),
            dead: BTreeMap::new(),
            lines: Vec::new(),
            keeps_lines: true,
            steps: [Step::default(); STEPS.len()],
        }
    }

    /// The same for whoever wants [`Self::measures`] alone: lines for each settlement are not kept.
    #[must_use]
    pub fn measuring(run: RunId) -> Self {
        Self {
            keeps_lines: false,
            ..Self::new(run)
        }
    }

    /// What was queued and what is settled.
    #[must_use]
    pub fn state(&self) -> &RunState {
        &self.state
    }

    /// Takes a record of the stream of runs.
    pub fn run_event(&mut self, event: &RunEvent) {
        self.state.run_event(event);
    }

    /// Takes a record of the ledger; records may come twice.
    pub fn settled(&mut self, record: &Settled) {
        let fresh = self.state.settled(record);
        let mut changes = 0;
        for (result, fresh) in record.results.iter().zip(&fresh) {
            let count = fresh.iter().map(|(first, last)| last - first + 1).sum();
            if count > 0 {
                changes += count;
                self.result(record, result, fresh, count);
            }
        }
        if changes == 0 {
            return;
        }
        let consumer = self.consumers.entry(record.consumer.clone()).or_default();
        consumer.changes += changes;
        consumer.versions.extend(record.detail.version.clone());
        self.upload(record, changes);
        self.detail(record, &record.detail);
    }

    fn result(&mut self, record: &Settled, result: &Outcomes, fresh: &[(u64, u64)], count: u64) {
        let project = self.projects.entry(record.project.clone()).or_default();
        project.changes += count;
        match result.outcome {
            Outcome::Applied | Outcome::Unchanged | Outcome::Restored => {
                for (changes, published_ms) in published(result, fresh) {
                    // a producer's clock may be ahead of the consumer's: such a change took no time at all
                    let took = record.at_ms.saturating_sub(published_ms);
                    self.latencies.add(took, changes);
                    project.slowest_ms = project.slowest_ms.max(took);
                    project.latency_sum += u128::from(took) * u128::from(changes);
                    project.latencies += changes;
                }
            }
            Outcome::Dead => {
                project.dead += count;
                self.died(record, result, fresh, count);
            }
            Outcome::Superseded | Outcome::Cancelled => {}
        }
        if !self.keeps_lines {
            return;
        }
        self.lines.push(Line {
            at_ms: record.at_ms,
            project: record.project.clone(),
            outcome: result.outcome,
            changes: count,
            latency_ms: record.at_ms.saturating_sub(result.published_ms),
            upload: record.upload.as_ref().map(|upload| upload.attempt.clone()),
            consumer: record.consumer.clone(),
            note: result.note.clone().unwrap_or_default(),
        });
    }

    fn died(&mut self, record: &Settled, result: &Outcomes, fresh: &[(u64, u64)], count: u64) {
        let reason = result.note.clone().unwrap_or_default();
        let known = self.dead.contains_key(&reason) || self.dead.len() < REASONS;
        let reason = if known { reason } else { OTHER_REASONS.to_owned() };
        let dead = self.dead.entry(reason).or_default();
        dead.count += count;
        let room = NAMED.saturating_sub(dead.first.len());
        let names = named(result, fresh).take(room);
        dead.first
            .extend(names.map(|name| (record.project.clone(), name)));
    }

    fn upload(&mut self, record: &Settled, changes: u64) {
        let Some(facts) = &record.upload else { return };
        if let Some(upload) = self.uploads.get_mut(&facts.attempt) {
            upload.changes += changes;
            return;
        }
        self.uploads.insert(
            facts.attempt.clone(),
            Upload {
                at_ms: record.at_ms,
                project: record.project.clone(),
                version: facts.version,
                zip_bytes: facts.zip_bytes,
                flows: facts.flows,
                upload_ms: facts.upload_ms,
                changes,
                consumer: record.consumer.clone(),
            },
        );
        self.steps[2].add(Some(facts.upload_ms));
        let project = self.projects.entry(record.project.clone()).or_default();
        project.uploads += 1;
        project.upload_ms += facts.upload_ms;
        self.consumers.entry(record.consumer.clone()).or_default().uploads += 1;
    }

    fn detail(&mut self, record: &Settled, detail: &Detail) {
        self.steps[0].add(detail.waited_ms);
        self.steps[1].add(detail.archive_ms);
        self.steps[3].add(detail.verify_ms);
        self.steps[4].add(detail.schedule_ms);
        for fault in &detail.faults {
            let project = self.projects.entry(record.project.clone()).or_default();
            project.faults += fault.count;
            self.faults.push(FaultAt {
                at_ms: record.at_ms,
                class: fault.class.clone(),
                code: fault.code.clone(),
                count: fault.count,
            });
        }
    }

    /// What thresholds are compared with.
    #[must_use]
    pub fn measures(&self, now_ms: u64) -> Measures {
        let state = &self.state;
        let begun = state.opening().map(|opening| opening.at_ms);
        let end = state.settled_ms().unwrap_or(now_ms);
        let restored = state.count(Outcome::Restored) + state.restored().count;
        Measures {
            latencies: self.latencies.clone(),
            duration_ms: begun.map_or(0, |begun| end.saturating_sub(begun)),
            done: state.done(),
            total: state.total(),
            dead: state.count(Outcome::Dead),
            applied: state.count(Outcome::Applied),
            unchanged: state.count(Outcome::Unchanged),
            superseded: state.count(Outcome::Superseded),
            cancelled: state.count(Outcome::Cancelled),
            restored,
            uploads: state.uploads() as u64,
        }
    }
}

/// Whether a sequence is in one of these ranges.
fn holds(ranges: &[(u64, u64)], seq: u64) -> bool {
    ranges.iter().any(|(first, last)| (*first..=*last).contains(&seq))
}

/// When the fresh ones of a result's changes were published: so many, ms since 1970.
fn published(result: &Outcomes, fresh: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let all: u64 = result.ranges.iter().map(|(first, last)| last - first + 1).sum();
    let count: u64 = fresh.iter().map(|(first, last)| last - first + 1).sum();
    if result.spread.is_empty() {
        return vec![(count, result.published_ms)];
    }
    if count == all {
        let spread = result.spread.iter();
        return spread
            .map(|(count, after)| (*count, result.published_ms.saturating_add(*after)))
            .collect();
    }
    // some came before: one by one
    let seqs = result.ranges.iter().flat_map(|(first, last)| *first..=*last);
    let times = result.spread.iter().flat_map(|(count, after)| {
        std::iter::repeat_n(*after, usize::try_from(*count).unwrap_or(usize::MAX))
    });
    let fresh_ones = seqs.zip(times).filter(|(seq, _)| holds(fresh, *seq));
    fresh_ones
        .map(|(_, after)| (1, result.published_ms.saturating_add(after)))
        .collect()
}

/// The names of the fresh ones of a result's changes.
fn named<'r>(result: &'r Outcomes, fresh: &'r [(u64, u64)]) -> impl Iterator<Item = String> + 'r {
    let seqs = result.ranges.iter().flat_map(|(first, last)| *first..=*last);
    let places = seqs.enumerate().filter(|(_, seq)| holds(fresh, *seq));
    places.map(|(place, seq)| {
        result
            .labels
            .get(place)
            .cloned()
            .unwrap_or_else(|| format!("change {seq}"))
    })
}
