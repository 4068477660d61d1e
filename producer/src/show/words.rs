//! What became of changes, as people and programs see it.

use std::fmt::Write as _;

use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::Fate;
use crate::dead::id::Id;
use crate::runs::table::short;
use crate::when::{second_ms, stamp};

/// The heading of the table.
pub const HEADING: [&str; 8] = [
    "project", "what", "outcome", "when", "change", "consumer", "version", "note",
];
/// The longest name in the table.
const WHAT: usize = 40;
/// The longest note in the table; `--json` has all of it.
const NOTE: usize = 60;

/// Times in words: those of a settlement are all the same.
#[derive(Debug)]
pub struct Times {
    zone: TimeZone,
    last: (u64, String),
}

impl Times {
    /// In this zone.
    #[must_use]
    pub fn of(zone: TimeZone) -> Self {
        let last = (0, second_ms(0, &zone));
        Self { zone, last }
    }

    fn words(&mut self, ms: u64) -> String {
        if self.last.0 != ms {
            self.last = (ms, second_ms(ms, &self.zone));
        }
        self.last.1.clone()
    }
}

/// A line of the table.
#[must_use]
pub fn row(fate: &Fate, times: &mut Times) -> [String; HEADING.len()] {
    let dash = || "-".to_owned();
    [
        fate.project.to_string(),
        short(&fate.what, WHAT),
        fate.outcome.to_string(),
        times.words(fate.at_ms),
        Id::of(fate.run, fate.seq).to_string(),
        fate.consumer.clone(),
        fate.version.map_or_else(dash, |version| version.to_string()),
        fate.note.as_deref().map_or_else(dash, |note| short(note, NOTE)),
    ]
}

/// For programs.
#[must_use]
pub fn to_json(fate: &Fate) -> Value {
    json!({"project": fate.project, "what": fate.what, "outcome": fate.outcome, "at": stamp(fate.at_ms), "run": fate.run,
        "seq": fate.seq, "consumer": fate.consumer, "version": fate.version, "note": fate.note})
}

/// Lines with aligned columns, one behind the other: a million of them must not take longer than reading them did.
#[must_use]
pub fn aligned<const N: usize>(rows: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (most, cell) in widths.iter_mut().zip(row) {
            *most = width(cell).max(*most);
        }
    }
    let mut text = String::with_capacity(rows.len() * (widths.iter().sum::<usize>() + 2 * N));
    for row in rows {
        for (cell, most) in row[..N - 1].iter().zip(widths) {
            // writing to a text does not fail
            let _ = write!(text, "{cell:<most$}  ");
        }
        text.push_str(&row[N - 1]);
        text.push('\n');
    }
    text
}

fn width(cell: &str) -> usize {
    if cell.is_ascii() {
        cell.len()
    } else {
        cell.chars().count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::show::tests::record;
    use crate::show::{Asked, Told, fates};
    use flowlift_common::ledger::Outcome;

    #[test]
    fn a_line_says_what_when_by_whom_and_why() {
        let mut lines = Vec::new();
        let record = record(0x0c6b_fa0d, Outcome::Dead, &["load"]);
        fates(&record, &Asked::default(), &mut Told::default(), |fate| {
            lines.push((row(&fate, &mut Times::of(TimeZone::UTC)), to_json(&fate)));
        });
        let (cells, json) = &lines[0];
        assert_eq!(
            cells.join("|"),
            "Night|load|dead|1970-01-01 00:01:00|0c6bfa0d.1|c1|7|because"
        );
        assert_eq!(
            (&json["seq"], &json["note"], &json["version"]),
            (&1.into(), &"because".into(), &7.into())
        );
    }

    #[test]
    fn columns_are_aligned() {
        let rows = [
            ["a".to_owned(), "1".to_owned()],
            ["ünc".to_owned(), "22".to_owned()],
        ];
        assert_eq!(aligned(&rows), "a    1\nünc  22\n");
    }
}
