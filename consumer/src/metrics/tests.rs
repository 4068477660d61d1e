use super::*;
use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::plan::ChangeId;
use crate::project::Final;

fn value(metrics: &Metrics, series: &str) -> f64 {
    let text = metrics.render().unwrap();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no series {series} in\n{text}"))
        .parse()
        .unwrap()
}

#[test]
fn all_series_of_closed_label_sets_stand_at_zero() {
    let metrics = Metrics::with_projects(1);
    for outcome in Outcome::ALL {
        let series = format!("flowlift_consumer_changes_total{{outcome=\"{outcome}\"}}");
        assert_eq!(value(&metrics, &series), 0.0);
    }
    for series in [
        "flowlift_consumer_messages_total{result=\"returned\"}",
        "flowlift_consumer_uploads_total{result=\"doubtful\"}",
        "flowlift_consumer_azkaban_errors_total{class=\"login\",code=\"login_refused\"}",
        "flowlift_consumer_change_latency_seconds_count",
        "flowlift_consumer_fences_waiting",
        "flowlift_consumer_projects_paused",
        "flowlift_consumer_azkaban_call_seconds_count{call=\"upload\"}",
        "flowlift_consumer_azkaban_call_seconds_count{call=\"other\"}",
        "flowlift_consumer_project_changes_total{project=\"other\"}",
    ] {
        assert_eq!(value(&metrics, series), 0.0);
    }
    let version = format!(
        "flowlift_consumer_build_info{{version=\"{}\"}}",
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(value(&metrics, &version), 1.0);
}

fn project(name: &str) -> ProjectName {
    ProjectName::new(name).unwrap()
}

/// Three changes of one message, and a message that nobody can read.
fn settlement() -> Settlement {
    let last = |outcome| Final { outcome, note: None };
    let change = |seq, outcome| (ChangeId { receipt: 7, seq }, last(outcome));
    Settlement {
        changes: vec![
            change(1, Outcome::Applied),
            change(2, Outcome::Applied),
            change(3, Outcome::Superseded),
        ],
        unreadable: vec![(8, "junk".into())],
        receipts: vec![7, 8],
        uploaded: true,
        unwritten: false,
    }
}

#[test]
fn a_settlement_counts_changes_by_outcome_and_messages_once() {
    let metrics = Metrics::new();
    metrics.settled(&project("p"), &settlement(), &[(7, 10_000)].into(), &[], 12_000);
    for (series, expected) in [
        ("flowlift_consumer_changes_total{outcome=\"applied\"}", 2.0),
        ("flowlift_consumer_changes_total{outcome=\"superseded\"}", 1.0),
        ("flowlift_consumer_messages_total{result=\"settled\"}", 1.0),
        ("flowlift_consumer_messages_total{result=\"dead\"}", 1.0),
        ("flowlift_consumer_change_latency_seconds_count", 2.0),
        ("flowlift_consumer_change_latency_seconds_sum", 4.0),
        ("flowlift_consumer_change_latency_seconds_bucket{le=\"1\"}", 0.0),
        ("flowlift_consumer_change_latency_seconds_bucket{le=\"2.5\"}", 2.0),
    ] {
        assert_eq!(value(&metrics, series), expected, "{series}");
    }
}

#[test]
fn projects_are_labels_only_when_asked_for_and_then_the_first_ones_only() {
    let settle = |metrics: &Metrics, name: &str| {
        metrics.settled(&project(name), &settlement(), &HashMap::new(), &[], 0);
    };
    let off = Metrics::new();
    settle(&off, "p");
    assert!(!off.render().unwrap().contains("project="), "off by default");
    let two = Metrics::with_projects(2);
    for name in ["first", "second", "third", "FIRST", "fourth"] {
        settle(&two, name);
    }
    let text = two.render().unwrap();
    let shown: Vec<&str> = text.lines().filter(|line| line.contains("{project=")).collect();
    assert_eq!(
        shown,
        [
            "flowlift_consumer_project_changes_total{project=\"first\"} 6",
            "flowlift_consumer_project_changes_total{project=\"other\"} 6",
            "flowlift_consumer_project_changes_total{project=\"second\"} 3",
        ]
    );
}

#[test]
fn with_the_session_all_that_hung_on_it_is_gone() {
    let metrics = Metrics::new();
    let fresh = metrics.render().unwrap();
    metrics.floor(1, 2, 3);
    metrics.waiting(Waiting {
        in_shards: 4,
        dead: 5,
    });
    metrics.parked(6);
    metrics.shards_held(7);
    metrics.permits(8, 9);
    metrics.deadline(Some(1_000));
    metrics.paused(10, true);
    metrics.session_over();
    let ours = |text: &str| {
        let lines = text.lines().filter(|line| line.starts_with("flowlift_"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(ours(&metrics.render().unwrap()), ours(&fresh));
}

#[test]
fn changes_per_upload_can_be_derived() {
    let metrics = Metrics::new();
    metrics.upload_landed(Duration::from_secs(6), 2_000_000, 9_000);
    metrics.upload_landed(Duration::from_millis(200), 50_000, 1_000);
    metrics.upload_failed("doubtful");
    let landed = value(&metrics, "flowlift_consumer_uploads_total{result=\"landed\"}");
    assert_eq!(
        value(&metrics, "flowlift_consumer_changes_uploaded_total") / landed,
        5_000.0
    );
    assert_eq!(
        value(&metrics, "flowlift_consumer_upload_bytes_total"),
        2_050_000.0
    );
    assert_eq!(
        value(&metrics, "flowlift_consumer_uploads_total{result=\"doubtful\"}"),
        1.0
    );
    assert_eq!(
        value(&metrics, "flowlift_consumer_batch_changes_bucket{le=\"1000\"}"),
        1.0
    );
}

#[test]
fn every_event_has_a_series_that_moves() {
    let metrics = Metrics::new();
    let before = metrics.render().unwrap();
    metrics.message_arrived(true);
    metrics.message_dead();
    metrics.messages_returned(2);
    metrics.batch_waited(Duration::from_secs(1));
    metrics.archived(Duration::from_secs(1));
    metrics.foreign_upload();
    metrics.verified(Duration::from_secs(1));
    metrics.scheduled(Duration::from_secs(1));
    metrics.fenced(Duration::from_secs(1));
    metrics.azkaban_error("transient", "broken");
    metrics.amqp_connected(true);
    metrics.leases_lost(3);
    metrics.in_hand(InHand {
        since_received: Some(Duration::from_secs(4)),
        since_published: Some(Duration::from_secs(11)),
        deadline_ms: Some(1_700_000_000_500),
    });
    metrics.azkaban_called("create project", Duration::from_secs(2));
    metrics.waiting(Waiting {
        in_shards: 12,
        dead: 13,
    });
    metrics.parked(14);
    metrics.paused(15, true);
    metrics.shards(256);
    metrics.breaker(true);
    metrics.zombie();
    metrics.messages_parked(2);
    metrics.floor(5, 6, 7);
    metrics.shards_held(8);
    metrics.permits(9, 10);
    let after = metrics.render().unwrap();
    let moved: BTreeSet<&str> = after
        .lines()
        .filter(|line| line.starts_with("flowlift_") && !line.contains("_bucket") && !before.contains(line))
        .collect();
    let expected = [
        "flowlift_consumer_amqp_connected 1",
        "flowlift_consumer_amqp_connections_total 1",
        "flowlift_consumer_archive_seconds_count 1",
        "flowlift_consumer_archive_seconds_sum 1",
        "flowlift_consumer_azkaban_call_seconds_count{call=\"create_project\"} 1",
        "flowlift_consumer_azkaban_call_seconds_sum{call=\"create_project\"} 2",
        "flowlift_consumer_azkaban_errors_total{class=\"transient\",code=\"broken\"} 1",
        "flowlift_consumer_batch_wait_seconds_count 1",
        "flowlift_consumer_batch_wait_seconds_sum 1",
        "flowlift_consumer_breaker_open 1",
        "flowlift_consumer_dead_letters 13",
        "flowlift_consumer_earliest_deadline_timestamp_seconds 1700000000.5",
        "flowlift_consumer_everything_paused 1",
        "flowlift_consumer_fence_seconds_count 1",
        "flowlift_consumer_fence_seconds_sum 1",
        "flowlift_consumer_fences_waiting 7",
        "flowlift_consumer_foreign_uploads_total 1",
        "flowlift_consumer_lost_leases_total 3",
        "flowlift_consumer_messages_held 5",
        "flowlift_consumer_messages_parked 14",
        "flowlift_consumer_messages_received_total 1",
        "flowlift_consumer_messages_total{result=\"dead\"} 1",
        "flowlift_consumer_messages_total{result=\"parked\"} 2",
        "flowlift_consumer_messages_total{result=\"returned\"} 2",
        "flowlift_consumer_messages_waiting 12",
        "flowlift_consumer_oldest_change_age_seconds 4",
        "flowlift_consumer_oldest_published_age_seconds 11",
        "flowlift_consumer_permits_held 9",
        "flowlift_consumer_permits_waiting 10",
        "flowlift_consumer_projects_active 6",
        "flowlift_consumer_projects_paused 15",
        "flowlift_consumer_redeliveries_total 1",
        "flowlift_consumer_schedule_seconds_count 1",
        "flowlift_consumer_schedule_seconds_sum 1",
        "flowlift_consumer_shards 256",
        "flowlift_consumer_shards_held 8",
        "flowlift_consumer_verify_seconds_count 1",
        "flowlift_consumer_verify_seconds_sum 1",
        "flowlift_consumer_zombie_uploads_total 1",
    ];
    assert_eq!(Vec::from_iter(moved), expected);
}

/// What follows it on the page is the producer's part.
const PART_TWO: &str = "\n# Metrics of a run\n";

#[test]
#[cfg(target_os = "linux")]
fn the_page_on_disk_says_what_the_program_serves() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/METRICS.md");
    let page = Metrics::document();
    let read = || std::fs::read_to_string(&path).unwrap_or_default();
    if std::env::var_os("UPDATE_DOCS").is_some_and(|value| value == "1") {
        let before = read();
        let rest = before.split_once(PART_TWO).map_or("", |(_, rest)| rest);
        std::fs::write(&path, format!("{page}{PART_TWO}{rest}")).unwrap();
    }
    let on_disk = read();
    let (ours, _) = on_disk.split_once(PART_TWO).unwrap_or_default();
    assert!(
        ours == page,
        "docs/METRICS.md is behind: run with UPDATE_DOCS=1 and commit it"
    );
}

#[test]
fn promtool_finds_nothing_to_complain_about() {
    let promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut promtool) = promtool else {
        println!("skipped: promtool is not installed (apt-get install prometheus)");
        return;
    };
    let text = Metrics::with_projects(1).render().unwrap();
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.trim().is_empty(), "{said}");
}
