//! What stands in RabbitMQ, as data: queues, streams, exchanges and their arguments, and the hash that spreads projects.
//!
//! Both programs declare all of it. Reasons for each argument stand beside it; they were tried on RabbitMQ 4.0.5.

use flowlift_azkaban::ProjectName;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::order::RunId;

/// How many shards a new topology has.
pub const SHARDS: u16 = 256;
/// How many unsettled messages the broker hands to the holder of a shard. With [`crate::envelope::GROUP_BYTES`] it bounds memory.
pub const PREFETCH: u16 = 64;
/// The stream with the topology record.
pub const RECORD: &str = "flowlift.topology";
/// The queue of what could not be applied.
pub const DEAD: &str = "flowlift.dead";
/// The exclusive queue that whoever looks through the dead letters holds: two at a time would hide letters from each other.
pub const DEAD_READER: &str = "flowlift.dead.reader";
/// The stream of runs: opening, opened, renewed, closed.
pub const RUNS: &str = "flowlift.runs";
/// The stream of uploads: begun, ended. Small, because a consumer that takes over a shard reads it.
pub const ATTEMPTS: &str = "flowlift.attempts";
/// The stream of outcomes, the ledger.
pub const OUTCOMES: &str = "flowlift.outcomes";
/// The stream of what people ask of the work: cancel, pause, resume.
pub const STEER: &str = "flowlift.steer";
/// The fanout on which consumers say hello.
pub const HELLO: &str = "flowlift.hello";
/// The queue of tokens that bounds the connections of all consumers to one Azkaban.
pub const PERMITS: &str = "flowlift.permits";
/// Where checks of projects wait for their time: exchanges with a queue of the same name each, one for each delay, so that
/// nothing waits behind what is due later. What expires goes to the queue that its routing key names.
pub const LATER: [&str; 2] = ["flowlift.later.10m", "flowlift.later.1h"];
/// Prefix of the exclusive queue that claims a consumer's name.
pub const NAME_PREFIX: &str = "flowlift.name.";
const SHARD_PREFIX: &str = "flowlift.shard.";
const PARKED_PREFIX: &str = "flowlift.parked.";
const PARTS_PREFIX: &str = "flowlift.parts.";
/// Parts that nobody has asked for so long go: of a producer that died between them and the message that names them.
const PARTS_KEPT_MS: i64 = 30 * 24 * 3_600_000;

/// The queue of a shard.
#[must_use]
pub fn shard_queue(shard: u16) -> String {
    format!("{SHARD_PREFIX}{shard:03}")
}

/// The queue of a shard's projects that cannot go on for now.
#[must_use]
pub fn parked_queue(shard: u16) -> String {
    format!("{PARKED_PREFIX}{shard:03}")
}

/// The queue with the parts of one change's body.
#[must_use]
pub fn parts_queue(run: RunId, seq: u64) -> Queue {
    Queue {
        name: format!("{PARTS_PREFIX}{run}.{seq}"),
        kind: Kind::Quorum,
        arguments: vec![
            ("x-expires", Argument::Number(PARTS_KEPT_MS)),
            // each look at the parts gives them back
            ("x-delivery-limit", Argument::Number(100_000)),
        ],
    }
}

/// The shard of a project: XXH3-64 (seed 0) of its lower-case name, modulo `shards`.
#[must_use]
pub fn shard_of(project: &ProjectName, shards: u16) -> u16 {
    let shard = xxh3_64(project.key().as_bytes()) % u64::from(shards.max(1));
    u16::try_from(shard).unwrap_or_default()
}

/// The kinds of queue used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Replicated, with single active consumer and priorities.
    Quorum,
    /// Append-only log, read by offset.
    Stream,
    /// Plain durable queue.
    Classic,
}

impl Kind {
    /// The value of `x-queue-type`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Quorum => "quorum",
            Self::Stream => "stream",
            Self::Classic => "classic",
        }
    }
}

/// The value of a queue argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Argument {
    /// An integer.
    Number(i64),
    /// A text.
    Text(String),
    /// A flag.
    Flag(bool),
}

/// One queue to declare, always durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: Kind,
    /// `x-` arguments besides the type.
    pub arguments: Vec<(&'static str, Argument)>,
}

