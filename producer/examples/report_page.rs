//! Writes report pages of a made-up night, for looking at them: `cargo run -p flowlift --example report_page -- FOLDER`.
//!
//! A million changes in a thousand projects, three consumers, one of them gone after a third of the night, an Azkaban that
//! was away for ten minutes, dead letters with long reasons, names as long as they may be.

use std::path::PathBuf;

use flowlift::report::page::Frame;
use flowlift::report::{Collect, Figures, page};
use flowlift_azkaban::ProjectName;
use flowlift_common::RunId;
use flowlift_common::ledger::{
    Detail, Fault, Outcome, Outcomes, RunEvent, SETTLED_VERSION, Settled, UploadFacts,
};
use jiff::tz::TimeZone;
use uuid::Uuid;

/// 18:30 of an evening.
const OPENED_MS: u64 = 1_795_717_800_000;
const PROJECTS: u64 = 1_000;
const EACH: u64 = 1_000;
/// Azkaban is away from the minute on, for so many.
const AWAY: std::ops::Range<u64> = 20..30;

fn main() -> std::io::Result<()> {
    let folder = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| ".".into()));
    let ours = Figures::of(night(0x0c6b_fa0d, 90, true), OPENED_MS + 7_200_000);
    let theirs = Figures::of(night(0x5b1e_77aa, 140, false), OPENED_MS + 9_000_000);
    let zone = TimeZone::UTC;
    let frame = |thresholds| Frame {
        zone: &zone,
        now_ms: OPENED_MS + 7_200_000,
        thresholds,
    };
    let broken = vec!["threshold dead=0 is broken: it is 2,000".to_owned()];
    let asked = Some(("p99<2h, dead=0".to_owned(), broken));
    std::fs::write(folder.join("report.html"), page(&ours, None, &frame(asked)))?;
    std::fs::write(
        folder.join("report-against.html"),
        page(&ours, Some(&theirs), &frame(None)),
    )?;
    let small = Figures::of(small(), OPENED_MS + 60_000);
    std::fs::write(folder.join("report-small.html"), page(&small, None, &frame(None)))
}

fn project(n: u64) -> ProjectName {
    let name = match n {
        7 => "a_project_whose_name_is_as_long_as_azkaban_takes_it_sixty_four__".to_owned(),
        n => format!("team_{:02}_nightly_{n:04}", n % 40),
    };
    ProjectName::new(name).expect("a project's name")
}

fn opened(run: RunId, source: &str, deadline_ms: u64) -> RunEvent {
    RunEvent::Opened {
        run,
        rank: 1,
        who: "release-manager@build-host-17.example.com".into(),
        source: source.into(),
        owner: "night".into(),
        at_ms: OPENED_MS,
        deadline_ms: Some(deadline_ms),
        version: Some("0.1.0".into()),
        shards: Some(256),
    }
}

/// A number that looks like chance and is the same every time.
fn dice(n: u64) -> u64 {
    n.wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407)
        >> 33
}

fn night(id: u128, minutes: u64, faulty: bool) -> Collect {
    let run = RunId(Uuid::from_u128(id));
    let mut night = Collect::new(run);
    night.run_event(&opened(
        run,
        "1,000,000 generated flows",
        OPENED_MS + minutes * 60_000 + 300_000,
    ));
    for n in 0..PROJECTS {
        let minute = n * minutes / PROJECTS;
        // what falls into the outage comes after it
        let late = faulty && AWAY.contains(&minute);
        let at = if late {
            AWAY.end * 60_000 + dice(n) % 120_000
        } else {
            minute * 60_000 + dice(n) % 60_000
        };
        let faults = match (late, n % 50) {
            (true, _) => vec![fault("transient", "unreachable", 1 + n % 4)],
            (false, 0) => vec![
                fault("transient", "timed_out", 1),
                fault("unknown", "in_doubt", 1),
            ],
            _ => Vec::new(),
        };
        night.settled(&settlement(run, n, OPENED_MS + at, faults));
    }
    night.run_event(&RunEvent::Closed {
        run,
        rank: 1,
        projects: (0..PROJECTS).map(|n| (project(n), EACH)).collect(),
        partial: false,
        at_ms: OPENED_MS + 95_000,
    });
    night
}

fn fault(class: &str, code: &str, count: u64) -> Fault {
    Fault {
        class: class.into(),
        code: code.into(),
        count,
    }
}

fn settlement(run: RunId, n: u64, at_ms: u64, faults: Vec<Fault>) -> Settled {
    let first = n * EACH + 1;
    let third = at_ms < OPENED_MS + 1_800_000;
    let consumer = match n % 3 {
        0 if third => "rack-7-1",
        0 | 1 => "rack-7-2",
        _ => "a-consumer-with-a-rather-long-name.eu-central-1.compute.internal",
    };
    let result = |outcome, range: (u64, u64), note: Option<String>| Outcomes {
        run,
        outcome,
        note,
        ranges: vec![range],
        labels: (range.0..=range.1).map(|n| format!("flow_{n:07}")).collect(),
        published_ms: OPENED_MS + n * 95,
        spread: Vec::new(),
    };
    let mut results = vec![result(Outcome::Applied, (first, first + 979), None)];
    results.push(result(Outcome::Unchanged, (first + 980, first + 989), None));
    if n.is_multiple_of(5) {
        let reason = match n % 15 {
            0 => "flow load: job extract has no type <b>command</b>; expected one of command, noop, gobblin, hadoopJava".to_owned(),
            5 => format!("Installation Failed. Error unzipping file: {}", "very/deep/path/".repeat(12)),
            _ => "flow x belongs to owner team-b & nobody else".to_owned(),
        };
        results.push(result(Outcome::Dead, (first + 990, first + 999), Some(reason)));
    } else {
        results.push(result(Outcome::Superseded, (first + 990, first + 999), None));
    }
    let took = 600 + dice(n) % 900 + if n == 7 { 25_000 } else { 0 };
    Settled {
        v: SETTLED_VERSION,
        project: project(n),
        consumer: consumer.into(),
        at_ms,
        upload: Some(UploadFacts {
            attempt: format!("flowlift-{n}.zip"),
            version: u32::try_from(n % 7).unwrap_or_default() + 1,
            zip_bytes: 40_000 + dice(n) % 9_000,
            flows: EACH,
            upload_ms: took,
        }),
        created_project: false,
        results,
        detail: Detail {
            version: Some("0.1.0".into()),
            waited_ms: Some(200 + dice(n) % 4_000),
            archive_ms: Some(40 + dice(n) % 90),
            verify_ms: Some(20 + dice(n) % 30),
            schedule_ms: Some(dice(n) % 400),
            faults,
        },
    }
}

/// A run of one upload that went well.
fn small() -> Collect {
    let run = RunId(Uuid::from_u128(0x0000_0001));
    let mut small = Collect::new(run);
    small.run_event(&opened(run, "./project", OPENED_MS + 60_000));
    let mut record = settlement(run, 1, OPENED_MS + 3_000, Vec::new());
    record.results.truncate(1);
    record.results[0].ranges = vec![(1, 980)];
    record.results[0].published_ms = OPENED_MS + 10;
    small.settled(&record);
    small.run_event(&RunEvent::Closed {
        run,
        rank: 1,
        projects: [(project(1), 980)].into(),
        partial: false,
        at_ms: OPENED_MS + 100,
    });
    small
}
