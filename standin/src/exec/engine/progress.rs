//! What follows from nodes that ended: failed flows, and flows that are over.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Act, Run};
use crate::exec::condition::Needs;
use crate::exec::options::FailureAction;
use crate::exec::status::Status;
use crate::exec::tree::ROOT;

impl Run {
    /// Looks at what depends on nodes that ended, until nothing changes.
    pub(super) fn progress(&mut self, now: i64) {
        while !self.paused && !self.finished && (self.retry || !self.ended.is_empty()) {
            if self.retry {
                self.retry_all(now);
                continue;
            }
            let mut candidates = Vec::new();
            for at in std::mem::take(&mut self.ended) {
                self.after(at, now, &mut candidates);
                if self.finished {
                    return;
                }
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
            match self.try_again(at, now) {
                Ok(true) => return candidates.push(at),
                Ok(false) => self.flow_fails(at, now),
                Err(exception) => return self.breaks_off(&exception, now),
            }
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
    pub(super) fn ends(&self, flow: usize) -> impl Iterator<Item = usize> {
        let children = self.nodes[flow].children.iter().copied();
        children.filter(|&child| self.nodes[child].outputs.is_empty())
    }

    pub(super) fn finalize(&mut self, flow: usize, now: i64) {
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
}
