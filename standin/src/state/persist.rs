//! What storing a project writes row by row, and the row at which it breaks (pure).
//!
//! Each row is its own transaction in Azkaban, so what stands before the broken row stays. Order in 4.0.0: version and
//! zip, flows, then the version is switched, then job properties (1.0) or flow files (2.0).

use std::cmp::Reverse;
use std::collections::HashSet;

use flowlift_azkaban::load::Loaded;
use flowlift_azkaban::name::fold;
use flowlift_azkaban::{Format, Tree};

use crate::state::flows::Flows;
use crate::wire::java::{hash_order, utf16_len};

/// Width of the columns for flow ids, flow file names and zip names.
const NAME_MAX: usize = 128;
/// Width of the column for paths of job and properties files.
const PATH_MAX: usize = 255;
/// The largest `.flow` file that is stored.
const FLOW_FILE_MAX: usize = 10 << 20;

/// Rows to write.
#[derive(Debug)]
pub(crate) struct Rows {
    pub(crate) flows: Flows,
    /// How many flows are listed.
    pub(crate) listed: usize,
    pub(crate) format: Format,
    /// The flow row that breaks: after how many good ones, and Azkaban's words.
    pub(crate) broken_flow: Option<(usize, String)>,
    /// The row of properties or flow files that breaks.
    pub(crate) broken_source: Option<Broken>,
}

/// A row after the switch of versions that cannot be written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    /// Files whose rows were not written: this one and all behind it.
    pub(crate) missing: HashSet<String>,
    /// Azkaban's words.
    pub(crate) words: Words,
}

/// What Azkaban says about a row of properties or a flow file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Words {
    /// Of a properties row; it names the project and the new version too.
    Properties(String),
    /// As it is.
    Plain(String),
}

impl Words {
    pub(crate) fn say(&self, project: &str, version: i32) -> String {
        match self {
            Self::Properties(path) => {
                format!("Error uploading project properties {path} into {project} version {version}")
            }
            Self::Plain(text) => text.clone(),
        }
    }
}

/// Is the zip's name too long for its row?
pub(crate) fn zip_name_fits(name: &str) -> bool {
    utf16_len(name) <= NAME_MAX
}

/// Lays out the rows of an accepted project.
pub(crate) fn rows(tree: &Tree, loaded: &Loaded) -> Rows {
    let flows = Flows::new(loaded);
    let mut seen = HashSet::new();
    let mut breaks = |id: &str| utf16_len(id) > NAME_MAX || !seen.insert(fold(id));
    let broken_flow = flows
        .iter()
        .enumerate()
        .find_map(|(at, flow)| breaks(&flow.id).then(|| (at, format!("Error inserting flow {}", flow.id))));
    let broken_source = match loaded.format {
        Format::V1 => broken_properties(tree),
        Format::V2 => broken_flow_file(tree),
    };
    Rows {
        listed: flows.listed(),
        flows,
        format: loaded.format,
        broken_flow,
        broken_source,
    }
}

/// Flow 1.0: a row per job in hash order of the job names, then one per `.properties` file.
fn broken_properties(tree: &Tree) -> Option<Broken> {
    let mut jobs: Vec<(&str, &str)> = with_suffix(tree, ".job").collect();
    // As for flows: jobs whose names differ in case only share a bucket, and the lower case one comes first.
    jobs.sort_by_cached_key(|&(name, _)| (fold(name), Reverse(name)));
    hash_order(&mut jobs, |(name, _)| name);
    let paths: Vec<&str> = jobs
        .into_iter()
        .chain(with_suffix(tree, ".properties"))
        .map(|(_, path)| path)
        .collect();
    let mut seen = HashSet::new();
    let at = paths
        .iter()
        .position(|path| utf16_len(path) > PATH_MAX || !seen.insert(fold(path)))?;
    let missing = paths[at..].iter().map(|&path| path.to_owned()).collect();
    Some(Broken {
        missing,
        words: Words::Properties(paths[at].to_owned()),
    })
}

