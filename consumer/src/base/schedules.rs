//! Schedules that an upload took away from flows that are there again.
//!
//! An upload that lacks a flow removes its schedule, and Azkaban writes that into the project log, expression included. So a
//! schedule can be set again with what it was, whoever had set it, once the flow is back.

use std::collections::{BTreeMap, BTreeSet};

use flowlift_azkaban::client::{LogEntry, uploaded_file};
use flowlift_azkaban::name::fold;

use super::Version;
use super::truth::flows_of;

/// Whoever uploads, the lines about schedules that went with it name this user; one removed by hand, whoever did it.
const OF_UPLOAD: &str = "azkaban";
/// So soon after an upload nobody removes a schedule by hand.
const RIGHT_AFTER_MS: i64 = 2_000;

/// A line of the log that is about a schedule.
struct Line {
    flow: String,
    /// The expression that was removed; none: it was set.
    removed: Option<String>,
}

/// `Schedule p.f (7) to be run at (starting) ... with CronExpression {0 0 3 ? * *} and timezone UTC has been removed.`
fn line(entry: &LogEntry) -> Option<Line> {
    let text = entry.message.as_deref().filter(|_| entry.kind == "SCHEDULE")?;
    let (which, how) = text
        .strip_prefix("Schedule ")?
        .split_once(" to be run at (starting) ")?;
    let (name, _) = which.rsplit_once(" (")?;
    // a project's name has no dot
    let (_, flow) = name.split_once('.')?;
    let cron = how
        .split_once("with CronExpression {")
        .and_then(|(_, rest)| rest.split_once('}'));
    let removed = how.ends_with(" has been removed.");
    Some(Line {
        flow: flow.to_owned(),
        removed: cron.filter(|_| removed).map(|(cron, _)| cron.to_owned()),
    })
}

/// Whether the log (newest first) tells of a removed schedule of a flow that is there; back to the fourth upload in it.
#[must_use]
pub fn may_have_dropped(log: &[LogEntry], there: &BTreeSet<String>) -> bool {
    let mut uploads = 0;
    let recent = log.iter().take_while(|entry| {
        uploads += usize::from(uploaded_file(entry).is_some());
        uploads <= 4
    });
    recent
        .filter_map(line)
        .any(|line| line.removed.is_some() && there.contains(&fold(&line.flow)))
}

/// Expressions by lower-case flow id: the last word of the log (newest first) about a flow's schedule is that an upload which
/// lacked the flow removed it, and the flow is `there` now.
#[must_use]
pub fn dropped(log: &[LogEntry], landed: &[Version], there: &BTreeSet<String>) -> BTreeMap<String, String> {
    let mut last: BTreeMap<String, (usize, Option<String>)> = BTreeMap::new();
    for (at, entry) in log.iter().enumerate() {
        if let Some(line) = line(entry) {
            last.entry(fold(&line.flow)).or_insert((at, line.removed));
        }
    }
    let versions = by_line(log, landed);
    let mut lacking: BTreeMap<u32, BTreeSet<String>> = BTreeMap::new();
    let mut dropped = BTreeMap::new();
    for (flow, (at, cron)) in last {
        let Some(cron) = cron.filter(|_| there.contains(&flow)) else {
            continue;
        };
        let Some((upload, version)) = versions.iter().find(|(line, _)| *line >= at) else {
            continue;
        };
        let Some(version) = version else {
            if is_of_upload(&log[at], &log[*upload]) {
                dropped.insert(flow, cron);
            }
            continue;
        };
        let flows = lacking
            .entry(version.number)
            .or_insert_with(|| flows_of(version).collect());
        if !flows.contains(&flow) {
            dropped.insert(flow, cron);
        }
    }
    dropped
}

/// Whether a schedule was removed by an upload. Where its zip is no longer kept, so that nobody can look whether it lacked the
/// flow, user and time have to do.
fn is_of_upload(removal: &LogEntry, upload: &LogEntry) -> bool {
    let after = removal.time_ms - upload.time_ms;
    removal.user == OF_UPLOAD && (0..RIGHT_AFTER_MS).contains(&after)
}

