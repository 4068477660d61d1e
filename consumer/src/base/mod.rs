//! What a project holds before a batch: its files, the flows they make, the manifest.
//!
//! That is not always what `download` hands out, nor what Azkaban runs at the moment: a failed install leaves its zip on top,
//! an abandoned upload lands over an acknowledged one, a person uploads a zip made from an old one. [`landed()`] says which
//! versions ever became active, [`truth()`] what of them counts, [`merge`] how a person's zip and ours come together.

mod landed;
mod merge;
mod reading;
mod schedules;
mod truth;
mod version;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use flowlift_azkaban::archive::ZipError;
use flowlift_azkaban::name::fold;
use flowlift_azkaban::{Format, Load, Loaded, ProjectName, Tree, outline};
use flowlift_common::manifest::{BaseRef, Manifest};

pub use landed::{Kept, Landed, Line, landed};
pub use merge::MergeError;
pub use reading::{Need, PAGE, Reading};
pub use schedules::{dropped, may_have_dropped};
pub use truth::{Finding, Told, truth};
pub use version::Version;

/// A project's content, as it counts.
#[derive(Debug, Clone)]
pub struct Base {
    /// A zip for raw copies; empty when nothing was ever uploaded.
    pub zip: Bytes,
    /// What that zip holds, where it is not exactly `tree`.
    pub packed: Option<Tree>,
    /// All files that count, the manifest not among them.
    pub tree: Tree,
    /// The flows they make, without jobs.
    pub loaded: Loaded,
    /// What Flowlift remembers of them; `None` where it never wrote here.
    pub manifest: Option<Manifest>,
    /// The version that is active in Azkaban.
    pub active: Option<BaseRef>,
    /// Whether that one is ours.
    pub by_us: bool,
    /// Whether the active version is not what counts: it has to be uploaded even if no change waits.
    pub repair: bool,
    /// Flows (lower-case ids) that are back only through that upload, where they had been lost.
    pub restored: BTreeSet<String>,
    /// Schedules (expression by lower-case flow id) that an upload without the flow took away.
    pub dropped: BTreeMap<String, String>,
    /// Flows (lower-case ids) of versions that do not count: Azkaban may list them, and they may vanish.
    pub strays: BTreeSet<String>,
    /// What else Azkaban may list: the flows of each version that may be active instead of the one that counts.
    pub otherwise: Vec<BTreeSet<String>>,
    /// The flows Azkaban lists at the moment.
    pub listed: BTreeSet<String>,
}

/// Why a zip cannot be a base.
#[derive(Debug, thiserror::Error)]
pub enum BaseError {
    /// Not a zip we may read.
    #[error("its zip cannot be read: {0}")]
    Zip(#[from] ZipError),
    /// Its manifest is newer than this program, or damaged.
    #[error("its zip has a {0}")]
    Manifest(#[from] flowlift_common::manifest::ManifestError),
    /// Azkaban's loader refuses it, so it never became active.
    #[error("its zip is one that Azkaban refuses")]
    Refused,
    /// The log tells of a version that was not there a moment ago.
    #[error("somebody uploaded while it was read")]
    Moved,
    /// A person's upload and ours do not go together.
    #[error(transparent)]
    Merge(#[from] MergeError),
}

impl Base {
    /// A project without content.
    #[must_use]
    pub fn empty() -> Self {
        let Load::Flows(loaded) = outline(&Tree::new()) else {
            unreachable!("the loader takes an empty tree: zero flows");
        };
        Self {
            zip: Bytes::new(),
            packed: None,
            tree: Tree::new(),
            loaded,
            manifest: None,
            active: None,
            by_us: false,
            repair: false,
            restored: BTreeSet::new(),
            dropped: BTreeMap::new(),
            strays: BTreeSet::new(),
            otherwise: Vec::new(),
            listed: BTreeSet::new(),
        }
    }

    /// Reads a zip that is known to be active, whoever made it.
    ///
    /// # Errors
    /// [`BaseError`].
    pub fn read(project: &ProjectName, zip: Bytes) -> Result<Self, BaseError> {
        let version = Version::read(project, 1, String::new(), zip)?;
        Ok(truth(vec![version], &[])?.base)
    }

    /// Takes note of what Azkaban lists. Where flows of an upload of ours are missing, it is made again. `Err`: neither what
    /// counts nor what any other version would make: somebody has just uploaded, or Azkaban reads the project otherwise than our
    /// loader.
    ///
    /// # Errors
    /// The difference, as a clause.
    pub fn compare(&mut self, listed: BTreeSet<String>) -> Result<(), String> {
        let made: BTreeSet<String> = self.loaded.listed().into_iter().map(str::to_owned).collect();
        if listed != made {
            let left_out = self.by_us && listed.is_subset(&made);
            if !left_out && !self.otherwise.contains(&listed) {
                let more = listed.difference(&made).next();
                let fewer = made.difference(&listed).next();
                return Err(match (more, fewer) {
                    (Some(flow), _) => {
                        format!("Azkaban lists flow {flow}, which is in no version that landed")
                    }
                    (_, flow) => {
                        let flow = flow.map_or("", String::as_str);
                        format!("Azkaban does not list flow {flow}, which is in the version that landed last")
                    }
                });
            }
            // a schedule goes with its flow
            let missing = made.difference(&listed).filter(|_| left_out);
            let entries = missing.filter_map(|flow| self.manifest.as_ref()?.flows.get(&fold(flow)));
            for entry in entries {
                let cron = entry.cron.clone().map(|cron| (entry.name.key(), cron));
                self.dropped.extend(cron);
            }
            // flows can be missing without a word, and a failed install of Flow 2.0 can leave its flows active
            // (azkaban-api.md, facts 5 and 6)
            self.repair = true;
        }
        self.listed = listed;
        Ok(())
    }

    /// The files alone: all that packing needs.
    #[must_use]
    pub fn into_files(self) -> Self {
        Self {
            zip: self.zip,
            packed: self.packed,
            tree: self.tree,
            ..Self::empty()
        }
    }

    /// The project's format, where its content or its manifest decides it.
    #[must_use]
    pub fn format(&self) -> Option<Format> {
        if self.loaded.format == Format::V2 || !self.loaded.flows.is_empty() {
            return Some(self.loaded.format);
        }
        self.manifest.as_ref().map(|manifest| manifest.format)
    }

    /// The lower-case ids of all flows.
    #[must_use]
    pub fn there(&self) -> BTreeSet<String> {
        self.flow_keys().map(|(key, _)| key).collect()
    }

    /// The flows, by lower-case id.
    pub fn flow_keys(&self) -> impl Iterator<Item = (String, &str)> {
        self.loaded.flows.keys().map(|name| (fold(name), name.as_str()))
    }
}

/// What is no longer there was taken away on purpose: it stays away until somebody asks for it anew.
fn without_vanished(mut manifest: Manifest, loaded: &Loaded, tree: &Tree) -> Manifest {
    let there: BTreeSet<String> = loaded.flows.keys().map(|name| fold(name)).collect();
    let flows = std::mem::take(&mut manifest.flows);
    for (key, entry) in flows {
        if there.contains(&key) {
            manifest.flows.insert(key, entry);
        } else {
            manifest.gone_flows.insert(key, entry.order);
        }
    }
    let files = std::mem::take(&mut manifest.files);
    for (path, entry) in files {
        if tree.contains_key(&path) {
            manifest.files.insert(path, entry);
        } else {
            manifest.gone_files.insert(path, entry.order);
        }
    }
    manifest
}
