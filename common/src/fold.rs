//! A run's state, folded from the streams: what was queued, what is settled, what died and why.

use std::collections::{BTreeMap, BTreeSet};

use flowlift_azkaban::ProjectName;

use crate::change::Act;
use crate::ledger::{ADOPTED, Outcome, Outcomes, RunEvent, Settled};
use crate::order::RunId;
use crate::ranges::RangeSet;

/// One run as its records tell it. Records may come twice; the first final outcome of a sequence counts.
#[derive(Debug, Clone)]
pub struct RunState {
    run: RunId,
    closed: Option<Closing>,
    cancelled_by: Option<String>,
    opened: Option<Opening>,
    seen: bool,
    rank: Option<u64>,
    last_ms: Option<u64>,
    settled: RangeSet,
    counts: BTreeMap<Outcome, u64>,
    per_project: BTreeMap<ProjectName, u64>,
    dead: Vec<DeadChange>,
    uploads: BTreeSet<String>,
    created: BTreeSet<ProjectName>,
    adopted: Named,
    /// What each upload brought back, of whatever run: the records of one settlement are several.
    restored: BTreeMap<String, BTreeSet<(ProjectName, String)>>,
}

/// Changes of one kind: all counted, the first [`Named::KEPT`] with their names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Named {
    /// How many.
    pub count: u64,
    /// Project and label of the first ones.
    pub first: Vec<(ProjectName, String)>,
}

impl Named {
    /// How many names are kept.
    pub const KEPT: usize = 1_000;

    fn add(&mut self, project: &ProjectName, label: &str) {
        self.count += 1;
        if self.first.len() < Self::KEPT {
            self.first.push((project.clone(), label.to_owned()));
        }
    }
}

/// What a run said of itself when it was opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Opening {
    /// `user@host`.
    pub who: String,
    /// What is published, for people.
    pub source: String,
    /// The owner its flows get.
    pub owner: String,
    /// The producer's clock, ms since 1970.
    pub at_ms: u64,
    /// When it should be settled.
    pub deadline_ms: Option<u64>,
    /// The producer's version.
    pub version: Option<String>,
    /// K, as the producer was set.
    pub shards: Option<u16>,
}

/// Inclusive ranges of sequences.
pub type Ranges = Vec<(u64, u64)>;

/// How a run was closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closing {
    /// When, by the producer's clock, ms since 1970.
    pub at_ms: u64,
    /// Changes per project.
    pub projects: BTreeMap<ProjectName, u64>,
    /// Whether it was ended early.
    pub partial: bool,
}

/// A change that could not be applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadChange {
    /// Its project.
    pub project: ProjectName,
    /// What it was about.
    pub label: String,
    /// Why.
    pub reason: String,
}

impl RunState {
    /// A run of which nothing was read yet.
    #[must_use]
    pub fn new(run: RunId) -> Self {
        Self {
            run,
            closed: None,
            cancelled_by: None,
            opened: None,
            seen: false,
            rank: None,
            last_ms: None,
            settled: RangeSet::default(),
            counts: BTreeMap::new(),
            per_project: BTreeMap::new(),
            dead: Vec::new(),
            uploads: BTreeSet::new(),
            created: BTreeSet::new(),
            adopted: Named::default(),
            restored: BTreeMap::new(),
        }
    }

    /// Takes a record of the stream of runs.
    pub fn run_event(&mut self, event: &RunEvent) {
        if event.run() != self.run {
            return;
        }
        self.rank = self.rank.max(event.rank());
        match event {
            RunEvent::Opened {
                who,
                source,
                owner,
                at_ms,
                deadline_ms,
                version,
                shards,
                ..
            } => {
                self.seen = true;
                self.opened = Some(Opening {
                    who: who.clone(),
                    source: source.clone(),
                    owner: owner.clone(),
                    at_ms: *at_ms,
                    deadline_ms: *deadline_ms,
                    version: version.clone(),
                    shards: *shards,
                });
            }
            RunEvent::Closed {
                projects,
                partial,
                at_ms,
                ..
            } => {
                self.seen = true;
                self.closed = Some(Closing {
                    at_ms: *at_ms,
                    projects: projects.clone(),
                    partial: *partial,
                });
            }
            RunEvent::Cancelled { who, .. } => {
                self.cancelled_by.get_or_insert_with(|| who.clone());
            }
            RunEvent::Opening { .. } | RunEvent::Renewed { .. } => {}
        }
    }

    /// Takes a record of the ledger. Returns, for each of its results, the sequences that got their final outcome with it.
    pub fn settled(&mut self, event: &Settled) -> Vec<Ranges> {
        self.brought_back(event);
        let results = event.results.iter();
        results.map(|result| self.result(event, result)).collect()
    }

