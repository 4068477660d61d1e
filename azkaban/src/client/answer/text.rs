//! Small readings of Azkaban's texts: pages, cookies, JSON fields (pure).

use serde_json::Value;

/// Long enough to recognise an answer, short enough for a log line.
const START: usize = 200;

/// The first characters of a text, on one line.
pub(crate) fn start(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(START) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}

/// The title of a page.
pub(crate) fn title(page: &str) -> Option<String> {
    let rest = &page[page.find("<title>")? + "<title>".len()..];
    let raw = &rest[..rest.find("</title>")?];
    Some(start(&unescape(raw)))
}

fn unescape(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&apos;", "'")
        .replace("&#39;", "'")
        .replace("&amp;", "&")
}

/// The value of cookie `name` in one `Set-Cookie` line, if it has one; Jetty puts it in quotes when it has blanks.
pub(crate) fn cookie(line: &str, name: &str) -> Option<String> {
    let value = line.strip_prefix(name)?.strip_prefix('=')?;
    let text = match value.strip_prefix('"') {
        Some(quoted) => {
            let mut text = String::new();
            let mut chars = quoted.chars();
            while let Some(c) = chars.next() {
                match c {
                    '"' => break,
                    '\\' => text.extend(chars.next()),
                    _ => text.push(c),
                }
            }
            text
        }
        None => value.split(';').next().unwrap_or_default().to_owned(),
    };
    Some(text).filter(|text| !text.is_empty())
}

/// A field that says something, whatever its type.
pub(crate) fn field(value: &Value, name: &str) -> Option<String> {
    match value.get(name)? {
        Value::Null => None,
        Value::String(text) if text.is_empty() => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// A number that some answers give as a number and some as a string.
pub(crate) fn number(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// Azkaban's `<br>`-separated messages (3.58 and older: `<ul><li>`), one by one.
pub(crate) fn messages(text: &str) -> Vec<String> {
    let mut plain = text.replace("<br/>", "<br>");
    for tag in ["<ul>", "</ul>", "<li>", "</li>", "<b>", "</b>"] {
        plain = plain.replace(tag, "<br>");
    }
    plain
        .split("<br>")
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The first few messages on one line, and how many more there are: 200 bad flows make 200 messages.
pub(crate) fn some_of(messages: &[String]) -> String {
    const SHOWN: usize = 3;
    let mut parts: Vec<String> = messages
        .iter()
        .take(SHOWN)
        .map(|message| start(message))
        .collect();
    if messages.len() > SHOWN {
        parts.push(format!("and {} more", messages.len() - SHOWN));
    }
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_cookie_is_read_to_its_closing_quote() {
        let line = "azkaban.failure.message=\"Project p1; with \\\"x\\\" doesn't exist\";Path=/";
        assert_eq!(
            cookie(line, "azkaban.failure.message").unwrap(),
            "Project p1; with \"x\" doesn't exist"
        );
        assert_eq!(cookie("a=plain;Path=/", "a").unwrap(), "plain");
    }

    #[test]
    fn an_empty_cookie_and_another_name_say_nothing() {
        assert_eq!(
            cookie("azkaban.failure.message=;Path=/", "azkaban.failure.message"),
            None
        );
        assert_eq!(
            cookie("azkaban.failure.messages=x", "azkaban.failure.message"),
            None
        );
    }

    #[test]
    fn numbers_come_as_numbers_and_as_strings() {
        assert_eq!(number(&serde_json::json!(7)), Some(7));
        assert_eq!(number(&serde_json::json!("7")), Some(7));
        assert_eq!(number(&serde_json::json!("x")), None);
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let long = "ä".repeat(300);
        assert_eq!(start(&long).chars().count(), START + 3);
    }

    #[test]
    fn many_messages_are_told_by_the_first_few() {
        let all: Vec<String> = (1..=5).map(|n| format!("f{n} has a\n self cycle")).collect();
        assert_eq!(
            some_of(&all),
            "f1 has a self cycle; f2 has a self cycle; f3 has a self cycle; and 2 more"
        );
        assert_eq!(some_of(&all[..1]), "f1 has a self cycle");
    }
}
