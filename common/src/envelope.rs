//! The wire form of changes: one message, 1..n changes of one project, JSON, gzip. docs/MESSAGE.md is its contract.

use std::io::{BufWriter, Read as _, Write as _};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use flowlift_azkaban::{Format, ProjectName};
use serde::{Deserialize, Serialize};

use crate::change::{Act, Change};
use crate::order::{Order, RunId};

/// The wire version this code reads and writes.
pub const VERSION: u32 = 1;
/// A group of changes aims at this size, compressed, in bytes. With the prefetch it bounds a consumer's memory.
pub const GROUP_BYTES: usize = 12 * 1024;
/// The largest message, compressed, in bytes; a change alone larger than that travels in parts ([`crate::parts`]).
pub const MAX_BYTES: usize = 8 * 1024 * 1024;
/// The largest body after unpacking, in bytes; more is unreadable (a compression bomb).
pub const MAX_UNPACKED: usize = 64 * 1024 * 1024;
/// The largest body in parts, compressed, in bytes; a change larger than that is refused before anything is sent.
pub const MAX_BYTES_IN_PARTS: usize = 256 * 1024 * 1024;
/// The largest body in parts after unpacking, in bytes. A file that is no text takes a third more than it has.
pub const MAX_UNPACKED_IN_PARTS: usize = 400 * 1024 * 1024;
/// The most changes in one message.
pub const MAX_CHANGES: usize = 10_000;

/// JSON goes to the compressor in pieces of so many bytes.
const WRITTEN_AT_ONCE: usize = 64 * 1024;

/// One message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// Wire version: a reader leaves newer ones to newer readers.
    pub v: u32,
    /// The project all changes are for.
    pub project: ProjectName,
    /// The run.
    pub run: RunId,
    /// The run's rank when this was published.
    pub rank: u64,
    /// Who may change these flows later; empty: nobody in particular.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub owner: String,
    /// The producer's clock when this was published first, in ms since 1970; for latency only, never for order.
    pub published_ms: u64,
    /// When its run should be settled, in ms since 1970, where somebody said so; for alerts only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u64>,
    /// How the project is treated.
    #[serde(default)]
    pub rules: Rules,
    /// The changes, by ascending sequence.
    pub changes: Vec<Change>,
}

/// How a message's changes treat what they find.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rules {
    /// A missing project is created.
    pub create: bool,
    /// A flow that nobody owns may be taken over.
    pub adopt: bool,
    /// The format of a project that is created.
    pub format: Format,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            create: true,
            adopt: true,
            format: Format::V1,
        }
    }
}

/// Why a body cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A newer major version: it is left for a newer consumer, never dead-lettered.
    #[error("message of wire version {0}, this consumer reads up to {VERSION}")]
    Newer(u32),
    /// Damaged, not gzip, not JSON, or against the contract.
    #[error("unreadable message: {0}")]
    Unreadable(String),
}

/// Why changes cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PackError {
    /// One change alone is over [`MAX_BYTES_IN_PARTS`].
    #[error("{label} has {bytes} bytes compressed, at most {MAX_BYTES_IN_PARTS} are allowed in one change")]
    TooLarge {
        /// The change, for people.
        label: String,
        /// Its size, compressed.
        bytes: usize,
    },
}

impl Envelope {
    /// A message that has a project checked ([`Act::Check`]) and changes nothing by itself; of the lowest rank, and never the
    /// reason to create a project.
    #[must_use]
    pub fn check(project: ProjectName, run: RunId, published_ms: u64) -> Self {
        Self {
            v: VERSION,
            project,
            run,
            rank: 0,
            owner: String::new(),
            published_ms,
            rules: Rules {
                create: false,
                ..Rules::default()
            },
            changes: vec![Change {
                seq: 1,
                act: Act::Check,
            }],
            deadline_ms: None,
        }
    }

    /// The order of one of its changes.
    #[must_use]
    pub fn order(&self, change: &Change) -> Order {
        Order {
            rank: self.rank,
            run: self.run,
            seq: change.seq,
        }
    }

    /// The first and last sequence.
    #[must_use]
    pub fn span(&self) -> (u64, u64) {
        let first = self.changes.first().map_or(0, |change| change.seq);
        (first, self.changes.last().map_or(first, |change| change.seq))
    }

