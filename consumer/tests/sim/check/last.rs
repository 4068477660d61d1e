//! The end of a night: each project holds what was asked for, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use flowlift_azkaban::Format;
use flowlift_azkaban::name::fold;

use super::hand::Hand;
use super::ledger::{self, Fates};
use crate::azkaban::project::Project;
use crate::producer;
use crate::truth::{AskedFor, Counts, FlowWanted, Wanted};
use crate::world::World;

/// Changes that somebody gave up and somebody else did not, or that were superseded where several owners meet (whose flow it
/// was in between depends on what came first): either way will do, so all ways are tried, up to this many.
const DISPUTED: usize = 6;

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
    let asked = truth.of_project(key);
    let mut state = w.azkaban.state.borrow_mut();
    let empty = Project::new(0);
    let there: &Project = match state.project(key) {
        Ok(project) => project,
        Err(_) => &empty,
    };
    let format = there.content.as_ref().and_then(|content| content.format()).unwrap_or(asked_format(w));
    let fate = |one: &AskedFor| fates.get(&(one.order.run, one.change.seq));
    let disputed: Vec<usize> = (asked.iter().enumerate())
        .filter(|(_, one)| fate(one).is_some_and(|fate| fate.disputed || fate.is_superseded_among_owners(w)))
        .map(|(at, _)| at)
        .take(DISPUTED)
        .collect();
    let mut first = None;
    for ways in 0..(1_u32 << disputed.len()) {
        let mut wanted = Wanted::default();
        for (at, one) in asked.iter().enumerate() {
            let known = fate(one).map_or(Counts::Yes, ledger::Fate::counts);
            let turned = disputed.iter().position(|place| *place == at).is_some_and(|bit| ways >> bit & 1 == 1);
            let counts = match (turned, known) {
                (false, known) => known,
                (true, Counts::Yes | Counts::Superseded) => Counts::No,
                (true, _) => Counts::Yes,
            };
            wanted.take(one, counts, format);
        }
        let there = There::of(there);
        let mut wrong = compare(key, &wanted, &there, &Hand::of(&truth, key, &asked));
        if format != asked_format(w) && truth.visits.is_empty() {
            wrong.push(format!("{key} is a project of Flow {format}, it was to be {}", asked_format(w)));
        }
        if wrong.is_empty() {
            return wrong;
        }
        first.get_or_insert(wrong);
    }
    first.unwrap_or_default()
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
            tree: project.content.as_ref().map(|content| content.tree.clone()).unwrap_or_default(),
            project,
        }
    }

    /// Whether a flow is as these files have it; `None`: not there.
    pub(super) fn has(&self, flow: &str, files: Option<&BTreeMap<String, Bytes>>) -> bool {
        match files {
            None => !self.listed.contains(flow),
            Some(files) => {
                self.listed.contains(flow) && files.iter().all(|(path, content)| self.tree.get(path) == Some(content))
            }
        }
    }
}

fn compare(key: &str, wanted: &Wanted, there: &There<'_>, hand: &Hand<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    let nothing = FlowWanted::default();
    let flows: BTreeSet<&String> = (wanted.flows.keys()).chain(&there.listed).chain(hand.flows()).collect();
    for flow in flows {
        let one = wanted.flows.get(flow).unwrap_or(&nothing);
        let files = one.paths.as_ref().map(|paths| {
            let content = paths.iter().filter_map(|path| Some((path.clone(), wanted.files.get(path)?.clone())));
            content.collect::<BTreeMap<_, _>>()
        });
        let asked = there.has(flow, files.as_ref());
        if !hand.may_be(flow, one, asked, there) {
            wrong.push(told(key, flow, one, files.as_ref(), there));
            continue;
        }
        let cron = there.project.schedules.get(flow).map(|(_, _, cron)| cron.clone());
        if asked && files.is_some() && !one.crons.contains(&cron) && !hand.may_schedule(flow, cron.as_ref()) {
            wrong.push(format!("flow {flow} of {key} has the schedule {cron:?}, wanted {:?}", one.crons));
        }
    }
    for (path, present) in wanted.shared.iter().filter(|_| !hand.was_deleted()) {
        let good = match there.tree.get(path) {
            Some(content) => *present && wanted.files.get(path) == Some(content),
            None => !*present,
        };
        if !good {
            wrong.push(format!(
                "shared file {path} of {key} is {:?}, wanted there: {present}",
                there.tree.get(path)
            ));
        }
    }
    wrong
}

fn told(key: &str, flow: &str, one: &FlowWanted, files: Option<&BTreeMap<String, Bytes>>, there: &There<'_>) -> String {
    let listed = there.listed.contains(flow);
    match (files, listed) {
        (None, _) if one.by.is_none() => format!("flow {flow} of {key} is not as people left it, listed: {listed}"),
        (None, _) => format!("flow {flow} of {key} is there, but {:?} deleted it", one.by),
        (Some(_), false) => format!("flow {flow} of {key} is lost, {:?} brought it", one.by),
        (Some(files), true) => {
            let is: Vec<_> = files.keys().map(|path| there.tree.get(path)).collect();
            format!("flow {flow} of {key} holds {is:?}, {:?} brought {files:?}", one.by)
        }
    }
}
