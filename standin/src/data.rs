//! Taking everything back from the data file when the server starts.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use flowlift_azkaban::archive::{ZipLimits, read_zip};
use flowlift_azkaban::load::{Load, load};
use redb::{ReadTransaction, ReadableTable};
use serde::de::DeserializeOwned;

use crate::exec::engine::Run;
use crate::exec::execution::{Execution, Facts};
use crate::exec::log::Log;
use crate::exec::tree::Node;
use crate::server::Server;
use crate::state::flows::Flows;
use crate::state::journal::Journal;
use crate::state::now_ms;
use crate::state::project::{Event, Project, Row, Version};
use crate::state::schedules::{Next, Schedule};
use crate::state::store::{self, Store};

/// All rows, read before anything runs.
#[derive(Default)]
pub(crate) struct Kept {
    projects: Vec<Row>,
    events: HashMap<i32, Vec<Event>>,
    versions: HashMap<i32, BTreeMap<i32, Version>>,
    schedules: Vec<Schedule>,
    executions: BTreeMap<i32, KeptExecution>,
    last_schedule: i32,
    last_execution: i32,
}

#[derive(serde::Deserialize)]
struct KeptExecution {
    facts: Facts,
    nodes: Vec<Node>,
    #[serde(skip)]
    logs: BTreeMap<(String, u32), Log>,
}

/// A row that cannot be understood counts as damage of the file.
fn row<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, redb::Error> {
    serde_json::from_slice(bytes).map_err(|error| redb::Error::Corrupted(error.to_string()))
}

impl Kept {
    /// Reads a data file.
    pub(crate) fn read(read: &ReadTransaction) -> Result<Self, redb::Error> {
        let mut kept = Self::default();
        for entry in read.open_table(store::PROJECTS)?.iter()? {
            kept.projects.push(row(entry?.1.value())?);
        }
        for entry in read.open_table(store::EVENTS)?.iter()? {
            let (key, value) = entry?;
            kept.events
                .entry(key.value().0)
                .or_default()
                .push(row(value.value())?);
        }
        for entry in read.open_table(store::VERSIONS)?.iter()? {
            let (key, value) = entry?;
            let (project, number) = key.value();
            let version = row(value.value())?;
            kept.versions.entry(project).or_default().insert(number, version);
        }
        for entry in read.open_table(store::ZIPS)?.iter()? {
            let (key, value) = entry?;
            let (project, number) = key.value();
            let version = kept
                .versions
                .get_mut(&project)
                .and_then(|all| all.get_mut(&number));
            if let Some(version) = version {
                version.zip = Some(Bytes::copy_from_slice(value.value()));
            }
        }
        for entry in read.open_table(store::SCHEDULES)?.iter()? {
            kept.schedules.push(row(entry?.1.value())?);
        }
        kept.read_executions(read)?;
        (kept.last_schedule, kept.last_execution) = Store::last_numbers(read)?;
        Ok(kept)
    }

    fn read_executions(&mut self, read: &ReadTransaction) -> Result<(), redb::Error> {
        for entry in read.open_table(store::EXECUTIONS)?.iter()? {
            let (key, value) = entry?;
            self.executions.insert(key.value(), row(value.value())?);
        }
        for entry in read.open_table(store::NODES)?.iter()? {
            let (key, value) = entry?;
            let (id, at) = key.value();
            let execution = self.executions.get_mut(&id);
            let node = execution.and_then(|execution| execution.nodes.get_mut(at as usize));
            // The last row of all is newer than that of a job.
            if let Some(node) = node.filter(|node| !node.status.is_finished()) {
                *node = row(value.value())?;
            }
        }
        for entry in read.open_table(store::LOGS)?.iter()? {
            let (key, value) = entry?;
            let (id, attempt, nested) = key.value();
            if let Some(execution) = self.executions.get_mut(&id) {
                let log = Log::of(value.value().to_owned());
                execution.logs.insert((nested.to_owned(), attempt), log);
            }
        }
        Ok(())
    }

    /// Puts all of it into a server that has not begun to answer.
    pub(crate) fn restore(mut self, server: &Server, journal: &Journal) {
        let mut projects = Vec::new();
        for row in std::mem::take(&mut self.projects) {
            let project = Arc::new(Project::restored(row, journal.clone()));
            project.restore(|state| {
                state.versions = self.versions.remove(&project.id).unwrap_or_default();
                state.log = self.events.remove(&project.id).unwrap_or_default();
            });
            projects.push(project);
        }
        load_flows(&projects, &server.options.zip);
        for project in projects {
            server.world.restore(project);
        }
        for mut schedule in self.schedules {
            // What was missed while the server was down is skipped, as in Azkaban.
            match schedule.next(now_ms(), &server.options.time_zone) {
                Ok(Next::At(next)) => schedule.next_ms = next,
                Ok(Next::Never) => schedule.ended = true,
                // One that was to fire once does so now.
                Ok(Next::Gone) | Err(_) => {}
            }
            server.world.schedules.restore(schedule);
        }
        server.world.schedules.resume_after(self.last_schedule);
        for (id, KeptExecution { facts, nodes, logs }) in self.executions {
            let run = Run::new(id, nodes, facts.options.failure_action);
            let zone = server.options.time_zone.clone();
            let execution = Arc::new(Execution::kept(facts, run, logs, zone, journal.clone()));
            if execution.is_unfinished() {
                execution.change(|run, now| run.fail_everything(now));
                execution.save();
            }
            server.executions.insert(execution);
        }
        server.executions.resume_after(self.last_execution);
    }
}

/// Flows are not kept: they are read from the active versions' zips again, on all cores.
fn load_flows(projects: &[Arc<Project>], limits: &ZipLimits) {
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(project) = projects.get(next.fetch_add(1, Ordering::Relaxed)) {
            let zip = {
                let state = project.read();
                let version = state.versions.get(&state.version).filter(|_| state.active);
                version.and_then(|version| version.zip.clone())
            };
            let Some(flows) = zip.and_then(|zip| flows_of(&zip, limits)) else {
                continue;
            };
            project.restore(|state| state.flows = Arc::new(flows));
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
}

fn flows_of(zip: &[u8], limits: &ZipLimits) -> Option<Flows> {
    match load(&read_zip(zip, limits).ok()?) {
        Load::Flows(loaded) => Some(Flows::new(&loaded)),
        _ => None,
    }
}
