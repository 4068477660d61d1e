//! What Azkaban has of a project: its flows, the zip that makes exactly these, what Flowlift wrote into it.
//!
//! `download` alone hands out the highest version, also one whose install failed while older flows stay active.

use std::collections::BTreeSet;

use bytes::Bytes;
use flowlift_azkaban::archive::{ZipLimits, read_zip};
use flowlift_azkaban::client::{Client, ClientError, Download};
use flowlift_azkaban::{Format, Load, Loaded, ProjectName, Tree, load};
use flowlift_common::manifest::{self, Manifest};

use crate::exit::Failure;

/// Azkaban keeps the zips of the current version and three before it.
const KEPT: u32 = 3;

/// A project as it is.
#[derive(Debug)]
pub struct Project {
    /// The flows Azkaban lists.
    pub listed: BTreeSet<String>,
    /// The active zip; none where nothing was uploaded yet.
    pub zip: Option<Zip>,
}

/// The zip that makes the listed flows.
#[derive(Debug)]
pub struct Zip {
    /// Its version.
    pub version: u32,
    /// Its bytes.
    pub bytes: Bytes,
    /// Its files.
    pub tree: Tree,
    /// What the loader makes of it.
    pub loaded: Loaded,
    /// What Flowlift wrote; none when somebody else made this zip, or made it of one of ours.
    pub manifest: Option<Manifest>,
}

/// Reads a project; none if there is none of this name.
pub async fn read(client: &Client, project: &ProjectName) -> Result<Option<Project>, Failure> {
    let listed = match client.flows(project).await {
        Ok(list) => list.flows,
        Err(ClientError::ProjectMissing { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let Some(newest) = client.download(project, None).await? else {
        return Ok(Some(Project { listed, zip: None }));
    };
    let highest = newest.version;
    if let Some(zip) = active(newest, &listed) {
        return Ok(Some(Project {
            listed,
            zip: Some(zip),
        }));
    }
    for version in (highest.saturating_sub(KEPT).max(1)..highest).rev() {
        match client.download(project, Some(version)).await {
            Ok(Some(older)) => {
                if let Some(zip) = active(older, &listed) {
                    return Ok(Some(Project {
                        listed,
                        zip: Some(zip),
                    }));
                }
            }
            // cleaned up, or a number that was never given to a zip
            Ok(None) => {}
            Err(error) if error.class() == flowlift_azkaban::client::ErrorClass::Permanent => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Failure::Answer(format!(
        "project {project}: none of the zips that Azkaban kept makes the {} flows that it lists; was it uploaded to just now?",
        listed.len()
    )))
}

/// The zip, if it makes exactly the listed flows.
fn active(download: Download, listed: &BTreeSet<String>) -> Option<Zip> {
    let tree = read_zip(&download.zip, &ZipLimits::default()).ok()?;
    let Load::Flows(loaded) = load(&tree) else {
        return None;
    };
    if !loaded.listed().into_iter().eq(listed.iter().map(String::as_str)) {
        return None;
    }
    let manifest = tree
        .get(manifest::PATH)
        .and_then(|json| Manifest::read(json).ok());
    Some(Zip {
        version: download.version,
        bytes: download.zip,
        loaded,
        manifest: manifest.filter(|manifest| manifest.attempt == download.file_name),
        tree,
    })
}

impl Zip {
    /// The format it is written in.
    #[must_use]
    pub fn format(&self) -> Format {
        self.loaded.format
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flowlift_azkaban::archive::write_zip;
    use flowlift_azkaban::client::ProjectId;

    fn download(files: &[(&str, &str)], file_name: &str) -> Download {
        let tree: Tree = files
            .iter()
            .map(|(path, text)| ((*path).to_owned(), (*text).to_owned().into()))
            .collect();
        Download {
            version: 3,
            project_id: ProjectId(1),
            file_name: file_name.into(),
            zip: write_zip(&tree).into(),
        }
    }

    #[test]
    fn a_zip_counts_only_if_it_makes_the_listed_flows() {
        let job = [("a.job", "type=noop\n")];
        let listed = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        assert!(active(download(&job, "x.zip"), &listed(&["a"])).is_some());
        assert!(active(download(&job, "x.zip"), &listed(&["a", "b"])).is_none());
        assert!(active(download(&job, "x.zip"), &listed(&[])).is_none());
    }

    #[test]
    fn a_manifest_counts_only_in_the_zip_it_was_made_for() {
        let mut manifest = Manifest::empty(Format::V1);
        manifest.attempt = "ours.zip".into();
        let json = String::from_utf8(manifest.write()).unwrap();
        let files = [("a.job", "type=noop\n"), (manifest::PATH, json.as_str())];
        let listed = BTreeSet::from(["a".to_owned()]);
        assert!(
            active(download(&files, "ours.zip"), &listed)
                .unwrap()
                .manifest
                .is_some()
        );
        assert!(
            active(download(&files, "theirs.zip"), &listed)
                .unwrap()
                .manifest
                .is_none()
        );
    }
}
