//! Loads the draft as Azkaban will and finds the changes that must not be in it.
//!
//! Each change was checked alone; here it is what they do together, and to the flows that are there: job names that clash, a
//! job that makes another flow's end job a dependency (so that flow would vanish), a dependency that turned into a flow.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use flowlift_azkaban::name::fold;
use flowlift_azkaban::{Load, Loaded, outline};

use super::draft::{Draft, flow_key};
use super::{Asked, ChangeId, Changes};
use flowlift_common::Seen;

use crate::base::Base;

/// The flows Azkaban will list, or who is to blame that it will not list what was meant. Never an empty blame.
pub(super) fn check(
    base: &Base,
    seen: &Seen,
    asked: &[Asked<'_>],
    changes: &dyn Changes,
    convicted: &BTreeMap<ChangeId, String>,
    draft: &Draft<'_>,
) -> Result<BTreeSet<String>, BTreeMap<ChangeId, String>> {
    let (blamed, reason) = match judge(draft) {
        Ok(expected) => return Ok(expected),
        Err(verdict) => verdict,
    };
    if !blamed.is_empty() {
        return Err(blamed);
    }
    let innocent = |one: &&Asked<'_>| !convicted.contains_key(&one.id) && !draft.is_dead(one.id);
    let suspects: Vec<Asked<'_>> = asked.iter().filter(innocent).copied().collect();
    let culprit = shortest_failing_prefix(&suspects, |prefix| {
        judge(&Draft::of(
            base,
            draft.format,
            seen,
            prefix,
            changes,
            &BTreeMap::new(),
        ))
        .is_err()
    });
    match culprit {
        Some(culprit) => Err(BTreeMap::from([(culprit.id, reason)])),
        // nothing in this batch is to blame: the base itself lists what it lists
        None => Ok(base.loaded.listed().into_iter().map(str::to_owned).collect()),
    }
}

/// The last of the shortest prefix that fails: with everything before it all is well, with it not.
fn shortest_failing_prefix<'s, 'a>(
    suspects: &'s [Asked<'a>],
    fails: impl Fn(&[Asked<'a>]) -> bool,
) -> Option<&'s Asked<'a>> {
    let (mut good, mut bad) = (0, suspects.len());
    if !fails(suspects) || fails(&[]) {
        return None;
    }
    while bad - good > 1 {
        let middle = usize::midpoint(good, bad);
        if fails(&suspects[..middle]) {
            bad = middle;
        } else {
            good = middle;
        }
    }
    suspects.get(bad - 1)
}

type Verdict = (BTreeMap<ChangeId, String>, String);

fn judge(draft: &Draft<'_>) -> Result<BTreeSet<String>, Verdict> {
    let tree = draft.tree();
    let loaded = outline(&tree);
    drop(tree);
    match loaded {
        Load::Flows(loaded) => compare(draft, loaded),
        Load::Refused(problems) => {
            let mut blamed = BTreeMap::new();
            for problem in &problems {
                let by_path = problem.path.as_ref().and_then(|path| bringer_of(draft, path));
                let by_flow = problem
                    .flow
                    .as_ref()
                    .and_then(|flow| draft.holders.get(&flow_key(&fold(flow))).copied());
                if let Some(id) = by_path.or(by_flow) {
                    blamed.entry(id).or_insert_with(|| problem.message.clone());
                }
            }
            let text = problems
                .into_iter()
                .next()
                .map_or_else(String::new, |problem| problem.message);
            Err((blamed, text))
        }
        Load::Exception(problem) => {
            let blamed = problem.path.as_ref().and_then(|path| bringer_of(draft, path));
            Err((
                blamed
                    .map(|id| (id, problem.message.clone()))
                    .into_iter()
                    .collect(),
                problem.message,
            ))
        }
        Load::StackOverflow => Err((
            BTreeMap::new(),
            "its jobs depend on each other in a circle".into(),
        )),
    }
}

fn bringer_of(draft: &Draft<'_>, path: &str) -> Option<ChangeId> {
    draft.files.get(path)?.as_ref().map(|put| put.by)
}

/// What is listed must be what is meant: no flow vanished, none turned up.
fn compare(draft: &Draft<'_>, loaded: Loaded) -> Result<BTreeSet<String>, Verdict> {
    let listed = loaded.listed();
    let meant: BTreeSet<&str> = draft.flows.values().map(|flow| flow.name.as_str()).collect();
    if listed == meant {
        return Ok(loaded.flows.into_keys().collect());
    }
    let mut blamed = BTreeMap::new();
    let mut text = String::new();
    for lost in meant.difference(&listed) {
        text = format!("flow {lost} would vanish: another flow's job depends on its last job");
        let end = draft.flows.get(&fold(lost)).map(|flow| &flow.paths);
        for (flow, made) in &loaded.flows {
            let has = |path: &Arc<str>| made.files.iter().any(|file| **file == **path);
            let reaches = end.is_some_and(|paths| paths.iter().any(has));
            if reaches && let Some(id) = draft.holders.get(&flow_key(&fold(flow))) {
                blamed.entry(*id).or_insert_with(|| text.clone());
            }
        }
    }
    for extra in listed.difference(&meant) {
        text = format!("job {extra} would become a flow of its own");
        let bringers = loaded
            .paths_of(extra)
            .into_iter()
            .filter_map(|path| bringer_of(draft, path));
        for id in bringers {
            blamed.entry(id).or_insert_with(|| text.clone());
        }
    }
    Err((blamed, text))
}
