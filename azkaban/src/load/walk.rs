//! The jobs of Flow 1.0 and the walk that gathers those of one flow.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::report::Report;

pub(super) type Props = Arc<BTreeMap<String, String>>;

/// One `.job` file.
pub(super) struct Job<'a> {
    pub(super) id: &'a str,
    pub(super) path: &'a str,
    pub(super) condition: Option<String>,
    /// The value of `dependencies`, until it is resolved.
    pub(super) needs: Option<String>,
    pub(super) dependencies: Vec<Dependency>,
    /// The flow it runs, where its type is `flow`.
    pub(super) runs: Option<Runs>,
    /// Its own properties, and these with everything inherited; `None` where jobs are not kept.
    pub(super) props: Option<(Props, Props)>,
}

/// The `flow.name` of a job of type `flow`, if it has one.
pub(super) type Runs = Option<String>;

/// One name in `dependencies`.
pub(super) struct Dependency {
    pub(super) name: String,
    /// The job of this name; none when missing, ambiguous or the job itself.
    pub(super) job: Option<usize>,
}

/// A walk from an end job to all it needs, in Azkaban's order; its memory is used again for the next flow.
pub(super) struct Walk {
    /// The jobs met, first met first.
    pub(super) order: Vec<usize>,
    /// The number of the flow in which a job was last met.
    met: Vec<usize>,
    on_path: Vec<bool>,
    flow: usize,
}

impl Walk {
    pub(super) fn new(jobs: usize) -> Self {
        Self {
            order: Vec::new(),
            met: vec![0; jobs],
            on_path: vec![false; jobs],
            flow: 0,
        }
    }

    pub(super) fn flow(&mut self, jobs: &[Job<'_>], end: usize, report: &mut Report) {
        self.flow += 1;
        self.order.clear();
        let mut stack = vec![(self.enter(end), 0)];
        while let Some((job, next)) = stack.last_mut() {
            let job = *job;
            let Some(dependency) = jobs[job].dependencies.get(*next) else {
                self.on_path[job] = false;
                stack.pop();
                continue;
            };
            *next += 1;
            let Some(to) = dependency.job else { continue };
            if self.on_path[to] {
                let message = format!("Cyclical dependency found at {}>>{}", jobs[to].id, jobs[job].id);
                report.add(message, Some(jobs[job].path), Some(jobs[end].id));
            } else if self.met[to] != self.flow {
                stack.push((self.enter(to), 0));
            }
        }
    }

    fn enter(&mut self, job: usize) -> usize {
        self.met[job] = self.flow;
        self.on_path[job] = true;
        self.order.push(job);
        job
    }
}
