//! The manifest: one hidden file in every zip that Flowlift uploads. Azkaban ignores it; it says what was applied last, so
//! that changes that come twice or late undo nothing.

use std::collections::BTreeMap;

use bytes::Bytes;
use flowlift_azkaban::{FlowName, Format};
use serde::{Deserialize, Serialize};

use crate::change::Pattern;
use crate::order::Order;
use xxhash_rust::xxh3::Xxh3;

/// Its path in the zip: hidden, in the root (a directory of its own would cost Azkaban a pass over all jobs).
pub const PATH: &str = ".flowlift.json";
/// The version this code reads and writes; a newer major one is left alone.
pub const VERSION: u32 = 1;
/// How many deleted flows and files are remembered; older ones raise the floor.
pub const TOMBSTONES: usize = 10_000;
/// How many deleting patterns are remembered; older ones raise the floor.
pub const PATTERNS: usize = 16;

/// What a zip says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Form version.
    pub v: u32,
    /// The project, in lower case: a zip that a person brought from another project says nothing about this one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub project: String,
    /// The upload that carried it: the zip's own file name. If it is not, somebody zipped the content anew.
    pub attempt: String,
    /// One more than its base's: an upload that lands late has a generation that is not above the newest known.
    pub generation: u64,
    /// The landed version it was built on; none: the project had no content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<BaseRef>,
    /// [`digest`] of all other files: whoever changes one and leaves the zip's name as it was is told from us by it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub digest: String,
    /// The project's format, also while it has no flow.
    pub format: Format,
    /// Flows that Flowlift manages, by lower-case id.
    pub flows: BTreeMap<String, FlowEntry>,
    /// Shared files that Flowlift manages, by path.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, FileEntry>,
    /// Deleted flows, by lower-case id.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub gone_flows: BTreeMap<String, Order>,
    /// Deleted files, by path.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub gone_files: BTreeMap<String, Order>,
    /// Deletions by pattern, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gone_patterns: Vec<PatternEntry>,
    /// An unknown flow or file at or below this cannot be ordered any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floor: Option<Order>,
}

/// A version of a project in Azkaban.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaseRef {
    /// Its number.
    pub version: u32,
    /// The file name it was uploaded under.
    pub file: String,
}

/// A managed flow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowEntry {
    /// Its id as Azkaban lists it.
    pub name: FlowName,
    /// The change applied last.
    #[serde(flatten)]
    pub order: Order,
    /// Its owner; empty: nobody in particular.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub owner: String,
    /// The oldest change known by which its owner has it: before that it was nobody's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owned_at: Option<Order>,
    /// The schedule set last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    /// The change that set or removed the schedule last, a deletion of the flow included: later ones kept it as it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cron_at: Option<Order>,
}

impl FlowEntry {
    /// Whose it was at a place in the order, as far as is known; empty: nobody's.
    #[must_use]
    pub fn owner_at(&self, order: Order) -> &str {
        if self.owned_at <= Some(order) {
            &self.owner
        } else {
            ""
        }
    }
}

/// A managed shared file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// The change applied last.
    #[serde(flatten)]
    pub order: Order,
    /// Its owner.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub owner: String,
}

/// A deletion by pattern: an older change of a matching flow that comes later stays deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PatternEntry {
    /// The deletion's place.
    #[serde(flatten)]
    pub order: Order,
    /// Whose flows it meant.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub owner: String,
    /// Which ones.
    pub pattern: Pattern,
}

/// Why a manifest cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Written by a newer Flowlift; the project is left to one.
    #[error("manifest of version {0}, this program reads up to {VERSION}")]
    Newer(u32),
    /// Not a manifest.
    #[error("unreadable manifest: {0}")]
    Unreadable(String),
}

impl Manifest {
    /// The manifest of a project that has none.
    #[must_use]
    pub fn empty(format: Format) -> Self {
        Self {
            v: VERSION,
            project: String::new(),
            attempt: String::new(),
            generation: 0,
            base: None,
            digest: String::new(),
            format,
            flows: BTreeMap::new(),
            files: BTreeMap::new(),
            gone_flows: BTreeMap::new(),
            gone_files: BTreeMap::new(),
            gone_patterns: Vec::new(),
            floor: None,
        }
    }

