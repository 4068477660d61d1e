//! A project while changes are applied to it, oldest first.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use flowlift_azkaban::name::fold;
use flowlift_azkaban::{Format, Tree};
use flowlift_common::manifest::Manifest;
use flowlift_common::{Act, Change, Order, RunId, Seen};

use super::claimants::Claimants;
use super::{Asked, ChangeId, Changes, Decision, Kind, Wish};
use crate::base::Base;

/// A file as a change leaves it.
#[derive(Debug, Clone)]
pub(super) struct Put {
    pub(super) content: Bytes,
    pub(super) by: ChangeId,
}

/// A flow as it stands in the draft.
#[derive(Debug, Clone)]
pub(super) struct FlowState {
    pub(super) name: String,
    pub(super) paths: Vec<Arc<str>>,
}

/// How an applied change fared so far.
#[derive(Debug, Clone)]
pub(super) struct Done {
    /// How many flows and files it still holds; none left: superseded.
    pub(super) holds: usize,
    pub(super) note: Option<&'static str>,
    /// It changed something that stands in no file: an owner, a tombstone that has to be remembered.
    pub(super) manifest_only: bool,
    /// It deleted or removed something.
    pub(super) removed: bool,
}

/// A project in the making.
pub(super) struct Draft<'b> {
    pub(super) base: &'b Base,
    pub(super) format: Format,
    /// Files that differ from the base so far; `None`: taken away.
    pub(super) files: BTreeMap<String, Option<Put>>,
    pub(super) flows: BTreeMap<String, FlowState>,
    /// Path to the lower-case ids of the flows that need it.
    pub(super) claims: HashMap<Arc<str>, Claimants>,
    pub(super) manifest: Manifest,
    pub(super) done: BTreeMap<ChangeId, Done>,
    /// Who brought a flow or file last in this batch: `flow:x` or `file:x`.
    pub(super) holders: HashMap<String, ChangeId>,
    pub(super) decided: BTreeMap<ChangeId, Decision>,
    /// What the changes of this batch want of schedules, by lower-case flow id, oldest first; the newest wish counts.
    pub(super) wishes: BTreeMap<String, Vec<(ChangeId, Wish)>>,
    /// Orders to remember if nothing is uploaded.
    pub(super) fresh: Seen,
    /// What units inherit: properties files and the project file, as they stand in the draft.
    pub(super) inherited: Tree,
}

pub(super) fn flow_key(key: &str) -> String {
    format!("flow:{key}")
}

pub(super) fn file_key(path: &str) -> String {
    format!("file:{path}")
}

