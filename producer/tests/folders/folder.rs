//! Project folders, and their zips as a person would make them.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Cursor, Write as _};
use std::path::{Path, PathBuf};

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// The direct sub-folders of `root` with something of a project in them, sorted.
pub(crate) fn projects(root: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(root).unwrap_or_else(|error| panic!("{}: {error}", root.display()));
    let mut folders: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry of the folder").path())
        .filter(|path| path.is_dir() && is_project(path))
        .collect();
    folders.sort();
    folders
}

fn is_project(folder: &Path) -> bool {
    let known = ["job", "flow", "project"];
    files(folder).iter().any(|file| {
        file.extension()
            .is_some_and(|end| known.iter().any(|one| end == *one))
    })
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("an entry of the folder").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The names of all files with this extension, without it: flows or jobs, if Azkaban does not lose them.
pub(crate) fn stems(folder: &Path, extension: &str) -> BTreeSet<String> {
    let stem = |path: PathBuf| {
        let name = path.file_name()?.to_str()?.to_owned();
        let stem = name.strip_suffix(extension)?.strip_suffix('.')?;
        // hidden files and those without a name are no files for Azkaban
        (!stem.is_empty() && !name.starts_with('.')).then(|| stem.to_owned())
    };
    files(folder).into_iter().filter_map(stem).collect()
}

/// All files as they are, made without the code that is tested.
pub(crate) fn zipped(folder: &Path) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for path in files(folder) {
        let name = path
            .strip_prefix(folder)
            .expect("a path inside the folder")
            .to_str()
            .expect("names are UTF-8");
        zip.start_file(name, SimpleFileOptions::default())
            .expect("memory takes it");
        let content = fs::read(&path).expect("the file can be read");
        zip.write_all(&content).expect("memory takes it");
    }
    zip.finish().expect("memory takes it").into_inner()
}
