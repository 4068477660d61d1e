//! Words, numbers, texts and signs of an expression (pure).

use super::Wrong;
use super::value::Value;

/// More than so many are no expression that anybody wrote; Java would run out of stack.
const TOKENS_MAX: usize = 1000;

/// A piece of an expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Value(Value),
    Name,
    Sign(&'static str),
}

/// Signs, longer ones first.
const SIGNS: &[&str] = &[
    "?:", "&&", "||", "==", "!=", "=~", "!~", ">=", "<=", "(", ")", "{", "}", "[", "]", ";", ":", ",", ".",
    "?", "=", "%", "/", "!", "+", "-", "*", "~", "&", "|", "^", "<", ">",
];

/// Words that are signs.
const WORDS: &[(&str, &str)] = &[
    ("and", "&&"),
    ("or", "||"),
    ("eq", "=="),
    ("ne", "!="),
    ("gt", ">"),
    ("ge", ">="),
    ("lt", "<"),
    ("le", "<="),
    ("mod", "%"),
    ("div", "/"),
    ("not", "!"),
];

/// Words for what is left out here.
const RESERVED: &[&str] = &[
    "if", "else", "for", "foreach", "while", "new", "var", "empty", "size", "return",
];

/// Takes an expression apart.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, Wrong> {
    let mut tokens = Vec::new();
    let mut rest = text;
    loop {
        rest = skip(rest);
        let Some(first) = rest.chars().next() else {
            return Ok(tokens);
        };
        let (token, after) = match first {
            '0'..='9' => number(rest)?,
            'a'..='z' | 'A'..='Z' | '_' | '$' | '@' => word(rest)?,
            '\'' | '"' => quoted(rest, first)?,
            _ => sign(rest)?,
        };
        tokens.push(token);
        rest = after;
        if tokens.len() > TOKENS_MAX {
            return Err(Wrong::Jexl("too long"));
        }
    }
}

/// Leaves out blanks and comments.
fn skip(text: &str) -> &str {
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t', '\n', '\r', '\u{c}']);
        if rest.starts_with("//") || rest.starts_with("##") {
            rest = rest.find(['\n', '\r']).map_or("", |end| &rest[end..]);
        } else if let Some(end) = rest.strip_prefix("/*").and_then(|inner| inner.find("*/")) {
            rest = &rest[end + 4..];
        } else {
            return rest;
        }
    }
}

fn split(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|char| !belongs(char)).unwrap_or(text.len()))
}

fn word(text: &str) -> Result<(Token, &str), Wrong> {
    let (word, rest) = split(text, |char| char.is_ascii_alphanumeric() || "_$@".contains(char));
    let sign = WORDS.iter().find(|(known, _)| *known == word);
    let token = match word {
        "true" => Token::Value(Value::Bool(true)),
        "false" => Token::Value(Value::Bool(false)),
        "null" => Token::Value(Value::Null),
        word if RESERVED.contains(&word) => return Err(Wrong::Jexl("calls are not known here")),
        _ => sign.map_or(Token::Name, |(_, sign)| Token::Sign(sign)),
    };
    Ok((token, rest))
}

fn sign(text: &str) -> Result<(Token, &str), Wrong> {
    let found = SIGNS
        .iter()
        .find_map(|&sign| Some((Token::Sign(sign), text.strip_prefix(sign)?)));
    found.ok_or(Wrong::Jexl("tokenization error"))
}

/// The longest number at the start: a fraction if there is one.
fn number(text: &str) -> Result<(Token, &str), Wrong> {
    let (digits, rest) = split(text, |char| char.is_ascii_digit());
    if let Some(fraction) = rest
        .strip_prefix('.')
        .filter(|rest| rest.starts_with(|char: char| char.is_ascii_digit()))
    {
        let (_, after) = split(fraction, |char| char.is_ascii_digit());
        let after = exponent(after);
        let image = &text[..text.len() - after.len()];
        return real(image, after);
    }
    natural(text, digits)
}

/// What stands behind an exponent, if there is one.
fn exponent(text: &str) -> &str {
    let digits = text
        .strip_prefix(['e', 'E'])
        .map(|rest| rest.strip_prefix(['+', '-']).unwrap_or(rest));
    let (digits, after) = split(digits.unwrap_or(""), |char| char.is_ascii_digit());
    if digits.is_empty() { text } else { after }
}

/// A number with a fraction is a `Float` unless it says otherwise.
fn real<'a>(image: &str, after: &'a str) -> Result<(Token, &'a str), Wrong> {
    let wrong = |_| Wrong::Jexl("no number");
    if after.starts_with(['b', 'B']) {
        return Err(Wrong::Jexl("decimals are not known here"));
    }
    if let Some(after) = after.strip_prefix(['d', 'D']) {
        return Ok((Token::Value(Value::Double(image.parse().map_err(wrong)?)), after));
    }
    let value = Value::Float(image.parse().map_err(wrong)?);
    Ok((
        Token::Value(value),
        after.strip_prefix(['f', 'F']).unwrap_or(after),
    ))
}

fn natural<'a>(text: &'a str, digits: &'a str) -> Result<(Token, &'a str), Wrong> {
    let hexadecimal = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let (image, base, rest) = match hexadecimal.map(|rest| split(rest, |char| char.is_ascii_hexdigit())) {
        Some((image, rest)) if !image.is_empty() => (image, 16, rest),
        _ if digits.starts_with('0') => {
            let (image, rest) = split(text, |char| ('0'..='7').contains(&char));
            (image, 8, rest)
        }
        _ => (digits, 10, &text[digits.len()..]),
    };
    let value = i128::from_str_radix(image, base).map_err(|_| Wrong::Jexl("no number"))?;
    let rest = rest.strip_prefix(['l', 'L', 'h', 'H']).unwrap_or(rest);
    Ok((Token::Value(Value::Int(value)), rest))
}

/// A text; a backslash counts only before a backslash, the text's own quote, and `u`.
fn quoted(text: &str, quote: char) -> Result<(Token, &str), Wrong> {
    let mut out = String::new();
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, char)) = chars.next() {
        match char {
            _ if char == quote => return Ok((Token::Value(Value::Text(out)), &text[at + 1..])),
            '\n' | '\r' | '\u{2028}' | '\u{2029}' => break,
            '\\' => {
                let Some((at, escaped)) = chars.next() else {
                    break;
                };
                let code = text.get(at + 1..at + 5).filter(|_| escaped == 'u');
                let code = code.and_then(|code| u32::from_str_radix(code, 16).ok());
                if let Some(char) = code.and_then(char::from_u32) {
                    out.push(char);
                    chars.nth(3);
                    continue;
                }
                if escaped != quote && escaped != '\\' {
                    out.push('\\');
                }
                out.push(escaped);
            }
            other => out.push(other),
        }
    }
    Err(Wrong::Jexl("a text does not end"))
}
