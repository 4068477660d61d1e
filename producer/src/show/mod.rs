//! What became of changes: picks them from the records of the ledger. Pure.

pub mod words;

use std::collections::HashMap;

use flowlift_azkaban::ProjectName;
use flowlift_azkaban::name::fold;
use flowlift_common::ledger::{Outcome, Settled};
use flowlift_common::order::RunId;
use flowlift_common::ranges::RangeSet;

use crate::dead::id::RunRef;
use crate::runs::read::Glance;

/// Which changes are asked for; all conditions have to hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// Of this project, case ignored as Azkaban does.
    pub project: Option<ProjectName>,
    /// Of this flow or file, case ignored.
    pub flow: Option<String>,
    /// Of this run.
    pub run: Option<RunRef>,
}

/// What became of one change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fate {
    /// When, by the consumer's clock, ms since 1970.
    pub at_ms: u64,
    /// The project.
    pub project: ProjectName,
    /// What it was about.
    pub what: String,
    /// What became of it.
    pub outcome: Outcome,
    /// Its run.
    pub run: RunId,
    /// Its place in the run.
    pub seq: u64,
    /// Who settled it.
    pub consumer: String,
    /// The version of the upload that carried it.
    pub version: Option<u32>,
    /// Why, or what else there is to say.
    pub note: Option<String>,
}

impl Asked {
    /// Whether a record can hold one that is asked for.
    #[must_use]
    pub fn matters(&self, glance: &Glance) -> bool {
        let project = self
            .project
            .as_ref()
            .is_none_or(|asked| asked.key() == fold(&glance.project));
        let run = self
            .run
            .is_none_or(|asked| glance.results.iter().any(|at| asked.names(at.run)));
        project && run
    }

    fn names(&self, label: &str) -> bool {
        let Some(flow) = &self.flow else { return true };
        let asked = fold(flow);
        // a unit's label holds all its flows; no flow has a comma in its name
        fold(label) == asked
            || label.split(", ").any(|name| fold(name) == asked)
            || label
                .strip_prefix("file ")
                .is_some_and(|path| fold(path) == asked)
    }

    /// For people, behind "changes".
    #[must_use]
    pub fn describe(&self) -> String {
        let mut text = String::new();
        if let Some(run) = &self.run {
            text += &format!(" of run {run}");
        }
        if let Some(project) = &self.project {
            text += &format!(" in project {project}");
        }
        if let Some(flow) = &self.flow {
            text += &format!(" of {flow}");
        }
        text
    }
}

/// Tells what was told before: records may come twice, and the first final outcome of a change counts. That something came
/// back later is one more piece of news of the change that had brought it.
#[derive(Debug, Default)]
pub struct Told {
    last: HashMap<RunId, RangeSet>,
    restored: HashMap<RunId, RangeSet>,
}

impl Told {
    /// Those of the sequences that are news.
    fn news(&mut self, run: RunId, (first, last): (u64, u64), outcome: Outcome) -> Vec<(u64, u64)> {
        let known = self.last.entry(run).or_default();
        let mut news = known.insert(first, last);
        if outcome == Outcome::Restored {
            // what is final with this record came back with it too
            let restored = self.restored.entry(run).or_default().insert(first, last);
            for (first, last) in restored {
                news.extend((first..=last).map(|seq| (seq, seq)));
            }
            news.sort_unstable();
            news.dedup_by(|later, first| later.0 <= first.1);
        }
        news
    }
}

