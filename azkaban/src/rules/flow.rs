//! One flow on its own.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{FLOW_FILE_MAX, Finding, JOB_PROPERTIES_MAX, PATH_MAX, memory, packed_size, row_too_long};
use crate::load::condition::{Operand, operands};
use crate::model::{Flow, Format, Job};
use crate::name::{FLOW_MAX_V2, fold};
use crate::{flow1, flow2, graph};

/// Keys that say the same as a field of the model, or would list a second flow.
const RESERVED: [&str; 3] = ["type", "dependencies", "root.node"];

/// What is wrong with a flow that is to be written in `format`; empty when Azkaban will take it as it is meant.
#[must_use]
pub fn check_flow(flow: &Flow, format: Format) -> Vec<Finding> {
    let mut check = Check {
        flow,
        format,
        places: flow
            .jobs
            .iter()
            .enumerate()
            .map(|(at, job)| (job.name.as_str(), at))
            .collect(),
        findings: Vec::new(),
    };
    check.name();
    if flow.jobs.is_empty() {
        check.add("jobs", format!("flow {:?} has no jobs", flow.name.as_str()));
        return check.findings;
    }
    check.keys("props", &flow.props, &format!("flow {:?}", flow.name.as_str()));
    if flow.props.contains_key("condition") {
        check.add(
            "props.condition",
            "a condition belongs to one job, not to the flow".to_owned(),
        );
    }
    check.names();
    for job in &flow.jobs {
        check.job(job);
    }
    check.cycles();
    check.conditions();
    check.sizes();
    check.findings
}

struct Check<'a> {
    flow: &'a Flow,
    format: Format,
    /// Where each job stands, by its name.
    places: HashMap<&'a str, usize>,
    findings: Vec<Finding>,
}