impl<'b> Draft<'b> {
    /// The base with all changes applied but the convicted ones.
    pub(super) fn of(
        base: &'b Base,
        format: Format,
        seen: &Seen,
        asked: &[Asked<'_>],
        changes: &dyn Changes,
        convicted: &BTreeMap<ChangeId, String>,
    ) -> Self {
        let mut draft = Self::start(base, format, seen);
        for one in asked {
            match convicted.get(&one.id) {
                Some(reason) => {
                    draft.decided.insert(one.id, Decision::Dead(reason.clone()));
                }
                None => changes.with(one.id, &mut |change| {
                    if one.cancelled && !draft.has(one, change) {
                        draft.decided.insert(one.id, Decision::Cancelled);
                    } else if let Some(reason) = one.missing.filter(|_| !draft.knows(one, change)) {
                        draft.decided.insert(one.id, Decision::Dead(reason.to_owned()));
                    } else {
                        draft.take(one, change);
                    }
                }),
            }
        }
        draft
    }

    fn start(base: &'b Base, format: Format, seen: &Seen) -> Self {
        let mut manifest = base.manifest.clone().unwrap_or_else(|| Manifest::empty(format));
        manifest.format = format;
        seen.tell(&mut manifest);
        let mut draft = Self {
            base,
            format,
            files: BTreeMap::new(),
            flows: BTreeMap::new(),
            claims: HashMap::new(),
            manifest,
            done: BTreeMap::new(),
            holders: HashMap::new(),
            decided: BTreeMap::new(),
            wishes: BTreeMap::new(),
            fresh: Seen::default(),
            inherited: base
                .tree
                .iter()
                .filter(|(path, _)| is_inherited(path))
                .map(|(p, c)| (p.clone(), c.clone()))
                .collect(),
        };
        for name in base.loaded.flows.keys() {
            draft.claim(name, base.loaded.paths_of(name));
        }
        draft
    }

    /// The order of a flow's newest change, deletions included.
    pub(super) fn newest(&self, key: &str) -> Option<Order> {
        let entry = self.manifest.flows.get(key).map(|entry| entry.order);
        entry.max(self.manifest.gone_flows.get(key).copied())
    }

    /// Whether a change is in Azkaban already, as far as the manifest tells: an upload that nobody heard the end of brought it.
    fn has(&self, one: &Asked<'_>, change: &Change) -> bool {
        let (manifest, order) = (&self.manifest, one.order);
        let is_it = |found: Option<Order>| found == Some(order);
        match &change.act {
            Act::Upsert(upsert) => upsert.body.flows().iter().any(|flow| {
                let entry = manifest.flows.get(&flow.key());
                is_it(entry.map(|entry| entry.order)) || entry.is_some_and(|entry| is_it(entry.cron_at))
            }),
            Act::Delete { flow } => is_it(manifest.gone_flows.get(&flow.key()).copied()),
            Act::DeleteMatching(_) => manifest.gone_patterns.iter().any(|gone| gone.order == order),
            Act::PutFile { path, .. } => is_it(manifest.files.get(path).map(|entry| entry.order)),
            Act::DeleteFile { path } => is_it(manifest.gone_files.get(path).copied()),
            Act::Check => false,
        }
    }

    /// Whether all that a change brings is known from itself or from newer ones, so that its content does not count.
    fn knows(&self, one: &Asked<'_>, change: &Change) -> bool {
        let is_late = |known: Option<Order>| known >= Some(one.order);
        match &change.act {
            Act::Upsert(upsert) => upsert
                .body
                .flows()
                .iter()
                .all(|flow| is_late(self.newest(&flow.key()))),
            Act::PutFile { path, .. } => {
                let entry = self.manifest.files.get(path).map(|entry| entry.order);
                is_late(entry.max(self.manifest.gone_files.get(path).copied()))
            }
            Act::Delete { .. } | Act::DeleteMatching(_) | Act::DeleteFile { .. } | Act::Check => true,
        }
    }

    /// A file's content in the draft.
    pub(super) fn content(&self, path: &str) -> Option<&Bytes> {
        match self.files.get(path) {
            Some(put) => put.as_ref().map(|put| &put.content),
            None => self.base.tree.get(path),
        }
    }

    /// All files of the draft, without the manifest.
    pub(super) fn tree(&self) -> Tree {
        let mut tree = self.base.tree.clone();
        for (path, put) in &self.files {
            match put {
                Some(put) => tree.insert(path.clone(), put.content.clone()),
                None => tree.remove(path),
            };
        }
        tree
    }

    pub(super) fn put(&mut self, path: String, content: Bytes, by: ChangeId) {
        if is_inherited(&path) {
            self.inherited.insert(path.clone(), content.clone());
        }
        self.files.insert(path, Some(Put { content, by }));
    }

    pub(super) fn take_away(&mut self, path: &str) {
        self.inherited.remove(path);
        self.files.insert(path.to_owned(), None);
    }

    /// Ends a flow's claims; files that nobody needs any more go.
    pub(super) fn unclaim(&mut self, key: &str) {
        let Some(flow) = self.flows.remove(key) else {
            return;
        };
        for path in flow.paths {
            let Some(claimants) = self.claims.get_mut(&path) else {
                continue;
            };
            if claimants.remove(key) {
                self.claims.remove(&path);
                self.take_away(&path);
            }
        }
    }

    /// Gives a flow its files.
    pub(super) fn claim<'p>(&mut self, name: &str, paths: impl IntoIterator<Item = &'p str>) {
        let key = fold(name);
        let paths: Vec<Arc<str>> = paths
            .into_iter()
            .map(|path| self.claim_file(path, &key))
            .collect();
        self.flows.insert(
            key,
            FlowState {
                name: name.to_owned(),
                paths,
            },
        );
    }

