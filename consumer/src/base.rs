//! What a project holds before a batch: the files of its last landed zip, the flows they make, the manifest.

use bytes::Bytes;
use flowlift_azkaban::archive::{self, ZipError, ZipLimits};
use flowlift_azkaban::name::fold;
use flowlift_azkaban::{Format, Load, Loaded, Tree, load};
use flowlift_common::manifest::{self, Manifest, ManifestError};

/// A project's content, read.
#[derive(Debug, Clone)]
pub struct Base {
    /// The zip, for raw copies; empty when nothing was ever uploaded.
    pub zip: Bytes,
    /// All its files.
    pub tree: Tree,
    /// What the loader makes of them.
    pub loaded: Loaded,
    /// What Flowlift remembers of them; `None` where it never wrote here.
    pub manifest: Option<Manifest>,
}

/// Why a zip cannot be a base.
#[derive(Debug, thiserror::Error)]
pub enum BaseError {
    /// Not a zip we may read.
    #[error("its zip cannot be read: {0}")]
    Zip(#[from] ZipError),
    /// Its manifest is newer than this program, or damaged.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// Azkaban's loader refuses it, so it never became active.
    #[error("its zip is one that Azkaban refuses")]
    Refused,
}

impl Base {
    /// A project without content.
    #[must_use]
    pub fn empty() -> Self {
        let Load::Flows(loaded) = load(&Tree::new()) else {
            unreachable!("the loader takes an empty tree: zero flows");
        };
        Self {
            zip: Bytes::new(),
            tree: Tree::new(),
            loaded,
            manifest: None,
        }
    }

    /// Reads a downloaded zip.
    pub fn read(zip: Bytes) -> Result<Self, BaseError> {
        let tree = archive::read_zip(&zip, &ZipLimits::default())?;
        let manifest = tree
            .get(manifest::PATH)
            .map(|json| Manifest::read(json))
            .transpose()?;
        let Load::Flows(loaded) = load(&tree) else {
            return Err(BaseError::Refused);
        };
        Ok(Self {
            zip,
            tree,
            loaded,
            manifest,
        })
    }

    /// Whether the zip was written by the upload it names: a person who zips our files anew keeps the manifest, not the name.
    #[must_use]
    pub fn is_ours(&self, file_name: &str) -> bool {
        self.manifest
            .as_ref()
            .is_some_and(|manifest| manifest.attempt == file_name)
    }

    /// The project's format, where its content or its manifest decides it.
    #[must_use]
    pub fn format(&self) -> Option<Format> {
        if self.loaded.format == Format::V2 || !self.loaded.flows.is_empty() {
            return Some(self.loaded.format);
        }
        self.manifest.as_ref().map(|manifest| manifest.format)
    }

    /// The flows, by lower-case id.
    pub fn flow_keys(&self) -> impl Iterator<Item = (String, &str)> {
        self.loaded.flows.keys().map(|name| (fold(name), name.as_str()))
    }
}
