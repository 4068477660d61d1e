//! Every mistake that can be found at home, in our words, all at once.

mod flow;
mod job1;
mod project1;
mod project2;
mod tree;

use std::fmt;

pub use flow::check_flow;
pub use tree::check_tree;

/// The longest path of a `.job` or `.properties` file, in characters (column `project_properties.name`).
pub const PATH_MAX: usize = 255;
/// The largest `.flow` file, in bytes.
pub const FLOW_FILE_MAX: usize = 10 << 20;
/// The most bytes that a job's packed properties may take (column `project_properties.property`, a BLOB in MySQL).
pub const JOB_PROPERTIES_MAX: usize = 64 << 10;

/// The most jobs in a row: with Java's usual stack a 4.0.0 took 2,000 and crashed on 3,000.
pub const ROW_MAX: usize = 1_000;

/// One mistake: one clear sentence, and where it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Finding {
    /// The file, when it comes from files.
    pub path: Option<String>,
    /// The line in it, counted from 1.
    pub line: Option<usize>,
    /// The property or field, for example `dependencies`, or `jobs.load.type`.
    pub field: Option<String>,
    /// What is wrong and what was expected, without a full stop.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = &self.path {
            write!(f, "{path}:")?;
            if let Some(line) = self.line {
                write!(f, "{line}:")?;
            }
            f.write_str(" ")?;
        }
        if let Some(field) = &self.field {
            write!(f, "{field}: ")?;
        }
        f.write_str(&self.message)
    }
}

/// Findings in one line.
pub(crate) fn join(findings: &[Finding]) -> String {
    findings
        .iter()
        .map(Finding::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}

/// A limit on memory that a property breaks, as a sentence; `job` is in quotes already.
pub(crate) fn memory(job: &str, key: &str, value: &str) -> Option<String> {
    use crate::load::checks::{XMS_MAX, XMX_MAX, is_variable, memory_kib};
    let (max, limit) = if key == "Xmx" {
        (XMX_MAX, "2G")
    } else {
        (XMS_MAX, "1G")
    };
    if is_variable(value) {
        return None;
    }
    match memory_kib(value) {
        Err(_) => Some(format!(
            "{key} of {job} is {value:?}, which is no amount of memory such as 512M or 1G"
        )),
        Ok(asked) if asked > max => Some(format!("{key} of {job} is {value}, at most {limit} is allowed")),
        Ok(_) => None,
    }
}

/// Jobs one after another that overflow the stack of Azkaban's upload: the last of them, and a sentence.
pub(crate) fn row_too_long(needs: &[Vec<usize>]) -> Option<(usize, String)> {
    let (last, length) = crate::graph::longest_row(needs)?;
    (length > ROW_MAX).then(|| {
        (
            last,
            format!(
                "{length} jobs wait for each other in a row, more than {ROW_MAX} can crash Azkaban's upload"
            ),
        )
    })
}

/// Bytes as MySQL would have to store them: packed.
pub(crate) fn packed_size(content: &[u8]) -> usize {
    let tree = crate::Tree::from([("x".to_owned(), bytes::Bytes::copy_from_slice(content))]);
    // what is not the content itself: the zip's headers
    crate::archive::write_zip(&tree).len().saturating_sub(100)
}
