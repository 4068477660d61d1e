//! Looks at everything before anything is sent: all mistakes at once, and the counts.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use flate2::Compression;
use flate2::write::GzEncoder;
use flowlift_azkaban::rules::Finding;
use flowlift_azkaban::{FlowName, Format, ProjectName, check_cron, check_flow};
use flowlift_common::envelope::{MAX_BYTES_IN_PARTS, MAX_UNPACKED_IN_PARTS};
use flowlift_common::{Act, Body, Change, Schedule};
use xxhash_rust::xxh3::xxh3_128;

use crate::exit::Failure;
use crate::source::{Item, Place, Source};

/// How many mistakes are shown; the rest is counted.
const SHOWN: usize = 50;
/// Changes between two reports of progress.
const PROGRESS_EVERY: u64 = 1_000;
/// What an envelope adds to one change, generously, in bytes.
const AROUND: usize = 4_096;

/// Mistakes: the first ones in full, the others counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    shown: Vec<Finding>,
    more: u64,
}

impl Findings {
    /// A single mistake.
    #[must_use]
    pub fn one(finding: Finding) -> Self {
        Self {
            shown: vec![finding],
            more: 0,
        }
    }

    /// One more.
    pub fn add(&mut self, finding: Finding) {
        if self.shown.len() < SHOWN {
            self.shown.push(finding);
        } else {
            self.more += 1;
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shown.is_empty()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.shown.len() as u64 + self.more
    }

    /// The ones kept in full.
    #[must_use]
    pub fn shown(&self) -> &[Finding] {
        &self.shown
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.shown {
            writeln!(f, "{finding}")?;
        }
        if self.more > 0 {
            writeln!(f, "and {} more", self.more)?;
        }
        let (count, s) = (self.len(), if self.len() == 1 { "" } else { "s" });
        write!(f, "{count} mistake{s}; nothing was queued")
    }
}

/// What a source holds.
#[derive(Debug, Clone, Default)]
pub struct Checked {
    /// Changes per project.
    pub projects: BTreeMap<ProjectName, u64>,
    /// Flows that are brought up.
    pub upserts: u64,
    /// Flows, or patterns of flows, that are taken away.
    pub deletions: u64,
    /// Shared files.
    pub files: u64,
    /// Flows per project, kept only where they are needed (`--prune`).
    pub names: BTreeMap<ProjectName, Vec<FlowName>>,
}

impl Checked {
    /// All changes.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.projects.values().sum()
    }
}

/// Reads a whole source and checks it.
///
/// `progress` hears from time to time how many changes were looked at.
pub fn check(
    source: &Source,
    format: Format,
    keep_names: bool,
    mut progress: impl FnMut(u64),
) -> Result<Checked, Failure> {
    let mut check = Check {
        format,
        keep_names,
        checked: Checked::default(),
        findings: Findings::default(),
        flows: HashMap::new(),
        spelled: HashMap::new(),
    };
    for (n, item) in (0_u64..).zip(source.items()?) {
        if n.is_multiple_of(PROGRESS_EVERY) {
            progress(n);
        }
        match item {
            Ok(item) => check.item(&item),
            Err(finding) => check.findings.add(finding),
        }
    }
    if check.findings.is_empty() {
        Ok(check.checked)
    } else {
        Err(Failure::BadInput(check.findings))
    }
}

/// What is wrong with one change on its own.
#[must_use]
pub fn alone(item: &Item, format: Format) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Act::Upsert(upsert) = &item.act {
        if let Body::Flow(flow) = &upsert.body {
            findings.extend(check_flow(flow, format).into_iter().map(|finding| Finding {
                message: match &item.place.line {
                    Some(_) => finding.message,
                    None => format!("{} (flow {})", finding.message, flow.name),
                },
                path: item.place.path.clone().or(finding.path),
                line: item.place.line.or(finding.line),
                field: finding.field,
            }));
        }
        if let Schedule::Set(cron) = &upsert.schedule
            && let Err(error) = check_cron(cron)
        {
            let of = item.act.label();
            findings.push(at(&item.place, "cron", format!("{cron:?} of {of}: {error}")));
        }
    }
    findings.extend(too_large(item, (MAX_BYTES_IN_PARTS, MAX_UNPACKED_IN_PARTS)));
    findings
}

