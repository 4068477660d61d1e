//! One project: what is in memory (active version, flows, locks), what is in the database (versions, log), and the lock
//! under which an upload is stored.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::options::User;
use crate::state::flows::Flows;
use crate::state::journal::{Change, Journal};
use crate::state::overrides::Overrides;
use crate::state::permission::{Permission, Right};
use crate::state::{now_ms, read, write};
use crate::wire::java::utf16_len;

/// Width of the column for messages of the project log.
const MESSAGE_MAX: usize = 512;

/// A project. Its number and name never change.
#[derive(Debug)]
pub(crate) struct Project {
    pub(crate) id: i32,
    pub(crate) name: String,
    pub(crate) created_ms: i64,
    /// Held while an upload is stored: Java's `synchronized (project)`.
    pub(crate) storing: tokio::sync::Mutex<()>,
    /// Uploads between "body received" and "answered".
    uploading: AtomicUsize,
    state: RwLock<State>,
    journal: Journal,
}

/// What can change.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) active: bool,
    pub(crate) description: String,
    /// The active version; 0 before the first upload.
    pub(crate) version: i32,
    pub(crate) modified_by: String,
    pub(crate) flows: Arc<Flows>,
    /// Locked flows and why.
    pub(crate) locks: HashMap<String, Option<String>>,
    /// Files of the active version whose properties could not be stored.
    pub(crate) missing: HashSet<String>,
    /// Properties of jobs that were set by hand.
    pub(crate) overrides: Overrides,
    pub(crate) versions: BTreeMap<i32, Version>,
    /// Oldest first.
    pub(crate) log: Vec<Event>,
    pub(crate) users: Vec<(String, Permission)>,
    pub(crate) groups: Vec<(String, Permission)>,
    pub(crate) proxies: Vec<String>,
    /// Versions and zips that came and went, and are not on their way to the data file yet.
    unsaved: Vec<Change>,
    /// How many lines of the log are.
    saved_events: usize,
}

/// One row of the versions ever stored, failed ones included.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Version {
    pub(crate) file: String,
    /// Gone when newer versions came.
    #[serde(skip)]
    pub(crate) zip: Option<Bytes>,
}

/// One line of the project log.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Event {
    pub(crate) at_ms: i64,
    pub(crate) user: String,
    pub(crate) kind: Cow<'static, str>,
    pub(crate) message: Option<String>,
}

impl Project {
    pub(crate) fn new(id: i32, name: &str, description: &str, creator: &str, journal: Journal) -> Self {
        let state = State {
            active: true,
            description: description.to_owned(),
            modified_by: creator.to_owned(),
            users: vec![(creator.to_owned(), Permission::of([Right::Admin]))],
            proxies: vec![creator.to_owned()],
            ..State::default()
        };
        let project = Self {
            id,
            name: name.to_owned(),
            created_ms: now_ms(),
            storing: tokio::sync::Mutex::new(()),
            uploading: AtomicUsize::new(0),
            state: RwLock::new(state),
            journal,
        };
        project.log(creator, "CREATED", None);
        project
    }

    /// Takes one back from the data file.
    pub(crate) fn restored(row: Row, journal: Journal) -> Self {
        Self {
            id: row.id,
            name: row.name,
            created_ms: row.created_ms,
            storing: tokio::sync::Mutex::new(()),
            uploading: AtomicUsize::new(0),
            state: RwLock::new(State {
                active: row.active,
                description: row.description,
                version: row.version,
                modified_by: row.modified_by,
                locks: row.locks,
                missing: row.missing,
                overrides: row.overrides,
                users: row.users,
                groups: row.groups,
                proxies: row.proxies,
                ..State::default()
            }),
            journal,
        }
    }

    /// While data is taken back: changes without keeping them once more.
    pub(crate) fn restore(&self, change: impl FnOnce(&mut State)) {
        let mut state = write(&self.state);
        change(&mut state);
        state.saved_events = state.log.len();
        state.unsaved.clear();
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, State> {
        read(&self.state)
    }

    /// What is changed through it is on its way to the data file when it is dropped.
    pub(crate) fn write(&self) -> Writing<'_> {
        Writing {
            state: write(&self.state),
            project: self,
        }
    }

    /// Writes a line to the project log; one too long for its row is dropped, as in Azkaban.
    pub(crate) fn log(&self, user: &str, kind: &'static str, message: Option<String>) {
        if message
            .as_deref()
            .is_none_or(|message| utf16_len(message) <= MESSAGE_MAX)
        {
            self.write().log.push(Event {
                at_ms: now_ms(),
                user: user.to_owned(),
                kind: kind.into(),
                message,
            });
        }
    }

    /// May this user do this, by role or by the project's rights?
    pub(crate) fn allows(&self, user: &User, right: Right) -> bool {
        if user.admin {
            return true;
        }
        let state = self.read();
        let own = state.users.iter().filter(|(name, _)| *name == user.name);
        let groups = state.groups.iter().filter(|(name, _)| user.groups.contains(name));
        own.chain(groups).any(|(_, permission)| permission.allows(right))
    }

