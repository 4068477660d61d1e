//! What the shell keeps of a project between two actions of its heart.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use flowlift_azkaban::client::ProjectId;
use flowlift_common::ledger::{Detail, Fault};
use flowlift_common::{RunId, Seen, ledger};
use tokio::sync::OwnedSemaphorePermit;

use crate::base::{Base, Finding};
use crate::held::Held;
use crate::plan::{ChangeId, ScheduleStep};

/// A base and what Azkaban said about it.
#[derive(Debug, Clone)]
pub struct BaseInHand {
    /// The content.
    pub base: Arc<Base>,
    /// Whether the project is there.
    pub exists: bool,
    /// The highest version seen, burnt ones included; 0: never uploaded.
    pub highest: u32,
    /// Its place among the unpacked projects; free again when the base is dropped.
    pub desk: Option<Arc<OwnedSemaphorePermit>>,
}

/// A batch, planned and packed.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The messages it settles, as they came.
    pub held: Vec<Arc<Held>>,
    /// The attempt's id, which is the zip's file name.
    pub attempt: String,
    /// Its generation.
    pub generation: u64,
    /// The zip; empty where nothing is uploaded.
    pub zip: Bytes,
    /// The flows Azkaban must list afterwards.
    pub expected: Arc<BTreeSet<String>>,
    /// Schedules to look at.
    pub schedules: Arc<Vec<ScheduleStep>>,
    /// The highest version seen before it; 0: never uploaded.
    pub highest: u32,
    /// The version that was active then; 0: none.
    pub follows: u32,
    /// Changes that the upload carries.
    pub carried: usize,
    /// What to remember if nothing is uploaded.
    pub seen: Seen,
    /// What comes back with it: run, sequence and flow.
    pub restored: Vec<(RunId, u64, String)>,
}

/// An upload of ours that was read back and settled: as long as it is the newest version, it is what counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The project's number.
    pub project: ProjectId,
    /// The version.
    pub version: u32,
    /// The attempt, which is its file name.
    pub attempt: String,
}

/// A project's things.
#[derive(Debug, Default)]
pub struct Work {
    /// Read and not planned yet.
    pub base: Option<BaseInHand>,
    /// Planned last.
    pub prepared: Option<Prepared>,
    /// When it was announced: a body that has not begun soon after must be announced anew.
    pub announced: Option<Instant>,
    /// Azkaban's process at that time, where it tells.
    pub server: Option<String>,
    /// Attempts that a former holder left open: the processes they were sent to.
    pub left: BTreeMap<String, Option<String>>,
    /// Azkaban could not unpack a zip of this batch: nothing is copied raw any more.
    pub from_scratch: bool,
    /// The upload that was answered.
    pub upload: Option<ledger::UploadFacts>,
    /// The project in which it was.
    pub project: Option<ProjectId>,
    /// Whether the project was made for this batch.
    pub created: bool,
    /// Changes whose schedules were set or removed.
    pub rescheduled: BTreeSet<ChangeId>,
    /// What stands in no manifest yet.
    pub seen: Seen,
    /// What was uploaded and settled last.
    pub known: Option<Known>,
    /// What people were told of the project's history.
    pub told: Vec<Finding>,
    /// How long the steps of the batch took, for its record.
    pub took: Detail,
    /// Calls to Azkaban that failed since the last settlement, by class and code.
    pub faults: BTreeMap<(&'static str, &'static str), u64>,
}

/// Milliseconds since then.
pub fn ms_since(begun: Instant) -> Option<u64> {
    u64::try_from(begun.elapsed().as_millis()).ok()
}

impl Work {
    /// Forgets the batch; what has to outlive it stays.
    pub fn forget(&mut self) {
        *self = Self {
            seen: std::mem::take(&mut self.seen),
            known: self.known.take(),
            told: std::mem::take(&mut self.told),
            faults: std::mem::take(&mut self.faults),
            ..Self::default()
        };
    }

    /// A call to Azkaban failed.
    pub fn failed(&mut self, class: &'static str, code: &'static str) {
        *self.faults.entry((class, code)).or_default() += 1;
    }

    /// How the batch came about, for its record.
    #[must_use]
    pub fn detail(&self) -> Detail {
        let faults = self.faults.iter().map(|((class, code), count)| Fault {
            class: (*class).to_owned(),
            code: (*code).to_owned(),
            count: *count,
        });
        Detail {
            version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            faults: faults.collect(),
            ..self.took.clone()
        }
    }

    /// Takes note of a settled batch: the manifest of an upload holds everything; what the last plan found without one has to be
    /// remembered.
    pub fn settled(&mut self, uploaded: bool, unwritten: bool) {
        (self.took, self.faults) = (Detail::default(), BTreeMap::new());
        let Some(prepared) = &self.prepared else {
            return;
        };
        if uploaded {
            self.seen = Seen::default();
            let landed = self.upload.as_ref().zip(self.project);
            self.known = landed.map(|(upload, project)| Known {
                project,
                version: upload.version,
                attempt: upload.attempt.clone(),
            });
        }
        if unwritten {
            self.seen.merge(prepared.seen.clone());
        }
    }

    /// The time an upload may take: Azkaban needs 0.6 to 2.2 ms per flow, the rest is room for a slow one.
    #[must_use]
    pub fn upload_limit(&self) -> Duration {
        let flows = self
            .prepared
            .as_ref()
            .map_or(0, |prepared| prepared.expected.len());
        Duration::from_secs(300)
            + Duration::from_millis(20).saturating_mul(u32::try_from(flows).unwrap_or(u32::MAX))
    }
}