/// The log's lines about uploads (their place, newest first), and the version each is about, if it is kept: laid side by side,
/// for people use one name again and again.
fn by_line<'v>(log: &[LogEntry], landed: &'v [Version]) -> Vec<(usize, Option<&'v Version>)> {
    let mut versions = landed.iter().rev().peekable();
    let lines = log.iter().enumerate();
    let uploads = lines.filter_map(|(at, entry)| Some((at, uploaded_file(entry)?)));
    uploads
        .map(|(at, file)| (at, versions.next_if(|version| version.file_name == file)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use flowlift_azkaban::{ProjectName, Tree};

    fn entry(kind: &str, message: &str) -> LogEntry {
        LogEntry {
            user: "azkaban".into(),
            time_ms: 0,
            kind: kind.into(),
            message: Some(message.into()),
        }
    }

    fn schedule(flow: &str, what: &str) -> LogEntry {
        let text = format!(
            "Schedule p.{flow} (7) to be run at (starting) 2026-11-24T03:00:00.000Z with CronExpression {{0 0 3 ? * *}} and timezone UTC has been {what}."
        );
        entry("SCHEDULE", &text)
    }

    fn uploaded(file: &str) -> LogEntry {
        entry("UPLOADED", &format!("Uploaded project files zip {file}"))
    }

    fn version(number: u32, file: &str, flows: &[&str]) -> Version {
        let job = |flow: &&str| (format!("{flow}.job"), "type=noop\n".into());
        let tree: Tree = flows.iter().map(job).collect();
        Version::of_files(&ProjectName::new("p").unwrap(), number, file.into(), tree).unwrap()
    }

    #[test]
    fn a_schedule_that_went_with_its_flow_is_told_with_its_expression() {
        let there = BTreeSet::from(["a (b)".to_owned(), "b".to_owned()]);
        let versions = [
            version(1, "one", &["a (b)", "b"]),
            version(2, "old", &["b"]),
            version(3, "new", &["a (b)", "b"]),
        ];
        let log = [
            uploaded("new"),
            schedule("a (b)", "removed"),
            uploaded("old"),
            schedule("a (b)", "added"),
            uploaded("one"),
        ];
        assert!(may_have_dropped(&log, &there));
        let found = dropped(&log, &versions, &there);
        assert_eq!(
            found,
            BTreeMap::from([("a (b)".to_owned(), "0 0 3 ? * *".to_owned())])
        );
    }

    #[test]
    fn of_two_uploads_with_one_name_the_one_that_lacked_the_flow_is_meant() {
        let there = BTreeSet::from(["a".to_owned(), "b".to_owned()]);
        let versions = [
            version(1, "ours", &["a", "b"]),
            version(2, "project.zip", &["b"]),
            version(3, "project.zip", &["a", "b"]),
        ];
        let log = [
            uploaded("project.zip"),
            schedule("a", "removed"),
            uploaded("project.zip"),
            schedule("a", "added"),
            uploaded("ours"),
        ];
        assert_eq!(dropped(&log, &versions, &there).len(), 1);
    }

    #[test]
    fn of_an_upload_that_is_no_longer_kept_the_time_tells() {
        let there = BTreeSet::from(["a".to_owned()]);
        let log = |seconds: i64| {
            let mut log = [uploaded("new"), schedule("a", "removed"), uploaded("purged")];
            log[1].time_ms = seconds * 1_000;
            log
        };
        assert_eq!(dropped(&log(1), &[version(9, "new", &["a"])], &there).len(), 1);
        assert!(dropped(&log(60), &[version(9, "new", &["a"])], &there).is_empty());
    }

    #[test]
    fn what_a_person_removed_or_set_since_stays_so() {
        let there = BTreeSet::from(["a".to_owned(), "b".to_owned()]);
        let versions = [version(1, "old", &["b"]), version(2, "new", &["a", "b"])];
        let by_hand = [
            schedule("a", "removed"),
            schedule("a", "added"),
            uploaded("new"),
            schedule("a", "removed"),
            uploaded("old"),
        ];
        assert!(dropped(&by_hand, &versions, &there).is_empty());
        let set = [
            schedule("a", "added/changed"),
            uploaded("new"),
            schedule("a", "removed"),
            uploaded("old"),
        ];
        assert!(dropped(&set, &versions, &there).is_empty());
        let gone = BTreeSet::from(["b".to_owned()]);
        assert!(!may_have_dropped(
            &[schedule("a", "removed"), uploaded("new")],
            &gone
        ));
    }
}
