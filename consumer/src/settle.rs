//! Makes outcomes known, then acknowledges: dead letters are confirmed first, then the ledger, then the messages go. Whoever
//! dies in between leaves messages that come again, and records that come twice; nothing is lost.

use std::collections::BTreeMap;
use std::sync::Arc;

use flowlift_azkaban::ProjectName;
use flowlift_common::amqp::{AmqpError, Headers, Sender, properties};
use flowlift_common::ledger::{
    self, DeadLetter, Outcome, Outcomes, REASON_HEADER, SETTLED_VERSION, Settled, UploadFacts,
};
use flowlift_common::topology::{DEAD, OUTCOMES};
use flowlift_common::{Change, Envelope, RunId};
use lapin::options::{BasicAckOptions, BasicNackOptions};

use crate::held::Held;
use crate::plan::ChangeId;
use crate::project::{Final, Settlement};

/// So many changes go into one record: with their names it stays well under 256 KiB.
const PER_RECORD: usize = 2_000;
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
    /// The upload that carried it.
    pub upload: Option<UploadFacts>,
    /// Whether the project was made for it.
    pub created: bool,
    /// The messages, read.
    pub envelopes: &'a [(u64, Envelope)],
}

/// Settles: returns when everything is confirmed and acknowledged, with how many acknowledgements counted.
pub async fn settle(
    sender: &Sender,
    facts: &Facts<'_>,
    settlement: &Settlement,
    held: &[Arc<Held>],
) -> Result<usize, AmqpError> {
    for letter in dead_letters(facts, settlement) {
        let (first, last) = letter.envelope.span();
        let headers = Headers::of(&letter.envelope, first, last);
        sender
            .send(DEAD, &ledger::encode(&letter), properties(&headers))
            .await?;
    }
    for (receipt, reason) in &settlement.unreadable {
        if let Some(held) = held.iter().find(|held| held.receipt == *receipt) {
            bury_unread(sender, held, reason).await?;
        }
    }
    for record in records(facts, settlement) {
        sender.record(OUTCOMES, &ledger::encode(&record)).await?;
    }
    let mut acknowledged = 0;
    for held in held
        .iter()
        .filter(|held| settlement.receipts.contains(&held.receipt))
    {
        // `false`: the channel it came on is gone; it comes again
        acknowledged += usize::from(held.delivery.acker.ack(BasicAckOptions::default()).await?);
    }
    Ok(acknowledged)
}

/// Puts a body that nobody can read among the dead letters, as it came.
pub async fn bury_unread(sender: &Sender, held: &Held, reason: &str) -> Result<(), AmqpError> {
    let mut table = held.delivery.properties.headers().clone().unwrap_or_default();
    let reason = ledger::cut(reason);
    table.insert(
        REASON_HEADER.into(),
        lapin::types::AMQPValue::LongString(reason.as_str().into()),
    );
    let properties = properties(&Headers::default()).with_headers(table);
    sender.send(DEAD, &held.delivery.data, properties).await
}

/// Gives a message back to its queue.
pub async fn give_back(held: &Held) -> Result<(), AmqpError> {
    held.delivery
        .acker
        .nack(BasicNackOptions {
            requeue: true,
            ..Default::default()
        })
        .await?;
    Ok(())
}

fn by_id(settlement: &Settlement) -> BTreeMap<ChangeId, &Final> {
    settlement.changes.iter().map(|(id, last)| (*id, last)).collect()
}

fn dead_letters(facts: &Facts<'_>, settlement: &Settlement) -> Vec<DeadLetter> {
    let finals = by_id(settlement);
    let mut letters = Vec::new();
    for (receipt, envelope) in facts.envelopes {
        let reason_of = |change: &Change| {
            let last = finals.get(&ChangeId {
                receipt: *receipt,
                seq: change.seq,
            })?;
            (last.outcome == Outcome::Dead).then(|| ledger::cut(last.note.as_deref().unwrap_or_default()))
        };
        let dead: Vec<(&Change, String)> = envelope
            .changes
            .iter()
            .filter_map(|change| Some((change, reason_of(change)?)))
            .collect();
        for few in dead.chunks(PER_DEAD_LETTER) {
            letters.push(DeadLetter {
                v: SETTLED_VERSION,
                consumer: facts.consumer.to_owned(),
                at_ms: facts.now_ms,
                reasons: few
                    .iter()
                    .map(|(change, reason)| (change.seq, reason.clone()))
                    .collect(),
                envelope: Envelope {
                    changes: few.iter().map(|(change, _)| (*change).clone()).collect(),
                    ..envelope.clone()
                },
            });
        }
    }
    letters
}

/// The ledger's records of a settlement, each small enough.
fn records(facts: &Facts<'_>, settlement: &Settlement) -> Vec<Settled> {
    let finals = by_id(settlement);
    let mut groups: BTreeMap<(RunId, Outcome, Option<String>), Group> = BTreeMap::new();
    for (receipt, envelope) in facts.envelopes {
        for change in &envelope.changes {
            let Some(last) = finals.get(&ChangeId {
                receipt: *receipt,
                seq: change.seq,
            }) else {
                continue;
            };
            let key = (envelope.run, last.outcome, last.note.as_deref().map(ledger::cut));
            let group = groups.entry(key).or_default();
            group.changes.push((change.seq, change.label()));
            group.published_ms = group.published_ms.min(envelope.published_ms);
        }
    }
    let mut records: Vec<Settled> = Vec::new();
    let mut room = 0;
    for ((run, outcome, note), mut group) in groups {
        group.changes.sort();
        group.changes.dedup_by_key(|(seq, _)| *seq);
        for few in group.changes.chunks(PER_RECORD) {
            if few.len() > room {
                records.push(empty(facts, settlement.uploaded));
                room = PER_RECORD;
            }
            room -= few.len();
            let outcomes = Outcomes {
                run,
                outcome,
                note: note.clone(),
                ranges: ranges(few),
                labels: few.iter().map(|(_, label)| label.clone()).collect(),
                published_ms: group.published_ms,
            };
            if let Some(record) = records.last_mut() {
                record.results.push(outcomes);
            }
        }
    }
    records
}

struct Group {
    changes: Vec<(u64, String)>,
    published_ms: u64,
}

impl Default for Group {
    fn default() -> Self {
        Self {
            changes: Vec::new(),
            published_ms: u64::MAX,
        }
    }
}

fn empty(facts: &Facts<'_>, uploaded: bool) -> Settled {
    Settled {
        v: SETTLED_VERSION,
        project: facts.project.clone(),
        consumer: facts.consumer.to_owned(),
        at_ms: facts.now_ms,
        upload: facts.upload.clone().filter(|_| uploaded),
        created_project: facts.created,
        results: Vec::new(),
    }
}

/// Ascending sequences as inclusive ranges.
fn ranges(changes: &[(u64, String)]) -> Vec<(u64, u64)> {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for (seq, _) in changes {
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

    fn facts<'a>(project: &'a ProjectName, envelopes: &'a [(u64, Envelope)]) -> Facts<'a> {
        Facts {
            project,
            consumer: "c",
            now_ms: 9,
            upload: None,
            created: false,
            envelopes,
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
        let records = records(&facts(&project, &envelopes), &settlement(&envelopes, &[7]));
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
    fn only_dead_changes_are_in_the_dead_letter_with_their_reasons() {
        let project = ProjectName::new("p").unwrap();
        let envelopes = [(1, envelope(1, 1..=10))];
        let letters = dead_letters(&facts(&project, &envelopes), &settlement(&envelopes, &[3, 9]));
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
}
