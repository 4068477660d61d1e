//! What expressions come to, and what JEXL takes it for (pure).

use std::fmt;

use super::Wrong;

/// A value of JEXL's. Whole numbers are of any size there, here of 128 bits.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Int(i128),
    Float(f32),
    Double(f64),
    Text(String),
}

/// Why a value is no number.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoNumber {
    /// A text that Java cannot read.
    Text(String),
    /// A value that has none.
    Kind,
}

impl From<NoNumber> for Wrong {
    fn from(no_number: NoNumber) -> Self {
        match no_number {
            NoNumber::Text(text) => Self::Java(format!("For input string: \"{text}\"")),
            NoNumber::Kind => Self::Jexl("arithmetic error"),
        }
    }
}

impl Value {
    /// Is it computed as a fraction?
    pub(super) fn is_fraction(&self) -> bool {
        match self {
            Self::Float(_) | Self::Double(_) => true,
            Self::Text(text) => text.contains(['.', 'e', 'E']),
            _ => false,
        }
    }

    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::Null => false,
            Self::Bool(value) => *value,
            Self::Int(number) => *number != 0,
            Self::Float(number) => *number != 0.0 && !number.is_nan(),
            Self::Double(number) => *number != 0.0 && !number.is_nan(),
            Self::Text(text) => !text.is_empty() && text != "false",
        }
    }

    pub(super) fn integer(&self) -> Result<i128, NoNumber> {
        match self {
            Self::Null => Ok(0),
            Self::Int(number) => Ok(*number),
            Self::Text(text) if text.trim().is_empty() => Ok(0),
            Self::Text(text) => text.parse().map_err(|_| NoNumber::Text(text.clone())),
            Self::Bool(_) | Self::Float(_) | Self::Double(_) => Err(NoNumber::Kind),
        }
    }

    pub(super) fn double(&self) -> Result<f64, NoNumber> {
        match self {
            Self::Null => Ok(0.0),
            Self::Bool(value) => Ok(f64::from(u8::from(*value))),
            #[expect(clippy::cast_precision_loss, reason = "as Java does")]
            Self::Int(number) => Ok(*number as f64),
            Self::Float(number) => Ok(parse_double(&number.to_string()).unwrap_or(f64::NAN)),
            Self::Double(number) => Ok(*number),
            Self::Text(text) if text.trim().is_empty() => Ok(f64::NAN),
            Self::Text(text) => {
                parse_double(text.trim()).ok_or_else(|| NoNumber::Text(text.trim().to_owned()))
            }
        }
    }

    /// A whole number of 64 bits, for bits and comparisons.
    pub(super) fn long(&self) -> Result<i64, NoNumber> {
        match self {
            Self::Null => Ok(0),
            Self::Bool(value) => Ok(i64::from(*value)),
            #[expect(clippy::cast_possible_truncation, reason = "as Java does")]
            Self::Int(number) => Ok(*number as i64),
            #[expect(clippy::cast_possible_truncation, reason = "as Java does")]
            Self::Float(number) => Ok(*number as i64),
            // JEXL has this one the wrong way round.
            Self::Double(_) => Ok(0),
            Self::Text(text) if text.is_empty() => Ok(0),
            Self::Text(text) => text.parse().map_err(|_| NoNumber::Text(text.clone())),
        }
    }

    /// As a part of a text.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Null => String::new(),
            Self::Double(number) if number.is_nan() => String::new(),
            other => other.to_string(),
        }
    }
}

/// `Double.parseDouble`, without hexadecimal numbers.
fn parse_double(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(unsigned, "NaN" | "Infinity") {
        return text.parse().ok();
    }
    let number = text.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(text);
    let known = |char: char| char.is_ascii_digit() || "+-.eE".contains(char);
    number.parse().ok().filter(|_| number.chars().all(known))
}

impl fmt::Display for Value {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => out.write_str("null"),
            Self::Bool(value) => value.fmt(out),
            Self::Int(number) => number.fmt(out),
            Self::Float(number) => out.write_str(&java_number(f64::from(*number), &format!("{number:e}"))),
            Self::Double(number) => out.write_str(&java_number(*number, &format!("{number:e}"))),
            Self::Text(text) => out.write_str(text),
        }
    }
}

/// A fraction as Java writes it, given its digits as `1.5e3`.
fn java_number(number: f64, scientific: &str) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let (digits, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    if number == 0.0 || (1e-3..1e7).contains(&number.abs()) {
        let exponent: i32 = exponent.parse().unwrap_or(0);
        return plain(digits, exponent);
    }
    let point = if digits.contains('.') { "" } else { ".0" };
    format!("{digits}{point}E{exponent}")
}

/// `1.5` and 3 as `1500.0`.
fn plain(digits: &str, exponent: i32) -> String {
    let (sign, digits) = match digits.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", digits),
    };
    let digits = digits.replace('.', "");
    let Ok(exponent) = usize::try_from(exponent) else {
        let zeros = "0".repeat(usize::try_from(-exponent - 1).unwrap_or(0));
        return format!("{sign}0.{zeros}{digits}");
    };
    let padded = format!("{digits:0<width$}", width = exponent + 2);
    let (whole, fraction) = padded.split_at(exponent + 1);
    format!("{sign}{whole}.{fraction}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_are_written_as_in_java() {
        for (number, expected) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (-1.25, "-1.25"),
            (0.001, "0.001"),
            (0.0012, "0.0012"),
            (0.000_99, "9.9E-4"),
            (1_234_567.8, "1234567.8"),
            (9_999_999.0, "9999999.0"),
            (1e7, "1.0E7"),
            (1.5e-10, "1.5E-10"),
            (f64::INFINITY, "Infinity"),
        ] {
            assert_eq!(Value::Double(number).to_string(), expected);
        }
        assert_eq!(Value::Float(0.1).to_string(), "0.1");
    }
}
