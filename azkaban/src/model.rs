//! A flow as people think of it, apart from the format it is written in, and a project as a tree of files.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::name::FlowName;

/// A project's files: path inside the zip (with `/`, no leading `/`) to content. No directories, no hidden meaning.
pub type Tree = BTreeMap<String, Bytes>;

/// The two ways Azkaban lets a project be written; they never mix in one project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Format {
    /// Flow 1.0: `.job` files; a flow is a job no other depends on. The cheaper one for Azkaban (0.6 ms per flow).
    #[serde(rename = "1.0")]
    V1,
    /// Flow 2.0: one `.flow` YAML file per flow and a `.project` file (2.2 ms per flow).
    #[serde(rename = "2.0")]
    V2,
}

impl Format {
    /// `1.0` or `2.0`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V1 => "1.0",
            Self::V2 => "2.0",
        }
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One job of a flow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Unique in its flow.
    pub name: String,
    /// Azkaban's job type, for example `command` or `noop`.
    #[serde(rename = "type")]
    pub kind: String,
    /// All other properties (`command`, `retries`, ...), as they would stand in a `.job` file.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub props: BTreeMap<String, String>,
    /// Names of jobs of the same flow that must end first.
    #[serde(default, rename = "dependsOn", skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<String>,
}

/// One flow, apart from its format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flow {
    /// Its id in the project.
    pub name: FlowName,
    /// Its jobs, at least one.
    pub jobs: Vec<Job>,
    /// Properties that hold for all its jobs; a job's own win.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub props: BTreeMap<String, String>,
}
