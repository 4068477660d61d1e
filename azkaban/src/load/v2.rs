//! Flow 2.0: one `.flow` file per flow, and a `.project` file somewhere.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::bean;
use super::checks::Checked as Checks;
use super::condition::{Fault, Operand, operands};
use super::files::{File, Folder};
use super::levels::levels;
use super::nodes::{Checked, Fail, Props, check, is_valid, needs};
use super::report::Report;
use super::{Keep, Load, Loaded, LoadedFlow, Node, Problem, java};
use crate::model::Format;

/// Reads the project as Flow 2.0.
pub(super) fn load(top: &Folder<'_>, keep: Keep) -> Load {
    let mut loader = Loader {
        keep,
        flows: BTreeMap::new(),
        embedded: BTreeMap::new(),
        jobs: BTreeMap::new(),
        report: Report::default(),
    };
    if loader.read_folder(top).is_err() {
        return Load::StackOverflow;
    }
    if let Err(problem) = loader.check_jobs() {
        return Load::Exception(problem);
    }
    if !loader.report.is_empty() {
        return Load::Refused(loader.report.into_problems());
    }
    Load::Flows(Loaded {
        format: Format::V2,
        flows: loader.flows,
        embedded: loader.embedded,
    })
}

struct Loader {
    keep: Keep,
    flows: BTreeMap<String, LoadedFlow>,
    embedded: BTreeMap<String, LoadedFlow>,
    /// By `flow:job`: what the checks of its own properties came to, and the file.
    jobs: BTreeMap<String, (Checks, String)>,
    report: Report,
}

/// Where a flow comes from.
#[derive(Clone, Copy)]
struct Place<'a> {
    path: &'a str,
    /// The listed flow's id.
    flow: &'a str,
}

impl Loader {
    fn read_folder(&mut self, folder: &Folder<'_>) -> Result<(), super::levels::Overflow> {
        for file in folder.with_suffix(".flow") {
            match self.read_file(file) {
                Ok(()) => {}
                Err(Fail::Overflow) => return Err(super::levels::Overflow),
                Err(Fail::Exception(message)) => {
                    let message = format!("Error loading flow yaml file {}:{message}", file.name);
                    self.report.add(message, Some(file.path), Some(file.stem()));
                }
            }
        }
        folder
            .folders
            .values()
            .try_for_each(|folder| self.read_folder(folder))
    }

    fn read_file(&mut self, file: File<'_>) -> Result<(), Fail> {
        let bean = bean::read(file.content).map_err(|error| match error.is_overflow() {
            true => Fail::Overflow,
            false => Fail::Exception(error.message),
        })?;
        let Some(mut bean) = bean else {
            let message = format!("Failed to load flow file {}. Node bean is null .", file.name);
            return Err(Fail::Exception(message));
        };
        let place = Place {
            path: file.path,
            flow: file.stem(),
        };
        bean.name = Some(place.flow.to_owned());
        bean.kind = Some("flow".to_owned());
        if !is_valid(&bean)? {
            let name = file.name;
            self.add(
                format!(
                    "Failed to validate nodeBean for {name}. Duplicate nodes found or dependency undefined."
                ),
                place,
            );
            return Ok(());
        }
        let flow = check(bean)?;
        if self.flows.contains_key(place.flow) || self.embedded.contains_key(place.flow) {
            self.add(
                format!("Duplicate flows found in the project with name {}", place.flow),
                place,
            );
            return Ok(());
        }
        let loaded = self.convert(&flow, place.flow, &flow.config, place)?;
        self.flows.insert(place.flow.to_owned(), loaded);
        Ok(())
    }

    fn add(&mut self, message: String, place: Place<'_>) {
        self.report.add(message, Some(place.path), Some(place.flow));
    }

