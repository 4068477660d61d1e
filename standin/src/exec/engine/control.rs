//! What a person asks for: pausing, resuming, killing.

use super::{Act, Run};
use crate::exec::status::Status;
use crate::exec::tree::ROOT;

impl Run {
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

    pub(super) fn kill(&mut self, now: i64) {
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
                self.nodes[at].killed = true;
                self.set(at, Status::Killing, now);
            }
        }
        self.acts.push(Act::KillJobs);
    }
}