fn at(place: &Place, field: &str, message: String) -> Finding {
    Finding {
        path: place.path.clone(),
        line: place.line,
        field: Some(field.to_owned()),
        message,
    }
}

/// A change that is too large even in parts.
fn too_large(item: &Item, (packed, unpacked): (usize, usize)) -> Option<Finding> {
    let mut size = Counter(0);
    let change = Change {
        seq: u64::MAX,
        act: item.act.clone(),
    };
    serde_json::to_writer(&mut size, &change).ok()?;
    let label = item.act.label();
    let shown = if label.chars().count() > 100 {
        label.chars().take(99).chain(['…']).collect()
    } else {
        label
    };
    if size.0 + AROUND > unpacked {
        let (got, max) = (size.0 >> 20, unpacked >> 20);
        let message = format!("{shown} has {got} MiB as JSON, at most {max} MiB are allowed in one change");
        return Some(at(&item.place, "size", message));
    }
    if size.0 + AROUND > packed {
        let got = packed_size(&change)? + AROUND;
        let max = packed >> 20;
        return (got > packed).then(|| {
            let message =
                format!("{shown} has {got} bytes compressed, at most {max} MiB are allowed in one change");
            at(&item.place, "size", message)
        });
    }
    None
}

/// The size of a change as it is sent, without keeping it.
fn packed_size(change: &Change) -> Option<usize> {
    let mut writer = std::io::BufWriter::new(GzEncoder::new(Counter(0), Compression::default()));
    serde_json::to_writer(&mut writer, change).ok()?;
    let counter = writer.into_inner().ok()?.finish().ok()?;
    Some(counter.0)
}

struct Counter(usize);

impl std::io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

struct Check {
    format: Format,
    keep_names: bool,
    checked: Checked,
    findings: Findings,
    /// Where each flow stood first. A million names would take too much memory, their hashes do not.
    flows: HashMap<[u64; 2], u32>,
    spelled: HashMap<String, ProjectName>,
}

impl Check {
    fn item(&mut self, item: &Item) {
        for finding in alone(item, self.format) {
            self.findings.add(finding);
        }
        self.spelling(item);
        self.twice(item);
        match &item.act {
            Act::Upsert(upsert) => {
                let flows = upsert.body.flows();
                self.checked.upserts += flows.len() as u64;
                if self.keep_names {
                    let names = self.checked.names.entry(item.project.clone()).or_default();
                    names.extend(flows.into_iter().cloned());
                }
            }
            Act::Delete { .. } | Act::DeleteMatching(_) => self.checked.deletions += 1,
            Act::PutFile { .. } | Act::DeleteFile { .. } => self.checked.files += 1,
            Act::Check => {}
        }
        match self.checked.projects.get_mut(&item.project) {
            Some(count) => *count += 1,
            None => {
                self.checked.projects.insert(item.project.clone(), 1);
            }
        }
    }

    fn spelling(&mut self, item: &Item) {
        if self.checked.projects.contains_key(&item.project) {
            return;
        }
        let first = self
            .spelled
            .entry(item.project.key())
            .or_insert_with(|| item.project.clone());
        if *first != item.project {
            let message = format!(
                "project {:?} differs from {:?} in case alone",
                item.project.as_str(),
                first.as_str()
            );
            self.findings.add(at(&item.place, "project", message));
        }
    }

    fn twice(&mut self, item: &Item) {
        let names = match &item.act {
            Act::Upsert(upsert) => upsert.body.flows(),
            Act::Delete { flow } => vec![flow],
            _ => return,
        };
        for name in names {
            let hash = xxh3_128(format!("{}/{}", item.project.key(), name.key()).as_bytes());
            let key = [(hash >> 64) as u64, hash as u64];
            let line = item
                .place
                .line
                .map_or(0, |line| u32::try_from(line).unwrap_or(u32::MAX));
            match self.flows.insert(key, line) {
                None => {}
                Some(0) => {
                    let message = format!("flow {:?} is there twice (case does not count)", name.as_str());
                    self.findings.add(at(&item.place, "flow", message));
                }
                Some(first) => {
                    let message = format!(
                        "flow {:?} stands in line {first} already (case does not count)",
                        name.as_str()
                    );
                    self.findings.add(at(&item.place, "flow", message));
                    self.flows.insert(key, first);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
