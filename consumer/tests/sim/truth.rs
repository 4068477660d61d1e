//! What was asked for: every change that the broker stored, by (project, run, sequence). What a project must hold in the end
//! follows from it alone, apart from Azkaban and consumers.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use flowlift_azkaban::name::fold;
use flowlift_azkaban::{Format, render};
use flowlift_common::{Act, Body, Change, Envelope, Order, RunId, Schedule};
use glob_match::glob_match;

use crate::azkaban::calls::BAD_CRON;
use crate::clock::Ms;
use crate::people::Visit;

/// A change and what its message says about it.
#[derive(Debug, Clone)]
pub(crate) struct AskedFor {
    /// Its place among all changes.
    pub(crate) order: Order,
    /// Who asks.
    pub(crate) owner: String,
    /// What is asked.
    pub(crate) change: Change,
    /// When the broker stored it first.
    pub(crate) stored_at: Ms,
}

impl AskedFor {
    /// Whether it is about a flow (lower-case) or a shared file.
    pub(crate) fn concerns(&self, what: &str) -> bool {
        match &self.change.act {
            Act::PutFile { path, .. } | Act::DeleteFile { path } => path == what,
            Act::DeleteMatching(pattern) => glob_match(&fold(&pattern.glob), what),
            // flows of a unit share files
            act => {
                (act.flows().iter()).any(|flow| flow.key().replace("gb", "ga") == what.replace("gb", "ga"))
            }
        }
    }
}

/// All changes of a night, by project, run and sequence.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    /// Every change that was stored.
    pub(crate) asked: BTreeMap<(String, RunId, u64), AskedFor>,
    /// What people did by hand.
    pub(crate) visits: Vec<Visit>,
    /// Schedules that people set: project, flow, expression.
    pub(crate) crons_by_hand: Vec<(String, String, String)>,
    /// When people deleted a project last.
    pub(crate) deleted: BTreeMap<String, Ms>,
    /// Projects of which Azkaban lost the version that counted: see docs/RELIABILITY.md, "What is not promised".
    pub(crate) forgotten: BTreeSet<String>,
    /// Messages, duplicates included.
    pub(crate) messages: u64,
}

/// A flow as it must be in the end.
#[derive(Debug, Clone, Default)]
pub(crate) struct FlowWanted {
    /// Its files; `None`: it must not be there.
    pub(crate) paths: Option<BTreeSet<String>>,
    /// The change that decides.
    pub(crate) by: Option<Order>,
    owner: String,
    /// The schedules it may have; of a deleted flow, those it may have had.
    pub(crate) crons: BTreeSet<Option<String>>,
    /// Those it may have had at any time.
    ever: BTreeSet<Option<String>>,
}

/// A project as it must be in the end.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted {
    /// Flows by lower-case id.
    pub(crate) flows: BTreeMap<String, FlowWanted>,
    /// The content of files, of flows and shared ones.
    pub(crate) files: BTreeMap<String, Bytes>,
    /// Shared files: whether they must be there.
    pub(crate) shared: BTreeMap<String, bool>,
}

impl Truth {
    /// Notes that a message was stored (once more).
    pub(crate) fn stored(&mut self, envelope: &Envelope, now: Ms) {
        self.messages += 1;
        for change in &envelope.changes {
            let key = (envelope.project.key(), envelope.run, change.seq);
            self.asked.entry(key).or_insert_with(|| AskedFor {
                order: envelope.order(change),
                owner: envelope.owner.clone(),
                change: change.clone(),
                stored_at: now,
            });
        }
    }

    /// The changes of a project, oldest first.
    pub(crate) fn of_project(&self, key: &str) -> Vec<&AskedFor> {
        let mine = self.asked.iter().filter(|((project, _, _), _)| project == key);
        let mut mine: Vec<&AskedFor> = mine.map(|(_, asked)| asked).collect();
        mine.sort_by_key(|asked| asked.order);
        mine
    }
}

/// How a change counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counts {
    /// It does.
    Yes,
    /// A newer one does; where somebody else's flow was in its way, it never did.
    Superseded,
    /// The other way round: the flow was in nobody's way, or in somebody's after all.
    SupersededOtherwise,
    /// It lies in the dead letters.
    No,
    /// The flow does, its schedule was refused.
    FlowOnly,
}

impl Counts {
    /// Whether a change reaches a flow.
    fn reaches(self, flow: Option<&FlowWanted>, asked: &AskedFor) -> bool {
        let others = flow
            .is_some_and(|flow| flow.paths.is_some() && !flow.owner.is_empty() && flow.owner != asked.owner);
        match self {
            Self::Superseded => !others,
            Self::SupersededOtherwise => others,
            _ => true,
        }
    }
}

