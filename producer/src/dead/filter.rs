//! Which dead letters are meant.

use flowlift_azkaban::ProjectName;
use flowlift_azkaban::name::fold;
use flowlift_common::RunId;

use super::id::{Id, RunRef};
use super::letter::{Entry, Unread, died_ms};

/// Conditions; all of them have to hold. None means all letters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of this run.
    pub run: Option<RunRef>,
    /// Of this project, case ignored as Azkaban does.
    pub project: Option<ProjectName>,
    /// With this in the reason, case ignored.
    pub reason: Option<String>,
    /// Died before this, ms since 1970.
    pub before_ms: Option<u64>,
    /// Died after this, ms since 1970.
    pub after_ms: Option<u64>,
}

/// What is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// These.
    Ids(Vec<Id>),
    /// All that fulfil this.
    Filter(Filter),
}

/// What both kinds of letter can be asked.
struct Asked<'a> {
    run: Option<RunId>,
    project: Option<&'a str>,
    reason: &'a str,
    died_ms: Option<u64>,
}

impl Filter {
    /// Whether it means every letter.
    #[must_use]
    pub fn is_all(&self) -> bool {
        *self == Self::default()
    }

    fn holds(&self, asked: &Asked<'_>) -> bool {
        // what is not written down fulfils no condition
        let run = self
            .run
            .is_none_or(|wanted| asked.run.is_some_and(|run| wanted.names(run)));
        let project = self
            .project
            .as_ref()
            .is_none_or(|wanted| asked.project.is_some_and(|project| fold(project) == wanted.key()));
        let reason = self
            .reason
            .as_ref()
            .is_none_or(|part| fold(asked.reason).contains(&fold(part)));
        let before = self
            .before_ms
            .is_none_or(|limit| asked.died_ms.is_some_and(|at| at <= limit));
        let after = self
            .after_ms
            .is_none_or(|limit| asked.died_ms.is_some_and(|at| at >= limit));
        run && project && reason && before && after
    }
}

impl Selection {
    /// Whether a change is meant.
    #[must_use]
    pub fn takes(&self, entry: &Entry<'_>) -> bool {
        let envelope = &entry.letter.envelope;
        match self {
            Self::Ids(ids) => ids.iter().any(
                |id| matches!(id, Id::Change(run, seq) if *seq == entry.change.seq && run.names(envelope.run)),
            ),
            Self::Filter(filter) => filter.holds(&Asked {
                run: Some(envelope.run),
                project: Some(envelope.project.as_str()),
                reason: entry.reason(),
                died_ms: died_ms(entry.letter),
            }),
        }
    }

    /// Whether a body that cannot be read is meant.
    #[must_use]
    pub fn takes_unread(&self, unread: &Unread) -> bool {
        match self {
            Self::Ids(ids) => ids.contains(&Id::Unread(unread.hash)),
            Self::Filter(filter) => filter.holds(&Asked {
                run: unread.run,
                project: unread.project.as_deref(),
                reason: &unread.reason,
                died_ms: unread.at_ms,
            }),
        }
    }

    /// For people, behind "dead letters": ` of run ...`, ` in project ...`; empty for all.
    #[must_use]
    pub fn describe(&self) -> String {
        let Self::Filter(filter) = self else {
            return String::new();
        };
        let mut text = String::new();
        if let Some(run) = &filter.run {
            text += &format!(" of run {run}");
        }
        if let Some(project) = &filter.project {
            text += &format!(" in project {project}");
        }
        if let Some(reason) = &filter.reason {
            text += &format!(" with {reason:?} in the reason");
        }
        if filter.before_ms.is_some() || filter.after_ms.is_some() {
            text += " of that age";
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::super::letter::tests::letter;
    use super::super::letter::{Letter, entries, read};
    use super::*;
    use flowlift_common::amqp::Facts;
    use uuid::Uuid;

    const NONE: [u64; 0] = [];

    fn taken(filter: Filter) -> Vec<u64> {
        let selection = Selection::Filter(filter);
        let letter = letter(7, 1, &[1, 2, 30]);
        entries(&letter)
            .filter(|entry| selection.takes(entry))
            .map(|entry| entry.change.seq)
            .collect()
    }

    #[test]
    fn every_condition_counts_and_case_does_not() {
        assert_eq!(taken(Filter::default()), [1, 2, 30]);
        let run = |n| Some(RunRef::Full(RunId(Uuid::from_u128(n))));
        let filter = |change: fn(&mut Filter)| {
            let mut filter = Filter {
                run: run(7),
                ..Filter::default()
            };
            change(&mut filter);
            taken(filter)
        };
        assert_eq!(filter(|_| {}), [1, 2, 30]);
        assert_eq!(filter(|filter| filter.run = "00000007".parse().ok()), [1, 2, 30]);
        assert_eq!(filter(|filter| filter.run = "00000008".parse().ok()), NONE);
        assert_eq!(filter(|filter| filter.reason = Some("REASON 3".into())), [30]);
        assert_eq!(
            filter(|filter| filter.project = ProjectName::new("NIGHT").ok()),
            [1, 2, 30]
        );
        assert_eq!(
            filter(|filter| filter.project = ProjectName::new("day").ok()),
            NONE
        );
        assert_eq!(filter(|filter| filter.before_ms = Some(999)), NONE);
        assert_eq!(filter(|filter| filter.before_ms = Some(1_000)), [1, 2, 30]);
        assert_eq!(filter(|filter| filter.after_ms = Some(1_001)), NONE);
    }

    #[test]
    fn an_id_means_one_change_and_a_hash_one_body() {
        let letter = letter(7, 1, &[1, 2, 30]);
        let ids = Selection::Ids(vec![
            "00000007.30".parse().unwrap(),
            "00000008.1".parse().unwrap(),
        ]);
        let taken: Vec<u64> = entries(&letter)
            .filter(|entry| ids.takes(entry))
            .map(|entry| entry.change.seq)
            .collect();
        assert_eq!(taken, [30]);
        let Letter::Unread(unread) = read(b"junk", &Facts::default()) else {
            panic!("it cannot be read");
        };
        assert!(Selection::Ids(vec![Id::Unread(unread.hash)]).takes_unread(&unread));
        assert!(!Selection::Ids(vec![Id::Unread(1)]).takes_unread(&unread));
    }

    #[test]
    fn an_age_that_nobody_wrote_down_fulfils_no_condition_about_it() {
        let Letter::Unread(unread) = read(b"junk", &Facts::default()) else {
            panic!("it cannot be read");
        };
        let before = Filter {
            before_ms: Some(u64::MAX),
            ..Filter::default()
        };
        assert!(!Selection::Filter(before).takes_unread(&unread));
        assert!(Selection::Filter(Filter::default()).takes_unread(&unread));
    }
}