/// Hands over those changes of a record that are asked for and are news.
pub fn fates(record: &Settled, asked: &Asked, told: &mut Told, mut each: impl FnMut(Fate)) {
    for result in &record.results {
        if asked.run.is_some_and(|run| !run.names(result.run)) {
            continue;
        }
        let mut place = 0;
        for &(first, last) in &result.ranges {
            let label = |seq: u64| {
                let at = usize::try_from(seq - first)
                    .ok()
                    .and_then(|at| result.labels.get(place + at));
                at.map(String::as_str)
            };
            let news = if asked.flow.is_none() {
                told.news(result.run, (first, last), result.outcome)
            } else {
                let named = (first..=last).filter(|seq| asked.names(label(*seq).unwrap_or_default()));
                named
                    .flat_map(|seq| told.news(result.run, (seq, seq), result.outcome))
                    .collect()
            };
            for seq in news.into_iter().flat_map(|(first, last)| first..=last) {
                each(Fate {
                    at_ms: record.at_ms,
                    project: record.project.clone(),
                    what: label(seq).map_or_else(|| format!("change {seq}"), str::to_owned),
                    outcome: result.outcome,
                    run: result.run,
                    seq,
                    consumer: record.consumer.clone(),
                    version: record.upload.as_ref().map(|upload| upload.version),
                    note: result.note.clone(),
                });
            }
            place +=
                usize::try_from(last.saturating_sub(first)).map_or(usize::MAX, |span| span.saturating_add(1));
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use flowlift_common::ledger::{Detail, Outcomes, SETTLED_VERSION, UploadFacts};
    use uuid::Uuid;

    pub(crate) fn record(run: u128, outcome: Outcome, labels: &[&str]) -> Settled {
        Settled {
            v: SETTLED_VERSION,
            project: ProjectName::new("Night").unwrap(),
            consumer: "c1".into(),
            at_ms: 60_000,
            upload: Some(UploadFacts {
                attempt: "a".into(),
                version: 7,
                zip_bytes: 1,
                flows: 1,
                upload_ms: 1,
            }),
            created_project: false,
            results: vec![Outcomes {
                run: RunId(Uuid::from_u128(run)),
                outcome,
                note: (outcome == Outcome::Dead).then(|| "because".into()),
                ranges: vec![(1, labels.len() as u64)],
                labels: labels.iter().map(|label| (*label).to_owned()).collect(),
                published_ms: 0,
                spread: Vec::new(),
            }],
            detail: Detail::default(),
        }
    }

    fn told(asked: &Asked, records: &[Settled]) -> Vec<String> {
        let (mut told, mut lines) = (Told::default(), Vec::new());
        for record in records {
            fates(record, asked, &mut told, |fate| {
                lines.push(format!("{} {} {}", fate.seq, fate.what, fate.outcome));
            });
        }
        lines
    }

    #[test]
    fn a_flow_is_found_by_any_spelling_in_units_and_as_a_file() {
        let records = [record(
            1,
            Outcome::Applied,
            &["Load", "a, LOAD", "file load", "loader"],
        )];
        let asked = Asked {
            flow: Some("load".into()),
            ..Asked::default()
        };
        assert_eq!(
            told(&asked, &records),
            ["1 Load applied", "2 a, LOAD applied", "3 file load applied"]
        );
    }

    #[test]
    fn the_first_outcome_counts_and_what_came_back_is_news() {
        let records = [
            record(1, Outcome::Applied, &["f"]),
            record(1, Outcome::Applied, &["f"]),
            record(1, Outcome::Superseded, &["f"]),
            record(1, Outcome::Restored, &["f"]),
            record(1, Outcome::Restored, &["f"]),
            record(2, Outcome::Dead, &["f"]),
            record(3, Outcome::Restored, &["a", "b"]),
            record(3, Outcome::Restored, &["a", "b"]),
        ];
        let all = told(&Asked::default(), &records);
        let wanted = [
            "1 f applied",
            "1 f restored",
            "1 f dead",
            "1 a restored",
            "2 b restored",
        ];
        assert_eq!(all, wanted);
        let asked = Asked {
            run: "00000002".parse().ok(),
            ..Asked::default()
        };
        assert_eq!(told(&asked, &records), ["1 f dead"]);
    }

    #[test]
    fn a_glance_tells_whether_a_record_matters() {
        let glance = |record: &Settled| {
            serde_json::from_value::<Glance>(serde_json::to_value(record).unwrap()).unwrap()
        };
        let here = glance(&record(1, Outcome::Applied, &["f"]));
        let asked = |project: Option<&str>, run: Option<&str>| Asked {
            project: project.map(|name| ProjectName::new(name).unwrap()),
            flow: None,
            run: run.map(|run| run.parse().unwrap()),
        };
        assert!(asked(None, None).matters(&here));
        assert!(asked(Some("NIGHT"), Some("00000001")).matters(&here));
        assert!(!asked(Some("day"), None).matters(&here));
        assert!(!asked(None, Some("00000002")).matters(&here));
    }
}
