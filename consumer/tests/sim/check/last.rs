//! The end of a night: each project holds what was asked for, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use flowlift_azkaban::Format;
use flowlift_azkaban::name::fold;
use flowlift_common::ledger::Outcome;

use super::hand::Hand;
use super::ledger::{self, Fates};
use crate::azkaban::project::Project;
use crate::producer;
use crate::truth::{AskedFor, Counts, FlowWanted, Wanted};
use crate::world::World;

/// So many doubtful changes of a flow are tried both ways.
const DOUBTFUL: usize = 12;

/// Judges everything.
pub(crate) fn judge(w: &World) -> Vec<String> {
    let fates = ledger::read(w);
    let mut wrong = ledger::judge(w, &fates);
    for number in 0..w.weather.projects {
        let name = producer::project(number);
        wrong.extend(project(w, &name.key(), &fates));
    }
    wrong
}

fn project(w: &World, key: &str, fates: &Fates) -> Vec<String> {
    let truth = w.truth.borrow();
    if truth.forgotten.contains(key) {
        return Vec::new();
    }
    let asked = truth.of_project(key);
    let mut state = w.azkaban.state.borrow_mut();
    let empty = Project::new(0);
    let there: &Project = match state.project(key) {
        Ok(project) => project,
        Err(_) => &empty,
    };
    let format = there
        .content
        .as_ref()
        .and_then(|content| content.format())
        .unwrap_or(asked_format(w));
    let there = There::of(there);
    let hand = Hand::of(&truth, key, &asked);
    let ways = Ways {
        asked: &asked,
        fates,
        format,
    };
    let mut wrong = compare(key, &ways, &there, &hand);
    if format != asked_format(w) && truth.visits.is_empty() {
        wrong.push(format!(
            "{key} is a project of Flow {format}, it was to be {}",
            asked_format(w)
        ));
    }
    wrong
}

/// The ways in which a project's changes may have counted.
///
/// A change that one consumer gave up and another did not may count or not. So may one that was superseded where several
/// owners ask for one flow: whose flow it was at that place in the order depends on what came first.
struct Ways<'t> {
    asked: &'t [&'t AskedFor],
    fates: &'t Fates,
    format: Format,
}

impl Ways<'_> {
    /// Whether what is wanted in any way fits, for one flow or file; if not, what is wrong in the likeliest.
    fn any(&self, of: &str, fits: impl Fn(&Wanted) -> Result<(), String>) -> Result<(), String> {
        let first = match fits(&self.fold(&[], 0)) {
            Ok(()) => return Ok(()),
            Err(first) => first,
        };
        let doubtful = self.doubtful(of);
        let any = (1..(1_u32 << doubtful.len())).any(|ways| fits(&self.fold(&doubtful, ways)).is_ok());
        if any { Ok(()) } else { Err(first) }
    }

    /// Places of the changes that may or may not count for a flow or file.
    fn doubtful(&self, of: &str) -> Vec<usize> {
        let concerns = |one: &AskedFor| one.concerns(of);
        let owners: BTreeSet<&String> = (self.asked.iter())
            .filter(|one| concerns(one))
            .map(|one| &one.owner)
            .collect();
        let superseded = |fate: &ledger::Fate| owners.len() > 1 && fate.outcome == Outcome::Superseded;
        let doubtful = self.asked.iter().enumerate().filter(|(_, one)| {
            let fate = self.fates.get(&(one.order.run, one.change.seq));
            concerns(one) && fate.is_some_and(|fate| fate.disputed || superseded(fate))
        });
        // the newest say most
        let doubtful: Vec<usize> = doubtful.map(|(at, _)| at).collect();
        doubtful[doubtful.len().saturating_sub(DOUBTFUL)..].to_vec()
    }

    /// What is wanted if those of the doubtful whose bit is set count the other way.
    fn fold(&self, doubtful: &[usize], ways: u32) -> Wanted {
        let mut wanted = Wanted::default();
        for (at, one) in self.asked.iter().enumerate() {
            let fate = self.fates.get(&(one.order.run, one.change.seq));
            let known = fate.map_or(Counts::Yes, ledger::Fate::counts);
            let turned =
                (doubtful.iter().position(|place| *place == at)).is_some_and(|bit| ways >> bit & 1 == 1);
            let counts = match (turned, known) {
                (false, known) => known,
                (true, Counts::Yes) => Counts::No,
                (true, Counts::Superseded) => Counts::SupersededOtherwise,
                (true, _) => Counts::Yes,
            };
            wanted.take(one, counts, self.format);
        }
        wanted
    }
}

