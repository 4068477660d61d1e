//! What counts of the versions that landed: the zombies left out, people's uploads merged in.
//!
//! Each zip of ours says its generation and the version it was built on. From that, in the order they landed: one whose
//! generation is not above the newest known is a zombie (its client was gone, it landed over a newer one); one that was not
//! built on its predecessor overwrote it unseen, and the two are merged; one that is not ours is a person's, and is merged
//! with ours from where it started.

use std::collections::{BTreeMap, BTreeSet};

use flowlift_azkaban::name::fold;
use flowlift_azkaban::{Load, Tree, outline};
use flowlift_common::manifest::{BaseRef, Manifest};

use super::merge::{Ancestor, Merged, merge};
use super::{Base, BaseError, MergeError, Version, without_vanished};

/// Something in a project's history that people should hear of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// An abandoned upload landed over a newer one; it does not count.
    Zombie {
        /// Its version.
        version: u32,
    },
    /// A person's upload, made from what was the newest then: taken as it is.
    Foreign {
        /// Its version.
        version: u32,
        /// Its file name.
        file: String,
    },
    /// A person's upload that has not all that was applied, or was overwritten by ours: both count, as merged.
    Merged {
        /// The later version of the two.
        version: u32,
        /// The person's file name.
        file: String,
        /// Flows that come back.
        back: usize,
        /// Flows that both changed: ours counts.
        conflicts: BTreeSet<String>,
    },
}

/// A base, and what was found on the way.
#[derive(Debug)]
pub struct Told {
    /// What counts.
    pub base: Base,
    /// What happened in the versions that are kept, oldest first.
    pub findings: Vec<Finding>,
}

/// What counts so far.
struct So {
    tree: Tree,
    manifest: Option<Manifest>,
    /// Index of the version whose zip the tree mostly is.
    from: usize,
    /// The generation of the newest of ours: one that is not above it is a zombie.
    generation: u64,
    /// The highest in any manifest, whoever's hands were in it: the next one is above it.
    highest: u64,
    repair: bool,
    /// What counted after each version.
    trail: Vec<(u32, Tree)>,
}

/// Tells what counts of versions that landed, oldest first; `stillborn` are those that did not, for their flows may be
/// listed all the same.
///
/// # Errors
/// [`BaseError::Refused`] where a version that landed is one the loader refuses; [`BaseError::Merge`].
pub fn truth(mut landed: Vec<Version>, stillborn: &[Version]) -> Result<Told, BaseError> {
    let mut strays: BTreeSet<String> = stillborn.iter().flat_map(flows_of).collect();
    let mut otherwise: Vec<BTreeSet<String>> = stillborn.iter().map(list_of).collect();
    let by_us = landed.last().is_some_and(|newest| newest.ours().is_some());
    let alone = landed.len() == 1;
    let generations = landed.iter().chain(stillborn).filter_map(generation_of);
    let highest = generations.max().unwrap_or_default();
    let Some(first) = landed.first_mut() else {
        return Ok(Told {
            base: Base {
                strays,
                otherwise,
                ..Base::empty()
            },
            findings: Vec::new(),
        });
    };
    let mut so = So::begin(first, alone, highest);
    let mut findings = Vec::new();
    for at in 1..landed.len() {
        let finding = match landed[at].ours() {
            Some(manifest) if manifest.generation <= so.generation => {
                strays.extend(flows_of(&landed[at]));
                so.repair = true;
                Some(Finding::Zombie {
                    version: landed[at].number,
                })
            }
            Some(manifest) => so.ours(&landed, at, &manifest.clone())?,
            None => so.foreign(&landed, at, stillborn)?,
        };
        findings.extend(finding);
        so.trail.push((landed[at].number, so.tree.clone()));
    }
    let Load::Flows(loaded) = outline(&so.tree) else {
        return Err(BaseError::Refused);
    };
    let newest = &landed[landed.len() - 1];
    let active = BaseRef {
        version: newest.number,
        file: newest.file_name.clone(),
    };
    let differs = |path: &String| !alone && so.tree.get(path) != newest.tree.get(path);
    let lost = loaded
        .flows
        .iter()
        .filter(|(_, made)| made.files.iter().any(differs));
    let restored = lost.map(|(flow, _)| fold(flow)).collect();
    if so.repair {
        strays.extend(flows_of(newest));
        otherwise.push(list_of(newest));
    }
    let source = landed.swap_remove(so.from);
    let manifest = so.manifest.map(|manifest| Manifest {
        generation: so.highest,
        ..without_vanished(manifest, &loaded, &so.tree)
    });
    let base = Base {
        packed: (!alone && source.tree != so.tree).then_some(source.tree),
        zip: source.zip,
        tree: so.tree,
        loaded,
        manifest,
        active: Some(active),
        by_us,
        repair: so.repair,
        restored,
        dropped: BTreeMap::new(),
        strays,
        otherwise,
        listed: BTreeSet::new(),
    };
    Ok(Told { base, findings })
}

