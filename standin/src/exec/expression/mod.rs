//! `$(...)` in properties, which Azkaban lets JEXL 2.1 evaluate (pure).
//!
//! Here it is arithmetic, texts, comparisons, logic, bits and choices, with JEXL's notions of what is a number and what
//! is true. Calls, `new`, lists, maps, patterns and assignments are answered as expressions that are not well formed.

mod compute;
mod parse;
mod tokens;
mod value;

use value::Value;

/// Expressions that one value may hold; a result may begin another one without end.
const EXPRESSIONS_MAX: usize = 1000;

/// Why an expression comes to nothing.
#[derive(Debug, PartialEq, Eq)]
enum Wrong {
    /// It is none, or JEXL refuses to compute it.
    Jexl(&'static str),
    /// An exception of Java's that JEXL does not catch.
    Java(String),
}

/// Replaces the expressions in a value, the last one first; an error is in Azkaban's words.
pub(super) fn evaluate(value: &str) -> Result<String, String> {
    let mut text = value.to_owned();
    let mut last = text.len();
    for _ in 0..EXPRESSIONS_MAX {
        let end = (last + 2).min(text.len());
        let Some(start) = text.get(..end).and_then(|text| text.rfind("$(")) else {
            return Ok(text);
        };
        let Some(length) = closing(&text[start + 2..]) else {
            return Err(format!("Expression {text} not well formed."));
        };
        let inner = &text[start + 2..start + 2 + length];
        let result = parse::parse(inner).and_then(|node| compute::compute(&node));
        match result {
            Ok(Value::Null) => return Ok(text),
            Ok(value) => text.replace_range(start..start + length + 3, &value.to_string()),
            Err(Wrong::Jexl(why)) => return Err(format!("Expression {text} not well formed. {why}")),
            Err(Wrong::Java(message)) => return Err(message),
        }
        last = start;
    }
    // The sentence of a stack that overflowed.
    Err("null".to_owned())
}

/// Where the bracket ends that began before.
fn closing(text: &str) -> Option<usize> {
    let mut open = 0;
    text.char_indices().find_map(|(at, char)| {
        match char {
            '(' => open += 1,
            ')' => open -= 1,
            _ => {}
        }
        (open == -1).then_some(at)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// One expression alone; `None` where JEXL has an exception.
    fn jexl(expression: &str) -> Option<String> {
        let value = parse::parse(expression).and_then(|node| compute::compute(&node));
        value.ok().map(|value| value.to_string())
    }

    #[test]
    fn values_are_those_of_jexl() {
        for (expression, expected) in [
            ("1 + 2", "3"),
            ("(1 + 2) * 3", "9"),
            ("7/2", "3"),
            ("7.0/2", "3.5"),
            ("1/0", "0.0"),
            ("true/2", "0.0"),
            ("-5 % 3", "1"),
            ("5 mod -3", "0.0"),
            ("5.5 % 2", "1.5"),
            ("'a' + 1 + 2", "a12"),
            ("1 + 2 + 'a'", "3a"),
            ("'1' + '2'", "3"),
            ("'' + ''", "0"),
            ("'1e3' + 1", "1001.0"),
            ("'a' + true", "atrue"),
            ("unknown.name + 'x'", "x"),
            ("'5' > 3", "true"),
            ("1 == 1 ? 'y' : 'n'", "y"),
            ("unknown ?: 'd'", "d"),
            ("1 > 0 ? 2 > 1 ? 'x' : 'y' : 'z'", "x"),
            ("'false' or 0", "false"),
            ("not false and 'x'", "true"),
            ("1 == 1.0", "true"),
            ("true == 'true'", "true"),
            ("0.1 + 0.2", "0.30000000000000004"),
            ("1.5 * 2", "3.0"),
            ("10000000.0 * 1", "1.0E7"),
            ("0.0001 * 1", "1.0E-4"),
            ("150000000.0", "1.5E8"),
            ("9223372036854775807 + 1", "9223372036854775808"),
            ("0x1F + 010", "39"),
            ("5 | 3 ^ 1", "7"),
            ("~5 & 3", "2"),
            ("'it\\'s' + \"a\\nb\" + '\\u0041'", "it'sa\\nbA"),
            ("1 /* c */ + 1 // d", "2"),
            ("android", "null"),
            ("", "null"),
        ] {
            assert_eq!(jexl(expression).as_deref(), Some(expected), "{expression}");
        }
    }

    #[test]
    fn what_jexl_refuses_is_refused() {
        for expression in [
            "1 < 2 < 3",
            "08",
            "1e5",
            "1 +",
            "(1",
            "1 2",
            "5 = 5",
            "-'a'",
            "true + 1",
            "'a' - 1",
            "'abc' > 3",
            "' 12' * 2",
        ] {
            assert_eq!(jexl(expression), None, "{expression}");
        }
    }

    #[test]
    fn what_is_left_out_here_is_not_well_formed() {
        for expression in [
            "new('java.util.Date')",
            "'a'.length()",
            "size('a')",
            "[1]",
            "x = 1",
            "'a' =~ 'a'",
            "1b",
        ] {
            let error = evaluate(&format!("$({expression})")).unwrap_err();
            let start = format!("Expression $({expression}) not well formed. ");
            assert!(error.starts_with(&start), "{error}");
        }
    }

    #[test]
    fn expressions_are_replaced_from_the_last_to_the_first() {
        for (value, expected) in [
            ("a $(1+1) b $('x' + 'y')c", "a 2 b xyc"),
            ("$(1 + $(2 * 3))", "7"),
            ("no ( expression $", "no ( expression $"),
            ("a $(1) $(unknown) $(2)", "a $(1) $(unknown) 2"),
        ] {
            assert_eq!(evaluate(value).as_deref(), Ok(expected));
        }
        assert_eq!(
            evaluate("x $(1").unwrap_err(),
            "Expression x $(1 not well formed."
        );
        assert_eq!(evaluate("$('a' * 2)").unwrap_err(), "For input string: \"a\"");
        assert_eq!(evaluate("$('$' + '(1)')"), Ok("1".to_owned()));
        let deep = format!("$({}1{})", "(".repeat(9999), ")".repeat(9999));
        assert!(evaluate(&deep).is_err());
    }

    proptest! {
        #[test]
        fn any_value_is_evaluated_or_refused(value in "[$()a-e0-9.'\"+*/%<>=!?:&|~ \\\\ä-]{0,40}") {
            let _ = evaluate(&value);
            let _ = evaluate(&format!("$({value})"));
        }
    }
}
