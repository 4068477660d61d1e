//! Trying failed jobs again: as often as their properties say, or all of them when a person asks for it.

use std::collections::VecDeque;
use std::str::FromStr;

use super::Run;
use crate::exec::status::Status;
use crate::exec::tree::{Attempt, ROOT};

/// A number among the properties, or Java's exception for what is none.
fn number<N: FromStr + Default>(text: Option<&String>) -> Result<N, String> {
    let Some(text) = text.map(|text| text.trim()) else {
        return Ok(N::default());
    };
    text.parse()
        .map_err(|_| format!("java.lang.NumberFormatException: For input string: \"{text}\""))
}

impl Run {
    /// Makes a failed job ready for its next try, if it has one.
    pub(super) fn try_again(&mut self, at: usize, now: i64) -> Result<bool, String> {
        let node = &self.nodes[at];
        if node.flow.is_some() {
            return Ok(false);
        }
        let (id, attempt) = (node.id.clone(), node.attempt);
        let retries: i32 = number(node.retries.as_ref())?;
        if i64::from(retries) <= i64::from(attempt) {
            if retries > 0 {
                self.log(format!("Job '{id}' has run out of retry attempts"));
                self.nodes[at].delay_ms = 0;
            }
            return Ok(false);
        }
        self.log(format!(
            "Job '{id}' will be retried. Attempt {attempt} of {retries}"
        ));
        let delay: i64 = number(self.nodes[at].backoff.as_ref())?;
        self.nodes[at].delay_ms = u64::try_from(delay).unwrap_or(0);
        self.reset_for_retry(at, now);
        Ok(true)
    }

    fn reset_for_retry(&mut self, at: usize, now: i64) {
        let node = &mut self.nodes[at];
        node.past.push(Attempt {
            status: node.status,
            start_ms: node.start_ms,
            end_ms: node.end_ms,
        });
        node.attempt += 1;
        self.blank(at, Status::Ready, now);
    }

    /// As if it had not begun.
    fn blank(&mut self, at: usize, status: Status, now: i64) {
        let node = &mut self.nodes[at];
        (node.start_ms, node.end_ms) = (-1, -1);
        self.set(at, status, now);
    }

    /// Asked for by a person; a paused flow does so when it goes on.
    pub(crate) fn retry_by(&mut self, user: &str, now: i64) {
        self.log(format!("Retrying failures invoked by {user}"));
        self.retry = true;
        let begun = self.flow().start_ms != -1;
        if begun {
            self.progress(now);
        }
    }

    /// All that failed, was killed or cancelled is to run again, if the flow is not over.
    pub(super) fn retry_all(&mut self, now: i64) {
        self.log("Restarting all failed jobs");
        (self.retry, self.killed, self.failed) = (false, false, false);
        self.nodes[ROOT].status = Status::Running;
        let mut again = Vec::new();
        self.reset(ROOT, &mut again, now);
        for at in again {
            match self.nodes[at].status {
                Status::Ready | Status::Disabled => self.run_ready(at, now),
                Status::Succeeded => {
                    for output in self.nodes[at].outputs.clone() {
                        self.run_ready(output, now);
                    }
                }
                _ => {}
            }
        }
        self.nodes[ROOT].update_ms = now;
    }

    /// Resets the nodes of a flow from its ends upwards, as far as they failed; tells which ones to look at then.
    fn reset(&mut self, flow: usize, again: &mut Vec<usize>, now: i64) {
        let mut queue: VecDeque<usize> = self.ends(flow).collect();
        let mut seen = vec![false; self.nodes.len()];
        let mut last_start = -1;
        while let Some(at) = queue.pop_front() {
            if std::mem::replace(&mut seen[at], true) {
                continue;
            }
            let node = &self.nodes[at];
            let (old, is_flow) = (node.status, node.flow.is_some());
            last_start = last_start.max(node.start_ms);
            match old {
                Status::Succeeded => {
                    again.push(at);
                    continue;
                }
                Status::Running | Status::Killing => continue,
                Status::Skipped => self.blank(at, Status::Disabled, now),
                Status::Cancelled => self.blank(at, Status::Ready, now),
                Status::Killed | Status::Failed | Status::FailedFinishing if is_flow => {
                    self.reset(at, again, now);
                    continue;
                }
                _ if is_flow => continue,
                Status::Failed | Status::Killed => {
                    self.reset_for_retry(at, now);
                    again.push(at);
                }
                _ => {}
            }
            let node = &self.nodes[at];
            if !is_flow && node.status != old {
                let (nested, new) = (&node.nested, node.status.name());
                let line = format!("Resetting job '{nested}' from {} to {new}", old.name());
                self.log(line);
            }
            queue.extend(self.nodes[at].inputs.iter().copied());
        }
        self.reset_flow(flow, last_start, again, now);
    }

    fn reset_flow(&mut self, flow: usize, last_start: i64, again: &mut Vec<usize>, now: i64) {
        let old = self.nodes[flow].status;
        self.nodes[flow].status = Status::Ready;
        if last_start != -1 {
            self.nodes[flow].status = Status::Running;
            let waiting = self.nodes[flow].children.iter().copied().filter(|&child| {
                let node = &self.nodes[child];
                node.inputs.is_empty() && matches!(node.status, Status::Ready | Status::Disabled)
            });
            again.extend(waiting);
        }
        let node = &mut self.nodes[flow];
        (node.update_ms, node.end_ms) = (now, -1);
        let (nested, new) = (&node.nested, node.status.name());
        let line = format!("Resetting flow '{nested}' from {} to {new}", old.name());
        self.log(line);
    }
}
