//! What a settlement comes to, message by message: dead letters and the ledger's records. Pure.

use std::collections::{BTreeMap, HashMap};

use flowlift_azkaban::ProjectName;
use flowlift_common::ledger::{
    self, DeadLetter, Detail, Outcome, Outcomes, SETTLED_VERSION, Settled, UploadFacts,
};
use flowlift_common::{Change, Envelope, RunId};

use crate::plan::ChangeId;
use crate::project::{Final, Settlement};

/// So many changes go into one record: with their names it stays well under 256 KiB.
const PER_RECORD: usize = 2_000;
/// So many times of publishing are told apart in one result; a batch of 10,000 changes has some thirteen.
const SPREAD: usize = 64;
/// A dead letter holds at most so many changes, so that it can be looked at and edited.
const PER_DEAD_LETTER: usize = 100;

/// What is known about the batch that is settled.
pub struct Facts<'a> {
    /// Its project.
    pub project: &'a ProjectName,
    /// Who settles.
    pub consumer: &'a str,
    /// This program's clock, ms since 1970.
    pub now_ms: u64,
    /// The upload that carried it; none where none was needed.
    pub upload: Option<UploadFacts>,
    /// Whether the project was made for it.
    pub created: bool,
    /// What came back with it, lost since it had been applied: run, sequence and flow.
    pub restored: Vec<(RunId, u64, String)>,
    /// How it came about, for reports.
    pub detail: Detail,
}

/// The account of one settlement.
pub struct Account<'a> {
    facts: &'a Facts<'a>,
    finals: HashMap<ChangeId, &'a Final>,
    groups: BTreeMap<(RunId, Outcome, Option<String>), Group>,
    published: HashMap<u64, u64>,
}

/// Changes with their names and when they were published.
#[derive(Default)]
struct Group {
    changes: Vec<(u64, String, u64)>,
}

impl<'a> Account<'a> {
    /// Opens it.
    #[must_use]
    pub fn of(facts: &'a Facts<'a>, settlement: &'a Settlement) -> Self {
        let mut groups: BTreeMap<(RunId, Outcome, Option<String>), Group> = BTreeMap::new();
        for (run, seq, flow) in &facts.restored {
            let group = groups.entry((*run, Outcome::Restored, None)).or_default();
            group.changes.push((*seq, flow.clone(), facts.now_ms));
        }
        Self {
            facts,
            finals: settlement.changes.iter().map(|(id, last)| (*id, last)).collect(),
            groups,
            published: HashMap::new(),
        }
    }

    /// Takes a message in; returns the dead letters its changes come to.
    pub fn add(&mut self, receipt: u64, envelope: &Envelope) -> Vec<DeadLetter> {
        self.published.insert(receipt, envelope.published_ms);
        let mut dead: Vec<(&Change, String)> = Vec::new();
        for change in &envelope.changes {
            let seq = change.seq;
            let Some(last) = self.finals.get(&ChangeId { receipt, seq }) else {
                continue;
            };
            let note = last.note.as_deref().map(ledger::cut);
            if last.outcome == Outcome::Dead {
                dead.push((change, note.clone().unwrap_or_default()));
            }
            let group = self.groups.entry((envelope.run, last.outcome, note)).or_default();
            group.changes.push((seq, change.label(), envelope.published_ms));
        }
        let letter = |few: &[(&Change, String)]| DeadLetter {
            v: SETTLED_VERSION,
            consumer: self.facts.consumer.to_owned(),
            at_ms: self.facts.now_ms,
            reasons: few
                .iter()
                .map(|(change, why)| (change.seq, why.clone()))
                .collect(),
            envelope: Envelope {
                changes: few.iter().map(|(change, _)| (*change).clone()).collect(),
                ..envelope.clone()
            },
            parts: None,
        };
        dead.chunks(PER_DEAD_LETTER).map(letter).collect()
    }

    /// When each message was published, by receipt, by the producer's clock.
    #[must_use]
    pub fn published(&self) -> &HashMap<u64, u64> {
        &self.published
    }

