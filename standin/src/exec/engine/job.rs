//! A job on its way from the queue to its end.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Run;
use crate::exec::options::FailureAction;
use crate::exec::status::Status;

impl Run {
    /// A job leaves the queue: `false` when it was killed there and must not begin.
    pub(crate) fn job_begins(&mut self, at: usize, now: i64) -> bool {
        let node = &mut self.nodes[at];
        node.start_ms = now;
        if node.killed {
            node.end_ms = now;
        }
        !node.killed
    }

    /// A job runs.
    pub(crate) fn job_runs(&mut self, at: usize, now: i64) {
        if !self.nodes[at].killed {
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
        let failed = self.nodes[at].status == Status::Failed;
        if self.paused && failed && self.failure_action == FailureAction::CancelAll {
            self.paused = false;
            self.frozen.clear();
        }
        self.ended.push(at);
        self.progress(now);
    }

    /// How a job ended; a killed one is killed, whatever it came to.
    pub(crate) fn job_came_to(&mut self, at: usize, status: Status, now: i64) -> Status {
        let killed = self.nodes[at].killed;
        let status = if killed { Status::Killed } else { status };
        if self.paused {
            self.frozen.push((at, self.nodes[at].clone()));
        }
        self.set(at, status, now);
        self.nodes[at].end_ms = now;
        status
    }
}
