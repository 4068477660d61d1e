//! Two runs side by side. Pure.

use flowlift_common::ledger::Outcome;
use serde_json::{Map, Value};

use super::Figures;
use super::chart::{ms, number};
use crate::words::thousands;

/// A figure of a run.
struct Row {
    name: &'static str,
    /// Its name for programs.
    key: &'static str,
    words: fn(f64) -> String,
    of: fn(&Figures) -> Option<f64>,
}

fn time(value: f64) -> String {
    ms(value as u64)
}

fn count(value: f64) -> String {
    thousands(value as u64)
}

fn quantile(figures: &Figures, thousandths: u16) -> Option<f64> {
    figures.latencies.quantile(thousandths).map(|ms| ms as f64)
}

const ROWS: [Row; 12] = [
    Row {
        name: "changes settled",
        key: "settled",
        words: count,
        of: |run| Some(run.measures.done as f64),
    },
    Row {
        name: "applied",
        key: "applied",
        words: count,
        of: |run| Some(run.count(Outcome::Applied) as f64),
    },
    Row {
        name: "dead",
        key: "dead",
        words: count,
        of: |run| Some(run.count(Outcome::Dead) as f64),
    },
    Row {
        name: "duration",
        key: "duration_ms",
        words: time,
        of: |run| Some(run.measures.duration_ms as f64),
    },
    Row {
        name: "changes per second",
        key: "per_second",
        words: number,
        of: |run| Some(run.rate()),
    },
    Row {
        name: "latency p50",
        key: "p50_ms",
        words: time,
        of: |run| quantile(run, 500),
    },
    Row {
        name: "latency p90",
        key: "p90_ms",
        words: time,
        of: |run| quantile(run, 900),
    },
    Row {
        name: "latency p99",
        key: "p99_ms",
        words: time,
        of: |run| quantile(run, 990),
    },
    Row {
        name: "latency max",
        key: "max_ms",
        words: time,
        of: |run| quantile(run, 1_000),
    },
    Row {
        name: "uploads",
        key: "uploads",
        words: count,
        of: |run| Some(run.uploads.len() as f64),
    },
    Row {
        name: "changes per upload",
        key: "changes_per_upload",
        words: number,
        of: Figures::per_upload,
    },
    Row {
        name: "failed calls",
        key: "faults",
        words: count,
        of: |run| Some(run.faults.iter().map(|(_, _, n)| *n).sum::<u64>() as f64),
    },
];

/// Ours by theirs; `None` where there is nothing to divide by.
fn ratio(ours: Option<f64>, theirs: Option<f64>) -> Option<f64> {
    let (ours, theirs) = (ours?, theirs?);
    (theirs > 0.0).then(|| ours / theirs)
}

/// The figures of both runs and their ratios: name, ours, theirs, ours by theirs.
#[must_use]
pub fn compared(ours: &Figures, theirs: &Figures) -> Vec<[String; 4]> {
    let dash = || "-".to_owned();
    let row = |row: &Row| {
        let (mine, other) = ((row.of)(ours), (row.of)(theirs));
        let words = |value: Option<f64>| value.map_or_else(dash, row.words);
        let ratio = ratio(mine, other).map_or_else(dash, |ratio| format!("{ratio:.2}"));
        [row.name.to_owned(), words(mine), words(other), ratio]
    };
    ROWS.iter().map(row).collect()
}

/// The ratios for programs.
#[must_use]
pub fn ratios_json(ours: &Figures, theirs: &Figures) -> Value {
    let ratios = ROWS.iter().map(|row| {
        let ratio = ratio((row.of)(ours), (row.of)(theirs));
        (
            row.key.to_owned(),
            ratio.map_or(Value::Null, |ratio| ((ratio * 1000.0).round() / 1000.0).into()),
        )
    });
    Value::Object(ratios.collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Collect;
    use crate::report::figures::tests::{T0, collected, run};

    #[test]
    fn both_runs_figures_stand_side_by_side_with_their_ratio() {
        let ours = Figures::of(collected(), T0 + 100_000);
        let mut theirs = Figures::of(collected(), T0 + 100_000);
        theirs.measures.done = 65;
        theirs.faults.clear();
        let rows = compared(&ours, &theirs);
        assert_eq!(
            rows[0],
            ["changes settled", "130", "65", "2.00"].map(str::to_owned)
        );
        assert_eq!(
            rows[5],
            ["latency p50", "10 s", "10 s", "1.00"].map(str::to_owned)
        );
        assert_eq!(rows[11], ["failed calls", "6", "0", "-"].map(str::to_owned));
        let json = ratios_json(&ours, &theirs);
        assert_eq!((&json["settled"], &json["faults"]), (&2.0.into(), &Value::Null));
        let nothing = Figures::of(Collect::new(run()), 0);
        assert_eq!(compared(&ours, &nothing)[5][2], "-");
    }
}
