//! What one execution does next: the flow's state machine, without I/O and without a clock (pure).
//!
//! It goes through the jobs as Azkaban's `FlowRunner` does, so that statuses, times and lines of the flow's log come in
//! the same order. What is to be done stands in [`Run::acts`] afterwards.

mod control;
mod job;
mod progress;
mod ready;
mod retry;

use std::borrow::Cow;

use crate::exec::options::FailureAction;
use crate::exec::status::Status;
use crate::exec::tree::{Node, ROOT};

/// One execution's jobs and how far it has come.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) id: i32,
    pub(crate) nodes: Vec<Node>,
    failure_action: FailureAction,
    paused: bool,
    killed: bool,
    failed: bool,
    finished: bool,
    /// All that failed is to be tried again as soon as the flow goes on.
    retry: bool,
    /// Jobs that were started and have not ended.
    active: usize,
    /// Jobs that ended while the flow was paused, as they were before: the flow's row is not written until it goes on.
    frozen: Vec<(usize, Node)>,
    /// Nodes that ended and whose dependents were not looked at yet.
    ended: Vec<usize>,
    acts: Vec<Act>,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// A line for the flow's log.
    Log(String),
    /// The same, for an error.
    Error(String),
    /// Start a job.
    Start(usize),
    /// Kill all jobs that run.
    KillJobs,
    /// A node ended without having run.
    Ended(usize),
    /// The flow has ended.
    Finish,
}

impl Run {
    pub(crate) fn new(id: i32, nodes: Vec<Node>, failure_action: FailureAction) -> Self {
        Self {
            id,
            nodes,
            failure_action,
            paused: false,
            killed: false,
            failed: false,
            finished: false,
            retry: false,
            active: 0,
            frozen: Vec::new(),
            ended: Vec::new(),
            acts: Vec::new(),
        }
    }

    /// What is to be done since the last time.
    pub(crate) fn acts(&mut self) -> Vec<Act> {
        std::mem::take(&mut self.acts)
    }

    pub(crate) fn flow(&self) -> &Node {
        &self.nodes[ROOT]
    }

    /// All nodes as the web server sees them.
    pub(crate) fn shown(&self) -> Cow<'_, [Node]> {
        let mut nodes = Cow::Borrowed(self.nodes.as_slice());
        for (at, before) in &self.frozen {
            nodes.to_mut()[*at] = before.clone();
        }
        nodes
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.finished
    }

    pub(crate) fn is_killed(&self) -> bool {
        self.killed
    }

    pub(crate) fn start(&mut self, now: i64) {
        self.nodes[ROOT].start_ms = now;
        self.nodes[ROOT].update_ms = now;
        self.log("Updating initial flow directory.");
        self.log("Fetching job and shared properties.");
        self.log("Starting flows");
        self.run_ready(ROOT, now);
        self.progress(now);
    }

    /// The server went down in the middle: what had not ended has failed.
    pub(crate) fn fail_everything(&mut self, now: i64) {
        for node in self.nodes.iter_mut().skip(1) {
            node.status = match node.status {
                Status::Succeeded | Status::Failed | Status::Killed | Status::Skipped | Status::Disabled => {
                    continue;
                }
                Status::Ready => Status::Killing,
                _ => Status::Failed,
            };
            if node.start_ms == -1 {
                node.start_ms = now;
            }
            if node.end_ms == -1 {
                node.end_ms = now;
            }
        }
        let flow = &mut self.nodes[ROOT];
        if flow.end_ms == -1 {
            flow.end_ms = now;
        }
        (flow.status, flow.update_ms) = (Status::Failed, now);
        self.finished = true;
    }

    /// An exception ends the flow where it is: nothing new begins, and what runs goes on alone.
    pub(crate) fn breaks_off(&mut self, exception: &str, now: i64) {
        let text = format!("An error has occurred during the running of the flow. Quitting.\n{exception}");
        self.acts.push(Act::Error(text));
        self.set(ROOT, Status::Failed, now);
        self.finished = true;
        self.acts.push(Act::Finish);
    }

    fn log(&mut self, text: impl Into<String>) {
        self.acts.push(Act::Log(text.into()));
    }

    fn set(&mut self, at: usize, status: Status, now: i64) {
        let node = &mut self.nodes[at];
        (node.status, node.update_ms) = (status, now);
    }
}
