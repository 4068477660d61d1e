//! A body that is too large for one message: cut into parts, named by a small message, put together and checked.
//!
//! The parts lie in a queue of their own, numbered from 1, and come from it in any order and as often as they were sent. The
//! message in the shard says how many there are, how long the body is and its SHA-256. docs/MESSAGE.md is the contract.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::envelope::{self, DecodeError, Envelope, MAX_BYTES_IN_PARTS};
use crate::order::RunId;
use crate::topology::{Queue, parts_queue};

/// Every part has so many bytes, only the last one has the rest.
pub const PART_BYTES: usize = 4 * 1024 * 1024;
/// The header of the message in the shard: how many parts there are. Each part has it, too.
pub const COUNT: &str = "flowlift-parts";
/// The header of the message in the shard: the size of the body, in bytes.
pub const BYTES: &str = "flowlift-parts-bytes";
/// The header of the message in the shard: the SHA-256 of the body, in hexadecimal.
pub const SHA256: &str = "flowlift-parts-sha256";
/// The header of a part: its number, from 1.
pub const NUMBER: &str = "flowlift-part";

/// What a message says about the parts of its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The run.
    pub run: RunId,
    /// The change; a body in parts holds one.
    pub seq: u64,
    /// How many parts.
    pub count: u32,
    /// The size of the body.
    pub bytes: u64,
    /// Its SHA-256, in lower-case hexadecimal.
    pub sha256: String,
}

/// Why parts do not make a body. A clause for people that follows "unreadable message: ".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Damaged(pub String);

impl Named {
    /// Of this body.
    #[must_use]
    pub fn of(run: RunId, seq: u64, body: &[u8]) -> Self {
        Self {
            run,
            seq,
            count: count(body.len() as u64),
            bytes: body.len() as u64,
            sha256: hex(&Sha256::digest(body)),
        }
    }

    /// The queue of the parts. It follows from run and sequence: no message can name, or have deleted, any other queue.
    #[must_use]
    pub fn queue(&self) -> Queue {
        parts_queue(self.run, self.seq)
    }

    /// Whether what it says can be.
    ///
    /// # Errors
    /// [`Damaged`].
    pub fn check(&self) -> Result<(), Damaged> {
        if self.bytes > MAX_BYTES_IN_PARTS as u64 {
            let bytes = self.bytes;
            return Err(Damaged(format!(
                "its parts have {bytes} bytes, at most {MAX_BYTES_IN_PARTS} are allowed"
            )));
        }
        if self.bytes == 0 || self.count != count(self.bytes) {
            let (count, bytes) = (self.count, self.bytes);
            return Err(Damaged(format!(
                "{count} parts cannot have {bytes} bytes together"
            )));
        }
        Ok(())
    }
}

fn count(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(PART_BYTES as u64)).unwrap_or(u32::MAX)
}

/// Cuts a body; nothing is copied. Numbers begin at 1.
pub fn cut(body: &Bytes) -> impl Iterator<Item = (u32, Bytes)> {
    let starts = (0..body.len()).step_by(PART_BYTES);
    (1..).zip(starts.map(|start| body.slice(start..body.len().min(start + PART_BYTES))))
}

/// A body that is put together in a file, in whatever order its parts come.
#[derive(Debug)]
pub struct Joining {
    named: Named,
    file: File,
    missing: BTreeSet<u32>,
}

impl Joining {
    /// Into an empty file.
    ///
    /// # Errors
    /// [`Damaged`]: what the message says cannot be.
    pub fn new(named: Named, file: File) -> Result<Self, Damaged> {
        named.check()?;
        let missing = (1..=named.count).collect();
        Ok(Self { named, file, missing })
    }

    /// Takes a part; one that came before changes nothing, one that is wrong shows in the hash.
    ///
    /// # Errors
    /// Of the file.
    pub fn take(&mut self, number: u32, part: &[u8]) -> io::Result<()> {
        if self.missing.contains(&number) {
            let at = u64::from(number - 1) * PART_BYTES as u64;
            self.file.write_all_at(part, at)?;
            self.missing.remove(&number);
        }
        Ok(())
    }

    /// How many parts are missing still.
    #[must_use]
    pub fn missing(&self) -> usize {
        self.missing.len()
    }

    /// The body, once no part is missing: its size and its SHA-256 are as named.
    ///
    /// # Errors
    /// Of the file; inside, what is wrong with the body.
    pub fn done(self) -> io::Result<Result<Stored, Damaged>> {
        let bytes = self.file.metadata()?.len();
        if bytes != self.named.bytes || !self.missing.is_empty() {
            let wanted = self.named.bytes;
            let text = format!("its parts have {bytes} bytes together, {wanted} were sent");
            return Ok(Err(Damaged(text)));
        }
        let stored = Stored {
            file: self.file,
            bytes,
        };
        let mut hash = Sha256::new();
        io::copy(&mut stored.reader(), &mut hash)?;
        if hex(&hash.finalize()) != self.named.sha256 {
            let text = "its parts are damaged: together they have another SHA-256 than what was sent";
            return Ok(Err(Damaged(text.into())));
        }
        Ok(Ok(stored))
    }
}

/// A body in a file that nobody else has.
#[derive(Debug)]
pub struct Stored {
    file: File,
    bytes: u64,
}

impl Stored {
    /// Its size, compressed.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Reads it from the beginning; several may at the same time.
    #[must_use]
    pub fn reader(&self) -> impl Read {
        io::BufReader::with_capacity(1 << 16, At(&self.file, 0))
    }

    /// The message.
    ///
    /// # Errors
    /// As [`Envelope::decode`]; [`DecodeError::Unreadable`] also where the file cannot be read.
    pub fn open(&self) -> Result<Envelope, DecodeError> {
        // gzip ends with the size of what it holds; a wrong one costs memory within the limit
        let mut size = [0; 4];
        let told = self.file.read_exact_at(&mut size, self.bytes.saturating_sub(4));
        let unpacked = told.map_or(0, |()| u32::from_le_bytes(size));
        Envelope::decode_parts(self.reader(), usize::try_from(unpacked).unwrap_or_default())
    }
}

struct At<'f>(&'f File, u64);

impl Read for At<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read_at(into, self.1)?;
        self.1 += read as u64;
        Ok(read)
    }
}

/// The body of the message in the shard: everything but content, for people and for accounts. It is no message, so that a
/// reader that knows nothing of parts takes it for none.
#[derive(Debug, Serialize, Deserialize)]
struct Outline {
    outline: Envelope,
}

/// Packs an outline.
#[must_use]
pub fn outline(outline: Envelope) -> Vec<u8> {
    envelope::pack_json(&Outline { outline })
}

/// Reads an outline.
///
/// # Errors
/// [`DecodeError::Unreadable`].
pub fn read_outline(body: &[u8]) -> Result<Envelope, DecodeError> {
    let unreadable = |reason| DecodeError::Unreadable(format!("no outline of a body in parts: {reason}"));
    let json = envelope::unpack(body, envelope::MAX_UNPACKED).map_err(unreadable)?;
    let read: Outline = serde_json::from_slice(&json).map_err(|error| unreadable(error.to_string()))?;
    Ok(read.outline)
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}

#[cfg(test)]
mod tests;