impl Check<'_> {
    fn add(&mut self, field: impl Into<String>, message: String) {
        self.findings.push(Finding {
            path: None,
            line: None,
            field: Some(field.into()),
            message,
        });
    }

    fn name(&mut self) {
        let name = self.flow.name.as_str();
        match self.format {
            Format::V1 if name.contains(flow1::SEPARATOR) => self.add(
                "name",
                format!("flow name {name:?} must not contain '~', which parts flow and job in Flow 1.0"),
            ),
            Format::V2 if name.chars().count() > FLOW_MAX_V2 => {
                let got = name.chars().count();
                self.add(
                    "name",
                    format!("flow name has {got} characters, at most {FLOW_MAX_V2} are allowed in Flow 2.0"),
                );
            }
            _ => {}
        }
    }

    fn keys(&mut self, field: &str, props: &BTreeMap<String, String>, of: &str) {
        for key in props.keys() {
            if RESERVED.contains(&key.as_str()) {
                let instead = match key.as_str() {
                    "type" => "; a job's type is its own field",
                    "dependencies" => "; dependencies are listed in dependsOn",
                    _ => "; a flow's end job is found by itself",
                };
                self.add(
                    format!("{field}.{key}"),
                    format!("{of} must not have the property {key:?}{instead}"),
                );
            } else if key.is_empty() || key.trim() != key || key.chars().any(char::is_control) {
                let rule = "must not be empty, nor have control characters or blanks at its ends";
                self.add(field, format!("property key {key:?} of {of} {rule}"));
            }
        }
    }

    /// Job names: unique, and good as ids.
    fn names(&mut self) {
        let mut seen: HashMap<String, &str> = HashMap::new();
        for (at, job) in self.flow.jobs.iter().enumerate() {
            let name = job.name.as_str();
            let field = format!("jobs[{at}].name");
            if let Some(rule) = self.name_rule(name) {
                self.add(field.as_str(), format!("job name {name:?} must not {rule}"));
            }
            let key = if self.format == Format::V1 {
                fold(name)
            } else {
                name.to_owned()
            };
            match seen.insert(key, name) {
                Some(before) if before == name => {
                    self.add(field, format!("job name {name:?} is given twice"));
                }
                Some(before) => self.add(
                    field,
                    format!("job names {before:?} and {name:?} differ in case alone, which Flow 1.0 ignores"),
                ),
                None => {}
            }
        }
    }

    fn name_rule(&self, name: &str) -> Option<&'static str> {
        let v1 = self.format == Format::V1;
        match name {
            "" => Some("be empty"),
            "ROOT" => Some("be ROOT, which newer Azkabans refuse"),
            _ if name.contains(':') => Some("contain a colon, Azkaban's path delimiter"),
            _ if name.chars().any(char::is_control) => Some("contain a control character"),
            _ if name.trim() != name => Some("start or end with a blank"),
            _ if v1 && name.contains(['/', '\\']) => Some("contain a slash in Flow 1.0"),
            _ if v1 && name.contains(',') => Some("contain a comma in Flow 1.0"),
            _ => None,
        }
    }

    fn job(&mut self, job: &Job) {
        let name = format!("job {:?}", job.name);
        let field = |what: &str| format!("jobs.{}.{what}", job.name);
        let effective = |key: &str| job.props.get(key).or_else(|| self.flow.props.get(key));
        let command_missing = effective("command").is_none_or(|text| text.trim().is_empty());
        let memory: Vec<_> = ["Xms", "Xmx"]
            .into_iter()
            .filter_map(|key| Some((key, memory(&name, key, effective(key)?)?)))
            .collect();
        let kind = job.kind.trim();
        if kind.is_empty() {
            self.add(field("type"), format!("{name} has no type"));
        } else if kind != job.kind {
            self.add(
                field("type"),
                format!("type {:?} of {name} must not have blanks at its ends", job.kind),
            );
        } else if kind == "flow" && self.format == Format::V2 {
            self.add(
                field("type"),
                format!("{name} has type flow, which in Flow 2.0 needs jobs of its own"),
            );
        } else if kind == "flow" && !job.props.contains_key("flow.name") {
            self.add(
                field("flow.name"),
                format!("{name} has type flow, but no flow.name"),
            );
        } else if kind == "command" && command_missing {
            self.add(
                field("command"),
                format!("{name} has type command, but no command"),
            );
        }
        for (key, message) in memory {
            self.add(field(key), message);
        }
        self.keys(&field("props"), &job.props, &name);
        let mut seen = BTreeSet::new();
        for needed in &job.depends_on {
            if !seen.insert(needed) {
                continue;
            }
            if *needed == job.name {
                self.add(field("dependsOn"), format!("{name} depends on itself"));
            } else if !self.places.contains_key(needed.as_str()) {
                self.add(
                    field("dependsOn"),
                    format!("{name} depends on {needed:?}, which is not in the flow"),
                );
            }
        }
    }

    fn cycles(&mut self) {
        let needs = graph::needs(&self.flow.jobs);
        for cycle in graph::cycles(&needs) {
            if cycle.len() == 2 {
                continue; // said at the job itself
            }
            let names: Vec<&str> = cycle.iter().map(|at| self.flow.jobs[*at].name.as_str()).collect();
            let message = format!("jobs depend on each other in a circle: {}", names.join(" -> "));
            self.add(format!("jobs.{}.dependsOn", names[0]), message);
        }
        if let Some((job, message)) = row_too_long(&needs) {
            let field = format!("jobs.{}.dependsOn", self.flow.jobs[job].name);
            self.add(field, message);
        }
    }

    fn conditions(&mut self) {
        let ids = flow1::ids(self.flow);
        for job in &self.flow.jobs {
            let Some(condition) = job.props.get("condition") else {
                continue;
            };
            let field = format!("jobs.{}.condition", job.name);
            for operand in operands(condition) {
                let fault = match operand {
                    Operand::Fault(fault) => fault.words().to_owned(),
                    Operand::Job(name) => match self.condition_on(job, &name, &ids) {
                        Some(fault) => fault,
                        None => continue,
                    },
                };
                self.add(
                    field.as_str(),
                    format!("the condition of job {:?} {fault}", job.name),
                );
            }
        }
    }

    fn condition_on(&self, job: &Job, name: &str, ids: &HashMap<&str, String>) -> Option<String> {
        let Some(id) = ids.get(name) else {
            return Some(format!("names {name:?}, which is not in the flow"));
        };
        match self.format {
            Format::V1 => id
                .contains(|c: char| c.is_ascii_whitespace() || "(){}".contains(c))
                .then(|| {
                    format!(
                        "names {name:?}, which Flow 1.0 cannot find: its id {id:?} has a blank or bracket"
                    )
                }),
            Format::V2 => {
                let needs = graph::needs(&self.flow.jobs);
                let reaches = graph::reaches(
                    &needs,
                    *self.places.get(name)?,
                    *self.places.get(job.name.as_str())?,
                );
                reaches.then(|| format!("names {name:?}, which itself depends on the job"))
            }
        }
    }

    fn sizes(&mut self) {
        match self.format {
            Format::V1 => self.sizes_of_jobs(),
            Format::V2 => {
                let text = |props: &BTreeMap<String, String>| {
                    props
                        .iter()
                        .map(|(key, value)| key.len() + value.len())
                        .sum::<usize>()
                };
                let raw =
                    text(&self.flow.props) + self.flow.jobs.iter().map(|job| text(&job.props)).sum::<usize>();
                // escapes and indentation do not grow it tenfold
                if raw > FLOW_FILE_MAX / 10 && flow2::file(self.flow).1.len() > FLOW_FILE_MAX {
                    self.add(
                        "jobs",
                        "the flow's file is larger than the 10 MiB that Azkaban takes".to_owned(),
                    );
                }
            }
        }
    }

    fn sizes_of_jobs(&mut self) {
        let ids = flow1::ids(self.flow);
        for job in &self.flow.jobs {
            let path = format!("{}.job", ids[job.name.as_str()]);
            if path.chars().count() > PATH_MAX || path.len() > PATH_MAX {
                let got = path.len();
                self.add(
                    format!("jobs.{}.name", job.name),
                    format!(
                        "the file name of job {:?} has {got} bytes, at most {PATH_MAX} are allowed",
                        job.name
                    ),
                );
            }
            let props = flow1::props(self.flow, job, &ids);
            let raw: usize = props.iter().map(|(key, value)| key.len() + value.len()).sum();
            if raw > JOB_PROPERTIES_MAX / 6
                && packed_size(&flow1::job_file(&job.kind, BTreeSet::new(), &props)) > JOB_PROPERTIES_MAX
            {
                self.add(
                    format!("jobs.{}.props", job.name),
                    format!(
                        "the properties of job {:?} take more than 64 KiB, even packed",
                        job.name
                    ),
                );
            }
        }
    }
}
