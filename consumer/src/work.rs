//! What the shell keeps of a project between two actions of its heart.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use flowlift_common::{Envelope, ledger};
use tokio::sync::OwnedSemaphorePermit;

use crate::base::Base;
use crate::plan::{ScheduleStep, Seen};

/// A base and what Azkaban said about it.
#[derive(Debug, Clone)]
pub struct BaseInHand {
    /// The content.
    pub base: Arc<Base>,
    /// Whether the project is there.
    pub exists: bool,
    /// The highest version seen, burnt ones included; 0: never uploaded.
    pub highest: u32,
    /// Whether the landed zip was written by the upload that its manifest names.
    pub ours: bool,
    /// Its place among the unpacked projects; free again when the base is dropped.
    pub desk: Option<Arc<OwnedSemaphorePermit>>,
}

/// A batch, planned and packed.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The messages it settles, read.
    pub envelopes: Arc<Vec<(u64, Envelope)>>,
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
    /// Changes that the upload carries.
    pub carried: usize,
    /// Orders to remember if nothing is uploaded.
    pub seen: Seen,
}

/// A project's things.
#[derive(Debug, Default)]
pub struct Work {
    /// Read and not planned yet.
    pub base: Option<BaseInHand>,
    /// Planned last.
    pub prepared: Option<Prepared>,
    /// When the announcement was confirmed: a body that has not begun soon after must be announced anew.
    pub announced: Option<Instant>,
    /// The upload that was answered.
    pub upload: Option<ledger::UploadFacts>,
    /// Whether the project was made for this batch.
    pub created: bool,
    /// Orders that stand in no manifest yet.
    pub seen: Seen,
}

/// How many unrecorded orders are remembered per project.
const SEEN: usize = 20_000;

impl Work {
    /// Forgets the batch; what has to outlive it stays.
    pub fn forget(&mut self) {
        let seen = std::mem::take(&mut self.seen);
        *self = Self {
            seen,
            ..Self::default()
        };
    }

    /// Remembers orders after a batch that needed no upload, or drops them once a manifest holds them.
    pub fn remember(&mut self, uploaded: bool) {
        if uploaded {
            self.seen.clear();
        } else if let Some(prepared) = &self.prepared {
            for (key, order) in &prepared.seen {
                let known = self.seen.entry(key.clone()).or_insert(*order);
                *known = (*known).max(*order);
            }
            while self.seen.len() > SEEN {
                self.seen.pop_first();
            }
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
