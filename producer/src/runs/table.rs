//! Runs as people and programs see them.

use flowlift_common::fold::RunState;
use flowlift_common::ledger::Outcome;
use flowlift_common::order::RunId;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::{State, opened_ms};
use crate::when::{Kept, minute_ms, stamp};
use crate::words::thousands;

/// The heading of the table.
pub const HEADING: [&str; 10] = [
    "run", "opened", "who", "source", "owner", "state", "changes", "done", "dead", "deadline",
];
/// The longest source in the table.
const SOURCE: usize = 40;

/// A line of the table.
#[must_use]
pub fn row(run: RunId, state: &RunState, now_ms: u64, zone: &TimeZone) -> Vec<String> {
    let dash = || "-".to_owned();
    let opening = state.opening();
    let text = |of: Option<&String>| of.filter(|text| !text.is_empty()).cloned().unwrap_or_else(dash);
    let deadline = opening.and_then(|opening| opening.deadline_ms);
    let deadline = deadline.map(|at| {
        let words = Kept::of(at, state.settled_ms(), now_ms).words();
        format!("{} ({words})", minute_ms(at, zone))
    });
    vec![
        run.to_string(),
        minute_ms(opened_ms(state), zone),
        text(opening.map(|opening| &opening.who)),
        short(&text(opening.map(|opening| &opening.source)), SOURCE),
        text(opening.map(|opening| &opening.owner)),
        State::of(state, now_ms).word().to_owned(),
        state.total().map_or_else(dash, thousands),
        thousands(state.done()),
        thousands(state.count(Outcome::Dead)),
        deadline.unwrap_or_else(dash),
    ]
}

/// For programs.
#[must_use]
pub fn to_json(run: RunId, state: &RunState, now_ms: u64) -> Value {
    let opening = state.opening();
    let deadline = opening.and_then(|opening| opening.deadline_ms);
    let outcomes: serde_json::Map<String, Value> = Outcome::ALL
        .iter()
        .map(|outcome| (outcome.as_str().to_owned(), state.count(*outcome).into()))
        .collect();
    json!({"run": run, "opened": stamp(opened_ms(state)), "who": opening.map(|opening| &opening.who),
        "source": opening.map(|opening| &opening.source), "owner": opening.map(|opening| &opening.owner),
        "state": State::of(state, now_ms).word(), "changes": state.total(), "done": state.done(), "outcomes": outcomes,
        "dead": state.count(Outcome::Dead), "uploads": state.uploads(), "settled": state.settled_ms().and_then(stamp),
        "projects": state.closing().map(|closing| closing.projects.len()), "deadline": deadline.and_then(stamp),
        "deadline_kept": deadline.and_then(|at| Kept::of(at, state.settled_ms(), now_ms).decided())})
}

/// A text cut to so many characters; control characters would break the line.
#[must_use]
pub fn short(text: &str, most: usize) -> String {
    if text.len() <= most && !text.contains(char::is_control) {
        return text.to_owned();
    }
    let clean = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let count = text.chars().count();
    if count <= most {
        clean.collect()
    } else {
        clean.take(most - 1).chain(['…']).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runs::Runs;
    use crate::runs::tests::{closed, opened, settled};

    #[test]
    fn a_line_says_who_what_how_far_and_whether_in_time() {
        let mut runs = Runs::default();
        runs.run_event(&opened(1, 0, Some(4_000)));
        runs.run_event(&closed(1, 1_200, false));
        runs.settled(&settled(1, Outcome::Applied, (1, 1_199)));
        let line = |runs: &Runs, now_ms| {
            let (run, listed) = runs.iter().next().unwrap();
            (
                row(run, listed, now_ms, &TimeZone::UTC),
                to_json(run, listed, now_ms),
            )
        };
        let (cells, json) = line(&runs, 3_000);
        let wanted = "1970-01-01 00:00|me@host|3 generated flows|team|closed|1,200|1,199|0|1970-01-01 00:00 (1.0 s left)";
        assert_eq!(cells[1..].join("|"), wanted);
        assert_eq!(
            (&json["done"], &json["deadline_kept"]),
            (&1_199.into(), &Value::Null)
        );
        runs.settled(&settled(1, Outcome::Dead, (1_200, 1_200)));
        let (cells, json) = line(&runs, 3_000);
        assert_eq!(
            (cells[5].as_str(), cells[9].as_str()),
            ("settled", "1970-01-01 00:00 (missed by 1.0 s)")
        );
        assert_eq!(
            (&json["dead"], &json["deadline_kept"]),
            (&1.into(), &false.into())
        );
    }

    #[test]
    fn long_and_broken_texts_stay_in_their_line() {
        assert_eq!(short("abc", 3), "abc");
        assert_eq!(short("abcd", 3), "ab…");
        assert_eq!(short("a\nb", 3), "a b");
    }
}
