//! What became of each change, as a reader of the ledger sees it.

use std::collections::{BTreeMap, BTreeSet};

use flowlift_common::RunId;
use flowlift_common::fold::RunState;
use flowlift_common::ledger::Outcome;

use crate::azkaban::calls::BAD_CRON;
use crate::azkaban::content::POISON;
use crate::truth::{AskedFor, Counts};
use crate::world::World;
use flowlift_common::{Act, Body, Schedule};

/// A change's first final outcome, with its note, and whether others came later.
#[derive(Debug, Clone)]
pub(crate) struct Fate {
    pub(crate) outcome: Outcome,
    note: Option<String>,
    /// It was also given up, or also not given up, by somebody else.
    pub(crate) disputed: bool,
}

/// All fates, by run and sequence.
pub(crate) type Fates = BTreeMap<(RunId, u64), Fate>;

/// Reads the ledger.
pub(crate) fn read(w: &World) -> Fates {
    let mut fates = Fates::new();
    for record in &w.broker.borrow().outcomes {
        for result in &record.results {
            for seq in result.ranges.iter().flat_map(|(first, last)| *first..=*last) {
                let fate = Fate {
                    outcome: result.outcome,
                    note: result.note.clone(),
                    disputed: false,
                };
                let known = fates.entry((result.run, seq)).or_insert(fate);
                known.disputed |= (known.outcome == Outcome::Dead) != (result.outcome == Outcome::Dead);
            }
        }
    }
    fates
}

impl Fate {
    /// How the change counts.
    pub(crate) fn counts(&self) -> Counts {
        let flow_only = |note: &String| note.starts_with("the flow is applied");
        match self.outcome {
            Outcome::Dead if self.note.as_ref().is_some_and(flow_only) => Counts::FlowOnly,
            Outcome::Dead => Counts::No,
            Outcome::Superseded => Counts::Superseded,
            _ => Counts::Yes,
        }
    }
}

/// Every change has one final outcome, runs add up, and only culprits are dead.
pub(crate) fn judge(w: &World, fates: &Fates) -> Vec<String> {
    let truth = w.truth.borrow();
    let mut wrong = Vec::new();
    for ((project, run, seq), asked) in &truth.asked {
        match fates.get(&(*run, *seq)) {
            None => wrong.push(format!("{} of {project} has no outcome", asked.change.label())),
            Some(fate) if fate.outcome == Outcome::Dead && !is_culprit(w, project, asked) => {
                wrong.push(format!(
                    "{} of {project} is dead and to blame for nothing: {}",
                    asked.change.label(),
                    fate.note.as_deref().unwrap_or_default()
                ));
            }
            Some(_) => {}
        }
    }
    let runs: BTreeSet<RunId> = truth.asked.keys().map(|(_, run, _)| *run).collect();
    let broker = w.broker.borrow();
    for run in runs {
        let mut state = RunState::new(run);
        broker.runs.iter().for_each(|event| state.run_event(event));
        broker.outcomes.iter().for_each(|event| {
            state.settled(event);
        });
        let asked = truth.asked.keys().filter(|(_, other, _)| *other == run).count() as u64;
        if state.done() != asked || state.total().is_some_and(|total| total != asked) {
            wrong.push(format!(
                "of {asked} changes of run {run} {} are settled",
                state.done()
            ));
        }
        let dead = |((_, other, seq), _): &(&(String, RunId, u64), &AskedFor)| {
            *other == run
                && fates
                    .get(&(run, *seq))
                    .is_some_and(|fate| fate.outcome == Outcome::Dead)
        };
        if state.count(Outcome::Dead) != truth.asked.iter().filter(dead).count() as u64 {
            wrong.push(format!("the readers of run {run} disagree on what is dead"));
        }
    }
    for ((run, seq), fate) in fates {
        let lies = broker
            .dead
            .iter()
            .any(|letter| letter.envelope.run == *run && letter.reasons.contains_key(seq));
        if fate.outcome == Outcome::Dead && !lies {
            wrong.push(format!(
                "change {seq} of run {run} is dead and not in the dead letters"
            ));
        }
    }
    wrong
}

/// Whether a change may be dead.
fn is_culprit(w: &World, project: &str, asked: &AskedFor) -> bool {
    let act = &asked.change.act;
    let poisoned = match act {
        Act::Upsert(upsert) => {
            let bad_cron = upsert.schedule == Schedule::Set(BAD_CRON.into());
            let bad_flow = match &upsert.body {
                Body::Flow(flow) => flow.jobs.iter().any(|job| job.props.contains_key(POISON)),
                Body::Unit(_) => false,
            };
            bad_cron || bad_flow
        }
        _ => false,
    };
    poisoned || is_somebody_elses(w, project, asked)
}

/// Whether somebody else asked for the same flow or file in this night.
fn is_somebody_elses(w: &World, project: &str, asked: &AskedFor) -> bool {
    let things = |act: &Act| -> BTreeSet<String> {
        match act {
            Act::PutFile { path, .. } | Act::DeleteFile { path } => [path.clone()].into(),
            // flows of a unit share files
            _ => act
                .flows()
                .iter()
                .map(|flow| flow.key().replace("gb", "ga"))
                .collect(),
        }
    };
    let mine = things(&asked.change.act);
    let truth = w.truth.borrow();
    (truth.of_project(project).iter())
        .any(|other| other.owner != asked.owner && !mine.is_disjoint(&things(&other.change.act)))
}
