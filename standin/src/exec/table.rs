//! All executions, running and over.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use flowlift_azkaban::name::fold;
use tokio::sync::Semaphore;

use crate::exec::execution::{Execution, Phase};
use crate::state::journal::{Change, Journal};
use crate::state::lock;

/// All executions.
#[derive(Debug)]
pub(crate) struct Executions {
    inner: Mutex<Inner>,
    /// Flows that run at one time; others wait.
    pub(crate) threads: Arc<Semaphore>,
    /// Held while one is submitted, so that `skip` means what it says.
    pub(crate) submitting: tokio::sync::Mutex<()>,
    /// How many that are over are kept.
    keep: usize,
    journal: Journal,
}

#[derive(Debug, Default)]
struct Inner {
    last: i32,
    by_id: BTreeMap<i32, Arc<Execution>>,
    /// By project and folded flow id, as the database compares; oldest first.
    of_flow: HashMap<(i32, String), Vec<i32>>,
    active: BTreeSet<i32>,
}

impl Executions {
    pub(crate) fn new(threads: usize, keep: usize, journal: Journal) -> Self {
        Self {
            inner: Mutex::default(),
            threads: Arc::new(Semaphore::new(threads)),
            submitting: tokio::sync::Mutex::new(()),
            keep,
            journal,
        }
    }

    /// A number no execution has had.
    pub(crate) fn next_id(&self) -> i32 {
        let mut inner = lock(&self.inner);
        inner.last += 1;
        inner.last
    }

    /// Numbers up to this one were given before.
    pub(crate) fn resume_after(&self, last: i32) {
        let mut inner = lock(&self.inner);
        inner.last = inner.last.max(last);
    }

    pub(crate) fn insert(&self, execution: Arc<Execution>) {
        let mut inner = lock(&self.inner);
        let facts = &execution.facts;
        inner.last = inner.last.max(facts.id);
        inner
            .of_flow
            .entry((facts.project, fold(&facts.flow)))
            .or_default()
            .push(facts.id);
        if execution.is_active() {
            inner.active.insert(facts.id);
        }
        inner.by_id.insert(facts.id, execution);
        self.forget_old(&mut inner);
    }

    /// The web server has learned that it is over.
    pub(crate) fn retire(&self, execution: &Execution) {
        execution.set_phase(Phase::Over);
        lock(&self.inner).active.remove(&execution.facts.id);
    }

    fn forget_old(&self, inner: &mut Inner) {
        while inner.by_id.len() - inner.active.len() > self.keep {
            let Some(&old) = inner.by_id.keys().find(|id| !inner.active.contains(id)) else {
                return;
            };
            let Some(gone) = inner.by_id.remove(&old) else {
                return;
            };
            let key = (gone.facts.project, fold(&gone.facts.flow));
            if let Some(ids) = inner.of_flow.get_mut(&key) {
                ids.retain(|&id| id != old);
            }
            self.journal.write(|| Change::ExecutionGone(old));
        }
    }

    pub(crate) fn get(&self, id: i32) -> Option<Arc<Execution>> {
        lock(&self.inner).by_id.get(&id).cloned()
    }

    /// Those of a flow that count as running, by number.
    pub(crate) fn running(&self, project: i32, flow: &str) -> Vec<i32> {
        let inner = lock(&self.inner);
        let mine = |id: &&i32| {
            let execution = inner.by_id.get(id);
            execution.is_some_and(|one| one.facts.project == project && one.facts.flow == flow)
        };
        inner.active.iter().filter(mine).copied().collect()
    }

    /// All of a flow, newest first.
    pub(crate) fn of_flow(&self, project: i32, flow: &str) -> Vec<Arc<Execution>> {
        let inner = lock(&self.inner);
        let ids = inner.of_flow.get(&(project, fold(flow))).into_iter().flatten();
        ids.rev().filter_map(|id| inner.by_id.get(id).cloned()).collect()
    }

    /// Versions of a project that unfinished executions use.
    pub(crate) fn versions_in_use(&self, project: i32) -> BTreeSet<i32> {
        let active = self.active();
        let mine = active.iter().filter(|one| one.facts.project == project);
        mine.filter(|one| one.is_unfinished())
            .map(|one| one.facts.version)
            .collect()
    }

    pub(crate) fn active(&self) -> Vec<Arc<Execution>> {
        let inner = lock(&self.inner);
        let ids = inner.active.iter();
        ids.filter_map(|id| inner.by_id.get(id).cloned()).collect()
    }

    /// How many were ever started, and how many run now.
    pub(crate) fn counts(&self) -> (u64, usize) {
        let inner = lock(&self.inner);
        (u64::try_from(inner.last).unwrap_or(0), inner.active.len())
    }
}
