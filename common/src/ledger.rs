//! The records in the streams: runs, upload attempts, outcomes. Gzip JSON, each under 1 MiB.
//!
//! Outcomes are written at least once; readers fold them by (run, sequence), the first final outcome counts.

use std::collections::BTreeMap;

use flowlift_azkaban::ProjectName;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::envelope::{MAX_UNPACKED, pack_json, unpack};
use crate::order::RunId;
use crate::seen::Seen;

/// Something about a run, in the stream of runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum RunEvent {
    /// A run is about to open; its place in the stream says which ranks it must exceed.
    Opening {
        /// The run.
        run: RunId,
    },
    /// A run has begun; confirmed before its first change.
    Opened {
        /// The run.
        run: RunId,
        /// Its first rank.
        rank: u64,
        /// `user@host`.
        who: String,
        /// What is published, for people: `10000 generated flows`, a folder's name.
        source: String,
        /// The owner its flows get.
        owner: String,
        /// The producer's clock, ms since 1970.
        at_ms: u64,
        /// When it should be settled, ms since 1970, where somebody said so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        deadline_ms: Option<u64>,
        /// The producer's version.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<String>,
        /// K, as the producer is set.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        shards: Option<u16>,
    },
    /// A long run draws a new rank, at least every 10 s.
    Renewed {
        /// The run.
        run: RunId,
        /// Its rank from here on.
        rank: u64,
    },
    /// Somebody cancelled a run: what has not begun of it is settled as cancelled.
    Cancelled {
        /// The run.
        run: RunId,
        /// `user@host`.
        who: String,
        /// Their clock, ms since 1970.
        at_ms: u64,
    },
    /// All changes of a run are confirmed, or it was ended early.
    Closed {
        /// The run.
        run: RunId,
        /// Its last rank.
        rank: u64,
        /// Confirmed changes per project.
        projects: BTreeMap<ProjectName, u64>,
        /// Whether it was interrupted: less is queued than was meant.
        partial: bool,
        /// The producer's clock, ms since 1970.
        at_ms: u64,
    },
}

impl RunEvent {
    /// The run it is about.
    #[must_use]
    pub fn run(&self) -> RunId {
        match self {
            Self::Opening { run }
            | Self::Opened { run, .. }
            | Self::Renewed { run, .. }
            | Self::Cancelled { run, .. }
            | Self::Closed { run, .. } => *run,
        }
    }

    /// The rank it states.
    #[must_use]
    pub fn rank(&self) -> Option<u64> {
        match self {
            Self::Opening { .. } | Self::Cancelled { .. } => None,
            Self::Opened { rank, .. } | Self::Renewed { rank, .. } | Self::Closed { rank, .. } => Some(*rank),
        }
    }
}

/// Something about an upload, in the stream of attempts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum AttemptEvent {
    /// Confirmed before the body of an upload is sent: a successor sees that it may still land.
    Begun(Attempt),
    /// The upload is decided: it landed, was refused, or can no longer land.
    Ended {
        /// The attempt's id.
        attempt: String,
        /// Its project.
        project: ProjectName,
        /// Whether it landed, read back.
        #[serde(default)]
        landed: bool,
    },
    /// What changes came to that needed no upload; confirmed before they are acknowledged. The next upload that is announced
    /// after it and lands has it in its manifest.
    Seen {
        /// The project.
        project: ProjectName,
        /// What is to be remembered.
        seen: Seen,
    },
    /// A run is cancelled. Whoever plans goes by what stands here, so that a successor, who reads this stream up to now before
    /// it begins, knows of every cancellation by which anything was settled.
    Cancelled {
        /// The run.
        run: RunId,
    },
    /// Written by a reader that wants to know that it has read up to now.
    Mark {
        /// The reader's own number.
        nonce: Uuid,
    },
}