/// Flow 2.0: a row per `.flow` file; read back by the file's name without its folders.
fn broken_flow_file(tree: &Tree) -> Option<Broken> {
    let names: Vec<&str> = with_suffix(tree, ".flow")
        .map(|(_, path)| base_name(path))
        .collect();
    let words = |(name, content): (&str, usize)| {
        if content > FLOW_FILE_MAX {
            Some("Flow file length exceeds 10 MB limit.".to_owned())
        } else if utf16_len(name) > NAME_MAX {
            Some(format!("Error uploading flow file {name}, version 1."))
        } else {
            None
        }
    };
    let sizes = with_suffix(tree, ".flow").map(|(_, path)| tree[path].len());
    let (at, words) = names
        .iter()
        .copied()
        .zip(sizes)
        .enumerate()
        .find_map(|(at, row)| words(row).map(|words| (at, words)))?;
    let missing = names[at..].iter().map(|&name| name.to_owned()).collect();
    Some(Broken {
        missing,
        words: Words::Plain(words),
    })
}

/// Files that Azkaban's loaders look at: name without suffix, and path.
fn with_suffix<'a>(tree: &'a Tree, suffix: &'static str) -> impl Iterator<Item = (&'a str, &'a str)> {
    tree.keys().filter_map(move |path| {
        let name = base_name(path).strip_suffix(suffix)?;
        (!name.is_empty() && !name.starts_with('.')).then_some((name, path.as_str()))
    })
}

fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use flowlift_azkaban::load::{Load, load};

    use super::*;

    fn rows_of(files: &[(&str, &str)]) -> Rows {
        let tree: Tree = files
            .iter()
            .map(|&(path, text)| (path.to_owned(), Bytes::copy_from_slice(text.as_bytes())))
            .collect();
        match load(&tree) {
            Load::Flows(loaded) => rows(&tree, &loaded),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_second_of_two_ids_that_differ_in_case_breaks() {
        let rows = rows_of(&[("fa.job", "type=noop"), ("FA.job", "type=noop")]);
        assert_eq!(rows.broken_flow, Some((1, "Error inserting flow FA".to_owned())));
    }

    #[test]
    fn a_flow_id_of_129_characters_breaks_at_its_row() {
        let long = "x".repeat(129);
        let rows = rows_of(&[(&format!("{long}.job"), "type=noop"), ("a.job", "type=noop")]);
        assert_eq!(
            rows.broken_flow.unwrap().1,
            format!("Error inserting flow {long}")
        );
        assert!(
            rows_of(&[(&format!("{}.job", &long[1..]), "type=noop")])
                .broken_flow
                .is_none()
        );
    }

    #[test]
    fn jobs_that_differ_in_case_break_after_the_switch_of_versions() {
        let rows = rows_of(&[
            ("f.job", "type=noop\ndependencies=ga,GA"),
            ("ga.job", "type=noop"),
            ("GA.job", "type=noop"),
        ]);
        assert_eq!(rows.broken_flow, None);
        let broken = rows.broken_source.unwrap();
        assert_eq!(
            broken.words.say("p2", 5),
            "Error uploading project properties GA.job into p2 version 5"
        );
        assert!(broken.missing.contains("GA.job") && !broken.missing.contains("ga.job"));
    }

    #[test]
    fn a_flow_file_name_of_129_characters_breaks_after_the_switch_of_versions() {
        let flow = "nodes:\n- name: a\n  type: noop\n";
        let name = format!("{}.flow", "x".repeat(124));
        let rows = rows_of(&[
            ("p.project", "azkaban-flow-version: 2.0\n"),
            (&name, flow),
            ("a.flow", flow),
        ]);
        assert_eq!(rows.broken_flow, None);
        let expected = Words::Plain(format!("Error uploading flow file {name}, version 1."));
        assert_eq!(rows.broken_source.unwrap().words, expected);
    }
}