fn asked_format(w: &World) -> Format {
    if w.weather.flow2 { Format::V2 } else { Format::V1 }
}

/// What Azkaban has.
pub(super) struct There<'p> {
    listed: BTreeSet<String>,
    tree: BTreeMap<String, Bytes>,
    project: &'p Project,
}

impl<'p> There<'p> {
    fn of(project: &'p Project) -> Self {
        Self {
            listed: project.listed().iter().map(|flow| fold(flow)).collect(),
            tree: project
                .content
                .as_ref()
                .map(|content| content.tree.clone())
                .unwrap_or_default(),
            project,
        }
    }

    /// Whether a flow is as these files have it; `None`: not there.
    pub(super) fn has(&self, flow: &str, files: Option<&BTreeMap<String, Bytes>>) -> bool {
        match files {
            None => !self.listed.contains(flow),
            Some(files) => {
                self.listed.contains(flow)
                    && files
                        .iter()
                        .all(|(path, content)| self.tree.get(path) == Some(content))
            }
        }
    }
}

fn compare(key: &str, ways: &Ways<'_>, there: &There<'_>, hand: &Hand<'_>) -> Vec<String> {
    let wanted = ways.fold(&[], 0);
    let flows: BTreeSet<&String> = (wanted.flows.keys())
        .chain(&there.listed)
        .chain(hand.flows())
        .collect();
    let flows = flows
        .into_iter()
        .map(|flow| ways.any(flow, |wanted| flow_fits(key, flow, wanted, there, hand)));
    let paths = wanted.shared.keys().filter(|_| !hand.was_deleted());
    let files = paths.map(|path| ways.any(path, |wanted| file_fits(key, path, wanted, there)));
    flows.chain(files).filter_map(Result::err).collect()
}

fn flow_fits(
    key: &str,
    flow: &str,
    wanted: &Wanted,
    there: &There<'_>,
    hand: &Hand<'_>,
) -> Result<(), String> {
    let nothing = FlowWanted::default();
    let one = wanted.flows.get(flow).unwrap_or(&nothing);
    let files = one.paths.as_ref().map(|paths| {
        let content = paths
            .iter()
            .filter_map(|path| Some((path.clone(), wanted.files.get(path)?.clone())));
        content.collect::<BTreeMap<_, _>>()
    });
    let asked = there.has(flow, files.as_ref());
    if !hand.may_be(flow, one, asked, there) {
        return Err(told(key, flow, one, files.as_ref(), there));
    }
    let cron = there.project.schedules.get(flow).map(|(_, _, cron)| cron.clone());
    if asked && files.is_some() && !one.crons.contains(&cron) && !hand.may_schedule(flow, cron.as_ref()) {
        return Err(format!(
            "flow {flow} of {key} has the schedule {cron:?}, wanted {:?}",
            one.crons
        ));
    }
    Ok(())
}

fn file_fits(key: &str, path: &str, wanted: &Wanted, there: &There<'_>) -> Result<(), String> {
    let present = wanted.shared.get(path).copied().unwrap_or_default();
    let is = there.tree.get(path);
    let good = match is {
        Some(content) => present && wanted.files.get(path) == Some(content),
        None => !present,
    };
    if good {
        return Ok(());
    }
    Err(format!(
        "shared file {path} of {key} is {is:?}, wanted there: {present}"
    ))
}

fn told(
    key: &str,
    flow: &str,
    one: &FlowWanted,
    files: Option<&BTreeMap<String, Bytes>>,
    there: &There<'_>,
) -> String {
    let listed = there.listed.contains(flow);
    match (files, listed) {
        (None, _) if one.by.is_none() => {
            format!("flow {flow} of {key} is not as people left it, listed: {listed}")
        }
        (None, _) => format!("flow {flow} of {key} is there, but {:?} deleted it", one.by),
        (Some(_), false) => format!("flow {flow} of {key} is lost, {:?} brought it", one.by),
        (Some(files), true) => {
            let is: Vec<_> = files.keys().map(|path| there.tree.get(path)).collect();
            format!(
                "flow {flow} of {key} holds {is:?}, {:?} brought {files:?}",
                one.by
            )
        }
    }
}
