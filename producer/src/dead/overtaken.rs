//! Whether something newer has become of the same flow, as the ledger tells it.

use std::collections::HashMap;

use flowlift_azkaban::name::fold;
use flowlift_common::ledger::{Outcome, Settled};
use flowlift_common::{Act, Order, RunId};
use xxhash_rust::xxh3::xxh3_64;

use super::letter::Entry;

/// How the ledger begins what it says about a pattern.
const PATTERN: &str = "flows matching ";

/// What counts as newer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Any change above the dead one: it would be overwritten by a change that becomes the newest.
    AllRuns,
    /// Later changes of the dead one's own run. Where a change keeps its rank all others win by their rank; a later one of
    /// its own run, of the same rank, would lose against the new run's id.
    OwnRun,
}

/// Something that was brought up, or taken away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Landed {
    /// Its place among all changes; the rank is its run's highest.
    pub order: Order,
    /// What it was about.
    pub what: String,
}

/// Flows and files to look for in the ledger. Names are kept as hashes: there may be millions, and a collision only asks a
/// needless question.
#[derive(Debug)]
pub struct Watch {
    scope: Scope,
    newest: HashMap<u64, Option<Landed>>,
}

impl Watch {
    /// Looks for nothing yet.
    #[must_use]
    pub fn new(scope: Scope) -> Self {
        Self {
            scope,
            newest: HashMap::new(),
        }
    }

    /// Whether ranks of runs are needed to judge.
    #[must_use]
    pub fn needs_ranks(&self) -> bool {
        self.scope == Scope::AllRuns
    }

    /// Looks for what a dead change is about.
    pub fn add(&mut self, entry: &Entry<'_>) {
        for key in self.keys(entry) {
            self.newest.entry(key).or_default();
        }
    }

    /// Takes a record of the ledger. `rank` knows the highest rank of each run.
    pub fn settled(&mut self, record: &Settled, rank: impl Fn(RunId) -> Option<u64>) {
        let project = record.project.key();
        let landed = record.results.iter().filter(|result| {
            matches!(
                result.outcome,
                Outcome::Applied | Outcome::Unchanged | Outcome::Restored
            )
        });
        for result in landed {
            let seqs = result.ranges.iter().flat_map(|&(first, last)| first..=last);
            // the run's clock is near its rank, where the record of the run is gone
            let rank = rank(result.run).or_else(|| result.run.made_at_ms()).unwrap_or(0);
            for (seq, label) in seqs.zip(&result.labels) {
                let order = Order {
                    rank,
                    run: result.run,
                    seq,
                };
                for part in parts(label) {
                    let key = self.key(result.run, &project, part);
                    let Some(newest) = self.newest.get_mut(&key) else {
                        continue;
                    };
                    if newest.as_ref().is_none_or(|newest| is_newer(order, newest.order)) {
                        *newest = Some(Landed {
                            order,
                            what: label.clone(),
                        });
                    }
                }
            }
        }
    }

    /// Whether anything at all was brought up, or taken away, that is looked for.
    #[must_use]
    pub fn has_found(&self) -> bool {
        self.newest.values().any(Option::is_some)
    }

    /// What is newer than a dead change, if anything is.
    #[must_use]
    pub fn over(&self, entry: &Entry<'_>) -> Option<&Landed> {
        let own = entry.order();
        self.keys(entry)
            .into_iter()
            .filter_map(|key| self.newest.get(&key)?.as_ref())
            // a run's own pattern spares the run's flows
            .filter(|landed| !(landed.what.starts_with(PATTERN) && landed.order.run == own.run))
            .find(|landed| is_newer(landed.order, own))
    }

    fn keys(&self, entry: &Entry<'_>) -> Vec<u64> {
        let envelope = &entry.letter.envelope;
        let project = envelope.project.key();
        let label = entry.change.label();
        let mut keys: Vec<u64> = parts(&label)
            .map(|part| self.key(envelope.run, &project, part))
            .collect();
        if self.scope == Scope::AllRuns && matches!(entry.change.act, Act::Upsert(_)) {
            keys.push(self.key(envelope.run, &project, PATTERN));
        }
        keys
    }