    /// The ledger's records, each small enough.
    #[must_use]
    pub fn records(&self) -> Vec<Settled> {
        let mut records: Vec<Settled> = Vec::new();
        let mut room = 0;
        for ((run, outcome, note), group) in &self.groups {
            let mut changes = group.changes.clone();
            changes.sort();
            changes.dedup();
            // several flows of one change that came back one by one
            changes.dedup_by(|later, first| {
                let same = later.0 == first.0;
                if same {
                    first.1 = format!("{}, {}", first.1, later.1);
                }
                same
            });
            for few in changes.chunks(PER_RECORD) {
                if few.len() > room {
                    // once for all records of a settlement
                    let detail = if records.is_empty() {
                        self.facts.detail.clone()
                    } else {
                        Detail::default()
                    };
                    records.push(self.empty(detail));
                    room = PER_RECORD;
                }
                room -= few.len();
                let (published_ms, spread) = spread(few);
                let outcomes = Outcomes {
                    run: *run,
                    outcome: *outcome,
                    note: note.clone(),
                    ranges: ranges(few),
                    labels: few.iter().map(|(_, label, _)| label.clone()).collect(),
                    published_ms,
                    spread,
                };
                if let Some(record) = records.last_mut() {
                    record.results.push(outcomes);
                }
            }
        }
        records
    }

    fn empty(&self, detail: Detail) -> Settled {
        Settled {
            v: SETTLED_VERSION,
            project: self.facts.project.clone(),
            consumer: self.facts.consumer.to_owned(),
            at_ms: self.facts.now_ms,
            upload: self.facts.upload.clone(),
            created_project: self.facts.created,
            results: Vec::new(),
            detail,
        }
    }
}

/// The earliest publishing, and how many were published how long after it; nothing where all were at once. Times beyond
/// [`SPREAD`] go with the ones before them.
fn spread(changes: &[(u64, String, u64)]) -> (u64, Vec<(u64, u64)>) {
    let earliest = changes.iter().map(|(_, _, at)| *at).min().unwrap_or_default();
    let mut spread: Vec<(u64, u64)> = Vec::new();
    for (_, _, at) in changes {
        let after = at - earliest;
        let full = spread.len() == SPREAD;
        match spread.last_mut() {
            Some((count, last)) if *last == after || full => *count += 1,
            _ => spread.push((1, after)),
        }
    }
    if spread.len() == 1 {
        spread.clear();
    }
    (earliest, spread)
}

