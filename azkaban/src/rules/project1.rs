//! A Flow 1.0 project: all its job and properties files together.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::job1::{Job, One, Props, Written};
use super::{Finding, JOB_PROPERTIES_MAX, PATH_MAX, packed_size, row_too_long};
use crate::graph;
use crate::load::files::{File, Folder};
use crate::load::v1;
use crate::model::Tree;
use crate::name::{FlowName, fold};
use crate::properties;

/// Finds what is wrong with the project.
pub(super) fn check(tree: &Tree, findings: &mut Vec<Finding>) {
    let mut project = Project {
        jobs: Vec::new(),
        by_id: HashMap::new(),
        findings,
    };
    project.read_folder(&Folder::of(tree), &Props::default());
    project.paths();
    project.flow_files(tree);
    for job in &project.jobs {
        if let Some(props) = &job.props {
            let check = One {
                job,
                props,
                by_id: &project.by_id,
                findings: &mut *project.findings,
            };
            check.run();
        }
    }
    project.graph();
}

struct Project<'a, 'f> {
    jobs: Vec<Job<'a>>,
    by_id: HashMap<&'a str, usize>,
    findings: &'f mut Vec<Finding>,
}

impl<'a> Project<'a, '_> {
    fn add(&mut self, path: &str, line: Option<usize>, field: Option<&str>, message: String) {
        let field = field.map(str::to_owned);
        self.findings.push(Finding {
            path: Some(path.to_owned()),
            line,
            field,
            message,
        });
    }

    fn read_folder(&mut self, folder: &Folder<'a>, inherited: &Props<'a>) {
        let mut inherited = Arc::clone(inherited);
        for file in folder.with_suffix(".properties") {
            self.path_length(file.path);
            if let Some(props) = self.read(file, &inherited) {
                inherited = props;
            }
        }
        for file in folder.with_suffix(".job") {
            self.path_length(file.path);
            let id = file.stem();
            if let Some(&first) = self.by_id.get(id) {
                let first = self.jobs[first].path;
                self.add(
                    file.path,
                    None,
                    None,
                    format!("job {id:?} is already in {first}, and job names are unique in a whole project"),
                );
                continue;
            }
            let props = self.read(file, &inherited);
            self.by_id.insert(id, self.jobs.len());
            self.jobs.push(Job {
                id,
                path: file.path,
                props,
            });
        }
        for folder in folder.folders.values() {
            self.read_folder(folder, &inherited);
        }
    }

    fn read(&mut self, file: File<'a>, inherited: &Props<'a>) -> Option<Props<'a>> {
        match properties::parse(file.content) {
            Err(malformed) => {
                let message = "a \\u must be followed by four hexadecimal digits".to_owned();
                self.add(file.path, Some(malformed.line), None, message);
                None
            }
            Ok(pairs) => {
                let mut all = BTreeMap::clone(inherited);
                all.extend(pairs.into_iter().map(|pair| {
                    (
                        pair.key,
                        Written {
                            value: pair.value,
                            path: file.path,
                            line: pair.line,
                        },
                    )
                }));
                if file.content.len() > JOB_PROPERTIES_MAX && packed_size(file.content) > JOB_PROPERTIES_MAX {
                    let message = "the properties take more than 64 KiB, even packed".to_owned();
                    self.add(file.path, None, None, message);
                }
                Some(Arc::new(all))
            }
        }
    }

    fn path_length(&mut self, path: &str) {
        let got = path.chars().count();
        if got > PATH_MAX {
            let message = format!("the path has {got} characters, at most {PATH_MAX} are allowed");
            self.add(path, None, None, message);
        }
    }

    /// Azkaban's tables take paths that differ in case for the same.
    fn paths(&mut self) {
        let mut seen: HashMap<String, &str> = HashMap::new();
        let mut found = Vec::new();
        for job in &self.jobs {
            if let Some(first) = seen.insert(fold(job.path), job.path) {
                found.push((job.path, format!("the path differs from {first} in case alone")));
            }
        }
        for (path, message) in found {
            self.add(path, None, None, message);
        }
    }

    /// Beside jobs, `.flow` files may be anything; alone they are a project that lacks its `.project` file.
    fn flow_files(&mut self, tree: &'a Tree) {
        let is_flow = |path: &&String| crate::load::files::is_read(super::tree::name_of(path), ".flow");
        let mut flows = tree.keys().filter(is_flow);
        if let Some(first) = flows.next().filter(|_| self.jobs.is_empty()) {
            let more = match flows.count() {
                0 => String::new(),
                more => format!(" (and {more} more)"),
            };
            let message = format!(
                "without a .project file this{more} is not read and its flows would be lost; add a .project file \
                 with azkaban-flow-version: 2.0"
            );
            self.add(first, None, None, message);
        }
    }

    /// Circles, jobs in a row, and the names of the flows.
    fn graph(&mut self) {
        let needs: Vec<Vec<usize>> = self.jobs.iter().map(|job| self.needs(job)).collect();
        for cycle in graph::cycles(&needs) {
            if cycle.len() > 2 {
                let names: Vec<&str> = cycle.iter().map(|at| self.jobs[*at].id).collect();
                let message = format!("jobs depend on each other in a circle: {}", names.join(" -> "));
                let job = &self.jobs[cycle[0]];
                let at = job.props.as_ref().and_then(|props| props.get("dependencies"));
                let (path, line) = at.map_or((job.path, None), |at| (at.path, Some(at.line)));
                self.add(path, line, Some("dependencies"), message);
            }
        }
        if let Some((job, message)) = row_too_long(&needs) {
            self.add(self.jobs[job].path, None, Some("dependencies"), message);
        }
        let mut needed = vec![false; self.jobs.len()];
        for &job in needs.iter().flatten() {
            needed[job] = true;
        }
        self.flow_names(&needed);
        self.embedded_flows(&needed);
    }

    fn needs(&self, job: &Job<'_>) -> Vec<usize> {
        let value = job
            .props
            .as_ref()
            .and_then(|props| props.get("dependencies"))
            .map(|at| &at.value);
        v1::names(value)
            .filter_map(|name| self.by_id.get(name).copied())
            .collect()
    }

    /// What a job of type flow runs must be a flow, not a job inside one.
    fn embedded_flows(&mut self, needed: &[bool]) {
        let mut found = Vec::new();
        for job in &self.jobs {
            let get = |job: &Job<'a>, key: &str| job.props.as_ref().and_then(|props| props.get(key).cloned());
            let Some(name) =
                get(job, "flow.name").filter(|_| get(job, "type").is_some_and(|at| at.value == "flow"))
            else {
                continue;
            };
            let target = self.by_id.get(name.value.as_str()).copied();
            let is_inside = |at: &usize| needed[*at] && get(&self.jobs[*at], "root.node").is_none();
            if target.as_ref().is_some_and(is_inside) {
                let message = format!(
                    "job {:?} runs {:?}, which is no flow because other jobs depend on it",
                    job.id, name.value
                );
                found.push((name, message));
            }
        }
        for (at, message) in found {
            self.add(at.path, Some(at.line), Some("flow.name"), message);
        }
    }

    fn flow_names(&mut self, needed: &[bool]) {
        let mut seen: HashMap<String, &str> = HashMap::new();
        let mut found = Vec::new();
        for (job, _) in self.jobs.iter().zip(needed).filter(|(_, needed)| !**needed) {
            if let Err(error) = FlowName::new(job.id) {
                found.push((job.path, error.to_string()));
            }
            if let Some(first) = seen.insert(fold(job.id), job.id) {
                found.push((
                    job.path,
                    format!("flow name {:?} differs from {first:?} in case alone", job.id),
                ));
            }
        }
        for (path, message) in found {
            self.add(path, None, None, message);
        }
    }
}