/// An announced upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Its id, which is the file name of the zip in Azkaban's project log.
    pub attempt: String,
    /// The project.
    pub project: ProjectName,
    /// The manifest's generation in the zip.
    pub generation: u64,
    /// Who uploads.
    pub consumer: String,
    /// The consumer's clock, ms since 1970.
    pub at_ms: u64,
    /// Size of the zip in bytes.
    pub zip_bytes: u64,
    /// Flows in it: Azkaban's time for an upload goes by them.
    #[serde(default)]
    pub flows: u64,
    /// Azkaban's process just before; if it is another one later, the upload is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
}

/// What became of a change, finally.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It is in Azkaban, read back.
    Applied,
    /// Azkaban had it already.
    Unchanged,
    /// A newer change of the same flow counts.
    Superseded,
    /// Its run was cancelled before it began.
    Cancelled,
    /// It was applied once more after somebody else's upload had taken it away.
    Restored,
    /// It could not be applied; it lies in the dead letters.
    Dead,
}

impl Outcome {
    /// All outcomes, for metrics that start at zero.
    pub const ALL: [Self; 6] = [
        Self::Applied,
        Self::Unchanged,
        Self::Superseded,
        Self::Cancelled,
        Self::Restored,
        Self::Dead,
    ];

    /// The word in records, metrics and tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Unchanged => "unchanged",
            Self::Superseded => "superseded",
            Self::Cancelled => "cancelled",
            Self::Restored => "restored",
            Self::Dead => "dead",
        }
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// Changes of one project that were settled together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    /// Version of this record's form.
    pub v: u32,
    /// The project.
    pub project: ProjectName,
    /// Who settled it.
    pub consumer: String,
    /// The consumer's clock, ms since 1970.
    pub at_ms: u64,
    /// The upload that carried the changes; none when nothing had to be uploaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload: Option<UploadFacts>,
    /// Whether the project was made for these changes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub created_project: bool,
    /// What became of which changes.
    pub results: Vec<Outcomes>,
    /// How it came about, for reports.
    #[serde(default, skip_serializing_if = "Detail::is_empty")]
    pub detail: Detail,
}

/// How a settlement came about: nothing that counts, all of it for reports. It stands in the first record of a settlement only.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Detail {
    /// The consumer's version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// From receiving the oldest message of the batch to planning it, ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waited_ms: Option<u64>,
    /// Planning and packing the zip, ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archive_ms: Option<u64>,
    /// Reading the project back, ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verify_ms: Option<u64>,
    /// Bringing schedules to what is wanted, ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule_ms: Option<u64>,
    /// Calls to Azkaban that failed for the project since its last settlement.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Fault>,
}

impl Detail {
    /// Whether it says nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Calls that failed in one way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// What can be done about it: `transient`, `unknown`, ...
    pub class: String,
    /// What it was, a short stable word.
    pub code: String,
    /// How many.
    pub count: u64,
}

/// Facts about an upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadFacts {
    /// The attempt's id.
    pub attempt: String,
    /// The version Azkaban gave.
    pub version: u32,
    /// Size of the zip in bytes.
    pub zip_bytes: u64,
    /// Flows in the project afterwards.
    pub flows: u64,
    /// From the first byte sent to the answer, ms.
    pub upload_ms: u64,
}

/// Changes of one run with one outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcomes {
    /// The run.
    pub run: RunId,
    /// What became of them.
    pub outcome: Outcome,
    /// Why, for dead ones, or what else is to be said (a flow that was adopted); at most 4,000 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Their sequences, as inclusive ranges.
    pub ranges: Vec<(u64, u64)>,
    /// What they were about, for people: flow ids, `file x`; in the order of the sequences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// The earliest publishing among them, producer's clock, ms since 1970.
    pub published_ms: u64,
    /// When each was published, in the order of the sequences: so many changes, so many ms after `published_ms`. Empty: all then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spread: Vec<(u64, u64)>,
}

/// A reader's own mark in the stream of outcomes: what was confirmed before it was asked for stands before it. It settles nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The reader's own number.
    pub mark: Uuid,
}

