//! Carries a project's actions out on the models, as `src/hands/` does on real connections.

pub(crate) mod attempts;
pub(crate) mod base;
pub(crate) mod plan;
pub(crate) mod schedule;
pub(crate) mod upload;

use std::collections::BTreeSet;
use std::rc::Rc;

use flowlift_azkaban::client::ClientError;
use flowlift_common::{Envelope, ledger};
use flowlift_consumer::base::Base;
use flowlift_consumer::plan::{ScheduleStep, Seen};
use flowlift_consumer::project::Trouble;

use crate::azkaban::content::Content;
use crate::clock::Ms;

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
    pub(crate) envelopes: Rc<Vec<(u64, Rc<Envelope>)>>,
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
}

/// What is kept of a project between two actions.
#[derive(Debug, Default)]
pub(crate) struct Bench {
    pub(crate) base: Option<BaseInHand>,
    pub(crate) prepared: Option<Prepared>,
    pub(crate) announced: Option<Ms>,
    pub(crate) upload: Option<ledger::UploadFacts>,
    pub(crate) created: bool,
    pub(crate) seen: Seen,
}

impl Bench {
    /// Forgets the batch; what has to outlive it stays.
    pub(crate) fn forget(&mut self) {
        let seen = std::mem::take(&mut self.seen);
        *self = Self {
            seen,
            ..Self::default()
        };
    }

    /// Remembers orders after a batch that needed no upload, or drops them once a manifest holds them.
    pub(crate) fn remember(&mut self, uploaded: bool) {
        if uploaded {
            self.seen.clear();
        } else if let Some(prepared) = &self.prepared {
            for (key, order) in &prepared.seen {
                let known = self.seen.entry(key.clone()).or_insert(*order);
                *known = (*known).max(*order);
            }
        }
    }
}

/// What an error means for the road.
fn trouble(error: &ClientError) -> Trouble {
    match error {
        ClientError::ProjectMissing { .. } => Trouble::ProjectMissing,
        _ => Trouble::Later(error.to_string()),
    }
}
