//! What became of a run, for people and programs.

use std::collections::BTreeMap;
use std::time::Duration;

use flowlift_common::fold::{DeadChange, Named, RunState};
use flowlift_common::ledger::Outcome;
use flowlift_common::order::RunId;
use serde_json::{Value, json};

use crate::words::{count, some, span, thousands};

/// Dead changes that are shown one by one.
const SHOWN: usize = 50;
/// Flows that are named of those adopted or brought back.
const NAMED: usize = 5;

/// A settled run.
#[derive(Debug, Clone)]
pub struct Summary {
    run: RunId,
    total: u64,
    partial: bool,
    projects: usize,
    outcomes: Vec<(Outcome, u64)>,
    uploads: usize,
    created: Vec<String>,
    adopted: Named,
    restored: Named,
    dead: Vec<DeadChange>,
    took: Duration,
}

impl Summary {
    /// Of a state.
    #[must_use]
    pub fn of(state: &RunState, run: RunId, took: Duration) -> Self {
        let closing = state.closing();
        Self {
            run,
            total: state.total().unwrap_or_default(),
            partial: closing.is_some_and(|closing| closing.partial),
            projects: closing.map_or(0, |closing| closing.projects.len()),
            outcomes: Outcome::ALL
                .map(|outcome| (outcome, state.count(outcome)))
                .to_vec(),
            uploads: state.uploads(),
            created: state.created().iter().map(ToString::to_string).collect(),
            adopted: state.adopted().clone(),
            restored: state.restored(),
            dead: state.dead().to_vec(),
            took,
        }
    }

    /// Whether all changes could be applied.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.dead.is_empty()
    }

    /// All its changes.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// How many changes got which outcome.
    #[must_use]
    pub fn outcomes(&self) -> &[(Outcome, u64)] {
        &self.outcomes
    }

    /// For programs.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let outcomes: BTreeMap<&str, u64> = self
            .outcomes
            .iter()
            .map(|(outcome, n)| (outcome.as_str(), *n))
            .collect();
        let dead: Vec<Value> = self
            .dead
            .iter()
            .map(|dead| json!({"project": dead.project, "what": dead.label, "reason": dead.reason}))
            .collect();
        json!({"run": self.run, "changes": self.total, "partial": self.partial, "projects": self.projects,
            "outcomes": outcomes, "uploads": self.uploads, "created": self.created,
            "adopted": named_json(&self.adopted), "restored": named_json(&self.restored), "dead": dead,
            "seconds": (self.took.as_secs_f64() * 1000.0).round() / 1000.0})
    }

    /// For people: one line, and what they must know besides.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let outcomes: Vec<String> = self
            .outcomes
            .iter()
            .filter(|(_, n)| *n > 0)
            .map(|(outcome, n)| format!("{} {outcome}", thousands(*n)))
            .collect();
        let outcomes = if outcomes.is_empty() {
            "nothing to do".to_owned()
        } else {
            outcomes.join(", ")
        };
        let of = if self.projects == 1 {
            String::new()
        } else {
            format!(" in {}", count(self.projects as u64, "project"))
        };
        let uploads = count(self.uploads as u64, "upload");
        let mut lines = vec![format!(
            "{}{of}: {outcomes}; {uploads}, {}",
            count(self.total, "change"),
            span(self.took)
        )];
        if self.partial {
            lines
                .push("the run was interrupted while it was published: less is queued than was meant".into());
        }
        if !self.created.is_empty() {
            let s = if self.created.len() == 1 { "" } else { "s" };
            lines.push(format!("made the missing project{s} {}", some(&self.created, 5)));
        }
        if self.adopted.count > 0 {
            let files = self
                .adopted
                .first
                .iter()
                .any(|(_, label)| label.starts_with("file "));
            let and_files = if files { " and files" } else { "" };
            let flows = count(self.adopted.count, "flow");
            let names = self.names(&self.adopted);
            lines.push(format!("adopted {flows}{and_files} that nobody owned: {names}"));
        }
        if self.restored.count > 0 {
            let flows = count(self.restored.count, "flow");
            let were = if self.restored.count == 1 { "was" } else { "were" };
            let names = self.names(&self.restored);
            lines.push(format!("brought back {flows} that {were} lost: {names}"));
        }
        if !self.dead.is_empty() {
            lines.push(format!(
                "{} could not be applied:",
                count(self.dead.len() as u64, "change")
            ));
            lines.extend(table(&self.dead));
        }
        lines
    }

    /// The first names, with their projects where there are several.
    fn names(&self, named: &Named) -> String {
        let shown = named.first.iter().take(NAMED);
        let names: Vec<String> = shown
            .map(|(project, label)| match self.projects {
                1 => label.clone(),
                _ => format!("{project}/{label}"),
            })
            .collect();
        let more = named.count - names.len() as u64;
        let names = names.join(", ");
        match more {
            0 => names,
            _ => format!("{names} and {} more", thousands(more)),
        }
    }
}

