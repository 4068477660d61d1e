//! Computing an expression by JEXL's rules (pure).

use std::cmp::Ordering;

use super::Wrong;
use super::parse::Node;
use super::value::{NoNumber, Value};

/// What an expression comes to.
pub(super) fn compute(node: &Node) -> Result<Value, Wrong> {
    match node {
        Node::Value(value) => Ok(value.clone()),
        Node::Unary(sign, node) => unary(sign, &compute(node)?),
        Node::Choice(condition, then, other) => {
            let condition = compute(condition)?;
            match then {
                _ if !condition.is_true() => compute(other),
                Some(then) => compute(then),
                None => Ok(condition),
            }
        }
        Node::Binary("&&", left, right) => {
            let both = compute(left)?.is_true() && compute(right)?.is_true();
            Ok(Value::Bool(both))
        }
        Node::Binary("||", left, right) => {
            let either = compute(left)?.is_true() || compute(right)?.is_true();
            Ok(Value::Bool(either))
        }
        Node::Binary(sign, left, right) => binary(sign, &compute(left)?, &compute(right)?),
    }
}

fn unary(sign: &str, value: &Value) -> Result<Value, Wrong> {
    match (sign, value) {
        ("!", value) => Ok(Value::Bool(!value.is_true())),
        ("~", value) => Ok(Value::Int((!value.long()?).into())),
        (_, Value::Int(number)) => Ok(Value::Int(-number)),
        (_, Value::Float(number)) => Ok(Value::Float(-number)),
        (_, Value::Double(number)) => Ok(Value::Double(-number)),
        (_, Value::Bool(value)) => Ok(Value::Bool(!value)),
        _ => Err(Wrong::Jexl("arithmetic error")),
    }
}

fn binary(sign: &str, left: &Value, right: &Value) -> Result<Value, Wrong> {
    let bits = |both: fn(i64, i64) -> i64| Ok(Value::Int(both(left.long()?, right.long()?).into()));
    match sign {
        "+" => add(left, right),
        "-" | "*" | "/" | "%" => arithmetic(sign, left, right),
        "&" => bits(|left, right| left & right),
        "|" => bits(|left, right| left | right),
        "^" => bits(|left, right| left ^ right),
        "==" => Ok(Value::Bool(equal(left, right)?)),
        "!=" => Ok(Value::Bool(!equal(left, right)?)),
        _ => Ok(Value::Bool(ordered(sign, left, right)?)),
    }
}

/// Numbers are added, and so are texts that are numbers; all else is put together.
fn add(left: &Value, right: &Value) -> Result<Value, Wrong> {
    match number("+", left, right) {
        Err(Fault::NoNumber(NoNumber::Text(_))) => Ok(Value::Text(left.text() + &right.text())),
        Err(fault) => Err(fault.into()),
        Ok(value) => Ok(value),
    }
}

/// Where a quotient has no value JEXL has one all the same.
fn arithmetic(sign: &str, left: &Value, right: &Value) -> Result<Value, Wrong> {
    match number(sign, left, right) {
        Err(Fault::NoNumber(NoNumber::Kind) | Fault::Division) if matches!(sign, "/" | "%") => {
            Ok(Value::Double(0.0))
        }
        Err(fault) => Err(fault.into()),
        Ok(value) => Ok(value),
    }
}

/// Why two values cannot be computed.
enum Fault {
    NoNumber(NoNumber),
    Division,
    TooLarge,
}

impl From<NoNumber> for Fault {
    fn from(no_number: NoNumber) -> Self {
        Self::NoNumber(no_number)
    }
}

impl From<Fault> for Wrong {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::NoNumber(no_number) => no_number.into(),
            Fault::Division => Self::Jexl("divide error"),
            Fault::TooLarge => Self::Jexl("numbers of more than 128 bits are not known here"),
        }
    }
}

fn number(sign: &str, left: &Value, right: &Value) -> Result<Value, Fault> {
    if (left, right) == (&Value::Null, &Value::Null) {
        return Ok(Value::Int(0));
    }
    if left.is_fraction() || right.is_fraction() {
        let (left, right) = (left.double()?, right.double()?);
        if right == 0.0 && matches!(sign, "/" | "%") {
            return Err(Fault::Division);
        }
        return Ok(Value::Double(match sign {
            "+" => left + right,
            "-" => left - right,
            "*" => left * right,
            "/" => left / right,
            _ => left % right,
        }));
    }
    let (left, right) = (left.integer()?, right.integer()?);
    let result = match sign {
        "+" => left.checked_add(right),
        "-" => left.checked_sub(right),
        "*" => left.checked_mul(right),
        "/" if right == 0 => return Err(Fault::Division),
        "/" => left.checked_div(right),
        _ if right <= 0 => return Err(Fault::Division),
        _ => left.checked_rem_euclid(right),
    };
    result.map(Value::Int).ok_or(Fault::TooLarge)
}

fn equal(left: &Value, right: &Value) -> Result<bool, Wrong> {
    match (left, right) {
        (Value::Null, Value::Null) => Ok(true),
        (Value::Null, _) | (_, Value::Null) => Ok(false),
        (Value::Bool(_), _) | (_, Value::Bool(_)) => Ok(left.is_true() == right.is_true()),
        _ => Ok(compare(left, right)? == Ordering::Equal),
    }
}

fn ordered(sign: &str, left: &Value, right: &Value) -> Result<bool, Wrong> {
    match (left, right) {
        (Value::Null, Value::Null) => return Ok(sign.ends_with('=')),
        (Value::Null, _) | (_, Value::Null) => return Ok(false),
        _ => {}
    }
    let order = compare(left, right)?;
    Ok(match sign {
        "<" => order.is_lt(),
        "<=" => order.is_le(),
        ">" => order.is_gt(),
        _ => order.is_ge(),
    })
}

/// Fractions, then whole numbers, then texts: the first kind one of both has decides.
fn compare(left: &Value, right: &Value) -> Result<Ordering, Wrong> {
    let any = |is: fn(&Value) -> bool| is(left) || is(right);
    let is_large = |value: &Value| matches!(value, Value::Int(number) if i64::try_from(*number).is_err());
    if any(is_large) {
        return Ok(whole(left)?.cmp(&whole(right)?));
    }
    if any(|value| matches!(value, Value::Float(_) | Value::Double(_))) {
        let (left, right) = (left.double()?, right.double()?);
        // What is no number is less than any other.
        return Ok(left
            .partial_cmp(&right)
            .unwrap_or_else(|| right.is_nan().cmp(&left.is_nan())));
    }
    if any(|value| matches!(value, Value::Int(_))) {
        return Ok(left.long()?.cmp(&right.long()?));
    }
    if any(|value| matches!(value, Value::Text(_))) {
        return Ok(left.text().encode_utf16().cmp(right.text().encode_utf16()));
    }
    Ok(left.is_true().cmp(&right.is_true()))
}

/// For comparisons with a large number; Java cannot read a fraction as a whole one.
fn whole(value: &Value) -> Result<i128, Wrong> {
    match value {
        Value::Float(_) | Value::Double(_) => Err(NoNumber::Text(value.to_string()).into()),
        value => Ok(value.integer()?),
    }
}
