//! Flow 1.0: `.job` and `.properties` files. A flow is a job that no other job depends on.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::checks::Checked;
use super::condition::{Fault, Operand, operands};
use super::files::{File, Folder};
use super::levels::levels;
use super::report::Report;
use super::walk::{Dependency, Job, Props, Walk};
use super::{Keep, Load, Loaded, LoadedFlow, Node, Problem, embedding, java};
use crate::model::Format;
use crate::properties;

/// Why loading ends at once.
enum Stop {
    Exception(Problem),
    Overflow,
}

/// Reads the project as Flow 1.0.
pub(super) fn load(top: &Folder<'_>, keep: Keep) -> Load {
    let mut loader = Loader::new(keep);
    match loader.run(top) {
        Ok(flows) if loader.report.is_empty() => Load::Flows(Loaded {
            format: Format::V1,
            flows,
            embedded: BTreeMap::new(),
        }),
        Ok(_) => Load::Refused(loader.report.into_problems()),
        Err(Stop::Exception(problem)) => Load::Exception(problem),
        Err(Stop::Overflow) => Load::StackOverflow,
    }
}

struct Loader<'a> {
    keep: Keep,
    jobs: Vec<Job<'a>>,
    /// By id; a job whose name came twice is gone from here.
    by_id: HashMap<&'a str, usize>,
    duplicates: HashSet<&'a str>,
    forced_ends: HashSet<usize>,
    conditioned: Vec<usize>,
    /// Checks that found something, by job.
    checked: HashMap<usize, Checked>,
    report: Report,
}

impl<'a> Loader<'a> {
    fn new(keep: Keep) -> Self {
        Self {
            keep,
            jobs: Vec::new(),
            by_id: HashMap::new(),
            duplicates: HashSet::new(),
            forced_ends: HashSet::new(),
            conditioned: Vec::new(),
            checked: HashMap::new(),
            report: Report::default(),
        }
    }

    fn run(&mut self, top: &Folder<'a>) -> Result<BTreeMap<String, LoadedFlow>, Stop> {
        self.read_folder(top, &Props::default())?;
        self.resolve();
        let flows = self.build()?;
        self.check_jobs()?;
        Ok(flows)
    }

    fn read_folder(&mut self, folder: &Folder<'a>, inherited: &Props) -> Result<(), Stop> {
        let mut inherited = Arc::clone(inherited);
        for file in folder.with_suffix(".properties") {
            let own = read(file)?;
            inherited = below(&inherited, &Arc::new(own));
        }
        for file in folder.with_suffix(".job") {
            self.read_job(file, &inherited)?;
        }
        self.check_conditions();
        for folder in folder.folders.values() {
            self.read_folder(folder, &inherited)?;
        }
        Ok(())
    }

    fn read_job(&mut self, file: File<'a>, inherited: &Props) -> Result<(), Stop> {
        let id = file.stem();
        if self.duplicates.contains(id) {
            return Ok(());
        }
        if self.by_id.contains_key(id) {
            self.report.add(
                format!("Duplicate job names found '{id}'."),
                Some(file.path),
                None,
            );
            self.duplicates.insert(id);
            self.by_id.remove(id);
            return Ok(());
        }
        let own = Arc::new(read(file)?);
        let props = below(inherited, &own);
        let kind = props.get("type");
        if kind.is_none() {
            self.report.add(
                format!("Job doesn't have type set '{id}'."),
                Some(file.path),
                None,
            );
        }
        let condition = props.get("condition").filter(|text| !text.is_empty()).cloned();
        let index = self.jobs.len();
        if condition.is_some() {
            self.conditioned.push(index);
        }
        if props
            .get("root.node")
            .is_some_and(|text| java_trim(text).eq_ignore_ascii_case("true"))
        {
            self.forced_ends.insert(index);
        }
        let checked = Checked::of(id, &props);
        if !checked.is_fine() {
            self.checked.insert(index, checked);
        }
        self.by_id.insert(id, index);
        self.jobs.push(Job {
            id,
            path: file.path,
            condition,
            needs: props.get("dependencies").cloned(),
            dependencies: Vec::new(),
            runs: (kind.is_some_and(|kind| kind == "flow")).then(|| props.get("flow.name").cloned()),
            props: (self.keep == Keep::Jobs).then_some((own, props)),
        });
        Ok(())
    }

