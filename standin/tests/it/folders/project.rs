//! Project folders and zips, as they lie on the disk.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::zips::zip_of_bytes;

/// A project that can be uploaded.
pub(crate) struct Project {
    pub(crate) name: String,
    pub(crate) zip: Vec<u8>,
}

impl Project {
    /// All zips, and all folders with jobs or flows in them, by name.
    pub(crate) fn all(root: &Path) -> Vec<Self> {
        let mut projects: Vec<Self> = entries(root).iter().filter_map(|path| Self::read(path)).collect();
        projects.sort_by(|a, b| a.name.cmp(&b.name));
        projects
    }

    fn read(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?.to_owned();
        if path.is_file() {
            let zip = has_extension(path, &["zip"]).then(|| fs::read(path).unwrap())?;
            return Some(Self { name, zip });
        }
        let files = files(path);
        if !files.iter().any(|file| has_extension(file, &["job", "flow"])) {
            return None;
        }
        let contents: Vec<(&str, Vec<u8>)> = files
            .iter()
            .map(|file| {
                let inside = file.strip_prefix(path).unwrap().to_str().unwrap();
                (inside, fs::read(file).unwrap())
            })
            .collect();
        let zip = zip_of_bytes(&contents);
        Some(Self { name, zip })
    }
}

fn has_extension(path: &Path, known: &[&str]) -> bool {
    path.extension()
        .is_some_and(|end| known.iter().any(|one| end == *one))
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let below = |path: PathBuf| if path.is_dir() { files(&path) } else { vec![path] };
    entries(folder).into_iter().flat_map(below).collect()
}
