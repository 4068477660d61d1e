//! Whether a node may run, and what becomes of it if not.

use super::{Act, Run};
use crate::exec::condition::{self, Needs};
use crate::exec::options::FailureAction;
use crate::exec::status::Status;
use crate::exec::tree::ROOT;

/// Whether the jobs before allow a job.
enum Before {
    Allow,
    Refuse,
    Wait,
}

impl Run {
    /// Starts a node, or ends it without running, if the jobs before allow to decide.
    pub(super) fn run_ready(&mut self, at: usize, now: i64) {
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
        node.killed = false;
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