/// Sizes and ages of the streams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retention {
    /// How long the ledger keeps outcomes, as RabbitMQ writes it (`30D`).
    pub outcomes_age: String,
    /// How much of the ledger is kept, in bytes.
    pub outcomes_bytes: i64,
    /// Whether somebody said so here: otherwise a ledger that stands there is good as it is.
    pub told: bool,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            outcomes_age: "30D".into(),
            outcomes_bytes: 10_000_000_000,
            told: false,
        }
    }
}

/// All queues of a topology with `shards` shards.
#[must_use]
pub fn queues(shards: u16, retention: &Retention) -> Vec<Queue> {
    let mut queues: Vec<Queue> = (0..shards).map(|n| work(shard_queue(n), true)).collect();
    queues.extend((0..shards).map(|n| work(parked_queue(n), false)));
    queues.push(Queue {
        name: DEAD.into(),
        kind: Kind::Quorum,
        arguments: vec![
            // a dead letter that is looked at and put back must never be dropped for it
            ("x-delivery-limit", Argument::Number(-1)),
            ("x-consumer-timeout", Argument::Number(7 * 24 * 3_600_000)),
        ],
    });
    queues.extend(LATER.map(later));
    queues.push(stream(RECORD, None, None));
    queues.push(stream(RUNS, Some("90D"), Some(1_000_000_000)));
    queues.push(stream(ATTEMPTS, Some("2D"), Some(500_000_000)));
    // no age: a pause lasts until somebody ends it
    queues.push(stream(STEER, None, Some(500_000_000)));
    queues.push(stream(
        OUTCOMES,
        Some(&retention.outcomes_age),
        Some(retention.outcomes_bytes),
    ));
    queues
}

fn work(name: String, single: bool) -> Queue {
    let mut arguments = vec![
        // the default of 30 minutes would take messages away from a consumer that waits for an Azkaban
        ("x-consumer-timeout", Argument::Number(7 * 24 * 3_600_000)),
        // every return counts, hand-overs too; the default of 20 would dead-letter innocents in one night
        ("x-delivery-limit", Argument::Number(100_000)),
        // what the broker itself dead-letters must not get lost on the way
        ("x-dead-letter-exchange", Argument::Text(String::new())),
        ("x-dead-letter-routing-key", Argument::Text(DEAD.into())),
        ("x-dead-letter-strategy", Argument::Text("at-least-once".into())),
        ("x-overflow", Argument::Text("reject-publish".into())),
    ];
    if single {
        arguments.push(("x-single-active-consumer", Argument::Flag(true)));
    }
    Queue {
        name,
        kind: Kind::Quorum,
        arguments,
    }
}

/// Nobody reads it: everything in it expires and goes on by the default exchange, under the routing key it came with.
fn later(name: &str) -> Queue {
    Queue {
        name: name.into(),
        kind: Kind::Quorum,
        arguments: vec![
            ("x-dead-letter-exchange", Argument::Text(String::new())),
            ("x-dead-letter-strategy", Argument::Text("at-least-once".into())),
            ("x-overflow", Argument::Text("reject-publish".into())),
        ],
    }
}

fn stream(name: &str, age: Option<&str>, bytes: Option<i64>) -> Queue {
    let mut arguments = Vec::new();
    arguments.extend(age.map(|age| ("x-max-age", Argument::Text(age.into()))));
    arguments.extend(bytes.map(|bytes| ("x-max-length-bytes", Argument::Number(bytes))));
    // whole segments are dropped, so a small stream needs small ones to be trimmed at all
    arguments.push(("x-stream-max-segment-size-bytes", Argument::Number(50_000_000)));
    Queue {
        name: name.into(),
        kind: Kind::Stream,
        arguments,
    }
}

/// The topology record: what all programs of a vhost must agree on. RabbitMQ itself accepts unknown arguments silently, so
/// nothing there would notice a wrong number of shards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Who wrote it; a reader recognises its own.
    pub id: uuid::Uuid,
    /// K.
    pub shards: u16,
    /// The wire version that producers write.
    pub wire: u32,
    /// Messages handed to the holder of a shard.
    pub prefetch: u16,
    /// The Azkaban this vhost serves, without credentials; absent where the writer did not know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub azkaban: Option<String>,
    /// How many connections all consumers together open to it; written once the tokens lie in the queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permits: Option<u16>,
}

