//! How a person names a dead letter: `6c0bfa0d.17`, the end of the run's id and the place in the run. Both stand in the letter
//! itself, so an id means the same change in every call. A body that cannot be read is named by its hash: `x0123456789abcdef`.

use std::fmt;
use std::str::FromStr;

use flowlift_common::RunId;

/// Digits of a run's id in a short one: its end, because ids of one minute begin alike.
const SHORT: usize = 8;

/// A run, named in full or by the end of its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunRef {
    /// The whole id.
    Full(RunId),
    /// Its last eight digits.
    Short(u32),
}

impl RunRef {
    /// Whether it names this run.
    #[must_use]
    pub fn names(self, run: RunId) -> bool {
        match self {
            Self::Full(full) => full == run,
            Self::Short(end) => short(run) == end,
        }
    }
}

impl FromStr for RunRef {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.len() == SHORT
            && let Ok(end) = u32::from_str_radix(text, 16)
        {
            return Ok(Self::Short(end));
        }
        let full = text.parse().map(Self::Full);
        full.map_err(|_| "expected a run's id, or its last 8 digits".into())
    }
}

impl fmt::Display for RunRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(run) => run.fmt(f),
            Self::Short(end) => write!(f, "{end:08x}"),
        }
    }
}

/// A dead letter's id as a person gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Id {
    /// A change.
    Change(RunRef, u64),
    /// A body that cannot be read, by its hash.
    Unread(u64),
}

impl Id {
    /// The id of a change as `list` prints it.
    #[must_use]
    pub fn of(run: RunId, seq: u64) -> Self {
        Self::Change(RunRef::Short(short(run)), seq)
    }
}

impl FromStr for Id {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "expected an id as `flowlift dead list` prints it, for example 6c0bfa0d.17".to_owned();
        if let Some(hash) = text.strip_prefix('x') {
            let whole = hash.len() == 16;
            let hash = u64::from_str_radix(hash, 16).ok().filter(|_| whole);
            return hash.map(Self::Unread).ok_or_else(wrong);
        }
        let (run, seq) = text.rsplit_once('.').ok_or_else(wrong)?;
        match (run.parse(), seq.parse()) {
            (Ok(run), Ok(seq)) => Ok(Self::Change(run, seq)),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Change(run, seq) => write!(f, "{run}.{seq}"),
            Self::Unread(hash) => write!(f, "x{hash:016x}"),
        }
    }
}

/// The end of a run's id, by which people name it.
#[must_use]
pub fn short_run(run: RunId) -> String {
    RunRef::Short(short(run)).to_string()
}

fn short(run: RunId) -> u32 {
    // the last 32 bits of 128
    (run.0.as_u128() & u128::from(u32::MAX)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_the_end_of_the_run_and_the_place_in_it() {
        let run: RunId = "019e0a5c-7c30-7d10-a3c5-2f6f0c6bfa0d".parse().unwrap();
        let id = Id::of(run, 17);
        assert_eq!(id.to_string(), "0c6bfa0d.17");
        assert_eq!("0c6bfa0d.17".parse(), Ok(id));
        let full = Id::Change(RunRef::Full(run), 17);
        assert_eq!("019e0a5c-7c30-7d10-a3c5-2f6f0c6bfa0d.17".parse(), Ok(full));
        assert_eq!("x00000000000000ff".parse(), Ok(Id::Unread(255)));
        assert_eq!(Id::Unread(255).to_string(), "x00000000000000ff");
    }

    #[test]
    fn what_is_no_id_is_told() {
        for bad in [
            "",
            "17",
            ".17",
            "0c6bfa0d",
            "0c6bfa0d.",
            "0c6bfa0.1",
            "xff",
            "0c6bfa0d.x",
        ] {
            assert!(bad.parse::<Id>().is_err(), "{bad}");
        }
        assert!("0c6bfa0".parse::<RunRef>().is_err());
    }
}
