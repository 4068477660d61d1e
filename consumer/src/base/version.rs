//! A version of a project, as Azkaban keeps it.

use bytes::Bytes;
use flowlift_azkaban::archive::{self, ZipLimits};
use flowlift_azkaban::{ProjectName, Tree};
use flowlift_common::manifest::{self, Manifest, ManifestError, digest};

use super::BaseError;

/// One version: number, file name, content.
#[derive(Debug, Clone)]
pub struct Version {
    /// Its number.
    pub number: u32,
    /// The file name it was uploaded under.
    pub file_name: String,
    /// The zip as it came; empty where only the files are known.
    pub zip: Bytes,
    /// Its files, the manifest not among them.
    pub tree: Tree,
    /// The manifest in it, whoever put it there.
    pub manifest: Option<Manifest>,
    ours: bool,
}

impl Version {
    /// Reads a zip downloaded from a project.
    ///
    /// # Errors
    /// [`BaseError::Zip`]; [`BaseError::Manifest`] for a manifest of a newer Flowlift.
    pub fn read(
        project: &ProjectName,
        number: u32,
        file_name: String,
        zip: Bytes,
    ) -> Result<Self, BaseError> {
        let tree = archive::read_zip(&zip, &ZipLimits::default())?;
        Ok(Self {
            zip,
            ..Self::of_files(project, number, file_name, tree)?
        })
    }

    /// A version of which the files are known.
    ///
    /// # Errors
    /// A manifest of a newer Flowlift; a damaged one, or one of another project, counts as none: a person's hands were in it.
    pub fn of_files(
        project: &ProjectName,
        number: u32,
        file_name: String,
        mut tree: Tree,
    ) -> Result<Self, ManifestError> {
        let manifest = match tree.remove(manifest::PATH).map(|json| Manifest::read(&json)) {
            Some(Ok(manifest)) => Some(manifest),
            Some(Err(newer @ ManifestError::Newer(_))) => return Err(newer),
            Some(Err(ManifestError::Unreadable(_))) | None => None,
        };
        let manifest = manifest.filter(|manifest| manifest.project == project.key());
        let ours = manifest
            .as_ref()
            .is_some_and(|manifest| manifest.attempt == file_name && manifest.digest == digest(&tree));
        Ok(Self {
            number,
            file_name,
            zip: Bytes::new(),
            tree,
            manifest,
            ours,
        })
    }

    /// The same without the bytes.
    pub(super) fn without_zip(&self) -> Self {
        Self {
            zip: Bytes::new(),
            ..self.clone()
        }
    }

    /// The manifest, where the zip is exactly the one that a consumer uploaded under this name. A person who zips our files
    /// anew keeps the manifest but not the name, or the name but not the content.
    #[must_use]
    pub fn ours(&self) -> Option<&Manifest> {
        self.manifest.as_ref().filter(|_| self.ours)
    }
}
