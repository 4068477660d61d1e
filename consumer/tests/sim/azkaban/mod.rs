//! The model server: what a real Azkaban 4.0.0 does with uploads, its traps included.

pub(crate) mod calls;
pub(crate) mod content;
pub(crate) mod install;
pub(crate) mod project;
pub(crate) mod upload;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use flowlift_azkaban::client::{ClientError, ProjectId};

use crate::clock::{Clock, Ms, Owner, Promise};
use crate::world::{W, tell};
use project::Project;

/// Who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caller {
    /// The consumer on this machine.
    Node(usize),
    /// A person at the web page: near by, never cut off.
    Person,
}

/// The server and its database.
pub(crate) struct Azkaban {
    pub(crate) up: Cell<bool>,
    /// Its process: what runs in it dies with it.
    pub(crate) process: Cell<Owner>,
    /// Kept when this process dies.
    pub(crate) died: RefCell<Promise<()>>,
    /// Its process id in `/status`.
    pub(crate) pid: Cell<u64>,
    /// Until when its database hangs.
    pub(crate) hangs_until: Cell<Ms>,
    pub(crate) state: RefCell<State>,
    /// Requests so far.
    pub(crate) requests: Cell<u64>,
    /// Uploads whose bodies it has and that it is still at.
    pub(crate) installing: Cell<usize>,
}

/// What is stored.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// Living projects by lower-case name.
    pub(crate) names: BTreeMap<String, ProjectId>,
    /// All projects ever made.
    pub(crate) projects: BTreeMap<ProjectId, Project>,
    /// The last number given to a schedule.
    pub(crate) schedules: i64,
}

impl State {
    /// A living project.
    pub(crate) fn project(&mut self, key: &str) -> Result<&mut Project, ClientError> {
        let id = self.names.get(key).copied();
        id.and_then(|id| self.projects.get_mut(&id))
            .ok_or_else(|| ClientError::ProjectMissing {
                project: key.to_owned(),
            })
    }

    /// Makes a project; `false`: it was there.
    pub(crate) fn create(&mut self, key: &str) -> bool {
        if self.names.contains_key(key) {
            return false;
        }
        let id = i64::try_from(self.projects.len()).unwrap_or(i64::MAX) + 1;
        self.projects.insert(ProjectId(id), Project::new(id));
        self.names.insert(key.to_owned(), ProjectId(id));
        true
    }

    /// Deletes a project with its schedules.
    pub(crate) fn delete(&mut self, key: &str) {
        if let Some(id) = self.names.remove(key)
            && let Some(project) = self.projects.get_mut(&id)
        {
            project.deleted = true;
            project.schedules.clear();
        }
    }
}

impl Azkaban {
    /// An empty server.
    pub(crate) fn new(clock: &Rc<Clock>) -> Self {
        Self {
            up: Cell::new(true),
            process: Cell::new(clock.owner()),
            died: RefCell::new(Promise::new(clock)),
            pid: Cell::new(1),
            hangs_until: Cell::default(),
            state: RefCell::default(),
            requests: Cell::default(),
            installing: Cell::default(),
        }
    }
}

/// The server dies: whatever runs in it stops where it stands; what is stored stays.
pub(crate) fn stop(w: &W) {
    tell!(w, "azkaban: its process dies");
    let azkaban = &w.azkaban;
    azkaban.up.set(false);
    w.clock.kill(azkaban.process.get());
    azkaban.installing.set(0);
    azkaban.died.borrow().keep(());
    for project in azkaban.state.borrow_mut().projects.values_mut() {
        project.locked = false;
        project.waiting.clear();
    }
}

/// A new process.
pub(crate) fn start(w: &W) {
    let azkaban = &w.azkaban;
    azkaban.process.set(w.clock.owner());
    *azkaban.died.borrow_mut() = Promise::new(&w.clock);
    azkaban.pid.set(azkaban.pid.get() + 1);
    azkaban.up.set(true);
    tell!(w, "azkaban: a new process, pid {}", azkaban.pid.get());
}