/// A disagreement with the topology record; the sentence names both sides (exit code 78).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Disagreement {
    /// Another K.
    #[error(
        "this vhost has {there} shards, this program is set to {here}; the number of shards changes only when drained"
    )]
    Shards {
        /// As recorded.
        there: u16,
        /// As set here.
        here: u16,
    },
    /// Written by a newer Flowlift.
    #[error("this vhost speaks wire version {there}, this program up to {here}; install a newer Flowlift")]
    Wire {
        /// As recorded.
        there: u32,
        /// The newest known here.
        here: u32,
    },
    /// Another Azkaban.
    #[error(
        "this vhost serves the Azkaban at {there}, this program is set to {here}; one vhost serves one Azkaban"
    )]
    Azkaban {
        /// As recorded.
        there: String,
        /// As set here.
        here: String,
    },
}

/// What the records of a vhost say together: the first word on each matter counts, for permits the last.
#[must_use]
pub fn fold(records: &[Record]) -> Option<Record> {
    let first = records.first()?;
    Some(Record {
        azkaban: records.iter().find_map(|record| record.azkaban.clone()),
        permits: records.iter().rev().find_map(|record| record.permits),
        ..first.clone()
    })
}

/// Compares the folded record with a program's own settings; `azkaban` is `None` where the program does not need one.
pub fn agree(there: &Record, shards: u16, azkaban: Option<&str>) -> Result<(), Disagreement> {
    if there.wire > crate::envelope::VERSION {
        return Err(Disagreement::Wire {
            there: there.wire,
            here: crate::envelope::VERSION,
        });
    }
    if there.shards != shards {
        return Err(Disagreement::Shards {
            there: there.shards,
            here: shards,
        });
    }
    match (&there.azkaban, azkaban) {
        (Some(there), Some(here)) if there != here => Err(Disagreement::Azkaban {
            there: there.clone(),
            here: here.to_owned(),
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shard_hash_never_changes() {
        let shard = |name: &str| shard_of(&ProjectName::new(name).unwrap(), SHARDS);
        let vectors: Vec<u16> = ["a", "project", "flowlift_demo_1", "Team-A"].map(shard).to_vec();
        assert_eq!(
            vectors,
            [31, 184, 102, 195],
            "docs/MESSAGE.md promises these vectors"
        );
        assert_eq!(shard("TEAM-a"), shard("team-A"));
    }

    #[test]
    fn every_work_queue_dead_letters_at_least_once_and_outlives_a_night() {
        let queues = queues(4, &Retention::default());
        assert_eq!(
            queues.iter().filter(|queue| queue.kind == Kind::Quorum).count(),
            11
        );
        for queue in queues
            .iter()
            .filter(|queue| queue.name.starts_with("flowlift.shard."))
        {
            assert!(
                queue
                    .arguments
                    .contains(&("x-delivery-limit", Argument::Number(100_000)))
            );
            assert!(
                queue
                    .arguments
                    .contains(&("x-single-active-consumer", Argument::Flag(true)))
            );
            assert!(
                queue
                    .arguments
                    .contains(&("x-dead-letter-strategy", Argument::Text("at-least-once".into())))
            );
        }
    }

    #[test]
    fn the_first_word_counts_for_shards_and_azkaban_and_the_last_for_permits() {
        let record = |shards, azkaban: Option<&str>, permits| Record {
            id: uuid::Uuid::nil(),
            shards,
            wire: 1,
            prefetch: PREFETCH,
            azkaban: azkaban.map(str::to_owned),
            permits,
        };
        let folded = fold(&[
            record(8, None, None),
            record(16, Some("a"), Some(4)),
            record(8, Some("b"), Some(6)),
        ])
        .unwrap();
        assert_eq!(
            (folded.shards, folded.azkaban.as_deref(), folded.permits),
            (8, Some("a"), Some(6))
        );
        assert_eq!(agree(&folded, 8, None), Ok(()));
        assert!(matches!(
            agree(&folded, 16, None),
            Err(Disagreement::Shards { there: 8, here: 16 })
        ));
        assert!(matches!(
            agree(&folded, 8, Some("b")),
            Err(Disagreement::Azkaban { .. })
        ));
    }
}
