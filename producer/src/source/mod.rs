//! Where changes come from. Every source can be read twice: once to check everything, once to send it.

pub mod folder;
pub mod generate;
pub mod line;
pub mod lines;
pub mod zipfile;

use std::path::Path;

use flowlift_azkaban::rules::Finding;
use flowlift_azkaban::{ProjectName, Tree};
use flowlift_common::Act;

use crate::exit::Failure;
pub use generate::Generate;
pub use lines::Lines;

use crate::words::count;

/// One change before it has its place in a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its project.
    pub project: ProjectName,
    /// Where it stands, for people.
    pub place: Place,
    /// What shall be done.
    pub act: Act,
}

/// Where something stands in a source.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Place {
    /// The file, as the person named it.
    pub path: Option<String>,
    /// The line, from 1.
    pub line: Option<usize>,
}

/// What is read.
#[derive(Debug)]
pub enum Source {
    /// Flows made from a number.
    Generated(Generate),
    /// A project as files: everything of it, unit by unit.
    Files(Files),
    /// NDJSON.
    Lines(Lines),
    /// Changes that are there already (deletions).
    Acts(Vec<Item>),
}

/// A project as files.
#[derive(Debug)]
pub struct Files {
    /// The folder or zip, as the person named it.
    pub name: String,
    /// The project.
    pub project: ProjectName,
    /// The changes, made by [`crate::units`].
    pub acts: Vec<(Option<String>, Act)>,
}

/// An iterator over a source; the error is a mistake that leaves no change to look at.
pub type Items<'a> = Box<dyn Iterator<Item = Result<Item, Finding>> + Send + 'a>;

impl Source {
    /// Reads from the start.
    pub fn items(&self) -> Result<Items<'_>, Failure> {
        Ok(match self {
            Self::Generated(generate) => Box::new(generate.items()),
            Self::Files(files) => Box::new(files.acts.iter().map(|(path, act)| {
                Ok(Item {
                    project: files.project.clone(),
                    place: Place {
                        path: path.clone(),
                        line: None,
                    },
                    act: act.clone(),
                })
            })),
            Self::Lines(lines) => Box::new(lines.items()?),
            Self::Acts(items) => Box::new(items.iter().cloned().map(Ok)),
        })
    }

    /// What it is, for people: in the record of the run.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Generated(generate) => count(generate.count, "generated flow"),
            Self::Files(files) => files.name.clone(),
            Self::Lines(lines) => lines.name.clone(),
            Self::Acts(items) => count(items.len() as u64, "deletion"),
        }
    }
}

/// What a path holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A project folder.
    Folder,
    /// A project zip.
    Zip,
    /// NDJSON.
    Lines,
}

/// Looks at a path.
pub fn kind(path: &Path) -> Result<Kind, Failure> {
    let shown = path.display();
    let meta = std::fs::metadata(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Failure::NoInput(format!("{shown}: there is no such file or folder")),
        _ => Failure::Io {
            path: path.to_owned(),
            source: error,
        },
    })?;
    if meta.is_dir() {
        return Ok(Kind::Folder);
    }
    let extension = path
        .extension()
        .and_then(|text| text.to_str())
        .map(str::to_ascii_lowercase);
    match extension.as_deref() {
        Some("zip") => Ok(Kind::Zip),
        Some("ndjson" | "jsonl" | "json") => Ok(Kind::Lines),
        _ => Err(Failure::NoInput(format!(
            "{shown}: expected a project folder, a .zip, or flows as .ndjson (one JSON object a line)"
        ))),
    }
}

/// Reads a folder or a zip as a project's files.
pub fn tree(path: &Path, kind: Kind) -> Result<Tree, Failure> {
    match kind {
        Kind::Zip => zipfile::read(path),
        Kind::Folder | Kind::Lines => folder::read(path),
    }
}