    fn key(&self, run: RunId, project: &str, part: &str) -> u64 {
        let run = match self.scope {
            Scope::AllRuns => String::new(),
            Scope::OwnRun => run.to_string(),
        };
        xxh3_64(format!("{run}/{project}/{}", fold(part)).as_bytes())
    }
}

/// A unit's label holds all its flows; no flow has a comma in its name. All patterns of a project are one thing here.
fn parts(label: &str) -> impl Iterator<Item = &str> {
    let whole = label.starts_with("file ") || label.starts_with(PATTERN);
    let label = if label.starts_with(PATTERN) {
        PATTERN
    } else {
        label
    };
    let split = if whole { "\n" } else { ", " };
    label.split(split)
}

/// The rank of a long run rises: within a run the place alone counts.
fn is_newer(one: Order, other: Order) -> bool {
    if one.run == other.run {
        one.seq > other.seq
    } else {
        one > other
    }
}

#[cfg(test)]
mod tests {
    use super::super::letter::entries;
    use super::super::letter::tests::letter;
    use super::*;
    use flowlift_azkaban::ProjectName;
    use flowlift_common::ledger::{Detail, Outcomes, SETTLED_VERSION};
    use uuid::Uuid;

    fn run(n: u128) -> RunId {
        RunId(Uuid::from_u128(n))
    }

    fn record(by: u128, seq: u64, outcome: Outcome, label: &str) -> Settled {
        Settled {
            v: SETTLED_VERSION,
            project: ProjectName::new("NIGHT").unwrap(),
            consumer: "c".into(),
            at_ms: 0,
            upload: None,
            created_project: false,
            results: vec![Outcomes {
                run: run(by),
                outcome,
                note: None,
                ranges: vec![(seq, seq)],
                labels: vec![label.into()],
                published_ms: 0,
                spread: Vec::new(),
            }],
            detail: Detail::default(),
        }
    }

    /// What is newer than the dead deletion of f3, change 3 of run 5 with rank 50.
    fn over(scope: Scope, records: &[Settled]) -> Option<(u128, String)> {
        let letter = letter(5, 50, &[3]);
        let entry = entries(&letter).next().unwrap();
        let mut watch = Watch::new(scope);
        watch.add(&entry);
        for record in records {
            watch.settled(record, |run| u64::try_from(run.0.as_u128() * 10).ok());
        }
        let landed = watch.over(&entry)?;
        Some((landed.order.run.0.as_u128(), landed.what.clone()))
    }

    #[test]
    fn a_later_run_of_the_same_flow_is_newer_and_an_older_or_dead_one_is_not() {
        let all = Scope::AllRuns;
        assert_eq!(
            over(all, &[record(6, 1, Outcome::Applied, "F3")]),
            Some((6, "F3".into()))
        );
        assert_eq!(
            over(all, &[record(6, 1, Outcome::Unchanged, "a, f3")]),
            Some((6, "a, f3".into()))
        );
        assert_eq!(over(all, &[record(4, 9, Outcome::Applied, "f3")]), None);
        assert_eq!(over(all, &[record(6, 1, Outcome::Dead, "f3")]), None);
        assert_eq!(over(all, &[record(6, 1, Outcome::Applied, "f33")]), None);
        assert_eq!(over(all, &[record(6, 1, Outcome::Applied, "file f3")]), None);
        assert_eq!(
            over(all, &[record(5, 4, Outcome::Applied, "f3")]),
            Some((5, "f3".into()))
        );
        assert_eq!(over(all, &[record(5, 2, Outcome::Applied, "f3")]), None);
    }

    #[test]
    fn what_keeps_its_rank_is_overtaken_by_its_own_run_alone() {
        let own = Scope::OwnRun;
        assert_eq!(over(own, &[record(6, 1, Outcome::Applied, "f3")]), None);
        assert_eq!(over(own, &[record(5, 2, Outcome::Applied, "f3")]), None);
        assert_eq!(
            over(own, &[record(5, 4, Outcome::Applied, "f3")]),
            Some((5, "f3".into()))
        );
    }
}
