//! What became of a run, for people and programs.

use std::collections::BTreeMap;
use std::time::Duration;

use flowlift_common::fold::{DeadChange, Named, RunState};
use flowlift_common::ledger::Outcome;
use flowlift_common::order::RunId;
use serde_json::{Value, json};

use crate::when::{Kept, minute_ms, stamp};
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
    cancelled_by: Option<String>,
    created: Vec<String>,
    adopted: Named,
    restored: Named,
    dead: Vec<DeadChange>,
    took: Duration,
    /// Changes that have their outcome.
    done: u64,
    deadline: Option<(u64, Kept)>,
}

impl Summary {
    /// Of a state.
    #[must_use]
    pub fn of(state: &RunState, run: RunId, took: Duration, now_ms: u64) -> Self {
        let deadline_ms = state.opening().and_then(|opening| opening.deadline_ms);
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
            cancelled_by: state.cancelled_by().map(str::to_owned),
            created: state.created().iter().map(ToString::to_string).collect(),
            adopted: state.adopted().clone(),
            restored: state.restored(),
            dead: state.dead().to_vec(),
            took,
            done: state.done(),
            deadline: deadline_ms.map(|at| (at, Kept::of(at, state.settled_ms(), now_ms))),
        }
    }

    /// Whether all is as its publisher wanted it: nothing dead, nothing cancelled.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.dead.is_empty() && self.count(Outcome::Cancelled) == 0
    }

    /// How many changes came to this.
    #[must_use]
    pub fn count(&self, outcome: Outcome) -> u64 {
        let counts = self.outcomes.iter();
        counts.filter(|(one, _)| *one == outcome).map(|(_, n)| n).sum()
    }

    /// The run.
    #[must_use]
    pub fn run(&self) -> RunId {
        self.run
    }

    /// Changes of the run; 0 where it is not closed.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Changes that have their outcome.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.done
    }

    /// How many with each outcome.
    #[must_use]
    pub fn outcomes(&self) -> &[(Outcome, u64)] {
        &self.outcomes
    }

    /// Uploads that carried its changes.
    #[must_use]
    pub fn uploads(&self) -> usize {
        self.uploads
    }

    /// How long it was waited for.
    #[must_use]
    pub fn took(&self) -> Duration {
        self.took
    }

    /// Its deadline, and how it went.
    #[must_use]
    pub fn deadline(&self) -> Option<(u64, Kept)> {
        self.deadline
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
            "outcomes": outcomes, "uploads": self.uploads, "cancelled_by": self.cancelled_by, "created": self.created,
            "adopted": named_json(&self.adopted), "restored": named_json(&self.restored), "dead": dead,
            "deadline": self.deadline.map(|(at, kept)| json!({"at": stamp(at), "kept": kept.decided(), "text": kept.words()})),
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
        if let Some((at, kept)) = self.deadline {
            let at = minute_ms(at, &jiff::tz::TimeZone::system());
            lines.push(format!("deadline {at}: {}", kept.words()));
        }
        if self.partial {
            lines
                .push("the run was interrupted while it was published: less is queued than was meant".into());
        }
        let cancelled = self.count(Outcome::Cancelled);
        if cancelled > 0 {
            let who = self.cancelled_by.as_deref().unwrap_or("somebody");
            let were = if cancelled == 1 { "was" } else { "were" };
            lines.push(format!(
                "{} {were} cancelled by {who}",
                count(cancelled, "change")
            ));
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
    use flowlift_common::ledger::{
        ADOPTED, Detail, Outcomes, RunEvent, SETTLED_VERSION, Settled, UploadFacts,
    };

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
            spread: Vec::new(),
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
            detail: Detail::default(),
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
        let summary = Summary::of(
            &state,
            RunId(uuid::Uuid::from_u128(1)),
            Duration::from_secs(12),
            0,
        );
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
    fn a_summary_says_by_how_much_a_deadline_was_kept_or_missed() {
        let run = RunId(uuid::Uuid::from_u128(1));
        let with = |deadline_ms| {
            let mut state = state();
            state.run_event(&RunEvent::Opened {
                run,
                rank: 1,
                who: "me@here".into(),
                source: "s".into(),
                owner: String::new(),
                at_ms: 1,
                deadline_ms: Some(deadline_ms),
                version: None,
                shards: None,
            });
            Summary::of(&state, run, Duration::from_secs(12), 0)
        };
        // it was settled at 0
        let kept = with(60_000);
        assert!(
            kept.lines()[1].ends_with(": kept, 1 min 0 s to spare"),
            "{:?}",
            kept.lines()
        );
        assert_eq!(kept.to_json()["deadline"]["kept"], true);
        assert_eq!(with(0).deadline(), Some((0, Kept::By(0))));
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
            spread: Vec::new(),
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
            detail: Detail::default(),
        });
        let summary = Summary::of(&state, run, Duration::from_secs(12), 0);
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