/// Ascending sequences as inclusive ranges.
fn ranges(changes: &[(u64, String, u64)]) -> Vec<(u64, u64)> {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for (seq, _, _) in changes {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == *seq => *last = *seq,
            _ => ranges.push((*seq, *seq)),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;
    use flowlift_azkaban::FlowName;
    use flowlift_common::Act;
    use flowlift_common::envelope::Rules;
    use uuid::Uuid;

    fn envelope(run: u128, seqs: std::ops::RangeInclusive<u64>) -> Envelope {
        let act = |seq: u64| Act::Delete {
            flow: FlowName::new(format!("f{seq}")).unwrap(),
        };
        Envelope {
            v: 1,
            project: ProjectName::new("p").unwrap(),
            run: RunId(Uuid::from_u128(run)),
            rank: 1,
            owner: String::new(),
            published_ms: 5,
            rules: Rules::default(),
            changes: seqs.map(|seq| Change { seq, act: act(seq) }).collect(),
            deadline_ms: None,
        }
    }

    fn settlement(envelopes: &[(u64, Envelope)], dead: &[u64]) -> Settlement {
        let outcome = |seq: u64| {
            if dead.contains(&seq) {
                Outcome::Dead
            } else {
                Outcome::Applied
            }
        };
        let changes = envelopes.iter().flat_map(|(receipt, envelope)| {
            envelope.changes.iter().map(|change| {
                let last = Final {
                    outcome: outcome(change.seq),
                    note: None,
                };
                (
                    ChangeId {
                        receipt: *receipt,
                        seq: change.seq,
                    },
                    last,
                )
            })
        });
        Settlement {
            changes: changes.collect(),
            ..Settlement::default()
        }
    }

    fn facts(project: &ProjectName) -> Facts<'_> {
        Facts {
            project,
            consumer: "c",
            now_ms: 9,
            upload: None,
            created: false,
            restored: Vec::new(),
            detail: Detail::default(),
        }
    }

    #[test]
    fn every_change_is_in_the_ledger_once_and_records_stay_small() {
        let project = ProjectName::new("p").unwrap();
        let envelopes = [
            (1, envelope(1, 1..=5_000)),
            (2, envelope(2, 1..=10)),
            (3, envelope(1, 4_990..=5_010)),
        ];
        let (facts, settlement) = (facts(&project), settlement(&envelopes, &[7]));
        let mut account = Account::of(&facts, &settlement);
        for (receipt, envelope) in &envelopes {
            account.add(*receipt, envelope);
        }
        let records = account.records();
        let count = |run: u128| -> u64 {
            let results = records.iter().flat_map(|record| &record.results);
            results
                .filter(|result| result.run == RunId(Uuid::from_u128(run)))
                .flat_map(|result| &result.ranges)
                .map(|(first, last)| last - first + 1)
                .sum()
        };
        assert_eq!((count(1), count(2)), (5_010, 10));
        assert!(
            records
                .iter()
                .all(|record| ledger::encode(record).len() < 256 * 1024)
        );
        let names: usize = records
            .iter()
            .flat_map(|record| &record.results)
            .map(|result| result.labels.len())
            .sum();
        assert_eq!(names, 5_020);
    }

    #[test]
    fn when_changes_were_published_and_how_it_came_about_is_told_once_and_takes_little_room() {
        let project = ProjectName::new("p").unwrap();
        // ten thousand changes in thirteen messages, one after the other
        let message = |n: u64| {
            let first = n * 770 + 1;
            let mut message = envelope(1, first..=(first + 769).min(10_000));
            message.published_ms = 1_000 + n * 20;
            (n, message)
        };
        let envelopes: Vec<(u64, Envelope)> = (0..13).map(message).collect();
        let settlement = settlement(&envelopes, &[]);
        let encoded = |detail: Detail, plain: bool| {
            let facts = Facts {
                detail,
                now_ms: 9_000,
                ..facts(&project)
            };
            let mut account = Account::of(&facts, &settlement);
            for (receipt, envelope) in &envelopes {
                account.add(*receipt, envelope);
            }
            let mut records = account.records();
            if plain {
                for result in records.iter_mut().flat_map(|record| &mut record.results) {
                    result.spread.clear();
                }
            }
            let bytes: usize = records.iter().map(|record| ledger::encode(record).len()).sum();
            (records, bytes)
        };
        let detail = Detail {
            version: Some("0.1.0".into()),
            waited_ms: Some(1_200),
            archive_ms: Some(300),
            ..Detail::default()
        };
        let (records, bytes) = encoded(detail.clone(), false);
        assert_eq!(records[0].detail, detail);
        assert!(records[1..].iter().all(|record| record.detail.is_empty()));
        let result = &records[0].results[0];
        assert_eq!(
            (result.published_ms, result.spread[..].to_vec()),
            (1_000, vec![(770, 0), (770, 20), (460, 40)])
        );
        let (_, plain) = encoded(Detail::default(), true);
        assert!(
            bytes * 100 <= plain * 105,
            "{bytes} bytes are more than {plain} by a twentieth"
        );
    }

    #[test]
    fn times_of_publishing_are_told_apart_up_to_a_bound() {
        let changes: Vec<(u64, String, u64)> = (1..=1_000).map(|n| (n, String::new(), n * 10)).collect();
        let (earliest, spread) = spread(&changes);
        let all: u64 = spread.iter().map(|(count, _)| count).sum();
        assert_eq!((earliest, spread.len(), all), (10, SPREAD, 1_000));
        assert_eq!(super::spread(&changes[..1]), (10, Vec::new()));
    }

    #[test]
    fn only_dead_changes_are_in_the_dead_letter_with_their_reasons() {
        let project = ProjectName::new("p").unwrap();
        let envelopes = [(1, envelope(1, 1..=10))];
        let (facts, settlement) = (facts(&project), settlement(&envelopes, &[3, 9]));
        let letters = Account::of(&facts, &settlement).add(1, &envelopes[0].1);
        assert_eq!(letters.len(), 1);
        assert_eq!(
            letters[0]
                .envelope
                .changes
                .iter()
                .map(|change| change.seq)
                .collect::<Vec<_>>(),
            [3, 9]
        );
        assert_eq!(letters[0].reasons.keys().copied().collect::<Vec<_>>(), [3, 9]);
    }

    #[test]
    fn what_came_back_is_told_of_the_change_that_had_brought_it() {
        let project = ProjectName::new("p").unwrap();
        let run = RunId(Uuid::from_u128(4));
        let facts = Facts {
            restored: vec![
                (run, 3, "f3".into()),
                (run, 4, "f4".into()),
                (run, 3, "f3b".into()),
            ],
            ..facts(&project)
        };
        let records = Account::of(&facts, &Settlement::default()).records();
        let result = &records[0].results[0];
        assert_eq!((result.run, result.outcome), (run, Outcome::Restored));
        assert_eq!(
            (&result.ranges[..], &result.labels[..]),
            (&[(3, 4)][..], &["f3, f3b".to_owned(), "f4".to_owned()][..])
        );
    }
}
