//! A Flow 2.0 project: its `.project` file and all its flow files.

use std::collections::{HashMap, HashSet};

use super::{FLOW_FILE_MAX, Finding, memory, row_too_long};
use crate::graph;
use crate::load::bean::{self, NodeBean};
use crate::load::condition::{Operand, operands};
use crate::load::files::{File, Folder, is_read};
use crate::load::project::is_flow2;
use crate::model::Tree;
use crate::name::{FLOW_MAX_V2, FlowName, fold};

/// Finds what is wrong with the project.
pub(super) fn check(tree: &Tree, findings: &mut Vec<Finding>) {
    let top = Folder::of(tree);
    if let Err(problem) = is_flow2(&top) {
        let message = match problem.message.as_str() {
            text if text.starts_with("Duplicate") => "one folder must not have two .project files".to_owned(),
            text if text.contains("azkaban-flow-version")
                || text.starts_with("C")
                || text.starts_with("c") =>
            {
                "the .project file must say azkaban-flow-version: 2.0, with the point".to_owned()
            }
            text => format!("the .project file cannot be read: {}", text.replace('\n', " ")),
        };
        findings.push(Finding {
            path: problem.path,
            line: None,
            field: None,
            message,
        });
    }
    jobs_beside(tree, findings);
    let mut seen = HashMap::new();
    walk(&top, &mut |file| check_file(file, &mut seen, findings));
}

fn walk<'a>(folder: &Folder<'a>, visit: &mut impl FnMut(File<'a>)) {
    folder.with_suffix(".flow").for_each(&mut *visit);
    for folder in folder.folders.values() {
        walk(folder, visit);
    }
}

fn jobs_beside(tree: &Tree, findings: &mut Vec<Finding>) {
    let mut jobs = tree
        .keys()
        .filter(|path| is_read(super::tree::name_of(path), ".job"));
    if let Some(first) = jobs.next() {
        let more = match jobs.count() {
            0 => String::new(),
            more => format!(" (and {more} more)"),
        };
        let message = format!("beside a .project file this{more} is not read and its flows would be lost");
        findings.push(Finding {
            path: Some(first.clone()),
            line: None,
            field: None,
            message,
        });
    }
}

fn check_file<'a>(file: File<'a>, seen: &mut HashMap<String, File<'a>>, findings: &mut Vec<Finding>) {
    let path = file.path;
    let mut add = |line: Option<usize>, message: String| {
        findings.push(Finding {
            path: Some(path.to_owned()),
            line,
            field: None,
            message,
        });
    };
    let id = file.stem();
    match FlowName::new(id) {
        Err(error) => add(None, error.to_string()),
        Ok(_) if id.chars().count() > FLOW_MAX_V2 => {
            let got = id.chars().count();
            add(
                None,
                format!("flow name has {got} characters, at most {FLOW_MAX_V2} are allowed in Flow 2.0"),
            );
        }
        Ok(_) => {}
    }
    match seen.insert(fold(id), file) {
        Some(first) if first.stem() == id => {
            add(
                None,
                format!(
                    "flow {id:?} is already in {}, and names are unique in a project",
                    first.path
                ),
            );
        }
        Some(first) => add(
            None,
            format!("flow name {id:?} differs from {:?} in case alone", first.stem()),
        ),
        None => {}
    }
    if file.content.len() > FLOW_FILE_MAX {
        add(
            None,
            "the file is larger than the 10 MiB that Azkaban takes".to_owned(),
        );
        return;
    }
    match bean::read(file.content) {
        Err(error) => add(error.line, error.reason),
        Ok(None) => add(
            None,
            "the file is empty, expected is a flow with nodes".to_owned(),
        ),
        Ok(Some(flow)) => match &flow.nodes {
            None => add(Some(flow.line), "the flow has no nodes".to_owned()),
            Some(nodes) => Nodes {
                path,
                nodes,
                prefix: String::new(),
                findings,
            }
            .run(),
        },
    }
}

/// The nodes of one flow, embedded or not.
struct Nodes<'a, 'f> {
    path: &'a str,
    nodes: &'a [Option<NodeBean>],
    /// The flows around it, each followed by a colon.
    prefix: String,
    findings: &'f mut Vec<Finding>,
}

