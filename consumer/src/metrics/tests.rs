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
    let metrics = Metrics::new();
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
    ] {
        assert_eq!(value(&metrics, series), 0.0);
    }
    let version = format!(
        "flowlift_consumer_build_info{{version=\"{}\"}}",
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(value(&metrics, &version), 1.0);
}

#[test]
fn a_settlement_counts_changes_by_outcome_and_messages_once() {
    let metrics = Metrics::new();
    let last = |outcome| Final { outcome, note: None };
    let change = |seq, outcome| (ChangeId { receipt: 7, seq }, last(outcome));
    let settlement = Settlement {
        changes: vec![
            change(1, Outcome::Applied),
            change(2, Outcome::Applied),
            change(3, Outcome::Superseded),
        ],
        unreadable: vec![(8, "junk".into())],
        receipts: vec![7, 8],
        uploaded: true,
        unwritten: false,
    };
    metrics.settled(&settlement, &[(7, 10_000)].into(), &[], 12_000);
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
    metrics.oldest_in_hand(Some(Duration::from_secs(4)));
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
        "flowlift_consumer_azkaban_errors_total{class=\"transient\",code=\"broken\"} 1",
        "flowlift_consumer_batch_wait_seconds_count 1",
        "flowlift_consumer_batch_wait_seconds_sum 1",
        "flowlift_consumer_fence_seconds_count 1",
        "flowlift_consumer_fence_seconds_sum 1",
        "flowlift_consumer_fences_waiting 7",
        "flowlift_consumer_foreign_uploads_total 1",
        "flowlift_consumer_lost_leases_total 3",
        "flowlift_consumer_messages_held 5",
        "flowlift_consumer_messages_received_total 1",
        "flowlift_consumer_messages_total{result=\"dead\"} 1",
        "flowlift_consumer_messages_total{result=\"returned\"} 2",
        "flowlift_consumer_oldest_change_age_seconds 4",
        "flowlift_consumer_permits_held 9",
        "flowlift_consumer_permits_waiting 10",
        "flowlift_consumer_projects_active 6",
        "flowlift_consumer_redeliveries_total 1",
        "flowlift_consumer_schedule_seconds_count 1",
        "flowlift_consumer_schedule_seconds_sum 1",
        "flowlift_consumer_shards_held 8",
        "flowlift_consumer_verify_seconds_count 1",
        "flowlift_consumer_verify_seconds_sum 1",
    ];
    assert_eq!(Vec::from_iter(moved), expected);
}

#[test]
#[cfg(target_os = "linux")]
fn the_page_on_disk_says_what_the_program_serves() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/METRICS.md");
    let page = Metrics::new().document();
    if std::env::var_os("UPDATE_DOCS").is_some_and(|value| value == "1") {
        std::fs::write(&path, &page).unwrap();
    }
    let on_disk = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        on_disk == page,
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
    let text = Metrics::new().render().unwrap();
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.trim().is_empty(), "{said}");
}