    /// The body: JSON, gzip. The same envelope gives the same bytes.
    ///
    /// # Panics
    /// Never: writing to memory does not fail and the type has only string keys.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        // through a buffer: the JSON of a large file is never there as a whole
        let encoder = GzEncoder::new(Vec::new(), Compression::default());
        let mut writer = BufWriter::with_capacity(WRITTEN_AT_ONCE, encoder);
        let written = serde_json::to_writer(&mut writer, self).map_err(std::io::Error::from);
        let encoder = written.and_then(|()| writer.into_inner().map_err(std::io::IntoInnerError::into_error));
        let body = encoder.and_then(GzEncoder::finish);
        body.expect("an envelope is always JSON and memory takes it")
    }

    /// Reads a body, with the limits that keep a bad one from hurting.
    pub fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        Self::of_json(&unpack(body, MAX_UNPACKED).map_err(DecodeError::Unreadable)?)
    }

    /// Reads a body that came in parts; `unpacked` says how large it should be after unpacking, which saves memory.
    pub fn decode_parts(body: impl std::io::Read, unpacked: usize) -> Result<Self, DecodeError> {
        let mut json = Vec::with_capacity(unpacked.min(MAX_UNPACKED_IN_PARTS) + 1);
        unpack_into(&mut json, body, MAX_UNPACKED_IN_PARTS).map_err(DecodeError::Unreadable)?;
        Self::of_json(&json)
    }

    fn of_json(json: &[u8]) -> Result<Self, DecodeError> {
        let unreadable =
            |error: serde_json::Error| DecodeError::Unreadable(format!("not a message: {error}"));
        let Version { v } = serde_json::from_slice(json).map_err(unreadable)?;
        if v > VERSION {
            return Err(DecodeError::Newer(v));
        }
        let envelope: Self = serde_json::from_slice(json).map_err(unreadable)?;
        let ascending = envelope.changes.windows(2).all(|pair| pair[0].seq < pair[1].seq);
        match envelope.changes.first() {
            None => Err(DecodeError::Unreadable("it holds no change".into())),
            Some(first) if first.seq == 0 => Err(DecodeError::Unreadable("sequences start at 1".into())),
            Some(_) if !ascending => Err(DecodeError::Unreadable("its sequences do not ascend".into())),
            Some(_) => Ok(envelope),
        }
    }

    /// The same without the content of files and flows: what is kept at hand of a body in parts.
    #[must_use]
    pub fn outline(&self) -> Self {
        let change = |change: &Change| Change {
            seq: change.seq,
            act: change.act.outline(),
        };
        Self {
            project: self.project.clone(),
            owner: self.owner.clone(),
            changes: self.changes.iter().map(change).collect(),
            ..*self
        }
    }

    /// Packs changes of one project into bodies near [`GROUP_BYTES`]; `self` gives everything but the changes. One change
    /// alone may come to more than [`MAX_BYTES`]: such a body has an outline and goes in parts.
    pub fn pack(&self, changes: Vec<Change>) -> Result<Vec<Packed>, PackError> {
        let mut packed = Vec::new();
        let mut waiting = vec![changes];
        while let Some(mut group) = waiting.pop() {
            if group.len() > MAX_CHANGES {
                let rest = group.split_off(MAX_CHANGES);
                waiting.push(rest);
                waiting.push(group);
                continue;
            }
            let mut envelope = Self {
                changes: group,
                ..self.clone()
            };
            let body = envelope.encode();
            let count = envelope.changes.len();
            if body.len() > GROUP_BYTES && count > 1 {
                let pieces = body.len().div_ceil(GROUP_BYTES).clamp(2, count);
                waiting.extend(
                    split(std::mem::take(&mut envelope.changes), pieces)
                        .into_iter()
                        .rev(),
                );
            } else if body.len() > MAX_BYTES_IN_PARTS {
                let label = envelope.changes[0].label();
                return Err(PackError::TooLarge {
                    label,
                    bytes: body.len(),
                });
            } else if count > 0 {
                let (first, last) = envelope.span();
                let outline = (body.len() > MAX_BYTES).then(|| envelope.outline());
                packed.push(Packed {
                    body,
                    outline,
                    first,
                    last,
                    changes: count,
                });
            }
        }
        Ok(packed)
    }
}

fn split(mut changes: Vec<Change>, pieces: usize) -> Vec<Vec<Change>> {
    let size = changes.len().div_ceil(pieces);
    let mut groups = Vec::with_capacity(pieces);
    while changes.len() > size {
        let rest = changes.split_off(size);
        groups.push(std::mem::replace(&mut changes, rest));
    }
    groups.push(changes);
    groups
}

/// A body that is ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    /// The bytes.
    pub body: Vec<u8>,
    /// Where the body is too large for one message: what it says without its content.
    pub outline: Option<Envelope>,
    /// First sequence in it.
    pub first: u64,
    /// Last sequence in it.
    pub last: u64,
    /// Number of changes.
    pub changes: usize,
}

