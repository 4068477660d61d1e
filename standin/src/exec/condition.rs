//! Conditions of jobs: a word about the jobs before, and an expression over what they gave (pure).
//!
//! Azkaban lets a JavaScript engine compute the expression after it has put in quoted values. What its own check of
//! uploads lets through is computed here: comparisons, `&&`, `||`, `!`, brackets.

use serde::{Deserialize, Serialize};

/// What the jobs before must have come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Needs {
    AllSuccess,
    AllFailed,
    AllDone,
    OneFailed,
    OneSuccess,
}

const WORDS: [(&str, Needs); 5] = [
    ("all_success", Needs::AllSuccess),
    ("all_failed", Needs::AllFailed),
    ("all_done", Needs::AllDone),
    ("one_failed", Needs::OneFailed),
    ("one_success", Needs::OneSuccess),
];

impl Needs {
    pub(crate) fn word(self) -> &'static str {
        WORDS
            .iter()
            .find(|(_, needs)| *needs == self)
            .map_or("all_success", |(word, _)| word)
    }
}

/// The word in a condition; without one all must have succeeded.
pub(crate) fn needs(condition: Option<&str>) -> Needs {
    word(condition.unwrap_or_default()).map_or(Needs::AllSuccess, |(_, needs)| needs)
}

/// The first of the words in a condition, by its place.
fn word(condition: &str) -> Option<(usize, Needs)> {
    let lower = condition.to_ascii_lowercase();
    let is_word = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    let found = WORDS.iter().filter_map(|&(word, needs)| {
        let at = lower.match_indices(word).map(|(at, _)| at).find(|&at| {
            let before = at.checked_sub(1).and_then(|at| lower.as_bytes().get(at));
            !is_word(before) && !is_word(lower.as_bytes().get(at + word.len()))
        })?;
        Some((at, needs))
    });
    found.min_by_key(|(at, _)| *at)
}

/// The condition with its word replaced by `true` and each `${job:name}` by a quoted value, as far as `value` knows it.
pub(crate) fn fill_in(condition: &str, value: impl Fn(&str, &str) -> Option<String>) -> String {
    let mut text = condition.to_owned();
    if let Some((at, needs)) = word(condition) {
        let word = &condition[at..at + needs.word().len()];
        text = text.replace(word, "true");
    }
    let mut filled = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(start) = rest.find("${") {
        let Some(end) = rest[start..].find('}') else {
            break;
        };
        let variable = &rest[start..=start + end];
        let inner = &variable[2..variable.len() - 1];
        filled.push_str(&rest[..start]);
        match inner.split_once(':').and_then(|(job, name)| value(job, name)) {
            Some(value) => filled.push_str(&format!("'{value}'")),
            None => filled.push_str(variable),
        }
        rest = &rest[start + variable.len()..];
    }
    filled + rest
}

/// What an expression comes to; `None` for one that is no expression.
pub(crate) fn evaluate(expression: &str) -> Option<bool> {
    let mut parser = Parser {
        rest: expression,
        depth: 0,
    };
    let value = parser.either()?;
    parser.skip_blanks();
    match value {
        Value::Bool(value) if parser.rest.is_empty() => Some(value),
        // Java casts the result to a boolean.
        _ => None,
    }
}

/// Brackets and `!` within each other.
const DEPTH_MAX: usize = 100;

#[derive(Debug, Clone, PartialEq)]
enum Value {
    Bool(bool),
    Number(f64),
    Text(String),
}

impl Value {
    fn is_true(&self) -> bool {
        match self {
            Self::Bool(value) => *value,
            Self::Number(number) => *number != 0.0 && !number.is_nan(),
            Self::Text(text) => !text.is_empty(),
        }
    }

    fn number(&self) -> f64 {
        match self {
            Self::Bool(value) => f64::from(u8::from(*value)),
            Self::Number(number) => *number,
            Self::Text(text) if text.trim().is_empty() => 0.0,
            Self::Text(text) => text.trim().parse().unwrap_or(f64::NAN),
        }
    }

    fn equals(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Text(a), Self::Text(b)) => a == b,
            _ => self.number() == other.number(),
        }
    }

    fn compares(&self, operator: &str, other: &Self) -> bool {
        if let (Self::Text(a), Self::Text(b)) = (self, other) {
            return match operator {
                "<" => a < b,
                "<=" => a <= b,
                ">" => a > b,
                _ => a >= b,
            };
        }
        let (a, b) = (self.number(), other.number());
        match operator {
            "<" => a < b,
            "<=" => a <= b,
            ">" => a > b,
            _ => a >= b,
        }
    }
}

