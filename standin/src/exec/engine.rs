//! What one execution does next: the flow's state machine, without I/O and without a clock (pure).
//!
//! It goes through the jobs as Azkaban's `FlowRunner` does, so that statuses, times and lines of the flow's log come in
//! the same order. What is to be done stands in [`Run::acts`] afterwards.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::exec::condition::{self, Needs};
use crate::exec::options::FailureAction;
use crate::exec::status::Status;
use crate::exec::tree::{Attempt, Node, ROOT};

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
    /// Start a job.
    Start(usize),
    /// Kill all jobs that run.
    KillJobs,
    /// A node ended without having run.
    Ended(usize),
    /// The flow has ended.
    Finish,
}

/// Whether the jobs before allow a job.
enum Before {
    Allow,
    Refuse,
    Wait,
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

    /// A job leaves the queue: `false` when it was killed there and must not begin.
    pub(crate) fn job_begins(&mut self, at: usize, now: i64) -> bool {
        if self.killed {
            let node = &mut self.nodes[at];
            (node.start_ms, node.end_ms) = (now, now);
            return false;
        }
        self.nodes[at].start_ms = now;
        true
    }

    /// A job runs.
    pub(crate) fn job_runs(&mut self, at: usize, now: i64) {
        if !self.killed {
            self.set(at, Status::Running, now);
        }
        let nested = self.nodes[at].nested.clone();
        self.log(format!("Job Started: {nested}"));
    }

    /// A job has ended; its end time was set by whoever ran it, before its log was closed.
    pub(crate) fn job_ended(&mut self, at: usize, given: Arc<BTreeMap<String, String>>, now: i64) {
        self.active = self.active.saturating_sub(1);
        let node = &mut self.nodes[at];
        node.given = given;
        node.update_ms = now;
        let seconds = (node.end_ms - node.start_ms) / 1000;
        let (nested, status) = (node.nested.clone(), node.status.name());
        self.log(format!(
            "Job {nested} finished with status {status} in {seconds} seconds"
        ));
        self.ended.push(at);
        self.progress(now);
    }

    /// How a job ended; a killed one is killed, whatever it came to.
    pub(crate) fn job_came_to(&mut self, at: usize, status: Status, now: i64) -> Status {
        let status = if self.killed { Status::Killed } else { status };
        if self.paused {
            self.frozen.push((at, self.nodes[at].clone()));
        }
        self.set(at, status, now);
        self.nodes[at].end_ms = now;
        status
    }

    pub(crate) fn pause(&mut self, user: &str, now: i64) -> Result<(), String> {
        self.log(format!("Execution pause requested by {user}"));
        let id = self.id;
        if self.killed || self.finished {
            let status = self.flow().status.name();
            return Err(format!("Execution {id} with status {status} cannot be paused."));
        }
        self.paused = true;
        self.set(ROOT, Status::Paused, now);
        self.log(format!("Execution {id} has been paused."));
        Ok(())
    }

    pub(crate) fn resume(&mut self, user: &str, now: i64) {
        if !self.paused {
            return self.log("Cannot resume flow that isn't paused");
        }
        self.log(format!("Flow resumed by {user}"));
        self.paused = false;
        self.frozen.clear();
        let status = if self.failed {
            Status::FailedFinishing
        } else {
            Status::Running
        };
        self.set(ROOT, status, now);
        self.progress(now);
    }

    /// Asked for by a person.
    pub(crate) fn kill_by(&mut self, user: &str, now: i64) {
        self.log(format!("Flow killed by {user}"));
        self.kill(now);
        self.progress(now);
    }