impl So {
    /// Begins with the oldest. Where it is `alone`, its files and manifest are taken out of it: a large project is not to be in
    /// memory twice.
    fn begin(version: &mut Version, alone: bool, highest: u64) -> Self {
        let generation = version.ours().map_or(0, |manifest| manifest.generation);
        let (tree, manifest, trail) = if alone {
            let manifest = version.manifest.take();
            (std::mem::take(&mut version.tree), manifest, Vec::new())
        } else {
            let trail = vec![(version.number, version.tree.clone())];
            (version.tree.clone(), version.manifest.clone(), trail)
        };
        Self {
            tree,
            manifest,
            from: 0,
            generation,
            highest,
            repair: false,
            trail,
        }
    }

    /// One of ours, above all before it.
    fn ours(
        &mut self,
        landed: &[Version],
        at: usize,
        manifest: &Manifest,
    ) -> Result<Option<Finding>, BaseError> {
        let version = &landed[at];
        let base = manifest.base.as_ref().map(|base| base.version);
        let before = std::mem::replace(&mut self.tree, version.tree.clone());
        let manifest_before = self.manifest.replace(manifest.clone());
        self.from = at;
        self.generation = manifest.generation;
        self.repair = false;
        if base == Some(landed[at - 1].number) {
            return Ok(None);
        }
        // one of ours in between was given up: its changes came again, and are in this one or still to come
        let mut since = landed[..at]
            .iter()
            .rev()
            .take_while(|one| Some(one.number) > base);
        if since.all(|one| one.ours().is_some()) {
            return Ok(None);
        }
        // something landed between its base and it, and was overwritten unseen
        let built_on = self.trail.iter().find(|(number, _)| Some(*number) == base);
        let nothing = Tree::new();
        let ancestor = match (built_on, &manifest_before) {
            (Some((_, tree)), _) => Ancestor::Exact(tree, None),
            (None, Some(then)) if base.is_some() => Ancestor::Manifest(then),
            (None, _) => Ancestor::Exact(&nothing, None),
        };
        if matches!(ancestor, Ancestor::Exact(tree, _) if *tree == before) {
            return Ok(None);
        }
        let file = landed[at - 1].file_name.clone();
        let merged = merge(ancestor, &version.tree, manifest, &before).map_err(|reason| MergeError {
            file: file.clone(),
            reason,
        })?;
        Ok(self.take(merged, at, landed, file))
    }

    /// A person's.
    fn foreign(
        &mut self,
        landed: &[Version],
        at: usize,
        stillborn: &[Version],
    ) -> Result<Option<Finding>, BaseError> {
        let version = &landed[at];
        let file = version.file_name.clone();
        let Some(manifest) = self.manifest.clone() else {
            // Flowlift never wrote here: it is theirs alone
            self.tree = version.tree.clone();
            self.manifest.clone_from(&version.manifest);
            self.from = at;
            return Ok(None);
        };
        let started = version.manifest.as_ref();
        let attempt = |version: &&Version| {
            let ours = version.ours().map(|manifest| manifest.attempt.as_str());
            ours.is_some() && ours == started.map(|manifest| manifest.attempt.as_str())
        };
        // `download` hands out what failed, too
        let from = landed[..at].iter().rev().chain(stillborn).find(attempt);
        let ancestor = match (from, started) {
            (Some(from), then) => Ancestor::Exact(&from.tree, then),
            (None, Some(then)) => Ancestor::Manifest(then),
            (None, None) => Ancestor::Oldest(&landed[0].tree),
        };
        let ours = self.tree.clone();
        let merged = merge(ancestor, &ours, &manifest, &version.tree).map_err(|reason| MergeError {
            file: file.clone(),
            reason,
        })?;
        if merged.tree == version.tree {
            self.tree = merged.tree;
            self.from = at;
            self.repair = false;
            let version = version.number;
            return Ok(Some(Finding::Foreign { version, file }));
        }
        Ok(self.take(merged, at, landed, file))
    }

    fn take(&mut self, merged: Merged, at: usize, landed: &[Version], file: String) -> Option<Finding> {
        let active = &landed[at];
        self.repair = merged.tree != active.tree;
        self.tree = merged.tree;
        self.from = at;
        let there: BTreeSet<String> = flows_of(active).collect();
        let back = merged.loaded.flows.keys().map(|flow| fold(flow));
        let back = back.filter(|flow| !there.contains(flow)).count();
        self.repair.then_some(Finding::Merged {
            version: active.number,
            file,
            back,
            conflicts: merged.conflicts,
        })
    }
}

/// The flows a version's files make, lower-case; none if the loader refuses them.
pub(super) fn flows_of(version: &Version) -> impl Iterator<Item = String> + use<> {
    flows_in(&version.tree)
}

fn generation_of(version: &Version) -> Option<u64> {
    version.manifest.as_ref().map(|manifest| manifest.generation)
}

/// What Azkaban lists if this version is active.
pub(super) fn list_of(version: &Version) -> BTreeSet<String> {
    match outline(&version.tree) {
        Load::Flows(loaded) => loaded.flows.into_keys().collect(),
        _ => BTreeSet::new(),
    }
}

fn flows_in(tree: &Tree) -> impl Iterator<Item = String> + use<> {
    let flows = match outline(tree) {
        Load::Flows(loaded) => loaded.flows.into_keys().map(|flow| fold(&flow)).collect(),
        _ => Vec::new(),
    };
    flows.into_iter()
}
