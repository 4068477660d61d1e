//! Dead letters as people and programs see them.

use flowlift_common::{Change, RunId};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::document;
use super::id::Id;
use super::letter::{Entry, Unread, died_ms};

/// The heading of the table.
pub const HEADING: [&str; 5] = ["id", "died", "project", "what", "reason"];
/// The longest name in the table.
const WHAT: usize = 40;
/// The longest reason in the table; `show` has all of it.
const REASON: usize = 56;

/// A line of the table.
#[must_use]
pub fn row(entry: &Entry<'_>, zone: &TimeZone) -> Vec<String> {
    vec![
        entry.id().to_string(),
        minute(died_ms(entry.letter), zone),
        entry.letter.envelope.project.to_string(),
        short(&what(entry.change), WHAT),
        short(entry.reason(), REASON),
    ]
}

/// The same of a body that cannot be read.
#[must_use]
pub fn row_unread(unread: &Unread, zone: &TimeZone) -> Vec<String> {
    vec![
        Id::Unread(unread.hash).to_string(),
        minute(unread.at_ms, zone),
        unread.project.clone().unwrap_or_else(|| "-".into()),
        short(&what_unread(unread), WHAT),
        short(&unread.reason, REASON),
    ]
}

/// For programs: what `list` prints in a line.
#[must_use]
pub fn json(entry: &Entry<'_>) -> Value {
    let envelope = &entry.letter.envelope;
    json!({"id": entry.id().to_string(), "run": envelope.run, "seq": entry.change.seq, "project": envelope.project,
        "what": entry.change.label(), "owner": envelope.owner, "died": timestamp(died_ms(entry.letter)),
        "consumer": entry.letter.consumer, "reason": entry.reason(), "readable": true})
}

/// The same of a body that cannot be read.
#[must_use]
pub fn json_unread(unread: &Unread) -> Value {
    let (first, last) = unread.span.unzip();
    json!({"id": Id::Unread(unread.hash).to_string(), "run": unread.run, "project": unread.project, "first": first,
        "last": last, "died": timestamp(unread.at_ms), "reason": unread.reason, "readable": false})
}

/// All of a letter, for programs.
#[must_use]
pub fn page_json(entry: &Entry<'_>, publisher: Option<&str>) -> Value {
    let envelope = &entry.letter.envelope;
    let mut page = json(entry);
    page["rank"] = json!(envelope.rank);
    page["published"] = json!(timestamp(Some(envelope.published_ms)));
    page["published_by"] = json!(publisher);
    page["rules"] = json!(envelope.rules);
    page["change"] = json!(entry.change);
    if let Some(named) = &entry.letter.parts {
        page["parts"] = json!({"queue": named.queue().name, "bytes": named.bytes, "sha256": named.sha256});
    }
    page
}

/// All of a body that cannot be read, for programs.
#[must_use]
pub fn page_json_unread(unread: &Unread) -> Value {
    let mut page = json_unread(unread);
    page["body"] = json!(unread.body);
    page
}

/// All of a letter, for people.
#[must_use]
pub fn page(entry: &Entry<'_>, publisher: Option<&str>, zone: &TimeZone) -> String {
    let envelope = &entry.letter.envelope;
    let owner = if envelope.owner.is_empty() {
        "nobody in particular"
    } else {
        &envelope.owner
    };
    let died = second(died_ms(entry.letter), zone);
    let mut published = second(Some(envelope.published_ms), zone);
    if let Some(publisher) = publisher {
        published += &format!(" by RabbitMQ's user {publisher}");
    }
    let text = lines(&[
        ("dead letter", entry.id().to_string()),
        ("project", envelope.project.to_string()),
        ("what", what(entry.change)),
        ("owner", owner.to_owned()),
        ("run", envelope.run.to_string()),
        (
            "place in it",
            format!("{}, rank {}", entry.change.seq, envelope.rank),
        ),
        ("published", published),
        ("died", format!("{died}, given up by {}", entry.letter.consumer)),
    ]);
    let change = match &entry.letter.parts {
        None => document::text(&envelope.project, &entry.change.act),
        Some(named) => format!(
            "too large to be shown: {} bytes compressed, in queue {}",
            named.bytes,
            named.queue().name
        ),
    };
    format!(
        "{text}\nreason:\n{}\nchange:\n{}",
        indented(entry.reason()),
        indented(&change)
    )
}

/// All of a body that cannot be read, for people.
#[must_use]
pub fn page_unread(unread: &Unread, zone: &TimeZone) -> String {
    let text = lines(&[
        ("dead letter", Id::Unread(unread.hash).to_string()),
        (
            "project",
            unread.project.clone().unwrap_or_else(|| "unknown".into()),
        ),
        ("what", what_unread(unread)),
        (
            "run",
            unread
                .run
                .as_ref()
                .map_or_else(|| "unknown".into(), RunId::to_string),
        ),
        ("died", second(unread.at_ms, zone)),
        (
            "body",
            format!(
                "{} bytes that cannot be read; --json prints them",
                unread.body.0.len()
            ),
        ),
    ]);
    format!("{text}\nreason:\n{}", indented(&unread.reason))
}

