//! Carries a project's actions out on the models, as `src/hands/` does on real connections. What is decided on the way is
//! decided by production's own pure rooms.

pub(crate) mod attempts;
pub(crate) mod base;
pub(crate) mod looks;
pub(crate) mod plan;
pub(crate) mod schedule;
pub(crate) mod upload;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use flowlift_azkaban::client::ProjectId;
use flowlift_common::{RunId, Seen, ledger};
use flowlift_consumer::base::Base;
use flowlift_consumer::plan::{ChangeId, ScheduleStep};
use flowlift_consumer::work::Known;

use super::floor::Held;
use crate::azkaban::content::Content;
use crate::clock::Ms;

/// Whom Azkaban knows the consumers as; people have names of their own.
pub(crate) const USER: &str = "flowlift";

/// A base and what Azkaban said about it.
#[derive(Debug, Clone)]
pub(crate) struct BaseInHand {
    pub(crate) base: Rc<Base>,
    pub(crate) exists: bool,
    /// The highest version seen, burnt ones included.
    pub(crate) highest: u32,
}

/// A batch, planned.
#[derive(Debug, Clone)]
pub(crate) struct Prepared {
    pub(crate) held: Vec<Held>,
    pub(crate) attempt: String,
    pub(crate) generation: u64,
    /// The zip; none where nothing is uploaded.
    pub(crate) zip: Option<Rc<Content>>,
    /// What it was planned on.
    pub(crate) base: Rc<Base>,
    /// Whether it is uploaded to see whether Azkaban takes the project as it is.
    pub(crate) forced: bool,
    pub(crate) expected: Rc<BTreeSet<String>>,
    pub(crate) schedules: Rc<Vec<ScheduleStep>>,
    pub(crate) highest: u32,
    pub(crate) seen: Seen,
    pub(crate) restored: Vec<(RunId, u64, String)>,
}

/// What is kept of a project between two actions; mirrors `Work`, without zips and connections.
#[derive(Debug, Default)]
pub(crate) struct Bench {
    pub(crate) base: Option<BaseInHand>,
    pub(crate) prepared: Option<Prepared>,
    pub(crate) announced: Option<Ms>,
    pub(crate) server: Option<String>,
    pub(crate) left: BTreeMap<String, Option<String>>,
    pub(crate) upload: Option<ledger::UploadFacts>,
    pub(crate) project: Option<ProjectId>,
    pub(crate) created: bool,
    pub(crate) rescheduled: BTreeSet<ChangeId>,
    pub(crate) seen: Seen,
    pub(crate) known: Option<Known>,
}

impl Bench {
    /// Forgets the batch; what has to outlive it stays.
    pub(crate) fn forget(&mut self) {
        *self = Self {
            seen: std::mem::take(&mut self.seen),
            known: self.known.take(),
            ..Self::default()
        };
    }

    /// Takes note of a settled batch.
    pub(crate) fn settled(&mut self, uploaded: bool, unwritten: bool) {
        let Some(prepared) = &self.prepared else { return };
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
}
