//! The loader: what Azkaban 4.0.0 would do with an uploaded project, to its exact words.
//!
//! Which of two messages is met first, and the order of a report, are Java's: its hash order is followed where 4.0.0
//! follows it. Where Azkaban depends on the order in which a file system lists a folder, files are taken by name.

pub(crate) mod bean;
pub(crate) mod checks;
pub(crate) mod condition;
mod embedding;
pub(crate) mod files;
mod java;
mod levels;
mod nodes;
pub(crate) mod project;
mod report;
mod trigger;
pub(crate) mod v1;
mod v2;
mod walk;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::{Format, Tree};

/// What an upload of a project would come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Load {
    /// It is accepted; these flows are listed.
    Flows(Loaded),
    /// The validator "Directory Flow" reports errors: all of them, in its order.
    Refused(Vec<Problem>),
    /// An exception ends it: `Installation Failed.<br>` and this message.
    Exception(Problem),
    /// The server's thread runs out of stack: an HTML page, no message (a cycle behind a start node).
    StackOverflow,
}

/// One message of Azkaban.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Problem {
    /// Azkaban's exact text.
    pub message: String,
    /// The file that is to blame, when known.
    pub path: Option<String>,
    /// The flow that is to blame, when known.
    pub flow: Option<String>,
}

/// An accepted project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// Which loader read it.
    pub format: Format,
    /// The listed flows by id.
    pub flows: BTreeMap<String, LoadedFlow>,
    /// Flows that are stored but not listed: embedded ones of Flow 2.0, id `flow:node`.
    pub embedded: BTreeMap<String, LoadedFlow>,
}

/// One flow as Azkaban sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadedFlow {
    /// Its jobs, by id. After [`outline`]: none.
    pub nodes: Vec<Node>,
    /// The files it is made of, ascending, without those of flows it runs ([`Loaded::paths_of`] knows them). Flow 1.0: every
    /// `.job` file reachable from its end job, and not the `.properties` files. Flow 2.0: its `.flow` file.
    pub files: Vec<String>,
    /// The flows it runs: keys of [`Loaded::flows`] (1.0) or of [`Loaded::embedded`] (2.0).
    pub runs: Vec<String>,
}

/// One job of a flow as Azkaban sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its id in the flow.
    pub id: String,
    /// Its type.
    pub kind: String,
    /// The ids it depends on, sorted, each once.
    pub depends_on: Vec<String>,
    /// Its distance from the flow's start nodes, the longest way.
    pub level: usize,
    /// The properties it runs with, inherited ones included.
    pub props: Arc<BTreeMap<String, String>>,
    /// The properties written at the job itself (the `.job` file, the node's `config` and type).
    pub own_props: Arc<BTreeMap<String, String>>,
    /// The file it stands in.
    pub source: String,
    /// When it runs, if a condition is set.
    pub condition: Option<String>,
    /// The flow it runs instead of a process: a key of [`Loaded::flows`] (1.0) or of [`Loaded::embedded`] (2.0).
    pub embedded: Option<String>,
}

impl Loaded {
    /// The ids that `fetchprojectflows` lists.
    #[must_use]
    pub fn listed(&self) -> BTreeSet<&str> {
        self.flows.keys().map(String::as_str).collect()
    }

    /// A flow by id, listed or embedded.
    #[must_use]
    pub fn flow(&self, id: &str) -> Option<&LoadedFlow> {
        self.flows.get(id).or_else(|| self.embedded.get(id))
    }

    /// The files a flow is made of, those of the flows it runs included; empty for an unknown flow.
    #[must_use]
    pub fn paths_of(&self, flow: &str) -> BTreeSet<&str> {
        let mut paths = BTreeSet::new();
        let mut met = BTreeSet::from([flow]);
        let mut todo = vec![flow];
        while let Some(flow) = todo.pop().and_then(|id| self.flow(id)) {
            paths.extend(flow.files.iter().map(String::as_str));
            let runs = flow.runs.iter().map(String::as_str);
            todo.extend(runs.filter(|id| self.flow(id).is_some() && met.insert(id)));
        }
        paths
    }
}

impl LoadedFlow {
    /// A job by id.
    #[must_use]
    pub fn node(&self, id: &str) -> Option<&Node> {
        self.nodes
            .binary_search_by(|node| node.id.as_str().cmp(id))
            .ok()
            .map(|at| &self.nodes[at])
    }
}

/// Reads a project as Azkaban would after unpacking it.
#[must_use]
pub fn load(tree: &Tree) -> Load {
    read(tree, Keep::Jobs)
}

/// The same without the jobs: which flows there are and what files they are made of, in a fraction of the memory.
#[must_use]
pub fn outline(tree: &Tree) -> Load {
    read(tree, Keep::Flows)
}

fn read(tree: &Tree, keep: Keep) -> Load {
    let top = files::Folder::of(tree);
    match project::is_flow2(&top) {
        Ok(true) => v2::load(&top, keep),
        Ok(false) => v1::load(&top, keep),
        Err(problem) => Load::Exception(problem),
    }
}

/// What is kept of what was read and found good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keep {
    Jobs,
    Flows,
}
