//! A project zip as a tree of files.

use std::path::Path;

use flowlift_azkaban::Tree;
use flowlift_azkaban::archive::{ZipLimits, read_zip};
use flowlift_azkaban::rules::Finding;

use crate::check::Findings;
use crate::exit::Failure;

/// Reads a zip.
pub fn read(path: &Path) -> Result<Tree, Failure> {
    let bytes = std::fs::read(path).map_err(|source| Failure::Io {
        path: path.to_owned(),
        source,
    })?;
    read_zip(&bytes, &ZipLimits::default()).map_err(|error| {
        let cause = std::error::Error::source(&error).map_or_else(String::new, |cause| format!(": {cause}"));
        let finding = Finding {
            path: Some(path.display().to_string()),
            line: None,
            field: None,
            message: format!("{error}{cause}"),
        };
        Failure::BadInput(Findings::one(finding))
    })
}
