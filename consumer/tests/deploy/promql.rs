//! Reads as much of an expression as is needed to know which series it asks for.

/// Functions, aggregations and operators in words that our expressions use; whatever else is a name of a series.
const WORDS: [&str; 24] = [
    "absent",
    "and",
    "bool",
    "by",
    "clamp_min",
    "count",
    "group_left",
    "histogram_quantile",
    "ignoring",
    "increase",
    "label_values",
    "max",
    "min",
    "offset",
    "on",
    "or",
    "rate",
    "sum",
    "time",
    "topk",
    "unless",
    "without",
    "avg",
    "vector",
];
/// After these a list of labels stands in parentheses.
const LISTS: [&str; 5] = ["by", "group_left", "ignoring", "on", "without"];

/// The names of series in an expression, in its order.
pub(crate) fn series(expression: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let mut rest = expression;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            // labels and their values, durations
            '{' => length_up_to(rest, '}'),
            '[' => length_up_to(rest, ']'),
            _ if is_of_a_name(first) => {
                let word: String = rest
                    .chars()
                    .take_while(|c| is_of_a_name(*c) || c.is_ascii_digit())
                    .collect();
                let after = rest[word.len()..].trim_start();
                if LISTS.contains(&word.as_str()) && after.starts_with('(') {
                    let skipped = rest.len() - after.len();
                    rest = &rest[skipped + length_up_to(after, ')')..];
                    continue;
                }
                if !WORDS.contains(&word.as_str()) {
                    names.push(word.clone());
                }
                word.len()
            }
            // a number with its unit, like 1h or 0.95
            _ if first.is_ascii_digit() => rest
                .find(|c: char| !c.is_ascii_alphanumeric() && c != '.')
                .unwrap_or(rest.len()),
            _ => first.len_utf8(),
        };
        rest = &rest[length..];
    }
    names
}

fn is_of_a_name(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_' || c == ':'
}

/// Up to and with the closing character; one within quotes does not count.
fn length_up_to(text: &str, close: char) -> usize {
    let mut quoted = false;
    for (at, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            _ if c == close && !quoted => return at + c.len_utf8(),
            _ => {}
        }
    }
    panic!("{text:?} has no {close:?}");
}

#[test]
fn series_are_told_from_functions_labels_and_numbers() {
    for (expression, expected) in [
        (
            r#"sum by (le, call) (rate(a_bucket{job=~"b}",c="d"}[$__rate_interval]))"#,
            vec!["a_bucket"],
        ),
        (
            "histogram_quantile(0.95, x) > 1e3 and on (job) y:z:sum == bool 0",
            vec!["x", "y:z:sum"],
        ),
        (
            "topk(10, sum by (p) (increase(p_total[1h]))) - time()",
            vec!["p_total"],
        ),
        ("quantile_over_time(1, x[5m])", vec!["quantile_over_time", "x"]),
    ] {
        assert_eq!(series(expression), expected, "{expression}");
    }
}
