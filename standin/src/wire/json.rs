//! JSON as Azkaban's Jackson 1.9 writes it: keys in `HashMap` order, `"key" : value` when pretty.

use std::borrow::Cow;

use crate::wire::java::{hash_order, put_all_order};

/// Text that is mostly static.
pub(crate) type Text = Cow<'static, str>;

/// A JSON value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    Int(i64),
    Text(Text),
    List(Vec<Json>),
    /// Entries in the order they are written.
    Map(Vec<(Text, Json)>),
}

impl Json {
    /// A Java bean: entries in the order given.
    pub(crate) fn bean<const N: usize>(entries: [(&'static str, Json); N]) -> Self {
        Self::Map(
            entries
                .into_iter()
                .map(|(key, value)| (Text::Borrowed(key), value))
                .collect(),
        )
    }

    /// A list of texts.
    pub(crate) fn texts<T: Into<Json>>(texts: impl IntoIterator<Item = T>) -> Self {
        Self::List(texts.into_iter().map(Into::into).collect())
    }

    /// One line, as `createJsonResponse` writes.
    pub(crate) fn compact(&self) -> String {
        let mut out = String::new();
        self.write(&mut out, None);
        out
    }

    /// Several lines, as `writeJSON` writes.
    pub(crate) fn pretty(&self) -> String {
        let mut out = String::new();
        self.write(&mut out, Some(0));
        out
    }

    /// `depth` counts the objects around; lists do not indent.
    fn write(&self, out: &mut String, depth: Option<usize>) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(true) => out.push_str("true"),
            Self::Bool(false) => out.push_str("false"),
            Self::Int(number) => out.push_str(&number.to_string()),
            Self::Text(text) => quote(out, text),
            Self::List(items) => write_list(out, items, depth),
            Self::Map(entries) => write_map(out, entries, depth),
        }
    }
}

fn write_list(out: &mut String, items: &[Json], depth: Option<usize>) {
    out.push('[');
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        if depth.is_some() {
            out.push(' ');
        }
        item.write(out, depth);
    }
    if depth.is_some() {
        out.push(' ');
    }
    out.push(']');
}

fn write_map(out: &mut String, entries: &[(Text, Json)], depth: Option<usize>) {
    out.push('{');
    let inner = depth.map(|depth| depth + 1);
    for (at, (key, value)) in entries.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        indent(out, inner);
        quote(out, key);
        out.push_str(if depth.is_some() { " : " } else { ":" });
        value.write(out, inner);
    }
    match entries {
        [] if depth.is_some() => out.push(' '),
        [] => {}
        _ => indent(out, depth),
    }
    out.push('}');
}

fn indent(out: &mut String, depth: Option<usize>) {
    if let Some(depth) = depth {
        out.push('\n');
        for _ in 0..depth {
            out.push_str("  ");
        }
    }
}

fn quote(out: &mut String, text: &str) {
    out.push('"');
    for char in text.chars() {
        match char {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            other if u32::from(other) < 0x20 => out.push_str(&format!("\\u{:04X}", u32::from(other))),
            other => out.push(other),
        }
    }
    out.push('"');
}

/// A `HashMap<String, Object>` on its way to the wire.
#[derive(Debug, Default)]
pub(crate) struct HashMapJson(Vec<(Text, Json)>);

impl HashMapJson {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Sets a key; a second value takes the place of the first.
    pub(crate) fn put(&mut self, key: impl Into<Text>, value: impl Into<Json>) {
        let (key, value) = (key.into(), value.into());
        match self.0.iter_mut().find(|(known, _)| *known == key) {
            Some(entry) => entry.1 = value,
            None => self.0.push((key, value)),
        }
    }

    /// The same, in a chain.
    pub(crate) fn with(mut self, key: impl Into<Text>, value: impl Into<Json>) -> Self {
        self.put(key, value);
        self
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Json> {
        self.0
            .iter()
            .find(|(known, _)| known == key)
            .map(|(_, value)| value)
    }

    pub(crate) fn json(mut self) -> Json {
        hash_order(&mut self.0, |(key, _)| key);
        Json::Map(self.0)
    }
}

impl HashMapJson {
    /// For an answer that was an empty map until all of this was put in at once.
    pub(crate) fn json_of_put_all(mut self) -> Json {
        put_all_order(&mut self.0, |(key, _)| key);
        Json::Map(self.0)
    }
}

impl FromIterator<(String, String)> for HashMapJson {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(entries: I) -> Self {
        Self(
            entries
                .into_iter()
                .map(|(key, value)| (Text::Owned(key), value.into()))
                .collect(),
        )
    }
}

impl From<HashMapJson> for Json {
    fn from(map: HashMapJson) -> Self {
        map.json()
    }
}

impl From<&'static str> for Json {
    fn from(text: &'static str) -> Self {
        Self::Text(Text::Borrowed(text))
    }
}

impl From<String> for Json {
    fn from(text: String) -> Self {
        Self::Text(Text::Owned(text))
    }
}

impl From<bool> for Json {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i32> for Json {
    fn from(number: i32) -> Self {
        Self::Int(number.into())
    }
}

impl From<i64> for Json {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<Option<String>> for Json {
    fn from(text: Option<String>) -> Self {
        text.map_or(Self::Null, Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pretty_is_jacksons_layout() {
        let json = HashMapJson::new()
            .with("projectId", 2)
            .with(
                "flows",
                Json::List(vec![Json::bean([("flowId", "f1".into())]), Json::bean([])]),
            )
            .with("none", Json::List(Vec::new()));
        let expected = "{\n  \"flows\" : [ {\n    \"flowId\" : \"f1\"\n  }, { } ],\n  \"none\" : [ ],\n  \"projectId\" : 2\n}";
        assert_eq!(json.json().pretty(), expected);
    }

    #[test]
    fn compact_has_no_blanks() {
        let json = Json::bean([
            ("a", Json::texts(["x", "y"])),
            ("b", Json::Null),
            ("c", true.into()),
        ]);
        assert_eq!(json.compact(), r#"{"a":["x","y"],"b":null,"c":true}"#);
        assert_eq!(Json::bean([]).compact(), "{}");
    }

    #[test]
    fn text_is_escaped_as_jackson_does() {
        assert_eq!(
            Json::from("a\"\\/\n\u{1b}\u{7f}ä").compact(),
            "\"a\\\"\\\\/\\n\\u001B\u{7f}ä\""
        );
    }
}
