//! One project: what is in memory (active version, flows, locks), what is in the database (versions, log), and the lock
//! under which an upload is stored.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytes::Bytes;

use crate::options::User;
use crate::state::flows::Flows;
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
}

/// What can change.
#[derive(Debug)]
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
    pub(crate) versions: BTreeMap<i32, Version>,
    /// Oldest first.
    pub(crate) log: Vec<Event>,
    pub(crate) users: Vec<(String, Permission)>,
    pub(crate) groups: Vec<(String, Permission)>,
    pub(crate) proxies: Vec<String>,
}

/// One row of the versions ever stored, failed ones included.
#[derive(Debug)]
pub(crate) struct Version {
    pub(crate) file: String,
    /// Gone when newer versions came.
    pub(crate) zip: Option<Bytes>,
}

/// One line of the project log.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) at_ms: i64,
    pub(crate) user: String,
    pub(crate) kind: &'static str,
    pub(crate) message: Option<String>,
}

impl Project {
    pub(crate) fn new(id: i32, name: &str, description: &str, creator: &str) -> Self {
        let state = State {
            active: true,
            description: description.to_owned(),
            version: 0,
            modified_by: creator.to_owned(),
            flows: Arc::default(),
            locks: HashMap::new(),
            missing: HashSet::new(),
            versions: BTreeMap::new(),
            log: Vec::new(),
            users: vec![(creator.to_owned(), Permission::of([Right::Admin]))],
            groups: Vec::new(),
            proxies: vec![creator.to_owned()],
        };
        let project = Self {
            id,
            name: name.to_owned(),
            created_ms: now_ms(),
            storing: tokio::sync::Mutex::new(()),
            uploading: AtomicUsize::new(0),
            state: RwLock::new(state),
        };
        project.log(creator, "CREATED", None);
        project
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, State> {
        read(&self.state)
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, State> {
        write(&self.state)
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
                kind,
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

impl State {
    /// The highest version ever stored, failed ones included; 0 if none.
    pub(crate) fn highest(&self) -> i32 {
        self.versions.last_key_value().map_or(0, |(&version, _)| version)
    }

    /// Takes the zips of versions before `first` away; their rows stay.
    pub(crate) fn clean_before(&mut self, first: i32) {
        for version in self.versions.range_mut(..first) {
            version.1.zip = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_come_from_role_user_and_group() {
        let project = Project::new(1, "p", "d", "ann");
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
        let project = Project::new(1, "p", "d", "ann");
        project.log("ann", "SCHEDULE", Some("x".repeat(513)));
        project.log("ann", "SCHEDULE", Some("x".repeat(512)));
        assert_eq!(project.read().log.len(), 2, "the creation and the short one");
    }

    #[test]
    fn uploads_under_way_are_counted() {
        let project = Arc::new(Project::new(1, "p", "d", "ann"));
        let (first, overlaps) = project.begin_upload();
        assert!(!overlaps);
        assert!(project.begin_upload().1);
        drop(first);
        assert!(!project.begin_upload().1);
    }
}
