//! How a person's zip and ours come together.
//!
//! People upload by hand, too, and mostly from a zip that is no longer the newest. The rule, file by file: what only one side
//! changed since the common ancestor counts. Where both did, a flow that Flowlift manages keeps what was applied last (it was
//! acknowledged to somebody), anything else is as the person has it. What they took away from our latest stays away; what is
//! missing only because their zip is old comes back. A zip without our manifest does not say how old it is: of what Flowlift
//! manages, nothing in it counts.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use flowlift_azkaban::name::fold;
use flowlift_azkaban::{Load, Loaded, Tree, outline};
use flowlift_common::Order;
use flowlift_common::manifest::Manifest;

/// Where the person started from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ancestor<'t> {
    /// Exactly these files, as far as Flowlift's go, and what was applied to them: their zip's manifest (or ours) says so.
    Exact(&'t Tree, Option<&'t Manifest>),
    /// Their zip has no manifest, so nothing says how old it is: these are the oldest files that are kept. What Flowlift
    /// manages stays as it was applied last.
    Oldest(&'t Tree),
    /// Their zip has an old manifest whose files are no longer kept: it says what was applied when.
    Manifest(&'t Manifest),
}

/// A merge that makes no project Azkaban would take, or not the flows it should have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an upload by hand ({file}) and what Flowlift applied do not go together: {reason}")]
pub struct MergeError {
    /// The person's zip.
    pub file: String,
    /// A clause.
    pub reason: String,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Merged {
    pub(super) tree: Tree,
    pub(super) loaded: Loaded,
    /// Managed flows (lower-case ids) that both changed.
    pub(super) conflicts: BTreeSet<String>,
}

/// Merges the person's files into ours. `Err` is a clause.
pub(super) fn merge(
    ancestor: Ancestor<'_>,
    ours: &Tree,
    manifest: &Manifest,
    theirs: &Tree,
) -> Result<Merged, String> {
    let sides = Sides {
        ancestor,
        ours,
        manifest,
        theirs,
        our_flows: Flows::of(ours)?,
        their_flows: Flows::of(theirs)?,
    };
    let mut tree = Tree::new();
    let mut conflicts = BTreeSet::new();
    for (path, side) in sides.chosen() {
        let chosen = match side {
            Side::Theirs => theirs.get(path),
            Side::Same | Side::Ours | Side::OursThoughBothChanged => ours.get(path),
        };
        if side == Side::OursThoughBothChanged {
            conflicts.extend(sides.managed_flows(path));
        }
        if let Some(content) = chosen {
            tree.insert(path.clone(), content.clone());
        }
    }
    let Load::Flows(loaded) = outline(&tree) else {
        return Err("together Azkaban would refuse them".into());
    };
    sides.nothing_vanished(&tree, &loaded)?;
    Ok(Merged {
        tree,
        loaded,
        conflicts,
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Same,
    Ours,
    OursThoughBothChanged,
    Theirs,
}

struct Sides<'t> {
    ancestor: Ancestor<'t>,
    ours: &'t Tree,
    manifest: &'t Manifest,
    theirs: &'t Tree,
    our_flows: Flows,
    their_flows: Flows,
}

/// The flows of one side, by lower-case id.
struct Flows {
    files: BTreeMap<String, Vec<String>>,
    by_path: BTreeMap<String, BTreeSet<String>>,
}

impl Flows {
    fn of(tree: &Tree) -> Result<Self, String> {
        let Load::Flows(loaded) = outline(tree) else {
            return Err("Azkaban would refuse one of them alone".into());
        };
        let (mut files, mut by_path) = (BTreeMap::new(), BTreeMap::new());
        for (flow, made) in loaded.flows {
            let key = fold(&flow);
            for path in &made.files {
                let flows: &mut BTreeSet<String> = by_path.entry(path.clone()).or_default();
                flows.insert(key.clone());
            }
            files.insert(key, made.files);
        }
        Ok(Self { files, by_path })
    }

    /// Whether all files of a flow are in a tree that has no such flow.
    fn hides(&self, tree: &Tree, flow: &str, files: &[String]) -> bool {
        !self.files.contains_key(flow) && files.iter().all(|path| tree.contains_key(path))
    }
}

impl Sides<'_> {
    /// The side that counts for each file.
    fn chosen(&self) -> BTreeMap<&String, Side> {
        let paths = self.ours.keys().chain(self.theirs.keys());
        let mut chosen: BTreeMap<&String, Side> = paths.map(|path| (path, self.choose(path))).collect();
        while self.keep_flows_whole(&mut chosen) {}
        chosen
    }

    /// A managed flow of which one side changed one file and the other side another is ours in all its files: the mixture was
    /// asked for by nobody, and Azkaban may refuse it. Returns whether there was one.
    fn keep_flows_whole(&self, chosen: &mut BTreeMap<&String, Side>) -> bool {
        let mut found = false;
        for (flow, files) in self.our_flows.files.iter().chain(&self.their_flows.files) {
            let other = self.our_flows.files.get(flow).into_iter().flatten();
            let files: BTreeSet<&String> = files.iter().chain(other).collect();
            let side = |path: &&String| chosen.get(*path).copied();
            let ours = |side| matches!(side, Side::Ours | Side::OursThoughBothChanged);
            let mixed = files.iter().filter_map(side).any(ours)
                && files.iter().filter_map(side).any(|side| side == Side::Theirs);
            if mixed && self.is_managed_flow(flow) {
                found = true;
                for path in files {
                    if let Some(side) = chosen.get_mut(path).filter(|side| **side == Side::Theirs) {
                        *side = Side::OursThoughBothChanged;
                    }
                }
            }
        }
        found
    }

    fn is_managed_flow(&self, flow: &str) -> bool {
        self.manifest.flows.contains_key(flow) || self.manifest.gone_flows.contains_key(flow)
    }

    fn choose(&self, path: &str) -> Side {
        let (ours, theirs) = (self.ours.get(path), self.theirs.get(path));
        if ours == theirs {
            return Side::Same;
        }
        match self.ancestor {
            Ancestor::Exact(tree, then) => {
                // also where it has the old content again
                let again = then.is_some_and(|then| self.changed_since(then, path));
                self.three_ways(tree.get(path), ours, theirs, path, again)
            }
            Ancestor::Oldest(tree) if !self.is_managed(path) => {
                self.three_ways(tree.get(path), ours, theirs, path, false)
            }
            Ancestor::Oldest(tree) if theirs.is_none() || theirs == tree.get(path) => Side::Ours,
            Ancestor::Oldest(_) => Side::OursThoughBothChanged,
            Ancestor::Manifest(then) if self.changed_since(then, path) => Side::Ours,
            Ancestor::Manifest(_) => Side::Theirs,
        }
    }

    fn three_ways(
        &self,
        ancestor: Option<&Bytes>,
        ours: Option<&Bytes>,
        theirs: Option<&Bytes>,
        path: &str,
        again: bool,
    ) -> Side {
        if theirs == ancestor {
            Side::Ours
        } else if (ours == ancestor && !again) || !self.is_managed(path) {
            Side::Theirs
        } else {
            Side::OursThoughBothChanged
        }
    }

    /// Whether Flowlift answers for a file: it made it, or took it away.
    fn is_managed(&self, path: &str) -> bool {
        self.manifest.files.contains_key(path)
            || self.manifest.gone_files.contains_key(path)
            || self.managed_flows(path).next().is_some()
            || self.their_flows.by_path.get(path).is_some_and(|flows| {
                flows
                    .iter()
                    .all(|flow| self.manifest.gone_flows.contains_key(flow))
            })
    }

    fn managed_flows(&self, path: &str) -> impl Iterator<Item = String> + Clone + '_ {
        let flows = self.our_flows.by_path.get(path).into_iter().flatten();
        flows
            .filter(|flow| self.manifest.flows.contains_key(*flow))
            .cloned()
    }

    /// Whether we put or removed a file after what the person's manifest knows.
    fn changed_since(&self, then: &Manifest, path: &str) -> bool {
        let newer = |now: Option<Order>, then: Option<Order>| now.is_some() && now > then;
        let flow = |key: &String| {
            let now = self.manifest.flows.get(key).map(|entry| entry.order);
            let now = now.max(self.manifest.gone_flows.get(key).copied());
            newer(now, then.flows.get(key).map(|entry| entry.order))
        };
        let file = self.manifest.files.get(path).map(|entry| entry.order);
        let file = file.max(self.manifest.gone_files.get(path).copied());
        let claims = self
            .our_flows
            .by_path
            .get(path)
            .or_else(|| self.their_flows.by_path.get(path));
        newer(file, then.files.get(path).map(|entry| entry.order))
            || claims.is_some_and(|flows| flows.iter().any(flow))
    }

    /// A flow may be gone only if one side took a file of it away, or hid it behind another one: jobs that are joined
    /// otherwise than on either side can hide a flow, too.
    fn nothing_vanished(&self, merged: &Tree, loaded: &Loaded) -> Result<(), String> {
        let there: BTreeSet<String> = loaded.flows.keys().map(|flow| fold(flow)).collect();
        let sides = [
            (&self.our_flows, &self.their_flows, self.theirs),
            (&self.their_flows, &self.our_flows, self.ours),
        ];
        for (one, other, others) in sides {
            for (flow, files) in &one.files {
                let whole = files.iter().all(|path| merged.contains_key(path));
                if whole && !there.contains(flow) && !other.hides(others, flow, files) {
                    return Err(format!("flow {flow} would vanish"));
                }
            }
        }
        Ok(())
    }
}
