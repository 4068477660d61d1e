//! A plan as the files of the next zip, and these as a zip. Pure: the same input gives the same bytes.

use bytes::Bytes;
use flowlift_azkaban::{ProjectName, Tree, archive};
use flowlift_common::manifest::{self, digest};

use crate::base::Base;
use crate::plan::Plan;

/// All files of the project after a plan, with the manifest that names the attempt. The plan's files, and the flows of
/// its manifest, go into it.
#[must_use]
pub fn contents(project: &ProjectName, base: &Base, plan: &mut Plan, attempt: &str) -> Tree {
    let mut tree = base.tree.clone();
    for path in &plan.remove {
        tree.remove(path);
    }
    tree.extend(std::mem::take(&mut plan.put));
    let manifest = &mut plan.manifest;
    manifest.project = project.key();
    attempt.clone_into(&mut manifest.attempt);
    manifest.base.clone_from(&base.active);
    manifest.digest = digest(&tree);
    let mut written = manifest.write();
    written.shrink_to_fit();
    // in the zip from now on; with many flows it is large
    manifest.flows.clear();
    tree.insert(manifest::PATH.to_owned(), written.into());
    tree
}

/// The zip of these files: what the base's zip has already is copied as it is.
#[must_use]
pub fn zip(base: &Base, tree: &Tree) -> Bytes {
    if base.zip.is_empty() {
        return archive::write_zip(tree).into();
    }
    let packed = base.packed.as_ref().unwrap_or(&base.tree);
    let put = tree
        .iter()
        .filter(|(path, content)| packed.get(*path) != Some(*content));
    let merged = archive::merge_zip(&base.zip, |path| tree.contains_key(path), put);
    // a base that was read whole a moment ago can only be odd in a way that repacking mends
    merged
        .unwrap_or_else(|error| {
            tracing::warn!(%error, "untouched entries could not be copied as they are; packing them anew");
            archive::write_zip(tree)
        })
        .into()
}