    fn kill(&mut self, now: i64) {
        let id = self.id;
        if self.killed || self.finished {
            return self.log(format!(
                "Dropping Kill action as execution {id} is already finished."
            ));
        }
        self.log(format!("Kill has been called on execution {id}"));
        self.set(ROOT, Status::Killing, now);
        self.paused = false;
        self.frozen.clear();
        self.killed = true;
        self.log(format!("Killing {} jobs.", self.active));
        for at in 0..self.nodes.len() {
            let node = &self.nodes[at];
            if node.flow.is_none() && node.status.is_running() {
                self.set(at, Status::Killing, now);
            }
        }
        self.acts.push(Act::KillJobs);
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

    fn log(&mut self, text: impl Into<String>) {
        self.acts.push(Act::Log(text.into()));
    }

    fn set(&mut self, at: usize, status: Status, now: i64) {
        let node = &mut self.nodes[at];
        (node.status, node.update_ms) = (status, now);
    }

    /// Looks at what depends on nodes that ended, until nothing changes.
    fn progress(&mut self, now: i64) {
        while !self.paused && !self.finished && !self.ended.is_empty() {
            let mut candidates = Vec::new();
            for at in std::mem::take(&mut self.ended) {
                self.after(at, now, &mut candidates);
            }
            for at in candidates {
                let status = self.nodes[at].status;
                if !status.is_finished() && !status.is_running() && status != Status::Killing {
                    self.run_ready(at, now);
                }
            }
            self.nodes[ROOT].update_ms = now;
        }
    }

    /// What may run now that this node has ended.
    fn after(&mut self, at: usize, now: i64, candidates: &mut Vec<usize>) {
        if self.nodes[at].status == Status::Failed {
            if self.retries(at, now) {
                return candidates.push(at);
            }
            self.flow_fails(at, now);
        }
        let Some(parent) = self.nodes[at].parent else {
            return;
        };
        let mut next = self.nodes[at].outputs.clone();
        if next.is_empty() && self.may_finalize(parent) {
            self.finalize(parent, now);
            self.ended.push(parent);
            if parent != ROOT {
                next.clone_from(&self.nodes[parent].outputs);
            }
        }
        for at in next {
            if !candidates.contains(&at) {
                candidates.push(at);
            }
        }
    }

    fn retries(&mut self, at: usize, now: i64) -> bool {
        let node = &mut self.nodes[at];
        if node.flow.is_some() {
            return false;
        }
        let (id, attempt, retries) = (node.id.clone(), node.attempt, node.retries);
        if retries <= attempt {
            if retries > 0 {
                self.log(format!("Job '{id}' has run out of retry attempts"));
            }
            return false;
        }
        node.past.push(Attempt {
            status: node.status,
            start_ms: node.start_ms,
            end_ms: node.end_ms,
        });
        node.attempt += 1;
        (node.start_ms, node.end_ms) = (-1, -1);
        self.set(at, Status::Ready, now);
        self.log(format!(
            "Job '{id}' will be retried. Attempt {attempt} of {retries}"
        ));
        true
    }

    /// A failure is the flow's own unless all that depends on it can do with a failure.
    fn flow_fails(&mut self, at: usize, now: i64) {
        let outputs = &self.nodes[at].outputs;
        let wants_success = |&output: &usize| self.nodes[output].needs == Needs::AllSuccess;
        if !outputs.is_empty() && !outputs.iter().any(wants_success) {
            return;
        }
        let mut flow = self.nodes[at].parent;
        while let Some(around) = flow {
            let status = self.nodes[around].status;
            if status.is_finished() || status == Status::Killing {
                break;
            }
            let nested = self.nodes[around].nested.clone();
            self.log(format!("Setting {nested} to FAILED_FINISHING"));
            self.nodes[around].status = Status::FailedFinishing;
            flow = self.nodes[around].parent;
        }
        if self.failure_action == FailureAction::CancelAll {
            self.kill(now);
        }
        self.failed = true;
    }

    fn may_finalize(&self, flow: usize) -> bool {
        let mut ends = self.ends(flow);
        ends.all(|end| self.nodes[end].status.is_finished())
    }

    /// Jobs of a flow that no other depends on.
    fn ends(&self, flow: usize) -> impl Iterator<Item = usize> {
        let children = self.nodes[flow].children.iter().copied();
        children.filter(|&child| self.nodes[child].outputs.is_empty())
    }

    fn finalize(&mut self, flow: usize, now: i64) {
        let mut succeeded = true;
        let mut given = BTreeMap::new();
        for end in self.ends(flow) {
            let node = &self.nodes[end];
            succeeded &= !node.status.is_failed() && node.status != Status::Killing;
            given.extend(
                node.given
                    .iter()
                    .map(|(name, value)| (name.clone(), value.clone())),
            );
        }
        let node = &mut self.nodes[flow];
        node.given = Arc::new(given);
        if !succeeded && node.status == Status::Running {
            node.status = Status::Killed;
        }
        (node.end_ms, node.update_ms) = (now, now);
        let id = if flow == ROOT { node.nested.as_str() } else { "" };
        let seconds = (now - node.start_ms) / 1000;
        let line = match node.status {
            Status::FailedFinishing => {
                node.status = Status::Failed;
                format!("Setting flow '{id}' status to FAILED in {seconds} seconds")
            }
            Status::Killing => {
                node.status = Status::Killed;
                format!("Setting flow '{id}' status to KILLED in {seconds} seconds")
            }
            status => {
                let ended = matches!(
                    status,
                    Status::Failed | Status::Killed | Status::Cancelled | Status::FailedSucceeded
                );
                node.status = if ended { status } else { Status::Succeeded };
                format!(
                    "Flow '{id}' is set to {} in {seconds} seconds",
                    node.status.name()
                )
            }
        };
        self.log(line);
        if flow == ROOT {
            self.finished = true;
            self.log("Finishing up flow. Awaiting Termination");
            self.log("Finished Flow");
            self.acts.push(Act::Finish);
        }
    }

    /// Starts a node, or ends it without running, if the jobs before allow to decide.
    fn run_ready(&mut self, at: usize, now: i64) {
        let status = self.nodes[at].status;
        if status.is_finished() || status.is_running() {
            return;
        }
        let Some(next) = self.implied(at) else {
            return;
        };
        match next {
            Status::Cancelled if at == ROOT => {
                let id = self.nodes[at].id.clone();
                self.log(format!("Flow '{id}' was cancelled before execution had started."));
                self.finalize(at, now);
            }
            Status::Cancelled => {
                let nested = self.nodes[at].nested.clone();
                self.log(format!("Cancelling '{nested}' due to prior errors."));
                self.ends_unrun(at, Status::Cancelled, now);
            }
            Status::Skipped => {
                let id = self.nodes[at].id.clone();
                self.log(format!("Skipping disabled job '{id}'."));
                self.ends_unrun(at, Status::Skipped, now);
            }
            _ if self.nodes[at].flow.is_some() => self.run_flow(at, now),
            _ => self.submit(at),
        }
    }

    fn ends_unrun(&mut self, at: usize, status: Status, now: i64) {
        self.set(at, status, now);
        let node = &mut self.nodes[at];
        (node.start_ms, node.end_ms) = (now, now);
        self.acts.push(Act::Ended(at));
        self.ended.push(at);
    }

    fn run_flow(&mut self, at: usize, now: i64) {
        let nested = self.nodes[at].nested.clone();
        self.log(format!("Running flow '{nested}'."));
        let node = &mut self.nodes[at];
        node.status = Status::Running;
        if node.start_ms <= 0 {
            node.start_ms = now;
        }
        let starts: Vec<usize> = node.children.clone();
        for child in starts {
            if self.nodes[child].inputs.is_empty() {
                self.run_ready(child, now);
            }
        }
    }

    fn submit(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        node.status = Status::Queued;
        let nested = node.nested.clone();
        self.active += 1;
        self.log("Configuring Azkaban metrics tracking for jobrunner object");
        self.log(format!("Submitting job '{nested}' to run."));
        self.acts.push(Act::Start(at));
    }

    /// What becomes of a node now; `None` when that is not known yet.
    fn implied(&mut self, at: usize) -> Option<Status> {
        let mut status = Status::Ready;
        match self.before(at) {
            Before::Wait => return None,
            Before::Refuse => {
                let node = &self.nodes[at];
                let line = format!(
                    "Condition on job status: {} is evaluated to false for {}",
                    node.needs.word(),
                    node.id
                );
                self.log(line);
                status = Status::Cancelled;
            }
            Before::Allow if !self.condition_holds(at) => status = Status::Cancelled,
            Before::Allow => {}
        }
        if matches!(self.nodes[at].status, Status::Disabled | Status::Skipped) {
            return Some(Status::Skipped);
        }
        let stops = self.failed && self.failure_action == FailureAction::FinishCurrent;
        Some(if stops || self.killed {
            Status::Cancelled
        } else {
            status
        })
    }

    fn before(&self, at: usize) -> Before {
        let node = &self.nodes[at];
        let statuses = || node.inputs.iter().map(|&input| self.nodes[input].status);
        if statuses().any(|status| !status.is_finished()) {
            return Before::Wait;
        }
        let allowed = match node.needs {
            Needs::AllSuccess => !statuses().any(Status::is_failed),
            Needs::AllFailed => !statuses().any(Status::is_succeeded),
            Needs::AllDone => true,
            Needs::OneFailed => statuses().any(Status::is_failed),
            Needs::OneSuccess => statuses().any(Status::is_succeeded),
        };
        if allowed { Before::Allow } else { Before::Refuse }
    }

    fn condition_holds(&mut self, at: usize) -> bool {
        let node = &self.nodes[at];
        let Some(text) = &node.condition else {
            return true;
        };
        let siblings = node.parent.map_or(&[][..], |parent| &self.nodes[parent].children);
        let value = |job: &str, name: &str| {
            let job = siblings.iter().find(|&&job_at| self.nodes[job_at].id == job)?;
            self.nodes[*job].given.get(name).cloned()
        };
        let filled = condition::fill_in(text, value);
        let holds = condition::evaluate(&filled).unwrap_or(false);
        let line = format!("Resolved condition of {} is {filled}", node.id);
        if text.contains("${") {
            self.log(line);
        }
        self.log(format!("Condition is evaluated to {holds}"));
        holds
    }
}
