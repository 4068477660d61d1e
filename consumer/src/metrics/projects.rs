//! Changes by project: off unless asked for, and then for a number of projects that is said beforehand.
//!
//! A series can never be given to another project, so the first ones that come have them; the rest counts together.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use flowlift_azkaban::ProjectName;
use prometheus::IntCounterVec;

use super::make::Maker;

const OTHER: &str = "other";

pub(super) struct Projects {
    changes: IntCounterVec,
    limit: usize,
    /// Those with a series of their own.
    known: Mutex<HashSet<String>>,
}

impl Projects {
    /// `None`: nobody wants it.
    pub(super) fn of(maker: &Maker, limit: usize) -> Option<Self> {
        if limit == 0 {
            return None;
        }
        let changes = maker.counters("project_changes_total", "Changes that got their final outcome, by project; only with --metrics-projects N, and then for the first N projects that come: all others together are project=\"other\"", &["project"]);
        changes.with_label_values(&[OTHER]);
        Some(Self {
            changes,
            limit,
            known: Mutex::default(),
        })
    }

    pub(super) fn count(&self, project: &ProjectName, changes: u64) {
        self.changes
            .with_label_values(&[self.label(&project.key())])
            .inc_by(changes);
    }

    fn label<'a>(&self, project: &'a str) -> &'a str {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.contains(project) {
            return project;
        }
        if known.len() >= self.limit {
            return OTHER;
        }
        known.insert(project.to_owned());
        project
    }
}
