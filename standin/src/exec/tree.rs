//! The jobs of one execution: a tree, because a flow may hold flows.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::exec::condition::{self, Needs};
use crate::exec::options::Disabled;
use crate::exec::status::Status;
use crate::state::flows::Flows;
use crate::wire::java::hash_order;

/// Embedded flows can double with each level; a real server would run out of memory.
const NODES_MAX: usize = 100_000;
/// Levels of flows within flows; a real server would run out of stack.
const DEPTH_MAX: usize = 200;

/// The flow itself.
pub(crate) const ROOT: usize = 0;

/// A job, or a flow in its place.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Node {
    pub(crate) id: String,
    /// With the ids of the flows around it, all but the outermost.
    pub(crate) nested: String,
    pub(crate) kind: Arc<str>,
    /// The flow it stands in; none for the outermost.
    pub(crate) parent: Option<usize>,
    /// The flow it runs, if it is one.
    pub(crate) flow: Option<String>,
    /// Jobs of that flow.
    pub(crate) children: Vec<usize>,
    pub(crate) inputs: Vec<usize>,
    pub(crate) outputs: Vec<usize>,
    pub(crate) condition: Option<String>,
    pub(crate) needs: Needs,
    /// The file it stands in.
    pub(crate) source: String,
    pub(crate) status: Status,
    /// -1 until then, as the two below.
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
    pub(crate) update_ms: i64,
    pub(crate) attempt: u32,
    pub(crate) past: Vec<Attempt>,
    /// How often it is tried again and after how many milliseconds, as its properties say; known when it is started.
    #[serde(skip)]
    pub(crate) retries: Option<String>,
    #[serde(skip)]
    pub(crate) backoff: Option<String>,
    /// How long its next try waits.
    #[serde(skip)]
    pub(crate) delay_ms: u64,
    /// It was started, and is to be killed.
    #[serde(skip)]
    pub(crate) killed: bool,
    /// Properties it gives to those that depend on it.
    #[serde(skip)]
    pub(crate) given: Arc<BTreeMap<String, String>>,
}

/// A try that failed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Attempt {
    pub(crate) status: Status,
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
}

/// The execution would be larger than any server can bear.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLarge;

/// All nodes of an execution of a flow, the flow itself first; `None` for an unknown flow.
pub(crate) fn build(flows: &Flows, flow: &str) -> Result<Option<Vec<Node>>, TooLarge> {
    if flows.get(flow).is_none() {
        return Ok(None);
    }
    let flow_itself = Node {
        flow: Some(flow.to_owned()),
        ..blank(flow)
    };
    let mut nodes = vec![flow_itself];
    let mut todo = vec![(ROOT, 0)];
    while let Some((at, depth)) = todo.pop() {
        let first = nodes.len();
        add_children(flows, &mut nodes, at);
        if nodes.len() > NODES_MAX || depth > DEPTH_MAX {
            return Err(TooLarge);
        }
        todo.extend(
            (first..nodes.len())
                .filter(|&child| nodes[child].flow.is_some())
                .map(|child| (child, depth + 1)),
        );
    }
    Ok(Some(nodes))
}

/// A node nobody has filled in yet.
fn blank(id: &str) -> Node {
    Node {
        id: id.to_owned(),
        nested: id.to_owned(),
        kind: Arc::from(""),
        parent: None,
        flow: None,
        children: Vec::new(),
        inputs: Vec::new(),
        outputs: Vec::new(),
        condition: None,
        needs: Needs::AllSuccess,
        source: String::new(),
        status: Status::Ready,
        start_ms: -1,
        end_ms: -1,
        update_ms: -1,
        attempt: 0,
        past: Vec::new(),
        retries: None,
        backoff: None,
        delay_ms: 0,
        killed: false,
        given: Arc::default(),
    }
}

/// Places in the order in which a Java hash set of their ids would list them.
fn by_hash<'a>(places: impl Iterator<Item = usize>, id: impl Fn(usize) -> &'a str) -> Vec<usize> {
    let mut named: Vec<(&str, usize)> = places.map(|place| (id(place), place)).collect();
    hash_order(&mut named, |(id, _)| id);
    named.into_iter().map(|(_, place)| place).collect()
}

/// Adds the jobs of the flow at `at`, in the order of Java's hash map.
fn add_children(flows: &Flows, nodes: &mut Vec<Node>, at: usize) {
    let id = nodes[at].flow.clone().unwrap_or_default();
    let Some(flow) = flows.get(&id) else {
        return;
    };
    let first = nodes.len();
    let order = by_hash(0..flow.nodes.len(), |job| &flow.nodes[job].id);
    let place: HashMap<usize, usize> = order
        .iter()
        .enumerate()
        .map(|(at, &job)| (job, first + at))
        .collect();
    for &job in &order {
        let node = &flow.nodes[job];
        let nested = match at {
            ROOT => node.id.to_string(),
            _ => format!("{}:{}", nodes[at].nested, node.id),
        };
        nodes.push(Node {
            nested,
            kind: Arc::clone(&node.kind),
            parent: Some(at),
            flow: node.embedded.as_deref().map(str::to_owned),
            condition: node.condition.as_deref().map(str::to_owned),
            needs: condition::needs(node.condition.as_deref()),
            source: node.source.to_string(),
            inputs: node.inputs.iter().map(|&job| place[&(job as usize)]).collect(),
            ..blank(&node.id)
        });
    }
    for child in first..nodes.len() {
        let inputs = by_hash(nodes[child].inputs.iter().copied(), |input| &nodes[input].id);
        for &input in &inputs {
            nodes[input].outputs.push(child);
        }
        nodes[child].inputs = inputs;
    }
    for child in first..nodes.len() {
        let outputs = by_hash(nodes[child].outputs.iter().copied(), |output| &nodes[output].id);
        nodes[child].outputs = outputs;
    }
    nodes[at].children = (first..nodes.len()).collect();
}

/// A null pointer of Azkaban's.
pub(crate) const NULL_DISABLED: &str =
    "Cannot invoke \"azkaban.executor.DisabledJob.isEmbeddedFlow()\" because \"disabled\" is null";

/// Marks disabled jobs; unknown names are ignored, what is no name at all is an error.
pub(crate) fn disable(
    nodes: &mut [Node],
    disabled: &[Option<Disabled>],
    flow: usize,
) -> Result<(), &'static str> {
    for one in disabled {
        let one = one.as_ref().ok_or(NULL_DISABLED)?;
        let child = nodes[flow]
            .children
            .iter()
            .copied()
            .find(|&child| nodes[child].id == one.name);
        match (child, &one.children) {
            (Some(child), None) => nodes[child].status = Status::Disabled,
            (Some(child), Some(inner)) if nodes[child].flow.is_some() => disable(nodes, inner, child)?,
            _ => {}
        }
    }
    Ok(())
}

/// The node at a path like `embedded:job`.
pub(crate) fn find(nodes: &[Node], path: &str) -> Option<usize> {
    // Java's `split` drops empty pieces at the end.
    let path = path.trim_end_matches(':');
    let mut at = ROOT;
    for id in path.split(':') {
        at = nodes[at]
            .children
            .iter()
            .copied()
            .find(|&child| nodes[child].id == id)?;
    }
    Some(at)
}