/// What could not be applied, in the queue of dead letters. A body that cannot be read lies there as it came, with the
/// reason in the header `flowlift-reason`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Version of this record's form.
    pub v: u32,
    /// Who gave it up.
    pub consumer: String,
    /// The consumer's clock, ms since 1970.
    pub at_ms: u64,
    /// Why, by sequence; each cut to 4,000 characters.
    pub reasons: BTreeMap<u64, String>,
    /// The message with the dead changes only; it can be sent again as it is.
    pub envelope: crate::Envelope,
    /// Where the content lies that the envelope lacks: not written, the headers of such a letter say it.
    #[serde(skip)]
    pub parts: Option<crate::parts::Named>,
}

/// The note of a change that took over a flow or file that nobody owned.
pub const ADOPTED: &str = "adopted: nobody owned it";

/// The header that says why a body lies unread in the dead letters.
pub const REASON_HEADER: &str = "flowlift-reason";

/// The form version of [`Settled`].
pub const SETTLED_VERSION: u32 = 1;

/// Packs a record.
#[must_use]
pub fn encode(record: &impl Serialize) -> Vec<u8> {
    pack_json(record)
}

/// Reads a record; `Err` says why not. Unknown fields are ignored.
pub fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    let json = unpack(body, MAX_UNPACKED)?;
    serde_json::from_slice(&json).map_err(|error| error.to_string())
}

/// Cuts a reason to what a record may hold: 4,000 characters, whole ones.
#[must_use]
pub fn cut(text: &str) -> String {
    const MAX: usize = 4_000;
    if text.chars().count() <= MAX {
        return text.to_owned();
    }
    text.chars().take(MAX - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_as_they_were() {
        let project = ProjectName::new("p").unwrap();
        let run = RunId(Uuid::from_u128(3));
        let closed = RunEvent::Closed {
            run,
            rank: 9,
            projects: BTreeMap::from([(project.clone(), 4)]),
            partial: true,
            at_ms: 1,
        };
        assert_eq!(decode::<RunEvent>(&encode(&closed)).unwrap(), closed);
        let ended = AttemptEvent::Ended {
            attempt: "a.zip".into(),
            project,
            landed: true,
        };
        assert_eq!(decode::<AttemptEvent>(&encode(&ended)).unwrap(), ended);
    }

    #[test]
    fn what_older_programs_wrote_is_read_and_they_read_what_is_written_now() {
        let run = RunId(Uuid::from_u128(3));
        let old = serde_json::json!({"kind": "opened", "run": run, "rank": 1, "who": "a@b", "source": "s", "owner": "",
            "at_ms": 5});
        let opened: RunEvent = serde_json::from_value(old.clone()).unwrap();
        assert!(matches!(
            opened,
            RunEvent::Opened {
                deadline_ms: None,
                version: None,
                shards: None,
                ..
            }
        ));
        assert_eq!(
            serde_json::to_value(&opened).unwrap(),
            old,
            "what is not said takes no room"
        );
        let old = serde_json::json!({"v": 1, "project": "p", "consumer": "c", "at_ms": 1,
            "results": [{"run": run, "outcome": "applied", "ranges": [[1, 2]], "published_ms": 1}]});
        let settled: Settled = serde_json::from_value(old.clone()).unwrap();
        assert!(settled.detail.is_empty() && settled.results[0].spread.is_empty());
        assert_eq!(serde_json::to_value(&settled).unwrap(), old);
    }

    #[test]
    fn a_mark_is_no_settlement() {
        let mark = Mark {
            mark: Uuid::from_u128(1),
        };
        assert!(decode::<Settled>(&encode(&mark)).is_err());
        assert!(decode::<RunEvent>(&encode(&mark)).is_err());
    }

    #[test]
    fn long_reasons_are_cut_at_whole_characters() {
        assert_eq!(cut("short"), "short");
        let long = cut(&"ä".repeat(5_000));
        assert_eq!(long.chars().count(), 4_000);
        assert!(long.ends_with('…'));
    }
}