    /// `inherited`: the configs of this flow and those around it.
    fn convert(
        &mut self,
        flow: &Checked,
        id: &str,
        inherited: &Props,
        place: Place<'_>,
    ) -> Result<LoadedFlow, Fail> {
        let by_name: HashMap<&str, usize> = flow
            .nodes
            .iter()
            .enumerate()
            .map(|(at, node)| (node.name.as_str(), at))
            .collect();
        let mut nodes = Vec::with_capacity(flow.nodes.len());
        let mut runs = Vec::new();
        for node in &flow.nodes {
            self.check_condition(node, flow, &by_name, place)?;
            let embedded = format!("{id}:{}", node.name);
            let props = below(inherited, &node.config);
            if node.kind == "flow" {
                let loaded = self.convert(node, &embedded, &props, place)?;
                self.embedded.insert(embedded.clone(), loaded);
            }
            let own = with_type(&node.config, &node.kind);
            let checks = Checks::of(&embedded, &own);
            self.jobs
                .insert(embedded.clone(), (checks, place.path.to_owned()));
            if node.kind == "flow" {
                runs.push(embedded.clone());
            }
            nodes.push(Node {
                id: node.name.clone(),
                kind: node.kind.clone(),
                depends_on: node
                    .depends_on
                    .iter()
                    .cloned()
                    .collect::<BTreeSet<_>>()
                    .into_iter()
                    .collect(),
                level: 0,
                props: with_type(&props, &node.kind),
                own_props: own,
                source: place.path.to_owned(),
                condition: node.condition.clone(),
                embedded: (node.kind == "flow").then_some(embedded),
            });
        }
        let edges = self.edges(flow, &by_name, place)?;
        let has_in: Vec<bool> = flow
            .nodes
            .iter()
            .map(|node| !node.depends_on.is_empty())
            .collect();
        let found = levels(&has_in, &edges).map_err(|_| Fail::Overflow)?;
        for (node, level) in nodes.iter_mut().zip(found) {
            node.level = level;
        }
        nodes.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        if self.keep == Keep::Flows {
            nodes = Vec::new();
        }
        Ok(LoadedFlow {
            nodes,
            files: vec![place.path.to_owned()],
            runs,
        })
    }

    /// The edges as (from, to); cycles are reported where Azkaban's search closes them.
    fn edges(
        &mut self,
        flow: &Checked,
        by_name: &HashMap<&str, usize>,
        place: Place<'_>,
    ) -> Result<Vec<(usize, usize)>, Fail> {
        let mut edges = Vec::new();
        let mut visited = vec![false; flow.nodes.len()];
        let mut on_path = vec![false; flow.nodes.len()];
        for start in 0..flow.nodes.len() {
            if visited[start] {
                continue;
            }
            let mut stack = vec![(start, 0)];
            (visited[start], on_path[start]) = (true, true);
            while let Some((node, next)) = stack.last_mut() {
                let node = *node;
                let Some(parent) = flow.nodes[node].depends_on.get(*next) else {
                    on_path[node] = false;
                    stack.pop();
                    continue;
                };
                *next += 1;
                let Some(&to) = by_name.get(parent.as_str()) else {
                    let text =
                        "Cannot invoke \"azkaban.project.AzkabanNode.getName()\" because \"node\" is null";
                    return Err(Fail::Exception(text.to_owned()));
                };
                edges.push((to, node));
                if on_path[to] {
                    self.add(
                        format!("Cycles found at {parent}>>{}", flow.nodes[node].name),
                        place,
                    );
                } else if !visited[to] {
                    (visited[to], on_path[to]) = (true, true);
                    stack.push((to, 0));
                }
            }
        }
        Ok(edges)
    }

    fn check_condition(
        &mut self,
        node: &Checked,
        flow: &Checked,
        by_name: &HashMap<&str, usize>,
        place: Place<'_>,
    ) -> Result<(), Fail> {
        let Some(condition) = &node.condition else {
            return Ok(());
        };
        for operand in operands(condition) {
            let reason = match operand {
                Operand::Fault(Fault::Macros) => {
                    "cannot combine more than one conditionOnJobStatus macros.".into()
                }
                Operand::Fault(Fault::Empty) => "operand is an empty string.".into(),
                Operand::Fault(Fault::Syntax) => {
                    "cannot resolve the condition. Please check the syntax for supported conditions.".into()
                }
                Operand::Job(job) => match by_name.get(job.as_str()) {
                    None => format!("{job} doesn't exist in the flow."),
                    Some(at) if needs(flow, by_name, *at, &node.name)? => {
                        format!("should not define condition on its descendant node {job}.")
                    }
                    Some(_) => continue,
                },
            };
            self.add(format!("Invalid condition for {}: {reason}", node.name), place);
        }
        Ok(())
    }

    fn check_jobs(&mut self) -> Result<(), Problem> {
        let mut jobs: Vec<_> = std::mem::take(&mut self.jobs).into_iter().collect();
        java::hash_order(&mut jobs, |(id, _)| java::hash_code(id));
        for (id, (checks, path)) in jobs {
            let flow = id.split(':').next().unwrap_or_default();
            for message in checks.messages {
                self.report.add(message, Some(&path), Some(flow));
            }
            if let Some(message) = checks.exception {
                return Err(Problem {
                    message,
                    path: Some(path.clone()),
                    flow: Some(flow.to_owned()),
                });
            }
        }
        Ok(())
    }
}

fn with_type(props: &Props, kind: &str) -> Props {
    let mut all = BTreeMap::clone(props);
    all.insert("type".to_owned(), kind.to_owned());
    Arc::new(all)
}

/// A node's config over what it inherits; a `type` among a flow's own settings is no property of its jobs.
fn below(inherited: &Props, own: &Props) -> Props {
    let mut all = BTreeMap::clone(inherited);
    all.extend(own.iter().map(|(key, value)| (key.clone(), value.clone())));
    Arc::new(all)
}