    fn result(&mut self, event: &Settled, result: &Outcomes) -> Ranges {
        let mut all_fresh = Ranges::new();
        if result.run == self.run {
            let mut labels = result.labels.iter();
            for &(first, last) in &result.ranges {
                let span = usize::try_from(last.saturating_sub(first) + 1).unwrap_or(usize::MAX);
                let named: Vec<&String> = labels.by_ref().take(span).collect();
                let fresh = self.settled.insert(first, last);
                let count: u64 = fresh.iter().map(|(start, end)| end - start + 1).sum();
                if count > 0 {
                    self.last_ms = self.last_ms.max(Some(event.at_ms));
                }
                all_fresh.extend(&fresh);
                *self.counts.entry(result.outcome).or_default() += count;
                *self.per_project.entry(event.project.clone()).or_default() += count;
                let is_adopted = result.note.as_deref() == Some(ADOPTED);
                if result.outcome != Outcome::Dead && !is_adopted {
                    continue;
                }
                for seq in fresh.into_iter().flat_map(|(start, end)| start..=end) {
                    let place = usize::try_from(seq - first).unwrap_or(usize::MAX);
                    let label = named
                        .get(place)
                        .map_or_else(|| format!("change {seq}"), |label| (*label).clone());
                    if is_adopted {
                        self.adopted.add(&event.project, &label);
                        continue;
                    }
                    self.dead.push(DeadChange {
                        project: event.project.clone(),
                        label,
                        reason: result.note.clone().unwrap_or_default(),
                    });
                }
            }
            if let Some(upload) = &event.upload {
                self.uploads.insert(upload.attempt.clone());
            }
            if event.created_project {
                self.created.insert(event.project.clone());
            }
        }
        all_fresh
    }

    /// Flows that came back with an upload, lost since they had been applied; they belong to other runs than the uploaded ones.
    fn brought_back(&mut self, event: &Settled) {
        let Some(upload) = &event.upload else { return };
        // a check is restored too, as the change it is; its name is none of a flow
        let check = Act::Check.label();
        let restored = event
            .results
            .iter()
            .filter(|result| result.outcome == Outcome::Restored);
        let flows = restored
            .flat_map(|result| &result.labels)
            .filter(|label| **label != check)
            .map(|label| (event.project.clone(), label.clone()));
        let mut flows = flows.peekable();
        if flows.peek().is_some() {
            self.restored
                .entry(upload.attempt.clone())
                .or_default()
                .extend(flows);
        }
    }

    /// Whether the run is known at all.
    #[must_use]
    pub fn is_open_or_closed(&self) -> bool {
        self.seen
    }

    /// The run.
    #[must_use]
    pub fn run(&self) -> RunId {
        self.run
    }

    /// What it said of itself; `None`: not read yet, or kept no longer.
    #[must_use]
    pub fn opening(&self) -> Option<&Opening> {
        self.opened.as_ref()
    }

    /// Its highest rank: not below the producer's clock when it was drawn, in ms since 1970.
    #[must_use]
    pub fn rank(&self) -> Option<u64> {
        self.rank
    }

    /// When the last change got its final outcome, by its consumer's clock, ms since 1970.
    #[must_use]
    pub fn last_ms(&self) -> Option<u64> {
        self.last_ms
    }

    /// When all was settled; `None`: it is not.
    #[must_use]
    pub fn settled_ms(&self) -> Option<u64> {
        let closed = self.closed.as_ref().map(|closing| closing.at_ms);
        // a run without changes is settled when it is closed
        self.last_ms.or(closed).filter(|_| self.is_settled())
    }

    /// How it was closed; `None`: still publishing, or its producer is gone.
    #[must_use]
    pub fn closing(&self) -> Option<&Closing> {
        self.closed.as_ref()
    }

    /// All changes of the run, once it is closed.
    #[must_use]
    pub fn total(&self) -> Option<u64> {
        self.closed
            .as_ref()
            .map(|closing| closing.projects.values().sum())
    }

