//! Texts with a number in them: `flow_{n:06}`, `0 {n%60} * ? * *`.
//!
//! `{n}` is the flow's number from 1, `{n:06}` the same with at least 6 digits, `{n%60}` the remainder of a division by 60,
//! `{n%60:02}` both. All other braces stay as they are, and so does `${n}`, which is a parameter of Azkaban's.

use std::fmt::Write as _;

/// A text that is made for each number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Number { modulo: Option<u64>, width: usize },
}

impl std::str::FromStr for Template {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find("{n") {
            let (before, from) = rest.split_at(at);
            plain.push_str(before);
            let is_ours = !before.ends_with('$') && from[2..].starts_with(['}', ':', '%']);
            if !is_ours {
                plain.push_str("{n");
                rest = &from[2..];
                continue;
            }
            let Some(end) = from.find('}') else {
                return Err(format!("{from:?} has no closing brace"));
            };
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain)));
            }
            parts.push(number(&from[2..end]).ok_or_else(|| {
                format!(
                    "{:?} is none of {{n}}, {{n:06}}, {{n%60}}, {{n%60:02}}",
                    &from[..=end]
                )
            })?);
            rest = &from[end + 1..];
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Self(parts))
    }
}

/// What stands between `{n` and `}`.
fn number(text: &str) -> Option<Part> {
    let (modulo, width) = text
        .split_once(':')
        .map_or((text, None), |(left, right)| (left, Some(right)));
    let modulo = match modulo {
        "" => None,
        _ => Some(
            modulo
                .strip_prefix('%')?
                .parse()
                .ok()
                .filter(|divisor| *divisor > 0)?,
        ),
    };
    let width = match width {
        None => 0,
        Some(digits) => digits
            .strip_prefix('0')?
            .parse()
            .ok()
            .filter(|width| (1..=20).contains(width))?,
    };
    Some(Part::Number { modulo, width })
}

impl Template {
    /// The text for a number.
    #[must_use]
    pub fn fill(&self, n: u64) -> String {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Text(plain) => text.push_str(plain),
                Part::Number { modulo, width } => {
                    let value = modulo.map_or(n, |divisor| n % divisor);
                    let _ = write!(text, "{value:0width$}");
                }
            }
        }
        text
    }

    /// Whether two numbers can give two texts.
    #[must_use]
    pub fn varies(&self) -> bool {
        self.0.iter().any(|part| matches!(part, Part::Number { .. }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fill(text: &str, n: u64) -> String {
        text.parse::<Template>().unwrap().fill(n)
    }

    #[test]
    fn numbers_are_filled_in() {
        for (text, n, filled) in [
            ("flow_{n:06}", 7, "flow_000007"),
            ("flow_{n:02}", 1234, "flow_1234"),
            ("0 {n%60} * ? * *", 61, "0 1 * ? * *"),
            ("p{n%30:02}", 31, "p01"),
            ("{n}{n}", 5, "55"),
            ("echo ${n} {name} {x} { n }", 1, "echo ${n} {name} {x} { n }"),
            ("plain", 3, "plain"),
        ] {
            assert_eq!(fill(text, n), filled, "{text}");
        }
    }

    #[test]
    fn what_looks_like_a_number_and_is_none_is_refused() {
        for bad in [
            "{n:}", "{n:6}", "{n%}", "{n%0}", "{n%x}", "{n:0}", "{n:099}", "{n%60", "{n:06:2}",
        ] {
            assert!(bad.parse::<Template>().is_err(), "{bad}");
        }
        assert_eq!(
            "a{n%x}".parse::<Template>().unwrap_err(),
            "\"{n%x}\" is none of {n}, {n:06}, {n%60}, {n%60:02}"
        );
    }

    proptest! {
        #[test]
        fn a_text_without_our_braces_stays_as_it_is(text in "[^{]*", n: u64) {
            prop_assert_eq!(fill(&text, n), text);
        }

        #[test]
        fn padded_numbers_sort_and_come_back(n in 1u64..1_000_000, other in 1u64..1_000_000) {
            let (a, b) = (fill("{n:06}", n), fill("{n:06}", other));
            prop_assert_eq!(a.cmp(&b), n.cmp(&other));
            prop_assert_eq!(a.parse::<u64>().unwrap(), n);
        }

        #[test]
        fn any_text_is_taken_or_refused_without_panic(text: String) {
            let _ = text.parse::<Template>();
        }
    }
}
