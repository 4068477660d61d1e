//! A run's state, folded from the streams: what was queued, what is settled, what died and why.

use std::collections::BTreeMap;

use flowlift_azkaban::ProjectName;

use crate::ledger::{Outcome, RunEvent, Settled};
use crate::order::RunId;
use crate::ranges::RangeSet;

/// One run as its records tell it. Records may come twice; the first final outcome of a sequence counts.
#[derive(Debug, Clone)]
pub struct RunState {
    run: RunId,
    closed: Option<Closing>,
    opened: bool,
    settled: RangeSet,
    counts: BTreeMap<Outcome, u64>,
    per_project: BTreeMap<ProjectName, u64>,
    dead: Vec<DeadChange>,
    uploads: std::collections::BTreeSet<String>,
    created: std::collections::BTreeSet<ProjectName>,
}

/// How a run was closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closing {
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
            opened: false,
            settled: RangeSet::default(),
            counts: BTreeMap::new(),
            per_project: BTreeMap::new(),
            dead: Vec::new(),
            uploads: std::collections::BTreeSet::new(),
            created: std::collections::BTreeSet::new(),
        }
    }

    /// Takes a record of the stream of runs.
    pub fn run_event(&mut self, event: &RunEvent) {
        if event.run() != self.run {
            return;
        }
        match event {
            RunEvent::Opened { .. } => self.opened = true,
            RunEvent::Closed {
                projects, partial, ..
            } => {
                self.opened = true;
                self.closed = Some(Closing {
                    projects: projects.clone(),
                    partial: *partial,
                });
            }
            RunEvent::Opening { .. } | RunEvent::Renewed { .. } => {}
        }
    }

    /// Takes a record of the ledger.
    pub fn settled(&mut self, event: &Settled) {
        for result in event.results.iter().filter(|result| result.run == self.run) {
            let mut labels = result.labels.iter();
            for &(first, last) in &result.ranges {
                let span = usize::try_from(last.saturating_sub(first) + 1).unwrap_or(usize::MAX);
                let named: Vec<&String> = labels.by_ref().take(span).collect();
                let fresh = self.settled.insert(first, last);
                let count: u64 = fresh.iter().map(|(start, end)| end - start + 1).sum();
                *self.counts.entry(result.outcome).or_default() += count;
                *self.per_project.entry(event.project.clone()).or_default() += count;
                if result.outcome != Outcome::Dead {
                    continue;
                }
                for seq in fresh.into_iter().flat_map(|(start, end)| start..=end) {
                    let place = usize::try_from(seq - first).unwrap_or(usize::MAX);
                    self.dead.push(DeadChange {
                        project: event.project.clone(),
                        label: named
                            .get(place)
                            .map_or_else(|| format!("change {seq}"), |label| (*label).clone()),
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
    }

    /// Whether the run is known at all.
    #[must_use]
    pub fn is_open_or_closed(&self) -> bool {
        self.opened
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
    use crate::ledger::{Outcomes, SETTLED_VERSION};
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
            }],
        }
    }

    #[test]
    fn the_first_final_outcome_counts_and_repeats_add_nothing() {
        let run = RunId(Uuid::from_u128(1));
        let mut state = RunState::new(run);
        state.settled(&event(run, Outcome::Applied, &[(1, 5)]));
        state.settled(&event(run, Outcome::Superseded, &[(4, 8)]));
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
}
