//! What lies in the queue of dead letters: a [`DeadLetter`], a message that RabbitMQ itself gave up, or a body nobody can read.

use std::collections::BTreeMap;

use flowlift_common::amqp::Facts;
use flowlift_common::ledger::{self, DeadLetter, SETTLED_VERSION};
use flowlift_common::{Change, Content, Envelope, Order, RunId, parts};
use xxhash_rust::xxh3::xxh3_64;

use super::id::Id;

/// Who gave up what RabbitMQ dead-lettered.
const BROKER: &str = "RabbitMQ";

/// A message of the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Letter {
    /// Changes, each with its reason.
    Changes(Box<DeadLetter>),
    /// A body that cannot be read.
    Unread(Unread),
}

/// A body that lies there as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// Hash of the body.
    pub hash: u64,
    /// The run, where the headers name it.
    pub run: Option<RunId>,
    /// The project, where the headers name it.
    pub project: Option<String>,
    /// First and last sequence, where the headers name them.
    pub span: Option<(u64, u64)>,
    /// Why it cannot be read, or was given up.
    pub reason: String,
    /// When, in ms since 1970; only RabbitMQ writes it down.
    pub at_ms: Option<u64>,
    /// The body.
    pub body: Content,
}

/// One dead change, looked at.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// Its letter.
    pub letter: &'a DeadLetter,
    /// The change.
    pub change: &'a Change,
}

impl<'a> Entry<'a> {
    /// How a person names it.
    #[must_use]
    pub fn id(&self) -> Id {
        Id::of(self.letter.envelope.run, self.change.seq)
    }

    /// Why it died.
    #[must_use]
    pub fn reason(&self) -> &'a str {
        let reason = self.letter.reasons.get(&self.change.seq);
        reason.map_or("", String::as_str)
    }

    /// Its place among all changes.
    #[must_use]
    pub fn order(&self) -> Order {
        self.letter.envelope.order(self.change)
    }
}

/// A letter's changes in two parts; a part without changes is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// What is meant.
    pub chosen: Option<DeadLetter>,
    /// What stays.
    pub rest: Option<DeadLetter>,
}

/// Reads a message. What a newer Flowlift wrote is unreadable here, and says so.
#[must_use]
pub fn read(body: &[u8], facts: &Facts) -> Letter {
    let unread = |why: String| Letter::Unread(unread(body, facts, why));
    if let Some(named) = &facts.parts {
        return match parts::read_outline(body) {
            Ok(outline) => Letter::Changes(Box::new(DeadLetter {
                parts: Some(named.clone()),
                consumer: if facts.death.is_some() {
                    BROKER
                } else {
                    "a consumer"
                }
                .into(),
                ..given_up(outline, facts)
            })),
            Err(error) => unread(error.to_string()),
        };
    }
    match ledger::decode::<DeadLetter>(body) {
        Ok(letter) if letter.v > SETTLED_VERSION => {
            return unread(format!(
                "it is of version {}, which needs a newer flowlift",
                letter.v
            ));
        }
        Ok(letter) if !letter.envelope.changes.is_empty() => return Letter::Changes(Box::new(letter)),
        Ok(_) => return unread("it holds no change".into()),
        Err(_) => {}
    }
    match Envelope::decode(body) {
        Ok(envelope) => Letter::Changes(Box::new(given_up(envelope, facts))),
        Err(error) => unread(error.to_string()),
    }
}

/// A whole message that was given up before anybody looked into it.
fn given_up(envelope: Envelope, facts: &Facts) -> DeadLetter {
    let reason = facts.reason.clone().unwrap_or_else(|| died(facts));
    let reasons: BTreeMap<u64, String> = envelope
        .changes
        .iter()
        .map(|change| (change.seq, reason.clone()))
        .collect();
    DeadLetter {
        v: SETTLED_VERSION,
        consumer: BROKER.into(),
        at_ms: facts.death.as_ref().map_or(0, |death| death.at_ms),
        reasons,
        envelope,
        parts: None,
    }
}

fn died(facts: &Facts) -> String {
    match &facts.death {
        Some(death) if death.reason == "delivery_limit" => format!(
            "RabbitMQ gave it up: queue {} delivered it more often than its limit allows",
            death.queue
        ),
        Some(death) => format!("RabbitMQ gave it up: {} in queue {}", death.reason, death.queue),
        None => "nobody wrote down why it was given up".into(),
    }
}

fn unread(body: &[u8], facts: &Facts, why: String) -> Unread {
    let run = facts.run.as_deref().and_then(|run| run.parse().ok());
    Unread {
        hash: xxh3_64(body),
        run,
        project: facts.project.clone(),
        span: facts.span,
        reason: facts.reason.clone().unwrap_or(why),
        at_ms: facts.death.as_ref().map(|death| death.at_ms),
        body: Content(body.to_vec().into()),
    }
}

/// When a letter's changes died, in ms since 1970; nobody wrote it down for some.
#[must_use]
pub fn died_ms(letter: &DeadLetter) -> Option<u64> {
    (letter.at_ms > 0).then_some(letter.at_ms)
}

/// The changes of a letter.
pub fn entries(letter: &DeadLetter) -> impl Iterator<Item = Entry<'_>> {
    letter
        .envelope
        .changes
        .iter()
        .map(move |change| Entry { letter, change })
}

