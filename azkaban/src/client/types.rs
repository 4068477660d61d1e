//! What Azkaban answers, as types.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

/// A project's number. A project that is deleted and made again has a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProjectId(pub i64);

/// A schedule's number, above 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ScheduleId(pub i64);

/// What `/status` tells without a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerStatus {
    /// For example `4.0.0`; a locally built one says `unknown`.
    pub version: String,
    /// The process id with or without a host, or `unknown`: if it changes, every upload begun before is gone.
    pub pid: String,
    /// Whether the server reaches its database.
    pub database_up: bool,
    /// Bytes of heap in use.
    pub used_memory: u64,
    /// Bytes of heap it may use.
    pub max_memory: u64,
    /// Its clock when it answered, to the second, ms since 1970, where it told.
    pub clock_ms: Option<u64>,
}

/// One project of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectInfo {
    /// Its number.
    pub id: ProjectId,
    /// Its name, as made.
    pub name: String,
    /// When it was made, milliseconds since 1970.
    pub created_ms: i64,
    /// Who changed it last (Azkaban calls this field `createdBy`).
    pub changed_by: String,
}

/// What came of making a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// It is new.
    Made,
    /// It was there already, maybe in another case.
    Existed,
}

/// The flows Azkaban lists for a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowList {
    /// The project's number.
    pub project_id: ProjectId,
    /// Their ids, embedded flows not among them.
    pub flows: BTreeSet<String>,
}

/// A flow's jobs and what they wait for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowGraph {
    /// The flow's id.
    pub flow: String,
    /// Its jobs, sorted by name.
    pub nodes: Vec<GraphNode>,
}

/// One job in a [`FlowGraph`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphNode {
    /// The job's name.
    pub id: String,
    /// Its type; `flow` for an embedded flow.
    pub kind: String,
    /// The jobs it depends on, sorted.
    pub depends_on: Vec<String>,
    /// The condition under which it runs.
    pub condition: Option<String>,
    /// The embedded flow's graph, if it is one.
    pub embedded: Option<FlowGraph>,
}

/// A job's content, as Azkaban stores it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobInfo {
    /// The job's name.
    pub name: String,
    /// Its type.
    pub kind: String,
    /// Its properties from the zip.
    pub params: BTreeMap<String, String>,
    /// What holds instead of them: the same, unless somebody changed it in the web page since the upload.
    pub overrides: BTreeMap<String, String>,
}

/// A project's zip as uploaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Download {
    /// Its version. Not always the active one: after a failed install it is the rejected zip's.
    pub version: u32,
    /// The project's number.
    pub project_id: ProjectId,
    /// The file name it was uploaded under.
    pub file_name: String,
    /// The exact bytes.
    pub zip: Bytes,
}

/// A zip that Azkaban took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uploaded {
    /// The project's version now. More than the base's + 1: somebody else uploaded, or a number was burnt.
    pub version: u32,
    /// The project's number.
    pub project_id: ProjectId,
    /// What a validator plug-in warned about.
    pub warn: Option<String>,
}

/// One schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// Its number.
    pub id: ScheduleId,
    /// The project's name.
    pub project: String,
    /// The flow's id.
    pub flow: String,
    /// Its Quartz expression; empty for an old-style period.
    pub cron: String,
}

/// One line of a project's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// Who did it.
    pub user: String,
    /// When, milliseconds since 1970.
    pub time_ms: i64,
    /// `CREATED`, `UPLOADED`, `SCHEDULE`, `DELETED`, ...
    pub kind: String,
    /// What was done; `CREATED` has none.
    pub message: Option<String>,
}

/// The file name in an `UPLOADED` entry: who uploaded last, and what. Azkaban writes it only after the install.
#[must_use]
pub fn uploaded_file(entry: &LogEntry) -> Option<&str> {
    if entry.kind != "UPLOADED" {
        return None;
    }
    entry
        .message
        .as_deref()?
        .strip_prefix("Uploaded project files zip ")
}
