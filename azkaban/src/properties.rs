//! `java.util.Properties` text, read and written as Java does: ISO-8859-1 bytes, `\uXXXX`, continuation lines.
//!
//! [`write()`] emits ASCII only, so that whatever a reader believes the charset to be, it reads the same strings back.

use std::collections::BTreeMap;

/// One `key = value` of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Property {
    /// The key, unescaped.
    pub key: String,
    /// The value, unescaped, continuation lines joined.
    pub value: String,
    /// The line it starts on, counted from 1.
    pub line: usize,
}

/// A `\u` that is not followed by four hex digits; Java throws an `IllegalArgumentException` with this very text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Malformed \\uxxxx encoding.")]
pub struct Malformed {
    /// The line the property starts on, counted from 1.
    pub line: usize,
}

/// Reads a file; a key given twice stands twice, and the later one counts ([`to_map`]).
pub fn parse(bytes: &[u8]) -> Result<Vec<Property>, Malformed> {
    let mut found = Vec::new();
    let mut lines = Lines {
        bytes,
        at: 0,
        number: 1,
    };
    let mut text = Vec::new();
    while let Some(line) = lines.next_logical(&mut text) {
        found.push(split(&text, line)?);
    }
    Ok(found)
}

/// Key to value as Java's map holds it: the last of equal keys wins.
#[must_use]
pub fn to_map(pairs: Vec<Property>) -> BTreeMap<String, String> {
    pairs.into_iter().map(|pair| (pair.key, pair.value)).collect()
}

/// Writes `key=value` lines in the order given, ASCII only, each ended by `\n`.
pub fn write<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<u8> {
    let mut out = Vec::new();
    for (key, value) in pairs {
        escape(&mut out, key, true);
        out.push(b'=');
        escape(&mut out, value, false);
        out.push(b'\n');
    }
    out
}

fn escape(out: &mut Vec<u8>, text: &str, is_key: bool) {
    for (at, c) in text.chars().enumerate() {
        match c {
            '\\' => out.extend(b"\\\\"),
            '\n' => out.extend(b"\\n"),
            '\r' => out.extend(b"\\r"),
            '\t' => out.extend(b"\\t"),
            '\x0c' => out.extend(b"\\f"),
            // a blank ends a key, and is skipped in front of a value
            ' ' if is_key || at == 0 => out.extend(b"\\ "),
            '=' | ':' if is_key => out.extend([b'\\', c as u8]),
            '#' | '!' if is_key && at == 0 => out.extend([b'\\', c as u8]),
            ' '..='~' => out.push(c as u8),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.extend(format!("\\u{unit:04X}").bytes());
                }
            }
        }
    }
}

/// Cuts a file into logical lines: comments and blank lines gone, continuations joined, escapes still in.
struct Lines<'a> {
    bytes: &'a [u8],
    at: usize,
    number: usize,
}

impl Lines<'_> {
    /// Puts the next logical line into `text`, and returns the number of the line it starts on.
    fn next_logical(&mut self, text: &mut Vec<u8>) -> Option<usize> {
        text.clear();
        let mut start = None;
        while self.at < self.bytes.len() {
            let number = self.number;
            let line = self.next_natural();
            let from = line.iter().position(|b| !is_blank(*b)).unwrap_or(line.len());
            let line = &line[from..];
            if start.is_none() && matches!(line.first(), None | Some(b'#' | b'!')) {
                continue;
            }
            start.get_or_insert(number);
            let slashes = line.iter().rev().take_while(|b| **b == b'\\').count();
            if slashes % 2 == 1 {
                text.extend(&line[..line.len() - 1]);
                continue;
            }
            text.extend(line);
            if text.is_empty() {
                // only continuation marks: Java begins anew, and comments count again
                start = None;
                continue;
            }
            return start;
        }
        start.filter(|_| !text.is_empty())
    }

    fn next_natural(&mut self) -> &[u8] {
        let rest = &self.bytes[self.at..];
        let end = rest
            .iter()
            .position(|b| matches!(b, b'\n' | b'\r'))
            .unwrap_or(rest.len());
        let ended_by = match rest.get(end) {
            Some(b'\r') if rest.get(end + 1) == Some(&b'\n') => 2,
            Some(_) => 1,
            None => 0,
        };
        self.at += end + ended_by;
        self.number += 1;
        &rest[..end]
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\x0c')
}

/// Cuts a logical line at the first `=`, `:` or blank that is not escaped.
fn split(text: &[u8], line: usize) -> Result<Property, Malformed> {
    let mut at = 0;
    while at < text.len() && !is_blank(text[at]) && !matches!(text[at], b'=' | b':') {
        at += if text[at] == b'\\' { 2 } else { 1 };
    }
    let key_end = at.min(text.len());
    let mut value = key_end;
    let skip_blanks = |mut at: usize| {
        while at < text.len() && is_blank(text[at]) {
            at += 1;
        }
        at
    };
    value = skip_blanks(value);
    if matches!(text.get(value), Some(b'=' | b':')) {
        value = skip_blanks(value + 1);
    }
    Ok(Property {
        key: unescape(&text[..key_end], line)?,
        value: unescape(&text[value..], line)?,
        line,
    })
}

