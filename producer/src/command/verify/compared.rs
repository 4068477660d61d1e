//! What a comparison came to, for people and programs.

use std::collections::BTreeSet;

use flowlift_azkaban::ProjectName;
use flowlift_common::ranges::RangeSet;
use serde_json::{Value, json};

use crate::verify::Difference;
use crate::words::count;

/// Differences that are shown one by one.
const SHOWN: usize = 50;

/// What was compared, and what is not as it should be.
pub(super) struct Compared {
    /// What was compared, for people.
    pub(super) what: String,
    /// In so many projects.
    pub(super) projects: usize,
    /// What differs.
    pub(super) found: Vec<Difference>,
    /// The places (from 1) of a source's changes that differ.
    pub(super) places: RangeSet,
    /// Projects of a run that are not there any more.
    pub(super) gone: BTreeSet<ProjectName>,
}

impl Compared {
    /// For programs.
    pub(super) fn json(&self) -> Value {
        json!({"compared": self.what, "projects": self.projects, "differences": self.differences()})
    }

    /// What differs, for programs.
    pub(super) fn differences(&self) -> Vec<Value> {
        let found = self.found.iter();
        found
            .map(|one| json!({"project": one.project, "what": one.what, "difference": one.text}))
            .collect()
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let of = count(self.projects as u64, "project");
        let verdict = match self.found.len() {
            0 => "all there".to_owned(),
            n => count(n as u64, "difference"),
        };
        let mut lines = self.lines();
        lines.push(format!("{} in {of}: {verdict}", self.what));
        lines.join("\n")
    }

    /// The first differences, one a line.
    pub(super) fn lines(&self) -> Vec<String> {
        let found = self.found.iter().take(SHOWN);
        let mut lines: Vec<String> = found.map(ToString::to_string).collect();
        if self.found.len() > SHOWN {
            lines.push(format!("and {} more", self.found.len() - SHOWN));
        }
        lines
    }

    /// The projects that differ and are there.
    pub(super) fn damaged(&self) -> BTreeSet<&ProjectName> {
        let projects = self.found.iter().map(|one| &one.project);
        projects.filter(|project| !self.gone.contains(*project)).collect()
    }
}
