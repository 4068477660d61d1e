//! A tree of paths as folders, listed by name, the way a loader walks them.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::model::Tree;

/// A folder of the unpacked project.
#[derive(Default)]
pub(crate) struct Folder<'a> {
    /// Its files, by name.
    pub files: BTreeMap<&'a str, File<'a>>,
    /// Its folders, by name.
    pub folders: BTreeMap<&'a str, Folder<'a>>,
}

/// A file and its place in the project.
#[derive(Clone, Copy)]
pub(crate) struct File<'a> {
    /// Its name without the folders.
    pub name: &'a str,
    /// Its path in the project.
    pub path: &'a str,
    /// Its bytes.
    pub content: &'a Bytes,
}

impl<'a> Folder<'a> {
    /// The project's top folder.
    pub(crate) fn of(tree: &'a Tree) -> Self {
        let mut top = Self::default();
        for (path, content) in tree {
            let mut folder = &mut top;
            let mut rest = path.as_str();
            while let Some((name, below)) = rest.split_once('/') {
                folder = folder.folders.entry(name).or_default();
                rest = below;
            }
            folder.files.insert(
                rest,
                File {
                    name: rest,
                    path,
                    content,
                },
            );
        }
        top
    }

    /// The files with a suffix that Azkaban looks at: not hidden, and named more than the suffix alone.
    pub(crate) fn with_suffix(&self, suffix: &str) -> impl Iterator<Item = File<'a>> {
        self.files
            .values()
            .copied()
            .filter(move |file| is_read(file.name, suffix))
    }
}

impl<'a> File<'a> {
    /// The name before the last dot.
    pub(crate) fn stem(&self) -> &'a str {
        self.name.rsplit_once('.').map_or(self.name, |(stem, _)| stem)
    }
}

/// Whether Azkaban reads a file of this name as one with the suffix.
pub(crate) fn is_read(name: &str, suffix: &str) -> bool {
    name.len() > suffix.len() && name.ends_with(suffix) && !name.starts_with('.')
}