#[derive(Deserialize)]
struct Version {
    v: u32,
}

/// Packs any JSON value as all records of ours are packed: gzip.
///
/// # Panics
/// Never for the record types of this crate: they are always JSON.
#[must_use]
pub fn pack_json(value: &impl Serialize) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let json = serde_json::to_vec(value).expect("records have string keys only");
    let body = encoder.write_all(&json).and_then(|()| encoder.finish());
    body.expect("memory takes it")
}

/// Unpacks gzip up to `limit` bytes; the error is a clause for people.
pub fn unpack(body: &[u8], limit: usize) -> Result<Vec<u8>, String> {
    let mut json = Vec::new();
    unpack_into(&mut json, body, limit)?;
    Ok(json)
}

fn unpack_into(json: &mut Vec<u8>, body: impl std::io::Read, limit: usize) -> Result<(), String> {
    let mut reader = GzDecoder::new(body).take(limit as u64 + 1);
    reader
        .read_to_end(json)
        .map_err(|error| format!("not gzip: {error}"))?;
    if json.len() > limit {
        return Err(format!("it unpacks to more than {limit} bytes"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::{Act, Content};
    use flowlift_azkaban::FlowName;

    fn envelope() -> Envelope {
        Envelope {
            v: VERSION,
            project: ProjectName::new("p").unwrap(),
            run: RunId(uuid::Uuid::from_u128(7)),
            rank: 5,
            owner: String::new(),
            published_ms: 1,
            rules: Rules::default(),
            changes: vec![],
            deadline_ms: None,
        }
    }

    fn noise(seq: u64, bytes: usize) -> Change {
        let mut state = seq + 1;
        let content: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        })
        .take(bytes)
        .collect();
        Change {
            seq,
            act: Act::PutFile {
                path: format!("f{seq}"),
                content: Content(content.into()),
            },
        }
    }

    #[test]
    fn a_message_comes_back_as_it_was() {
        let mut message = envelope();
        message.changes = vec![Change {
            seq: 3,
            act: Act::Delete {
                flow: FlowName::new("f").unwrap(),
            },
        }];
        assert_eq!(Envelope::decode(&message.encode()).unwrap(), message);
    }

    #[test]
    fn a_newer_version_is_told_from_damage() {
        let newer = pack_json(&serde_json::json!({"v": 2, "anything": true}));
        assert_eq!(Envelope::decode(&newer), Err(DecodeError::Newer(2)));
        for bad in [
            b"junk".to_vec(),
            pack_json(&serde_json::json!({"v": 1})),
            pack_json(&[1]),
        ] {
            assert!(matches!(Envelope::decode(&bad), Err(DecodeError::Unreadable(_))));
        }
    }

    #[test]
    fn a_bomb_is_unreadable_and_never_unpacked() {
        let bomb = pack_json(&"x".repeat(MAX_UNPACKED + 10));
        assert!(bomb.len() < 1 << 20);
        assert!(
            matches!(Envelope::decode(&bomb), Err(DecodeError::Unreadable(reason)) if reason.contains("unpacks"))
        );
    }

    #[test]
    fn groups_stay_near_their_size_and_lose_nothing() {
        let changes: Vec<Change> = (1..=100).map(|seq| noise(seq, 2_000)).collect();
        let packed = envelope().pack(changes.clone()).unwrap();
        assert!(packed.len() > 10 && packed.iter().all(|one| one.body.len() <= GROUP_BYTES));
        let back: Vec<Change> = packed
            .iter()
            .flat_map(|one| Envelope::decode(&one.body).unwrap().changes)
            .collect();
        assert_eq!(back, changes);
        let spans: Vec<u64> = packed.iter().map(|one| one.last - one.first + 1).collect();
        assert_eq!(spans.iter().sum::<u64>(), 100);
    }

    #[test]
    fn one_change_over_the_limit_of_a_message_has_an_outline_and_the_others_travel_as_ever() {
        let changes = vec![noise(1, 10), noise(2, MAX_BYTES + 1_000), noise(3, 10)];
        let packed = envelope().pack(changes.clone()).unwrap();
        let seqs: Vec<(u64, bool)> = packed
            .iter()
            .map(|one| (one.first, one.outline.is_some()))
            .collect();
        assert_eq!(seqs, [(1, false), (2, true), (3, false)]);
        let outline = packed[1].outline.as_ref().unwrap();
        assert_eq!(outline.changes[0].label(), "file f2");
        assert!(outline.encode().len() < 1_000);
        assert!(Envelope::decode_parts(&packed[1].body[..], 0).unwrap().changes[..] == changes[1..2]);
    }
}