/// Parts the changes that are meant from the others.
#[must_use]
pub fn split(letter: &DeadLetter, mut meant: impl FnMut(Entry<'_>) -> bool) -> Split {
    let (mut chosen, mut rest) = (Vec::new(), Vec::new());
    for entry in entries(letter) {
        let part = if meant(entry) { &mut chosen } else { &mut rest };
        part.push(entry.change.clone());
    }
    let part = |changes: Vec<Change>| {
        let reasons = changes
            .iter()
            .filter_map(|change| letter.reasons.get_key_value(&change.seq));
        let reasons = reasons.map(|(seq, reason)| (*seq, reason.clone())).collect();
        (!changes.is_empty()).then(|| DeadLetter {
            reasons,
            envelope: Envelope {
                changes,
                ..without_changes(&letter.envelope)
            },
            consumer: letter.consumer.clone(),
            parts: letter.parts.clone(),
            ..*letter
        })
    };
    Split {
        chosen: part(chosen),
        rest: part(rest),
    }
}

/// An envelope's frame.
#[must_use]
pub fn without_changes(envelope: &Envelope) -> Envelope {
    Envelope {
        project: envelope.project.clone(),
        owner: envelope.owner.clone(),
        changes: Vec::new(),
        ..*envelope
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use flowlift_azkaban::{FlowName, ProjectName};
    use flowlift_common::Act;
    use flowlift_common::amqp::Death;
    use flowlift_common::envelope::{Rules, pack_json};
    use uuid::Uuid;

    /// Deletions of `f1`, `f2`, ... that died.
    pub(in super::super) fn letter(run: u128, rank: u64, seqs: &[u64]) -> DeadLetter {
        let act = |seq: u64| Act::Delete {
            flow: FlowName::new(format!("f{seq}")).unwrap(),
        };
        DeadLetter {
            v: 1,
            consumer: "c-1".into(),
            at_ms: 1_000,
            reasons: seqs.iter().map(|seq| (*seq, format!("reason {seq}"))).collect(),
            envelope: Envelope {
                v: 1,
                project: ProjectName::new("night").unwrap(),
                run: RunId(Uuid::from_u128(run)),
                rank,
                owner: "team".into(),
                published_ms: 5,
                rules: Rules::default(),
                changes: seqs
                    .iter()
                    .map(|seq| Change {
                        seq: *seq,
                        act: act(*seq),
                    })
                    .collect(),
                deadline_ms: None,
            },
            parts: None,
        }
    }

    #[test]
    fn a_change_in_parts_is_told_by_its_outline_and_not_from_a_body_that_has_none() {
        let envelope = letter(1, 2, &[3]).envelope;
        let facts = Facts {
            reason: Some("its parts are damaged".into()),
            parts: Some(parts::Named::of(envelope.run, 3, b"body")),
            ..Facts::default()
        };
        let Letter::Changes(found) = read(&parts::outline(envelope.clone()), &facts) else {
            panic!("it can be read");
        };
        assert_eq!((&found.envelope, &found.parts), (&envelope, &facts.parts));
        assert_eq!(found.reasons[&3], "its parts are damaged");
        assert!(matches!(read(b"", &facts), Letter::Unread(_)));
    }

    #[test]
    fn a_letter_comes_back_as_it_was_written() {
        let letter = letter(1, 2, &[3, 9]);
        let read = read(&ledger::encode(&letter), &Facts::default());
        assert_eq!(read, Letter::Changes(Box::new(letter)));
    }

    #[test]
    fn a_message_the_broker_gave_up_has_the_brokers_reason_for_each_change() {
        let envelope = letter(1, 2, &[3, 9]).envelope;
        let facts = Facts {
            death: Some(Death {
                reason: "delivery_limit".into(),
                queue: "flowlift.shard.007".into(),
                at_ms: 77,
            }),
            ..Facts::default()
        };
        let Letter::Changes(found) = read(&envelope.encode(), &facts) else {
            panic!("it can be read");
        };
        let wanted =
            "RabbitMQ gave it up: queue flowlift.shard.007 delivered it more often than its limit allows";
        assert_eq!(found.reasons[&3], wanted);
        assert_eq!((found.at_ms, found.consumer.as_str()), (77, "RabbitMQ"));
        assert_eq!(found.envelope, envelope);
    }

    #[test]
    fn what_cannot_be_read_is_told_by_its_headers() {
        let facts = Facts {
            run: Some("019e0a5c-7c30-7d10-a3c5-2f6f0c6bfa0d".into()),
            project: Some("night".into()),
            span: Some((1, 4)),
            reason: Some("unreadable message: not gzip".into()),
            death: None,
            parts: None,
            published_by: None,
        };
        let Letter::Unread(unread) = read(b"junk", &facts) else {
            panic!("it cannot be read");
        };
        assert_eq!(unread.reason, "unreadable message: not gzip");
        assert_eq!(
            (unread.project.as_deref(), unread.span),
            (Some("night"), Some((1, 4)))
        );
        assert_eq!(unread.run.map(|run| run.to_string()), facts.run);
        let newer = pack_json(&serde_json::json!({"v": 2}));
        let Letter::Unread(unread) = read(&newer, &Facts::default()) else {
            panic!("it is newer");
        };
        assert!(unread.reason.contains("wire version 2"), "{}", unread.reason);
    }

    #[test]
    fn both_parts_of_a_letter_keep_their_reasons_and_nothing_gets_lost() {
        let letter = letter(1, 2, &[3, 9, 12]);
        let parts = split(&letter, |entry| entry.change.seq == 9);
        let (chosen, rest) = (parts.chosen.unwrap(), parts.rest.unwrap());
        let seqs = |letter: &DeadLetter| letter.reasons.keys().copied().collect::<Vec<_>>();
        assert_eq!((seqs(&chosen), seqs(&rest)), (vec![9], vec![3, 12]));
        assert_eq!(rest.envelope.changes.len(), 2);
        assert_eq!(
            (rest.at_ms, rest.envelope.owner.as_str(), rest.envelope.rank),
            (1_000, "team", 2)
        );
        let all = split(&letter, |_| true);
        assert_eq!((all.chosen, all.rest), (Some(letter), None));
    }
}