    /// Notes that a flow needs a file; the path as all who need it have it.
    fn claim_file(&mut self, path: &str, key: &str) -> Arc<str> {
        let known = self.claims.get_key_value(path);
        let path = known.map_or_else(|| Arc::from(path), |(path, _)| Arc::clone(path));
        match self.claims.entry(Arc::clone(&path)) {
            Entry::Occupied(mut claimants) => claimants.get_mut().insert(key),
            Entry::Vacant(vacant) => {
                vacant.insert(Claimants::one(key));
            }
        }
        path
    }

    /// Notes what a change wants of a flow's schedule.
    pub(super) fn wish(&mut self, key: &str, id: ChangeId, wish: Wish) {
        // mostly it is the only one
        let wishes = self.wishes.entry(key.to_owned());
        wishes.or_insert_with(|| Vec::with_capacity(1)).push((id, wish));
    }

    /// Notes that a change brought a flow or file last; whoever held it before has lost it.
    pub(super) fn hold(&mut self, key: String, id: ChangeId) {
        if let Some(before) = self.holders.insert(key, id)
            && let Some(done) = self.done.get_mut(&before)
        {
            done.holds -= 1;
        }
        if let Some(done) = self.done.get_mut(&id) {
            done.holds += 1;
        }
    }

    pub(super) fn is_dead(&self, id: ChangeId) -> bool {
        matches!(self.decided.get(&id), Some(Decision::Dead(_)))
    }

    /// What became of a change, once all are applied.
    pub(super) fn decision(&self, one: &Asked<'_>, news: &HashSet<ChangeId>) -> Decision {
        if let Some(decided) = self.decided.get(&one.id) {
            return decided.clone();
        }
        let Some(done) = self.done.get(&one.id) else {
            return Decision::Superseded;
        };
        if one.kind == Kind::Check && self.base.repair {
            return Decision::Restored;
        }
        let holds_nothing = matches!(one.kind, Kind::DeleteMatching | Kind::Check);
        if done.holds == 0 && !holds_nothing {
            return Decision::Superseded;
        }
        if done.removed || done.manifest_only || news.contains(&one.id) {
            return Decision::Apply(done.note);
        }
        Decision::Unchanged
    }

    /// The changes whose flows come back, lost since they were applied, and which no change of this batch touches.
    pub(super) fn restored(&self) -> Vec<(RunId, u64, String)> {
        let lost = |key: &&String| !self.holders.contains_key(&flow_key(key));
        let entries = self.base.restored.iter().filter(lost);
        entries
            .filter_map(|key| self.manifest.flows.get(key))
            .map(|entry| (entry.order.run, entry.order.seq, entry.name.to_string()))
            .collect()
    }

    /// The changes that left a file other than the base has it.
    pub(super) fn news(&self) -> HashSet<ChangeId> {
        let puts = self
            .files
            .iter()
            .filter_map(|(path, put)| Some((path, put.as_ref()?)));
        puts.filter(|(path, put)| self.base.tree.get(*path) != Some(&put.content))
            .map(|(_, put)| put.by)
            .collect()
    }

    /// Whether Azkaban has to get a new zip.
    pub(super) fn needs_upload(&self) -> bool {
        let files = self.files.iter().any(|(path, put)| match put {
            Some(put) => self.base.tree.get(path) != Some(&put.content),
            None => self.base.tree.contains_key(path),
        });
        files
            || self
                .done
                .values()
                .any(|done| done.manifest_only && done.holds > 0)
    }
}

fn is_inherited(path: &str) -> bool {
    is_read_as(path, ".properties") || is_read_as(path, ".project")
}

/// Whether Azkaban reads a file for its suffix: not a hidden one, not one that is named the suffix alone.
pub(super) fn is_read_as(path: &str, suffix: &str) -> bool {
    let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
    name.len() > suffix.len() && name.ends_with(suffix) && !name.starts_with('.')
}