impl<'a> Nodes<'a, '_> {
    fn add(&mut self, line: usize, field: Option<String>, message: String) {
        let path = Some(self.path.to_owned());
        self.findings.push(Finding {
            path,
            line: Some(line),
            field,
            message,
        });
    }

    fn run(mut self) {
        let nodes = self.nodes;
        let named: HashMap<&str, usize> = (nodes.iter().enumerate())
            .filter_map(|(at, node)| Some((node.as_ref()?.name.as_deref()?, at)))
            .collect();
        let mut seen = HashSet::new();
        for node in nodes {
            let Some(node) = node else {
                self.add(1, Some("nodes".to_owned()), "a node is empty".to_owned());
                continue;
            };
            let Some(name) = &node.name else {
                self.add(node.line, None, "a node has no name".to_owned());
                continue;
            };
            if !seen.insert(name) {
                let message = format!("job {name:?} is given twice in one flow");
                self.add(node.line, Some(format!("{}{name}", self.prefix)), message);
            }
            self.node(node, name, &named);
        }
        self.circles(&named);
    }

    fn node(&mut self, node: &'a NodeBean, name: &str, named: &HashMap<&str, usize>) {
        let field = |what: &str, prefix: &str| Some(format!("{prefix}{name}.{what}"));
        let prefix = self.prefix.clone();
        let job = format!("job {name:?}");
        match node.kind.as_deref() {
            None => self.add(node.line, field("type", &prefix), format!("{job} has no type")),
            Some("flow") => match &node.nodes {
                None => {
                    let message = format!("{job} has type flow, but no nodes");
                    self.add(node.line, field("nodes", &prefix), message);
                }
                Some(nodes) => {
                    let prefix = format!("{prefix}{name}:");
                    Nodes {
                        path: self.path,
                        nodes,
                        prefix,
                        findings: &mut *self.findings,
                    }
                    .run();
                }
            },
            Some(_) => {}
        }
        for key in ["Xms", "Xmx"] {
            let value = node.config.get(key).and_then(Option::as_deref);
            if let Some(message) = value.and_then(|value| memory(&job, key, value)) {
                self.add(node.line, field(&format!("config.{key}"), &prefix), message);
            }
        }
        for needed in node.depends_on.iter().flatten() {
            let message = match needed {
                None => format!("{job} has an empty dependency"),
                Some(needed) if needed == name => format!("{job} depends on itself"),
                Some(needed) if !named.contains_key(needed.as_str()) => {
                    format!("{job} depends on {needed:?}, which is not in the flow")
                }
                Some(_) => continue,
            };
            self.add(node.line, field("dependsOn", &prefix), message);
        }
        self.condition(node, name, named);
    }

    fn condition(&mut self, node: &NodeBean, name: &str, named: &HashMap<&str, usize>) {
        let Some(condition) = &node.condition else { return };
        for operand in operands(condition) {
            let fault = match operand {
                Operand::Fault(fault) => fault.words().to_owned(),
                Operand::Job(job) => match (named.get(job.as_str()), named.get(name)) {
                    (None, _) => format!("names {job:?}, which is not in the flow"),
                    (Some(&from), Some(&to)) if graph::reaches(&self.needs(named), from, to) => {
                        format!("names {job:?}, which itself depends on the job")
                    }
                    _ => continue,
                },
            };
            let field = Some(format!("{}{name}.condition", self.prefix));
            self.add(node.line, field, format!("the condition of job {name:?} {fault}"));
        }
    }

    fn needs(&self, named: &HashMap<&str, usize>) -> Vec<Vec<usize>> {
        let of = |node: &Option<NodeBean>| {
            let names = node
                .iter()
                .flat_map(|node| node.depends_on.iter().flatten().flatten());
            names
                .filter_map(|name| named.get(name.as_str()).copied())
                .collect()
        };
        self.nodes.iter().map(of).collect()
    }

    fn circles(&mut self, named: &HashMap<&str, usize>) {
        let needs = self.needs(named);
        let nodes = self.nodes;
        let at = |node: usize| {
            nodes[node].as_ref().map_or(("", 1), |node| {
                (node.name.as_deref().unwrap_or_default(), node.line)
            })
        };
        for cycle in graph::cycles(&needs).into_iter().filter(|cycle| cycle.len() > 2) {
            let names: Vec<&str> = cycle.iter().map(|node| at(*node).0).collect();
            let message = format!("jobs depend on each other in a circle: {}", names.join(" -> "));
            let field = Some(format!("{}{}.dependsOn", self.prefix, names[0]));
            self.add(at(cycle[0]).1, field, message);
        }
        if let Some((node, message)) = row_too_long(&needs) {
            let field = Some(format!("{}{}.dependsOn", self.prefix, at(node).0));
            self.add(at(node).1, field, message);
        }
    }
}
