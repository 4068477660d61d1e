//! The table for other programs: one line for each outcome of each settlement. Pure.

use super::Figures;
use super::collect::{Line, Upload};
use crate::when::stamp;

const HEADING: &str =
    "time,project,outcome,changes,latency_ms,consumer,version,upload_ms,zip_bytes,flows,note\n";

/// All of a run.
#[must_use]
pub fn csv(figures: &Figures) -> String {
    let mut text = HEADING.to_owned();
    let by_attempt = |line: &Line| {
        line.upload
            .as_ref()
            .and_then(|attempt| figures.attempts.get(attempt))
    };
    for line in &figures.lines {
        text += &one(line, by_attempt(line).map(|at| &figures.uploads[*at]));
    }
    text
}

fn one(line: &Line, upload: Option<&Upload>) -> String {
    let of = |value: fn(&Upload) -> u64| upload.map_or_else(String::new, |upload| value(upload).to_string());
    let cells = [
        stamp(line.at_ms).map_or_else(String::new, |at| at.to_string()),
        cell(line.project.as_str()),
        line.outcome.to_string(),
        line.changes.to_string(),
        line.latency_ms.to_string(),
        cell(&line.consumer),
        of(|upload| u64::from(upload.version)),
        of(|upload| upload.upload_ms),
        of(|upload| upload.zip_bytes),
        of(|upload| upload.flows),
        cell(&line.note),
    ];
    cells.join(",") + "\n"
}

/// A text as a cell: quoted where it must be, and never a formula of a spreadsheet.
fn cell(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if formula {
        format!("'{text}")
    } else {
        text.to_owned()
    };
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::figures::tests::{T0, collected};

    #[test]
    fn each_outcome_of_each_settlement_has_its_line_with_its_upload() {
        let csv = csv(&Figures::of(collected(), T0 + 100_000));
        let lines: Vec<&str> = csv.lines().collect();
        assert_eq!(lines.len(), 4);
        assert!(
            lines[1].ends_with("Z,a,applied,100,10000,one,1,700,5000,100,"),
            "{}",
            lines[1]
        );
        assert!(
            lines[3].ends_with("b,dead,10,40000,two,,,,,no type <script>alert(1)</script>"),
            "{}",
            lines[3]
        );
    }

    #[test]
    fn a_cell_is_never_two_cells_nor_a_formula() {
        let all = [
            "a",
            "a,b",
            "say \"no\"",
            "two\nlines",
            "=cmd|' /C calc'!A0",
            "-1+2",
        ]
        .map(cell);
        assert_eq!(
            all,
            [
                "a",
                "\"a,b\"",
                "\"say \"\"no\"\"\"",
                "\"two\nlines\"",
                "'=cmd|' /C calc'!A0",
                "'-1+2"
            ]
        );
    }
}