    /// Runs after each folder over all jobs so far: a condition cannot name a job of a folder read later.
    fn check_conditions(&mut self) {
        for &index in &self.conditioned {
            let job = &self.jobs[index];
            if self.by_id.get(job.id) != Some(&index) {
                continue;
            }
            for operand in operands(job.condition.as_deref().unwrap_or_default()) {
                let id = job.id;
                let message = match operand {
                    Operand::Job(name) if self.by_id.contains_key(name.as_str()) => continue,
                    Operand::Job(name) => {
                        format!("Invalid condition for {id}: {name} doesn't exist in the flow.")
                    }
                    Operand::Fault(Fault::Macros) => format!(
                        "Invalid condition for {id}: cannot combine more than one conditionOnJobStatus macros."
                    ),
                    // misspelt so in Azkaban
                    Operand::Fault(Fault::Empty) => {
                        format!("Invalid condition fo {id}: operand is an empty string.")
                    }
                    Operand::Fault(Fault::Syntax) => format!(
                        "Invalid condition for {id}: cannot resolve the condition. Please check the syntax for \
                         supported conditions."
                    ),
                };
                self.report.add(message, Some(job.path), None);
            }
        }
    }

    /// The living jobs in the order Azkaban goes through them.
    fn in_order(&self) -> Vec<usize> {
        let mut living: Vec<usize> = self.by_id.values().copied().collect();
        living.sort_unstable();
        java::hash_order(&mut living, |index| java::hash_code(self.jobs[*index].id));
        living
    }

    fn resolve(&mut self) {
        for index in self.in_order() {
            let (id, path) = (self.jobs[index].id, self.jobs[index].path);
            let mut found: Vec<Dependency> = Vec::new();
            let needs = self.jobs[index].needs.take();
            for name in names(needs.as_ref()) {
                let job = self.by_id.get(name).copied();
                let message = match job {
                    None if self.duplicates.contains(name) => {
                        Some(format!("{id} has ambiguous dependency {name}"))
                    }
                    None => Some(format!("{id} cannot find dependency {name}")),
                    Some(job) if job == index => Some(format!("{id} has a self cycle")),
                    Some(_) => None,
                };
                if let Some(message) = message {
                    self.report.add(message, Some(path), None);
                }
                if found.iter().all(|seen| seen.name != name) {
                    found.push(Dependency {
                        name: name.to_owned(),
                        job: job.filter(|job| *job != index),
                    });
                }
            }
            java::hash_order(&mut found, |dependency| java::hash_code(&dependency.name));
            self.jobs[index].dependencies = found;
        }
    }

    fn build(&mut self) -> Result<BTreeMap<String, LoadedFlow>, Stop> {
        let needed: HashSet<&str> = (self.by_id.values())
            .flat_map(|index| {
                self.jobs[*index]
                    .dependencies
                    .iter()
                    .map(|dependency| dependency.name.as_str())
            })
            .collect();
        let ends: Vec<usize> = (self.in_order().into_iter())
            .filter(|index| self.forced_ends.contains(index) || !needed.contains(self.jobs[*index].id))
            .collect();
        let mut walk = Walk::new(self.jobs.len());
        let mut flows = BTreeMap::new();
        let mut embedded = Vec::new();
        for end in ends {
            walk.flow(&self.jobs, end, &mut self.report);
            let flow = self.assemble(&walk)?;
            let id = self.jobs[end].id;
            let mut names: Vec<String> = Vec::new();
            for runs in walk
                .order
                .iter()
                .filter_map(|index| self.jobs[*index].runs.as_ref())
            {
                let name = runs.as_deref().unwrap_or("null");
                if names.iter().all(|seen| seen != name) {
                    names.push(name.to_owned());
                }
            }
            if !names.is_empty() {
                embedded.push((id, self.jobs[end].path, names));
            }
            flows.insert(id.to_owned(), flow);
        }
        embedding::resolve(&embedded, &flows, &mut self.report);
        Ok(flows)
    }

