//! The end of a night: each project holds what was asked for, and nothing else.

use std::collections::BTreeSet;

use flowlift_azkaban::Format;
use flowlift_azkaban::name::fold;

use super::ledger::{self, Fates};
use crate::azkaban::project::Project;
use crate::producer;
use crate::truth::{AskedFor, Counts, Wanted};
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
                (true, Counts::Yes) => Counts::No,
                (true, _) => Counts::Yes,
            };
            wanted.take(one, counts, format);
        }
        let mut wrong = compare(key, &wanted, there);
        if format != asked_format(w) {
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

fn compare(key: &str, wanted: &Wanted, there: &Project) -> Vec<String> {
    let mut wrong = Vec::new();
    let listed: BTreeSet<String> = there.listed().iter().map(|flow| fold(flow)).collect();
    let tree = there.content.as_ref().map(|content| content.tree.clone()).unwrap_or_default();
    for (flow, one) in &wanted.flows {
        let Some(paths) = &one.paths else {
            if listed.contains(flow) {
                wrong.push(format!("flow {flow} of {key} is there, but {:?} deleted it", one.by));
            }
            continue;
        };
        if !listed.contains(flow) {
            wrong.push(format!("flow {flow} of {key} is lost, {:?} brought it", one.by));
            continue;
        }
        for path in paths.iter().filter(|path| tree.get(*path) != wanted.files.get(*path)) {
            wrong.push(format!(
                "file {path} of {key} holds {:?}, {:?} brought {:?}",
                tree.get(path),
                one.by,
                wanted.files.get(path)
            ));
        }
        let cron = there.schedules.get(flow).map(|(_, _, cron)| cron.clone());
        if !one.crons.contains(&cron) {
            wrong.push(format!("flow {flow} of {key} has the schedule {cron:?}, wanted {:?}", one.crons));
        }
    }
    for flow in listed.iter().filter(|flow| !wanted.flows.contains_key(*flow)) {
        wrong.push(format!("flow {flow} of {key} turned up from nowhere"));
    }
    for (path, present) in &wanted.shared {
        let good = match tree.get(path) {
            Some(content) => *present && wanted.files.get(path) == Some(content),
            None => !*present,
        };
        if !good {
            wrong.push(format!("shared file {path} of {key} is {:?}, wanted there: {present}", tree.get(path)));
        }
    }
    wrong
}
