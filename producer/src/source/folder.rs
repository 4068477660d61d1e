//! A project folder as a tree of files.

use std::path::{Path, PathBuf};

use flowlift_azkaban::Tree;
use flowlift_azkaban::archive::ZipLimits;
use flowlift_azkaban::rules::Finding;

use crate::check::Findings;
use crate::exit::Failure;

/// Folders that version control keeps for itself; they are no part of a project.
const NOT_OURS: [&str; 4] = [".git", ".hg", ".svn", ".bzr"];
/// Deeper folders than this are taken for a circle of links.
const DEPTH: usize = 64;

/// Reads all files below a folder, within the limits that hold for zips.
pub fn read(root: &Path) -> Result<Tree, Failure> {
    let mut walk = Walk {
        root: root.to_owned(),
        tree: Tree::new(),
        bytes: 0,
        findings: Findings::default(),
    };
    walk.folder(root, "", 0)?;
    if walk.findings.is_empty() {
        Ok(walk.tree)
    } else {
        Err(Failure::BadInput(walk.findings))
    }
}

struct Walk {
    root: PathBuf,
    tree: Tree,
    bytes: u64,
    findings: Findings,
}

impl Walk {
    fn folder(&mut self, folder: &Path, prefix: &str, depth: usize) -> Result<(), Failure> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| Failure::Io { path, source }
        };
        let limits = ZipLimits::default();
        for entry in std::fs::read_dir(folder).map_err(failed(folder))? {
            let entry = entry.map_err(failed(folder))?;
            let path = entry.path();
            let Some(name) = entry.file_name().to_str().map(str::to_owned) else {
                self.find(&path, "the name is not UTF-8, which Azkaban cannot unpack");
                continue;
            };
            let inside = format!("{prefix}{name}");
            let meta = std::fs::metadata(&path).map_err(failed(&path))?;
            if meta.is_dir() {
                if depth == DEPTH {
                    self.find(
                        &path,
                        "folders are nested deeper than 64 levels; is a link a circle?",
                    );
                } else if !NOT_OURS.contains(&name.as_str()) {
                    self.folder(&path, &format!("{inside}/"), depth + 1)?;
                }
                continue;
            }
            if !meta.is_file() {
                self.find(&path, "it is neither a file nor a folder");
                continue;
            }
            self.bytes += meta.len();
            if meta.len() > limits.entry || self.bytes > limits.total || self.tree.len() == limits.entries {
                let (total, count) = (limits.total >> 20, limits.entries);
                self.find(
                    &self.root.clone(),
                    &format!(
                        "the folder is too large for a project: at most {count} files, {total} MiB in all"
                    ),
                );
                return Ok(());
            }
            let content = std::fs::read(&path).map_err(failed(&path))?;
            self.tree.insert(inside, content.into());
        }
        Ok(())
    }

    fn find(&mut self, path: &Path, message: &str) {
        self.findings.add(Finding {
            path: Some(path.display().to_string()),
            line: None,
            field: None,
            message: message.to_owned(),
        });
    }
}
