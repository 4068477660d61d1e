//! The report of the validator "Directory Flow": a set of texts, in a hash table's order.

use std::collections::HashSet;

use super::{Problem, java};

/// Collects messages; of equal texts the first stays.
#[derive(Default)]
pub(super) struct Report {
    problems: Vec<Problem>,
    seen: HashSet<String>,
}

impl Report {
    /// Adds a message, with the file and the flow to blame where they are known.
    pub(super) fn add(&mut self, message: String, path: Option<&str>, flow: Option<&str>) {
        if self.seen.insert(message.clone()) {
            self.problems.push(Problem {
                message,
                path: path.map(str::to_owned),
                flow: flow.map(str::to_owned),
            });
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    /// The messages in the order Azkaban shows them.
    pub(super) fn into_problems(mut self) -> Vec<Problem> {
        java::hash_order(&mut self.problems, |problem| java::hash_code(&problem.message));
        self.problems
    }
}
