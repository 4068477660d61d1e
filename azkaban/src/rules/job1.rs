//! One job of a Flow 1.0 project.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::{Finding, memory};
use crate::load::condition::{Fault, Operand, operands};
use crate::load::v1;

/// A value, and where it is written.
#[derive(Clone)]
pub(super) struct Written<'a> {
    pub(super) value: String,
    pub(super) path: &'a str,
    pub(super) line: usize,
}

pub(super) type Props<'a> = Arc<BTreeMap<String, Written<'a>>>;

pub(super) struct Job<'a> {
    pub(super) id: &'a str,
    pub(super) path: &'a str,
    /// With everything inherited; none when the file cannot be read.
    pub(super) props: Option<Props<'a>>,
}

/// One job among all.
pub(super) struct One<'a, 'b, 'f> {
    pub(super) job: &'b Job<'a>,
    pub(super) props: &'b Props<'a>,
    pub(super) by_id: &'b HashMap<&'a str, usize>,
    pub(super) findings: &'f mut Vec<Finding>,
}

impl One<'_, '_, '_> {
    pub(super) fn run(mut self) {
        let name = format!("job {:?}", self.job.id);
        if !self.props.contains_key("type") {
            self.add("type", format!("{name} has no type"));
        }
        for key in ["Xms", "Xmx"] {
            if let Some(message) = self.props.get(key).and_then(|at| memory(&name, key, &at.value)) {
                self.add(key, message);
            }
        }
        self.dependencies(&name);
        self.condition(&name);
        self.embedded(&name);
    }

    /// A finding at a property, or at the file when it is not set.
    fn add(&mut self, key: &str, message: String) {
        let (path, line) = match self.props.get(key) {
            Some(at) => (at.path, Some(at.line)),
            None => (self.job.path, None),
        };
        let finding = Finding {
            path: Some(path.to_owned()),
            line,
            field: Some(key.to_owned()),
            message,
        };
        self.findings.push(finding);
    }

    fn value(&self, key: &str) -> Option<&String> {
        self.props.get(key).map(|at| &at.value)
    }

    fn dependencies(&mut self, name: &str) {
        let needed: BTreeSet<String> = v1::names(self.value("dependencies")).map(str::to_owned).collect();
        for needed in needed {
            if needed == self.job.id {
                self.add("dependencies", format!("{name} depends on itself"));
            } else if !self.by_id.contains_key(needed.as_str()) {
                let message = format!("{name} depends on {needed:?}, which is not in the project");
                self.add("dependencies", message);
            }
        }
    }

    fn condition(&mut self, name: &str) {
        let Some(condition) = self.value("condition").filter(|text| !text.is_empty()) else {
            return;
        };
        for operand in operands(condition) {
            let fault = match operand {
                Operand::Job(job) if self.by_id.contains_key(job.as_str()) => continue,
                Operand::Job(job) => format!("names {job:?}, which is not in the project"),
                Operand::Fault(fault) => fault.words().to_owned(),
            };
            self.add("condition", format!("the condition of {name} {fault}"));
        }
    }

    fn embedded(&mut self, name: &str) {
        if self.value("type").is_none_or(|kind| kind != "flow") {
            return;
        }
        match self.value("flow.name") {
            None => self.add("flow.name", format!("{name} has type flow, but no flow.name")),
            Some(flow) if !self.by_id.contains_key(flow.as_str()) => {
                let message = format!("{name} runs flow {flow:?}, which is not in the project");
                self.add("flow.name", message);
            }
            Some(_) => {}
        }
    }
}

impl Fault {
    /// In our words: a clause after `the condition of job X`.
    pub(super) fn words(&self) -> &'static str {
        match self {
            Self::Macros => "has more than one macro such as one_success",
            Self::Empty => "has nothing between two operators",
            Self::Syntax => "must be made of one macro such as one_success, ${job:key}, numbers and strings",
        }
    }
}