fn named_json(named: &Named) -> Value {
    let first = named.first.iter();
    let first: Vec<Value> = first
        .map(|(project, label)| json!({"project": project, "what": label}))
        .collect();
    json!({"count": named.count, "first": first})
}

/// Dead changes, those with one reason together.
#[must_use]
pub fn table(dead: &[DeadChange]) -> Vec<String> {
    let mut by_reason: BTreeMap<(String, &str), Vec<String>> = BTreeMap::new();
    for one in dead {
        let key = (one.project.to_string(), one.reason.as_str());
        by_reason.entry(key).or_default().push(one.label.clone());
    }
    let reasons = by_reason.len();
    let mut lines: Vec<String> = by_reason
        .into_iter()
        .take(SHOWN)
        .map(|((project, reason), labels)| format!("  {project}: {}: {reason}", some(&labels, 5)))
        .collect();
    if reasons > SHOWN {
        lines.push(format!(
            "  and {} more",
            count((reasons - SHOWN) as u64, "reason")
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use flowlift_azkaban::ProjectName;
    use flowlift_common::ledger::{ADOPTED, Outcomes, RunEvent, SETTLED_VERSION, Settled, UploadFacts};

    fn state() -> RunState {
        let run = RunId(uuid::Uuid::from_u128(1));
        let project = ProjectName::new("night").unwrap();
        let mut state = RunState::new(run);
        let result = |outcome, range, labels: &[&str]| Outcomes {
            run,
            outcome,
            note: Some("flow x is another owner's".into()),
            ranges: vec![range],
            labels: labels.iter().map(|label| (*label).to_owned()).collect(),
            published_ms: 0,
        };
        state.settled(&Settled {
            v: SETTLED_VERSION,
            project: project.clone(),
            consumer: "c".into(),
            at_ms: 0,
            upload: None,
            created_project: true,
            results: vec![
                result(Outcome::Applied, (1, 1200), &[]),
                result(Outcome::Dead, (1201, 1203), &["a", "b", "c"]),
            ],
        });
        state.run_event(&RunEvent::Closed {
            run,
            rank: 1,
            projects: [(project, 1203)].into(),
            partial: false,
            at_ms: 0,
        });
        state
    }

    #[test]
    fn a_summary_names_what_died_and_why_and_what_was_made() {
        let state = state();
        let summary = Summary::of(&state, RunId(uuid::Uuid::from_u128(1)), Duration::from_secs(12));
        assert!(!summary.is_good());
        assert_eq!(
            summary.lines(),
            [
                "1,203 changes: 1,200 applied, 3 dead; 0 uploads, 12 s",
                "made the missing project night",
                "3 changes could not be applied:",
                "  night: a, b, c: flow x is another owner's",
            ]
        );
        assert_eq!(summary.to_json()["outcomes"]["applied"], 1200);
        assert_eq!(summary.to_json()["dead"][1]["what"], "b");
    }

    #[test]
    fn a_summary_says_what_was_adopted_and_what_came_back() {
        let (run, other) = (RunId(uuid::Uuid::from_u128(1)), RunId(uuid::Uuid::from_u128(2)));
        let mut state = state();
        let project = ProjectName::new("night").unwrap();
        let result = |run, outcome, note: Option<&str>, range: (u64, u64), name: &str| Outcomes {
            run,
            outcome,
            note: note.map(str::to_owned),
            ranges: vec![range],
            labels: (range.0..=range.1).map(|n| format!("{name}{n}")).collect(),
            published_ms: 0,
        };
        state.settled(&Settled {
            v: SETTLED_VERSION,
            project,
            consumer: "c".into(),
            at_ms: 0,
            upload: Some(UploadFacts {
                attempt: "a".into(),
                version: 2,
                zip_bytes: 1,
                flows: 1,
                upload_ms: 1,
            }),
            created_project: false,
            results: vec![
                result(run, Outcome::Applied, Some(ADOPTED), (1300, 1306), "f"),
                result(other, Outcome::Restored, None, (1, 1), "lost"),
            ],
        });
        let summary = Summary::of(&state, run, Duration::from_secs(12));
        assert_eq!(
            summary.lines()[2..4],
            [
                "adopted 7 flows that nobody owned: f1300, f1301, f1302, f1303, f1304 and 2 more",
                "brought back 1 flow that was lost: lost1",
            ]
        );
        let json = summary.to_json();
        assert_eq!(json["adopted"]["count"], 7);
        assert_eq!(
            json["restored"],
            json!({"count": 1, "first": [{"project": "night", "what": "lost1"}]})
        );
    }
}