    /// Counts an upload until the guard is dropped; tells whether another one is under way.
    pub(crate) fn begin_upload(self: &Arc<Self>) -> (Uploading, bool) {
        let others = self.uploading.fetch_add(1, Ordering::SeqCst);
        (Uploading(Arc::clone(self)), others > 0)
    }
}

/// An upload under way.
#[derive(Debug)]
pub(crate) struct Uploading(Arc<Project>);

impl Drop for Uploading {
    fn drop(&mut self) {
        self.0.uploading.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A project in the data file; versions and log have rows of their own.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    id: i32,
    name: String,
    created_ms: i64,
    pub(crate) active: bool,
    description: String,
    version: i32,
    modified_by: String,
    locks: HashMap<String, Option<String>>,
    missing: HashSet<String>,
    #[serde(default)]
    overrides: Overrides,
    users: Vec<(String, Permission)>,
    groups: Vec<(String, Permission)>,
    proxies: Vec<String>,
}

/// A project's state being changed.
pub(crate) struct Writing<'a> {
    state: RwLockWriteGuard<'a, State>,
    project: &'a Project,
}

impl Deref for Writing<'_> {
    type Target = State;
    fn deref(&self) -> &State {
        &self.state
    }
}

impl DerefMut for Writing<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        let Project { id, journal, .. } = self.project;
        if !journal.is_open() {
            self.state.unsaved.clear();
            return;
        }
        let row = serde_json::to_vec(&self.project.row(&self.state)).unwrap_or_default();
        let mut changes = vec![Change::Project(*id, row)];
        changes.append(&mut self.state.unsaved);
        let from = self.state.saved_events;
        for (number, event) in (0..).zip(&self.state.log).skip(from) {
            changes.push(Change::Event(
                *id,
                number,
                serde_json::to_vec(event).unwrap_or_default(),
            ));
        }
        self.state.saved_events = self.state.log.len();
        journal.write_all(|| changes);
    }
}

impl Project {
    fn row(&self, state: &State) -> Row {
        Row {
            id: self.id,
            name: self.name.clone(),
            created_ms: self.created_ms,
            active: state.active,
            description: state.description.clone(),
            version: state.version,
            modified_by: state.modified_by.clone(),
            locks: state.locks.clone(),
            missing: state.missing.clone(),
            overrides: state.overrides.clone(),
            users: state.users.clone(),
            groups: state.groups.clone(),
            proxies: state.proxies.clone(),
        }
    }
}

impl State {
    /// Stores a version and its zip.
    pub(crate) fn add_version(&mut self, project: i32, number: i32, version: Version) {
        let row = serde_json::to_vec(&version).unwrap_or_default();
        self.unsaved.push(Change::Version(project, number, row));
        let zip = version.zip.clone();
        self.unsaved
            .extend(zip.map(|zip| Change::Zip(project, number, zip)));
        self.versions.insert(number, version);
    }

    /// The highest version ever stored, failed ones included; 0 if none.
    pub(crate) fn highest(&self) -> i32 {
        self.versions.last_key_value().map_or(0, |(&version, _)| version)
    }

    /// Takes the zips of versions before `first` away, but not of those in use; their rows stay.
    pub(crate) fn clean_before(&mut self, project: i32, first: i32, in_use: &BTreeSet<i32>) {
        for (&number, version) in self.versions.range_mut(..first) {
            if version.zip.is_some() && !in_use.contains(&number) {
                version.zip = None;
                self.unsaved.push(Change::ZipGone(project, number));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_come_from_role_user_and_group() {
        let project = Project::new(1, "p", "d", "ann", Journal::default());
        let mut bob = User::plain("bob", "x");
        assert!(!project.allows(&bob, Right::Read));
        assert!(
            project.allows(&User::plain("ann", "x"), Right::Write),
            "the creator is an admin of the project"
        );
        assert!(project.allows(&User::admin("root", "x"), Right::Write));
        project
            .write()
            .groups
            .push(("team".to_owned(), Permission::of([Right::Read])));
        bob.groups.push("team".to_owned());
        assert!(project.allows(&bob, Right::Read) && !project.allows(&bob, Right::Write));
    }

    #[test]
    fn a_message_too_long_for_its_row_is_dropped() {
        let project = Project::new(1, "p", "d", "ann", Journal::default());
        project.log("ann", "SCHEDULE", Some("x".repeat(513)));
        project.log("ann", "SCHEDULE", Some("x".repeat(512)));
        assert_eq!(project.read().log.len(), 2, "the creation and the short one");
    }

    #[test]
    fn uploads_under_way_are_counted() {
        let project = Arc::new(Project::new(1, "p", "d", "ann", Journal::default()));
        let (first, overlaps) = project.begin_upload();
        assert!(!overlaps);
        assert!(project.begin_upload().1);
        drop(first);
        assert!(!project.begin_upload().1);
    }
}