/// What a change would have done, for people.
#[must_use]
pub fn what(change: &Change) -> String {
    use flowlift_common::Act;
    let label = change.label();
    match &change.act {
        Act::Upsert(_) | Act::PutFile { .. } | Act::Check => label,
        Act::Delete { .. } | Act::DeleteMatching(_) | Act::DeleteFile { .. } => {
            format!("deletion of {label}")
        }
    }
}

fn what_unread(unread: &Unread) -> String {
    match unread.span {
        Some((first, last)) if first == last => format!("unreadable (change {first})"),
        Some((first, last)) => format!("unreadable (changes {first} to {last})"),
        None => "unreadable".into(),
    }
}

fn lines(rows: &[(&str, String)]) -> String {
    rows.iter()
        .map(|(name, value)| format!("{name:<13}{value}\n"))
        .collect()
}

fn indented(text: &str) -> String {
    let text = text.trim_end();
    let text = if text.is_empty() {
        "none was written down"
    } else {
        text
    };
    text.lines().map(|line| format!("  {line}\n")).collect()
}

/// One line of at most so many characters.
fn short(text: &str, max: usize) -> String {
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= max {
        line
    } else {
        line.chars().take(max - 1).chain(['…']).collect()
    }
}

fn time(ms: Option<u64>) -> Option<Timestamp> {
    Timestamp::from_millisecond(i64::try_from(ms?).ok()?).ok()
}

fn timestamp(ms: Option<u64>) -> Option<String> {
    time(ms).map(|time| time.to_string())
}

fn minute(ms: Option<u64>, zone: &TimeZone) -> String {
    let shown = |time: Timestamp| time.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M").to_string();
    time(ms).map_or_else(|| "-".into(), shown)
}

fn second(ms: Option<u64>, zone: &TimeZone) -> String {
    let shown = |time: Timestamp| {
        time.to_zoned(zone.clone())
            .strftime("%Y-%m-%d %H:%M:%S %Z")
            .to_string()
    };
    time(ms).map_or_else(|| "nobody wrote down when".into(), shown)
}

#[cfg(test)]
mod tests {
    use super::super::letter::tests::letter;
    use super::super::letter::{Letter, entries, read};
    use super::*;
    use flowlift_common::amqp::Facts;

    #[test]
    fn a_row_is_one_line_and_a_page_says_all() {
        let mut letter = letter(0x0c6b_fa0d, 7, &[17]);
        letter
            .reasons
            .insert(17, format!("Azkaban said:\n{}", "x".repeat(200)));
        let entry = entries(&letter).next().unwrap();
        let row = row(&entry, &TimeZone::UTC);
        assert_eq!(
            row[..4],
            ["0c6bfa0d.17", "1970-01-01 00:00", "night", "deletion of f17"]
        );
        assert!(row[4].starts_with("Azkaban said: xxx") && row[4].ends_with('…'));
        assert_eq!(row[4].chars().count(), REASON);
        let signed = page(&entry, Some("ann"), &TimeZone::UTC);
        assert!(
            signed.contains("published    1970-01-01 00:00:00 UTC by RabbitMQ's user ann\n"),
            "{signed}"
        );
        let page = page(&entry, None, &TimeZone::UTC);
        let wanted = "dead letter  0c6bfa0d.17\n\
            project      night\n\
            what         deletion of f17\n\
            owner        team\n\
            run          00000000-0000-0000-0000-00000c6bfa0d\n\
            place in it  17, rank 7\n\
            published    1970-01-01 00:00:00 UTC\n\
            died         1970-01-01 00:00:01 UTC, given up by c-1\n\
            \nreason:\n  Azkaban said:\n  xxx";
        assert!(page.starts_with(wanted), "{page}");
        let change = "\n\nchange:\n  {\n    \"project\": \"night\",\n    \"flow\": \"f17\",\n    \"delete\": true\n  }\n";
        assert!(page.ends_with(change), "{page}");
        assert_eq!(page_json(&entry, None)["change"]["flow"], "f17");
        assert_eq!(json(&entry)["died"], "1970-01-01T00:00:01Z");
    }

    #[test]
    fn what_cannot_be_read_says_what_its_headers_say() {
        let facts = Facts {
            span: Some((1, 4)),
            reason: Some("not gzip".into()),
            ..Facts::default()
        };
        let Letter::Unread(unread) = read(b"junk", &facts) else {
            panic!("it cannot be read");
        };
        assert_eq!(
            row_unread(&unread, &TimeZone::UTC)[1..],
            ["-", "-", "unreadable (changes 1 to 4)", "not gzip"]
        );
        assert_eq!(page_json_unread(&unread)["body"]["text"], "junk");
        assert!(page_unread(&unread, &TimeZone::UTC).contains("4 bytes that cannot be read"));
    }
}