    fn assemble(&self, walk: &Walk) -> Result<LoadedFlow, Stop> {
        let mut members = walk.order.clone();
        members.sort_unstable_by_key(|index| self.jobs[*index].id);
        let place: HashMap<usize, usize> = members.iter().enumerate().map(|(at, job)| (*job, at)).collect();
        let mut edges = Vec::new();
        let mut has_in = Vec::with_capacity(members.len());
        for (at, index) in members.iter().enumerate() {
            let job = &self.jobs[*index];
            has_in.push(!job.dependencies.is_empty());
            for dependency in &job.dependencies {
                let from = dependency
                    .job
                    .or(Some(*index).filter(|_| dependency.name == job.id));
                edges.extend(from.map(|from| (place[&from], at)));
            }
        }
        let level = levels(&has_in, &edges).map_err(|_| Stop::Overflow)?;
        let jobs = || members.iter().map(|index| &self.jobs[*index]);
        let nodes = jobs()
            .zip(level)
            .filter_map(|(job, level)| node(job, level))
            .collect();
        let mut files: Vec<String> = jobs().map(|job| job.path.to_owned()).collect();
        files.sort_unstable();
        let runs = jobs().filter_map(|job| job.runs.clone()?).collect();
        Ok(LoadedFlow { nodes, files, runs })
    }

    fn check_jobs(&mut self) -> Result<(), Stop> {
        for index in self.in_order() {
            let Some(checked) = self.checked.remove(&index) else {
                continue;
            };
            let path = self.jobs[index].path;
            for message in checked.messages {
                self.report.add(message, Some(path), None);
            }
            if let Some(message) = checked.exception {
                return Err(exception(message, path));
            }
        }
        Ok(())
    }
}

fn node(job: &Job<'_>, level: usize) -> Option<Node> {
    let (own, props) = job.props.as_ref()?;
    let mut depends_on: Vec<String> = job.dependencies.iter().map(|one| one.name.clone()).collect();
    depends_on.sort_unstable();
    Some(Node {
        id: job.id.to_owned(),
        kind: props.get("type").cloned().unwrap_or_default(),
        depends_on,
        level,
        props: Arc::clone(props),
        own_props: Arc::clone(own),
        source: job.path.to_owned(),
        condition: job.condition.clone(),
        embedded: job.runs.clone().map(Option::unwrap_or_default),
    })
}

/// The names in a `dependencies` value.
pub(crate) fn names(value: Option<&String>) -> impl Iterator<Item = &str> {
    value
        .into_iter()
        .flat_map(|text| text.split(','))
        .map(java_trim)
        .filter(|name| !name.is_empty())
}

/// Java's `trim`: everything up to the blank, control characters too.
pub(crate) fn java_trim(text: &str) -> &str {
    text.trim_matches(|c: char| c <= ' ')
}

fn read(file: File<'_>) -> Result<BTreeMap<String, String>, Stop> {
    let pairs = properties::parse(file.content).map_err(|error| exception(error.to_string(), file.path))?;
    Ok(properties::to_map(pairs))
}

/// Own properties over inherited ones.
fn below(inherited: &Props, own: &Props) -> Props {
    if inherited.is_empty() {
        return Arc::clone(own);
    }
    let mut all = BTreeMap::clone(inherited);
    all.extend(own.iter().map(|(key, value)| (key.clone(), value.clone())));
    Arc::new(all)
}

fn exception(message: String, path: &str) -> Stop {
    Stop::Exception(Problem {
        message,
        path: Some(path.to_owned()),
        flow: None,
    })
}