    /// How many changes are settled.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.settled.len()
    }

    /// How many of them with this outcome.
    #[must_use]
    pub fn count(&self, outcome: Outcome) -> u64 {
        self.counts.get(&outcome).copied().unwrap_or_default()
    }

    /// Whether every change has its final outcome.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.total().is_some_and(|total| self.done() >= total)
    }

    /// What could not be applied.
    #[must_use]
    pub fn dead(&self) -> &[DeadChange] {
        &self.dead
    }

    /// How many uploads carried changes of this run.
    #[must_use]
    pub fn uploads(&self) -> usize {
        self.uploads.len()
    }

    /// Flows and files that were there and that nobody owned: they belong to this run's owner now.
    #[must_use]
    pub fn adopted(&self) -> &Named {
        &self.adopted
    }

    /// Flows that this run's uploads brought back, lost since they had been applied.
    #[must_use]
    pub fn restored(&self) -> Named {
        let mut named = Named::default();
        let ours = self
            .restored
            .iter()
            .filter(|(attempt, _)| self.uploads.contains(*attempt));
        let flows: BTreeSet<_> = ours.flat_map(|(_, flows)| flows).collect();
        flows
            .into_iter()
            .for_each(|(project, flow)| named.add(project, flow));
        named
    }

    /// Who cancelled it; none: nobody did.
    #[must_use]
    pub fn cancelled_by(&self) -> Option<&str> {
        self.cancelled_by.as_deref()
    }

    /// Projects that were made for it.
    #[must_use]
    pub fn created(&self) -> Vec<&ProjectName> {
        self.created.iter().collect()
    }

    /// Settled changes of a project.
    #[must_use]
    pub fn done_in(&self, project: &ProjectName) -> u64 {
        self.per_project.get(project).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{Detail, SETTLED_VERSION, UploadFacts};
    use uuid::Uuid;

    fn event(run: RunId, outcome: Outcome, ranges: &[(u64, u64)]) -> Settled {
        Settled {
            v: SETTLED_VERSION,
            project: ProjectName::new("p").unwrap(),
            consumer: "c".into(),
            at_ms: 0,
            upload: None,
            created_project: false,
            results: vec![Outcomes {
                run,
                outcome,
                note: Some("because".into()),
                ranges: ranges.to_vec(),
                labels: ranges
                    .iter()
                    .flat_map(|(a, b)| *a..=*b)
                    .map(|n| format!("f{n}"))
                    .collect(),
                published_ms: 0,
                spread: Vec::new(),
            }],
            detail: Detail::default(),
        }
    }

    #[test]
    fn the_first_final_outcome_counts_and_repeats_add_nothing() {
        let run = RunId(Uuid::from_u128(1));
        let mut state = RunState::new(run);
        assert_eq!(
            state.settled(&event(run, Outcome::Applied, &[(1, 5)])),
            [vec![(1, 5)]]
        );
        assert_eq!(
            state.settled(&event(run, Outcome::Superseded, &[(4, 8)])),
            [vec![(6, 8)]]
        );
        state.settled(&event(run, Outcome::Dead, &[(8, 9)]));
        state.settled(&event(RunId(Uuid::from_u128(2)), Outcome::Dead, &[(1, 9)]));
        assert_eq!(state.done(), 9);
        assert_eq!(
            [Outcome::Applied, Outcome::Superseded, Outcome::Dead].map(|outcome| state.count(outcome)),
            [5, 3, 1]
        );
        assert_eq!(state.dead()[0].label, "f9");
        assert!(
            !state.is_settled(),
            "the total is unknown until the run is closed"
        );
        let projects = BTreeMap::from([(ProjectName::new("p").unwrap(), 9)]);
        state.run_event(&RunEvent::Closed {
            run,
            rank: 1,
            projects,
            partial: false,
            at_ms: 0,
        });
        assert!(state.is_settled());
    }
    fn uploaded(attempt: &str, results: Vec<Outcomes>) -> Settled {
        let upload = UploadFacts {
            attempt: attempt.into(),
            version: 1,
            zip_bytes: 1,
            flows: 1,
            upload_ms: 1,
        };
        Settled {
            upload: Some(upload),
            results,
            ..event(RunId(Uuid::nil()), Outcome::Applied, &[])
        }
    }

    fn result(run: u128, outcome: Outcome, note: Option<&str>, seq: u64, label: &str) -> Outcomes {
        Outcomes {
            run: RunId(Uuid::from_u128(run)),
            outcome,
            note: note.map(str::to_owned),
            ranges: vec![(seq, seq)],
            labels: vec![label.into()],
            published_ms: 0,
            spread: Vec::new(),
        }
    }

    #[test]
    fn what_is_adopted_is_counted_once_and_named() {
        let mut state = RunState::new(RunId(Uuid::from_u128(1)));
        let record = uploaded(
            "a",
            vec![
                result(1, Outcome::Applied, Some(ADOPTED), 1, "f1"),
                result(1, Outcome::Applied, None, 2, "f2"),
                result(2, Outcome::Applied, Some(ADOPTED), 1, "theirs"),
            ],
        );
        state.settled(&record);
        state.settled(&record);
        let named = [(ProjectName::new("p").unwrap(), "f1".to_owned())];
        assert_eq!(
            (state.adopted().count, state.adopted().first.as_slice()),
            (1, &named[..])
        );
    }

    #[test]
    fn what_came_back_with_an_upload_of_the_run_is_named_in_whichever_record_it_stands() {
        let mut state = RunState::new(RunId(Uuid::from_u128(9)));
        let others = |attempt: &str, seq, flow: &str| {
            uploaded(attempt, vec![result(1, Outcome::Restored, None, seq, flow)])
        };
        state.settled(&others("ours", 7, "f7"));
        state.settled(&others("ours", 7, "f7"));
        state.settled(&others("not ours", 8, "f8"));
        let check = Act::Check.label();
        state.settled(&uploaded(
            "ours",
            vec![result(9, Outcome::Restored, None, 1, &check)],
        ));
        state.settled(&others("ours", 9, "f9"));
        let restored = state.restored();
        let names: Vec<&str> = restored.first.iter().map(|(_, flow)| flow.as_str()).collect();
        assert_eq!((restored.count, names), (2, vec!["f7", "f9"]));
        assert_eq!((state.done(), state.count(Outcome::Restored)), (1, 1));
    }
}