struct Parser<'a> {
    rest: &'a str,
    depth: usize,
}

impl Parser<'_> {
    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn takes(&mut self, word: &str) -> bool {
        self.skip_blanks();
        match self.rest.strip_prefix(word) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn either(&mut self) -> Option<Value> {
        let mut left = self.both()?;
        while self.takes("||") {
            let right = self.both()?;
            left = if left.is_true() { left } else { right };
        }
        Some(left)
    }

    fn both(&mut self) -> Option<Value> {
        let mut left = self.equality()?;
        while self.takes("&&") {
            let right = self.equality()?;
            left = if left.is_true() { right } else { left };
        }
        Some(left)
    }

    fn equality(&mut self) -> Option<Value> {
        let mut left = self.relation()?;
        loop {
            if self.takes("==") {
                left = Value::Bool(left.equals(&self.relation()?));
            } else if self.takes("!=") {
                left = Value::Bool(!left.equals(&self.relation()?));
            } else {
                return Some(left);
            }
        }
    }

    fn relation(&mut self) -> Option<Value> {
        let mut left = self.operand()?;
        while let Some(operator) = ["<=", ">=", "<", ">"].into_iter().find(|word| self.takes(word)) {
            left = Value::Bool(left.compares(operator, &self.operand()?));
        }
        Some(left)
    }

    fn operand(&mut self) -> Option<Value> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return None;
        }
        let value = self.inner();
        self.depth -= 1;
        value
    }

    fn inner(&mut self) -> Option<Value> {
        self.skip_blanks();
        if self.takes("!") {
            return Some(Value::Bool(!self.operand()?.is_true()));
        }
        if self.takes("(") {
            let value = self.either()?;
            return self.takes(")").then_some(value);
        }
        if let Some(quote) = self.rest.chars().next().filter(|char| matches!(char, '\'' | '"')) {
            let (text, rest) = self.rest[1..].split_once(quote)?;
            self.rest = rest;
            return Some(Value::Text(text.to_owned()));
        }
        let end = self
            .rest
            .find(|char: char| !char.is_ascii_alphanumeric() && char != '.' && char != '_')
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        match word {
            "true" => Some(Value::Bool(true)),
            "false" => Some(Value::Bool(false)),
            number => number.parse().ok().map(Value::Number),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_word_is_found_in_any_case_and_only_whole() {
        assert_eq!(needs(None), Needs::AllSuccess);
        assert_eq!(needs(Some("One_Success && ${a:b} == 1")), Needs::OneSuccess);
        assert_eq!(needs(Some("${all_done1:b} == 1")), Needs::AllSuccess);
    }

    #[test]
    fn values_are_put_in_quoted_and_the_word_becomes_true() {
        let value = |job: &str, name: &str| (job == "a").then(|| format!("{name}!"));
        assert_eq!(
            fill_in("all_done && ${a:x} == 'x!' || ${b:y} > 1", value),
            "true && 'x!' == 'x!' || ${b:y} > 1"
        );
    }

    #[test]
    fn expressions_come_to_what_javascript_makes_of_them() {
        for (text, expected) in [
            ("true", Some(true)),
            ("'5' > 3 && '5' == 5", Some(true)),
            ("'10' < '9'", Some(true)),
            ("!(1 == 2) && (false || '' == 0)", Some(true)),
            ("'a' != 'a'", Some(false)),
            ("1 < 2 == true", Some(true)),
            ("${b:y} == 1", None),
            ("'a'", None),
            ("1 ==", None),
            ("(true", None),
            ("true true", None),
        ] {
            assert_eq!(evaluate(text), expected, "{text}");
        }
        assert_eq!(evaluate(&"!".repeat(10_000)), None);
    }

    proptest! {
        #[test]
        fn any_text_is_computed_or_given_up(text in "[a-z_!&|=<>()'\"${}: 0-9ä]{0,40}") {
            let filled = fill_in(&text, |_, _| Some("v".to_owned()));
            let _ = (evaluate(&filled), needs(Some(&text)));
        }
    }
}
