//! Flow 1.0 written and read: one `.job` file per job, flat.
//!
//! Job ids are unique in a whole project, and the end job's id is the flow's. So the end job `<flow>.job` takes the
//! flow's name, and every other job is `<flow>~<job>.job`. A flow's name has no `~` here ([`crate::rules`] sees to it),
//! so the first `~` parts flow and job, and no two jobs of generated flows ever meet. Several end jobs get a `noop`
//! behind them, which is the flow.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;

use crate::load::{LoadedFlow, Node};
use crate::model::{Flow, Job};
use crate::name::{FlowName, fold};
use crate::{graph, properties};

/// Parts flow and job in a job's id.
pub(crate) const SEPARATOR: char = '~';

/// The id of each job, by its name.
pub(crate) fn ids(flow: &Flow) -> HashMap<&str, String> {
    let ends = graph::ends(&flow.jobs);
    let is_flow = |job: &Job| matches!(ends.as_slice(), [end] if end.name == job.name);
    let id = |job: &Job| match is_flow(job) {
        true => flow.name.to_string(),
        false => format!("{}{SEPARATOR}{}", flow.name, job.name),
    };
    flow.jobs.iter().map(|job| (job.name.as_str(), id(job))).collect()
}

/// The properties of a job's file but for type and dependencies: the flow's, the job's own over them, job names in the
/// condition replaced by ids.
pub(crate) fn props(flow: &Flow, job: &Job, ids: &HashMap<&str, String>) -> BTreeMap<String, String> {
    let mut all = flow.props.clone();
    all.extend(job.props.iter().map(|(key, value)| (key.clone(), value.clone())));
    if let Some(condition) = all.get_mut("condition") {
        *condition = rename_in(condition, |name| ids.get(name).map(String::as_str));
    }
    all
}

/// The files of a flow in good order.
pub(crate) fn files(flow: &Flow) -> Vec<(String, Bytes)> {
    let ids = ids(flow);
    let mut files: Vec<(String, Bytes)> = (flow.jobs.iter())
        .map(|job| {
            let needs = job
                .depends_on
                .iter()
                .filter_map(|name| ids.get(name.as_str()))
                .map(String::as_str);
            let props = props(flow, job, &ids);
            (
                path(&ids[job.name.as_str()]),
                job_file(&job.kind, needs.collect(), &props),
            )
        })
        .collect();
    let ends = graph::ends(&flow.jobs);
    if ends.len() > 1 {
        let needs = ends.iter().map(|job| ids[job.name.as_str()].as_str()).collect();
        files.push((
            path(flow.name.as_str()),
            job_file("noop", needs, &BTreeMap::new()),
        ));
    }
    files.sort();
    files
}

fn path(id: &str) -> String {
    format!("{id}.job")
}

/// Type, dependencies and command come first, as people write them; the rest is sorted.
pub(crate) fn job_file(kind: &str, needs: BTreeSet<&str>, props: &BTreeMap<String, String>) -> Bytes {
    let needs = needs.into_iter().collect::<Vec<_>>().join(",");
    let mut pairs = vec![("type", kind)];
    if !needs.is_empty() {
        pairs.push(("dependencies", &needs));
    }
    pairs.extend(props.get("command").map(|command| ("command", command.as_str())));
    let rest = props.iter().filter(|(key, _)| *key != "command");
    pairs.extend(rest.map(|(key, value)| (key.as_str(), value.as_str())));
    properties::write(pairs.into_iter()).into()
}

/// Replaces job names in the `${job:key}` of a condition.
pub(crate) fn rename_in<'a>(condition: &str, rename: impl Fn(&str) -> Option<&'a str>) -> String {
    let mut out = String::with_capacity(condition.len());
    let mut rest = condition;
    while let Some(at) = rest.find("${") {
        let (before, inner) = rest.split_at(at + 2);
        out.push_str(before);
        let end = inner.find([':', '{', '}']).unwrap_or(inner.len());
        let (name, after) = inner.split_at(end);
        // Azkaban takes the blanks out of a condition
        let bare: String = name.split_ascii_whitespace().collect();
        out.push_str(rename(&bare).filter(|_| after.starts_with(':')).unwrap_or(name));
        rest = after;
    }
    out + rest
}

/// A loaded flow in the model; the error says what would be lost.
pub(crate) fn lift(id: &str, flow: &LoadedFlow) -> Result<Flow, String> {
    let name = FlowName::new(id).map_err(|error| error.to_string())?;
    for node in &flow.nodes {
        refuse_loss(node)?;
    }
    let names = names(id, &flow.nodes);
    let jobs = flow.nodes.iter().map(|node| job(node, &names)).collect();
    Ok(Flow {
        name,
        jobs,
        props: BTreeMap::new(),
    })
}

fn refuse_loss(node: &Node) -> Result<(), String> {
    let id = &node.id;
    if node.embedded.is_some() {
        return Err(format!("its job {id:?} runs another flow"));
    }
    if node.props != node.own_props {
        return Err(format!("its job {id:?} inherits from a .properties file"));
    }
    Ok(())
}

/// Names within the flow, by id: the flow's prefix is taken off again.
fn names<'a>(flow: &'a str, nodes: &'a [Node]) -> HashMap<&'a str, String> {
    let mut names = HashMap::new();
    let mut taken = BTreeSet::new();
    for node in nodes.iter().filter(|node| node.id != flow) {
        let bare = node
            .id
            .strip_prefix(flow)
            .and_then(|rest| rest.strip_prefix(SEPARATOR));
        let mut name = bare.filter(|bare| !bare.is_empty()).unwrap_or(&node.id);
        if !taken.insert(fold(name)) {
            name = &node.id;
            taken.insert(fold(name));
        }
        names.insert(node.id.as_str(), name.to_owned());
    }
    let mut end = flow.to_owned();
    let mut number = 1;
    while taken.contains(&fold(&end)) {
        end = if number == 1 {
            "end".to_owned()
        } else {
            format!("end_{number}")
        };
        number += 1;
    }
    names.insert(flow, end);
    names
}

fn job(node: &Node, names: &HashMap<&str, String>) -> Job {
    let mut props = BTreeMap::clone(&node.own_props);
    // what these say stands in the model itself
    for key in ["type", "dependencies", "root.node"] {
        props.remove(key);
    }
    if let Some(condition) = props.get_mut("condition") {
        *condition = rename_in(condition, |id| names.get(id).map(String::as_str));
    }
    let mut depends_on: Vec<String> = node
        .depends_on
        .iter()
        .filter_map(|id| names.get(id.as_str()))
        .cloned()
        .collect();
    depends_on.sort_unstable();
    Job {
        name: names[node.id.as_str()].clone(),
        kind: node.kind.clone(),
        props,
        depends_on,
    }
}
