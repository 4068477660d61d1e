//! What a job waits for before it begins: the time between tries, and the jobs of another execution.

use std::time::Duration;

use super::Job;
use crate::exec::execution::Execution;
use crate::exec::status::Status;
use crate::exec::tree::ROOT;

impl Job<'_> {
    /// Waits between tries and for the other execution; `false` when the job was killed meanwhile.
    pub(super) async fn waits(&self, delay: u64) -> bool {
        let kill = &self.kill;
        if delay > 0 {
            self.info(format!("Delaying start of execution for {delay} milliseconds."));
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(delay)) => {}
                () = kill.cancelled() => {
                    self.error("Kill has been called.");
                    self.error("Job hasn't started yet.");
                    self.info("Job was killed while in delay. Quitting.");
                    return false;
                }
            }
            self.info(format!(
                "Execution has been delayed for {delay} ms. Continuing with execution."
            ));
        }
        let Some(other) = &self.shared.other else {
            return true;
        };
        let watched = self.watched();
        let unfinished =
            |nested: &&String| status_in(other, nested).is_some_and(|status| !status.is_finished());
        let blocking: Vec<&String> = watched.iter().filter(unfinished).collect();
        if !blocking.is_empty() {
            let list: String = blocking.iter().map(|nested| format!("{nested},")).collect();
            self.info(format!(
                "Pipeline job {} waiting on {list} in execution {}",
                self.id, other.facts.id
            ));
        }
        for nested in blocking {
            self.info(format!("Waiting on pipelined job {nested}"));
            let mut changed = other.changed.subscribe();
            let over = async {
                while status_in(other, nested).is_some_and(|status| !status.is_finished())
                    && other.is_active()
                {
                    if changed.changed().await.is_err() {
                        return;
                    }
                }
            };
            tokio::select! {
                () = over => self.info(format!("Pipelined job {nested} finished.")),
                () = kill.cancelled() => {
                    self.error("Kill has been called.");
                    self.error("Job hasn't started yet.");
                    self.info("Job was killed while waiting on pipeline. Quitting.");
                    return false;
                }
            }
        }
        true
    }

    /// Jobs of the other execution that are waited for: the same, with level 2 also those behind it, with 3 the last ones.
    fn watched(&self) -> Vec<String> {
        let run = self.shared.execution.run();
        let nodes = &run.nodes;
        let mut found = Vec::new();
        let level = self.shared.execution.facts.options.pipeline_level;
        if level == Some(1) || level == Some(2) {
            found.push(self.nested.clone());
        }
        let (mut todo, starts) = match level {
            Some(2) => {
                let node = &nodes[self.at];
                let parent = node.parent.unwrap_or(ROOT);
                let next = if node.outputs.is_empty() {
                    &nodes[parent].outputs
                } else {
                    &node.outputs
                };
                (next.clone(), true)
            }
            Some(3) => (vec![ROOT], false),
            _ => (Vec::new(), true),
        };
        while let Some(at) = todo.pop() {
            let node = &nodes[at];
            if node.flow.is_none() {
                found.push(node.nested.clone());
                continue;
            }
            let edge = |&child: &usize| match starts {
                true => nodes[child].inputs.is_empty(),
                false => nodes[child].outputs.is_empty(),
            };
            todo.extend(node.children.iter().copied().filter(edge));
        }
        found.dedup();
        found
    }
}

fn status_in(other: &Execution, nested: &str) -> Option<Status> {
    let run = other.run();
    run.nodes
        .iter()
        .skip(1)
        .find(|node| node.nested == nested)
        .map(|node| node.status)
}
