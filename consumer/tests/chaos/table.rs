//! The table of docs/RELIABILITY.md.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::play::Verdict;
use crate::rounds::Round;

/// When, how and on what it was played.
pub(crate) fn head(command: &str, rabbit: &str, seconds: u64) -> String {
    let today = jiff::Timestamp::now().strftime("%F");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let flowlift = env!("CARGO_PKG_VERSION");
    format!(
        "\n`{command}` on {today}: {} min {} s on {cores} cores, Flowlift {flowlift}, RabbitMQ {rabbit}.\n",
        seconds / 60,
        seconds % 60
    )
}

/// The rows of all rounds, in the order given; rounds played several times are one row.
pub(crate) fn table(rounds: &[Round], verdicts: &[(&'static str, Verdict)]) -> String {
    let mut by_name: BTreeMap<&str, Vec<&Verdict>> = BTreeMap::new();
    for (name, verdict) in verdicts {
        by_name.entry(name).or_default().push(verdict);
    }
    let mut text =
        String::from("| round | fault | tried | changes published | lost | undone | other findings |\n");
    text.push_str("|---|---|---:|---:|---:|---:|---:|\n");
    for round in rounds {
        let Some(of_it) = by_name.get(round.name) else {
            continue;
        };
        let sum = |count: fn(&Verdict) -> u64| of_it.iter().map(|verdict| count(verdict)).sum::<u64>();
        let (name, fault) = (round.name, round.fault);
        let (tried, changes) = (sum(|one| one.tried), sum(|one| one.changes));
        let (lost, undone) = (
            sum(|one| one.found.lost.len() as u64),
            sum(|one| one.found.undone.len() as u64),
        );
        let other = sum(|one| (one.found.other.len() + one.faults.len()) as u64);
        let _ = writeln!(
            text,
            "| `{name}` | {fault} | {tried} | {changes} | {lost} | {undone} | {other} |"
        );
    }
    text
}