fn unescape(text: &[u8], line: usize) -> Result<String, Malformed> {
    if !text.contains(&b'\\') {
        let ascii = std::str::from_utf8(text).ok().filter(|text| text.is_ascii());
        return Ok(ascii.map_or_else(
            || text.iter().map(|byte| char::from(*byte)).collect(),
            str::to_owned,
        ));
    }
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            units.push(byte.into());
            continue;
        }
        match bytes.next() {
            Some(b'u') => units.push(hex4(&mut bytes).ok_or(Malformed { line })?),
            Some(b't') => units.push(b'\t'.into()),
            Some(b'n') => units.push(b'\n'.into()),
            Some(b'r') => units.push(b'\r'.into()),
            Some(b'f') => units.push(0x0c),
            Some(other) => units.push(other.into()),
            None => {}
        }
    }
    // half a surrogate pair is no character; Java would keep it, we can only mark it
    Ok(String::from_utf16_lossy(&units))
}

fn hex4(bytes: &mut impl Iterator<Item = u8>) -> Option<u16> {
    let mut unit = 0;
    for _ in 0..4 {
        let digit = char::from(bytes.next()?).to_digit(16)?;
        unit = unit * 16 + u16::try_from(digit).ok()?;
    }
    Some(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &[u8]) -> Vec<(String, String)> {
        parse(text)
            .unwrap()
            .into_iter()
            .map(|p| (p.key, p.value))
            .collect()
    }

    fn one(text: &str) -> (String, String) {
        pairs(text.as_bytes()).pop().unwrap()
    }

    fn is(key: &str, value: &str) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    #[test]
    fn separators_are_equals_colon_or_blank() {
        for text in [
            "a=b",
            "a:b",
            "a b",
            "a\tb",
            "a = b",
            "a : b",
            "  a=b",
            "a  \x0c=  b",
        ] {
            assert_eq!(one(text), is("a", "b"), "{text:?}");
        }
        assert_eq!(one("a==b"), is("a", "=b"));
        assert_eq!(one("a = = b"), is("a", "= b"));
        assert_eq!(one("a"), is("a", ""));
        assert_eq!(one("=b"), is("", "b"));
    }

    #[test]
    fn trailing_blanks_belong_to_the_value() {
        assert_eq!(one("a=b  "), is("a", "b  "));
    }

    #[test]
    fn comments_and_blank_lines_are_skipped() {
        assert_eq!(
            pairs(b"# c\n  ! d\n\n \t\na=1\r\n#x\\\nb=2\r"),
            [is("a", "1"), is("b", "2")]
        );
    }

    #[test]
    fn a_backslash_at_the_end_joins_lines() {
        assert_eq!(one("a=1,\\\n   2,\\\r\n\t3"), is("a", "1,2,3"));
        assert_eq!(pairs(b"a=1\\\\\nb=2"), [is("a", "1\\"), is("b", "2")]);
        assert_eq!(one("a=1\\\n#2"), is("a", "1#2"));
        assert_eq!(one("a=1\\"), is("a", "1"));
        assert_eq!(pairs(b"a=1\\\n\nb=2"), [is("a", "1"), is("b", "2")]);
    }

    #[test]
    fn escapes_are_undone() {
        assert_eq!(one(r"a\ b\=\:=\t\n\r\f\q\\"), is("a b=:", "\t\n\r\x0cq\\"));
        assert_eq!(one(r"a=\u00e4\uD83D\uDE00"), is("a", "ä😀"));
    }

    #[test]
    fn bytes_are_iso_8859_1() {
        assert_eq!(pairs(b"a=\xe4"), [is("a", "ä")]);
        assert_eq!(pairs("a=ä".as_bytes()), [is("a", "Ã¤")]);
    }

    #[test]
    fn a_malformed_escape_is_an_error_with_its_line() {
        assert_eq!(parse(b"a=1\n\nb=\\\n\\uZZ\n"), Err(Malformed { line: 3 }));
        assert_eq!(parse(b"a=\\u00e"), Err(Malformed { line: 1 }));
        assert_eq!(Malformed { line: 1 }.to_string(), "Malformed \\uxxxx encoding.");
    }

    #[test]
    fn lines_are_counted_from_where_a_property_starts() {
        let lines: Vec<_> = parse(b"#c\r\na=1\\\n 2\rb=2")
            .unwrap()
            .iter()
            .map(|p| p.line)
            .collect();
        assert_eq!(lines, [2, 4]);
    }

    #[test]
    fn the_last_of_equal_keys_wins() {
        assert_eq!(to_map(parse(b"a=1\na=2").unwrap())["a"], "2");
    }

    #[test]
    fn written_text_is_ascii_and_escaped() {
        let text = write([("a b=", " x\u{e4}\n"), ("#k", "v=:#!")].into_iter());
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "a\\ b\\==\\ x\\u00E4\\n\n\\#k=v=:#!\n"
        );
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_is_read_back(pairs in proptest::collection::vec((".*", "(?s).*"), 0..6)) {
            let text = write(pairs.iter().map(|(k, v)| (k.as_str(), v.as_str())));
            let back: Vec<_> = parse(&text).unwrap().into_iter().map(|p| (p.key, p.value)).collect();
            proptest::prop_assert_eq!(back, pairs);
        }

        #[test]
        fn any_bytes_are_read_or_refused_without_panic(bytes: Vec<u8>) {
            let _ = parse(&bytes);
        }
    }
}