impl Wanted {
    /// Takes a change; changes come oldest first.
    pub(crate) fn take(&mut self, asked: &AskedFor, counts: Counts, format: Format) {
        if counts == Counts::No {
            return;
        }
        match &asked.change.act {
            Act::Upsert(upsert) => {
                for (flow, files) in files_of(&upsert.body, format) {
                    let new = || FlowWanted {
                        crons: [None].into(),
                        ..FlowWanted::default()
                    };
                    if !counts.reaches(self.flows.get(&flow), asked) {
                        continue;
                    }
                    let before = self.flows.get(&flow).cloned().unwrap_or_else(new);
                    let (mut crons, mut ever) = (before.crons, before.ever);
                    match &upsert.schedule {
                        Schedule::Set(cron) if counts != Counts::FlowOnly && cron != BAD_CRON => {
                            crons = [Some(cron.clone())].into();
                        }
                        Schedule::Remove => crons = [None].into(),
                        Schedule::Keep if before.paths.is_some() => {}
                        // a refused one leaves what is there, which older changes may not have set: those of its batch, and
                        // those that came late
                        Schedule::Set(_) => crons.extend(ever.iter().cloned().chain([None])),
                        // a deletion that comes after a newer put has nothing to delete any more, nor a schedule to take along
                        Schedule::Keep => {
                            crons.insert(None);
                        }
                    }
                    ever.extend(crons.iter().cloned());
                    let wanted = FlowWanted {
                        paths: Some(files.keys().cloned().collect()),
                        by: Some(asked.order),
                        owner: asked.owner.clone(),
                        crons,
                        ever,
                    };
                    self.files.extend(files);
                    self.flows.insert(flow, wanted);
                }
            }
            Act::Delete { flow } => {
                if counts.reaches(self.flows.get(&flow.key()), asked) {
                    self.delete(&flow.key(), asked.order);
                }
            }
            Act::DeleteMatching(pattern) => {
                let glob = fold(&pattern.glob);
                let except = |key: &str| pattern.except.iter().any(|flow| flow.key() == key);
                let mine: Vec<String> = (self.flows.iter())
                    .filter(|(key, flow)| {
                        flow.paths.is_some()
                            && flow.owner == asked.owner
                            && glob_match(&glob, key)
                            && !except(key)
                    })
                    .map(|(key, _)| key.clone())
                    .collect();
                mine.iter().for_each(|key| self.delete(key, asked.order));
            }
            Act::PutFile { path, content } => {
                self.files.insert(path.clone(), content.0.clone());
                self.shared.insert(path.clone(), true);
            }
            Act::DeleteFile { path } => {
                self.shared.insert(path.clone(), false);
            }
            Act::Check => {}
        }
    }

    fn delete(&mut self, key: &str, by: Order) {
        let before = self.flows.remove(key).unwrap_or_default();
        let gone = FlowWanted {
            paths: None,
            by: Some(by),
            ..before
        };
        self.flows.insert(key.to_owned(), gone);
    }
}

/// The flows of a body by lower-case id, each with its files.
fn files_of(body: &Body, format: Format) -> Vec<(String, BTreeMap<String, Bytes>)> {
    match body {
        Body::Flow(flow) => {
            let files = render(flow, format).expect("producers check what they send");
            vec![(flow.name.key(), files.into_iter().collect())]
        }
        // the units of the simulation: every flow needs its own file and those named after no flow
        Body::Unit(unit) => (unit.flows.iter())
            .map(|flow| {
                let own = |path: &String| {
                    let name = path.trim_end_matches(".job");
                    name == flow.as_str() || unit.flows.iter().all(|flow| flow.as_str() != name)
                };
                let files = unit.files.iter().filter(|(path, _)| own(path));
                (
                    flow.key(),
                    files
                        .map(|(path, content)| (path.clone(), content.0.clone()))
                        .collect(),
                )
            })
            .collect(),
    }
}

/// The changes of a message, for people.
pub(crate) fn labels(envelope: &Envelope) -> String {
    let words = envelope.changes.iter().map(|change| label(envelope, change));
    words.collect::<Vec<_>>().join(", ")
}

/// One of them.
pub(crate) fn label_of(envelope: &Envelope, seq: u64) -> String {
    let change = envelope.changes.iter().find(|change| change.seq == seq);
    change.map_or_else(String::new, |change| label(envelope, change))
}

fn label(envelope: &Envelope, change: &Change) -> String {
    let run = &envelope.run.0.simple().to_string()[..4];
    let what = match &change.act {
        Act::Upsert(upsert) => {
            let cron = match &upsert.schedule {
                Schedule::Keep => String::new(),
                Schedule::Remove => ", no cron".into(),
                Schedule::Set(cron) => format!(", cron {cron}"),
            };
            format!("put {}{cron}", change.label())
        }
        Act::PutFile { .. } => format!("put {}", change.label()),
        _ => format!("delete {}", change.label()),
    };
    format!("[{run}#{} rank {}: {what}]", change.seq, envelope.rank)
}