    /// Reads one.
    pub fn read(json: &[u8]) -> Result<Self, ManifestError> {
        #[derive(Deserialize)]
        struct Version {
            v: u32,
        }
        let unreadable = |error: serde_json::Error| ManifestError::Unreadable(error.to_string());
        let Version { v } = serde_json::from_slice(json).map_err(unreadable)?;
        if v > VERSION {
            return Err(ManifestError::Newer(v));
        }
        serde_json::from_slice(json).map_err(unreadable)
    }

    /// Writes it; the same manifest gives the same bytes.
    ///
    /// # Panics
    /// Never: all keys are strings.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a manifest has string keys only")
    }

    /// Drops what is remembered beyond the bounds, oldest first, and raises the floor by it.
    pub fn bound(&mut self) {
        let floor = [evict(&mut self.gone_flows), evict(&mut self.gone_files)]
            .into_iter()
            .flatten()
            .max();
        self.floor = self.floor.max(floor);
        while self.gone_patterns.len() > PATTERNS {
            let oldest = self.gone_patterns.remove(0);
            self.floor = self.floor.max(Some(oldest.order));
        }
    }
}

/// What the files of a project come to, the manifest apart; paths ascending. The same files give the same text.
#[must_use]
pub fn digest<'f>(files: impl IntoIterator<Item = (&'f String, &'f Bytes)>) -> String {
    let mut hash = Xxh3::new();
    for (path, content) in files.into_iter().filter(|(path, _)| *path != PATH) {
        for part in [path.as_bytes(), content] {
            hash.update(&(part.len() as u64).to_le_bytes());
            hash.update(part);
        }
    }
    format!("{:032x}", hash.digest128())
}

fn evict(gone: &mut BTreeMap<String, Order>) -> Option<Order> {
    let surplus = gone
        .len()
        .checked_sub(TOMBSTONES)
        .filter(|surplus| *surplus > 0)?;
    let mut orders: Vec<Order> = gone.values().copied().collect();
    orders.sort_unstable();
    let floor = orders[surplus - 1];
    gone.retain(|_, order| *order > floor);
    Some(floor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::RunId;

    fn order(seq: u64) -> Order {
        Order {
            rank: 1,
            run: RunId(uuid::Uuid::nil()),
            seq,
        }
    }

    #[test]
    fn it_comes_back_as_it_was_and_leaves_newer_ones_alone() {
        let mut manifest = Manifest::empty(Format::V1);
        let entry = FlowEntry {
            name: FlowName::new("F").unwrap(),
            order: order(3),
            owner: "me".into(),
            owned_at: None,
            cron: None,
            cron_at: None,
        };
        manifest.flows.insert("f".into(), entry);
        assert_eq!(Manifest::read(&manifest.write()).unwrap(), manifest);
        assert_eq!(Manifest::read(br#"{"v":2}"#), Err(ManifestError::Newer(2)));
        assert!(matches!(Manifest::read(b"{}"), Err(ManifestError::Unreadable(_))));
    }

    #[test]
    fn every_path_and_byte_counts_for_the_digest_but_the_manifest() {
        let files = |files: &[(&str, &'static str)]| {
            let files: BTreeMap<String, Bytes> = files
                .iter()
                .map(|(path, content)| ((*path).to_owned(), Bytes::from_static(content.as_bytes())))
                .collect();
            digest(&files)
        };
        let one = files(&[("a", "bc")]);
        assert_eq!(one, files(&[("a", "bc"), (PATH, "{}")]));
        assert_ne!(one, files(&[("ab", "c")]));
        assert_ne!(one, files(&[("a", "bd")]));
        assert_ne!(one, files(&[("a", "bc"), ("d", "")]));
    }

    #[test]
    fn tombstones_are_bounded_and_the_floor_says_what_was_forgotten() {
        let mut manifest = Manifest::empty(Format::V1);
        for seq in 1..=(TOMBSTONES as u64 + 5) {
            manifest.gone_flows.insert(format!("f{seq}"), order(seq));
        }
        manifest.bound();
        assert_eq!(manifest.gone_flows.len(), TOMBSTONES);
        assert_eq!(manifest.floor, Some(order(5)));
        assert!(!manifest.gone_flows.contains_key("f5"));
    }
}
