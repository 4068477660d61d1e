use super::*;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::cli::MetricsArgs;

fn totals() -> Totals {
    let totals = Totals::default();
    totals.queued(1_203);
    let count = |outcome| match outcome {
        Outcome::Applied => 1_200,
        Outcome::Dead => 3,
        _ => 0,
    };
    let outcomes = Outcome::ALL.map(|outcome| (outcome, count(outcome)));
    totals.settled(&outcomes);
    totals
}

fn to_file(path: &Path) -> Sinks {
    Sinks::of(&MetricsArgs {
        metrics_textfile: Some(path.to_owned()),
        metrics_push: None,
    })
    .unwrap()
}

fn to_gateway(url: &str) -> Sinks {
    Sinks::of(&MetricsArgs {
        metrics_textfile: None,
        metrics_push: Some(url.to_owned()),
    })
    .unwrap()
}

fn value(text: &str, series: &str) -> Option<f64> {
    let mut found = text
        .lines()
        .filter_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    found.next().map(|value| value.parse().unwrap())
}

#[tokio::test]
async fn a_run_leaves_its_totals_in_a_file_that_another_user_may_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flowlift.prom");
    assert!(to_file(&path).tell(&totals(), true).await.is_empty());
    let text = std::fs::read_to_string(&path).unwrap();
    for (series, expected) in [
        ("flowlift_run_changes_queued", 1_203.0),
        ("flowlift_run_changes{outcome=\"applied\"}", 1_200.0),
        ("flowlift_run_changes{outcome=\"dead\"}", 3.0),
        ("flowlift_run_changes{outcome=\"superseded\"}", 0.0),
        ("flowlift_run_success", 1.0),
    ] {
        assert_eq!(value(&text, series), Some(expected), "{series} in\n{text}");
    }
    assert_eq!(
        value(&text, LAST_SUCCESS),
        value(&text, "flowlift_run_completed_timestamp_seconds")
    );
    assert!(value(&text, "flowlift_run_duration_seconds").is_some());
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o644, "{mode:o}");
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "nothing else is left beside it");
}

#[tokio::test]
async fn a_run_that_failed_keeps_the_time_of_the_last_success() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flowlift.prom");
    std::fs::write(&path, format!("{LAST_SUCCESS} 1700000000.5\n")).unwrap();
    let nothing = Totals::default();
    assert!(to_file(&path).tell(&nothing, false).await.is_empty());
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(value(&text, LAST_SUCCESS), Some(1_700_000_000.5));
    assert_eq!(value(&text, "flowlift_run_success"), Some(0.0));
    assert!(
        !text.contains("flowlift_run_changes"),
        "nothing was queued:\n{text}"
    );
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_named_and_nothing_else_happens() {
    let path = Path::new("/nowhere/at/all.prom");
    let troubles = to_file(path).tell(&totals(), true).await;
    let said: Vec<String> = troubles.iter().map(ToString::to_string).collect();
    assert!(
        said.len() == 1
            && said[0].starts_with("the run's metrics could not be written to /nowhere/at/all.prom: "),
        "{said:?}"
    );
}

/// A Pushgateway that takes one request and answers so; what it got.
async fn gateway(answer: &'static str) -> (String, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let got = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut got = Vec::new();
        let body_is_there = |got: &[u8]| {
            let text = String::from_utf8_lossy(got).into_owned();
            let (head, body) = text.split_once("\r\n\r\n")?;
            let length = head.to_lowercase();
            let length = length
                .split("content-length: ")
                .nth(1)?
                .lines()
                .next()?
                .trim()
                .parse::<usize>();
            (body.len() >= length.ok()?).then_some(text)
        };
        loop {
            let mut piece = [0; 4096];
            let read = stream.read(&mut piece).await.unwrap();
            got.extend_from_slice(&piece[..read]);
            if let Some(text) = body_is_there(&got) {
                stream.write_all(answer.as_bytes()).await.unwrap();
                return text;
            }
            assert!(read > 0, "the request ended early");
        }
    });
    (address, got)
}

#[tokio::test]
async fn a_pushgateway_gets_a_whole_group_by_put_and_a_failed_run_by_post() {
    for (good, method) in [(true, "PUT"), (false, "POST")] {
        let (address, got) = gateway("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
        let troubles = to_gateway(&format!("http://{address}"))
            .tell(&totals(), good)
            .await;
        assert!(troubles.is_empty(), "{troubles:?}");
        let got = got.await.unwrap();
        assert!(
            got.starts_with(&format!("{method} /metrics/job/flowlift HTTP/1.1\r\n")),
            "{got}"
        );
        assert!(
            got.contains("\nflowlift_run_changes{outcome=\"applied\"} 1200\n"),
            "{got}"
        );
        assert_eq!(got.contains(LAST_SUCCESS), good, "{got}");
    }
}

#[tokio::test]
async fn a_grouping_of_ones_own_is_taken_and_a_password_is_sent_and_never_told() {
    let (address, got) = gateway("HTTP/1.1 400 Bad Request\r\ncontent-length: 9\r\n\r\nno thanks").await;
    let url = format!("http://me:s3cret@{address}/metrics/job/flowlift/team/a");
    let troubles = to_gateway(&url).tell(&totals(), true).await;
    let said = troubles[0].to_string();
    assert_eq!(
        said,
        format!("the Pushgateway at {address} did not take the run's metrics: 400 Bad Request no thanks")
    );
    let got = got.await.unwrap();
    assert!(got.starts_with("PUT /metrics/job/flowlift/team/a "), "{got}");
    assert!(got.to_lowercase().contains("authorization: basic "), "{got}");
    let gone = to_gateway("http://me:s3cret@127.0.0.1:1")
        .tell(&totals(), true)
        .await;
    let said = gone[0].to_string();
    assert!(
        said.starts_with("the Pushgateway at 127.0.0.1:1 did not take") && !said.contains("s3cret"),
        "{said}"
    );
}

#[test]
fn a_mistyped_address_is_told_before_anything_is_queued_and_not_repeated() {
    for (url, words) in [
        ("gateway:s3cret@host", "must start with http:// or https://"),
        ("s3cret", "cannot be read"),
        ("ftp://me:s3cret@host", "must start with http:// or https://"),
    ] {
        let args = MetricsArgs {
            metrics_textfile: None,
            metrics_push: Some(url.to_owned()),
        };
        let said = Sinks::of(&args).unwrap_err().to_string();
        assert!(said.contains(words) && !said.contains("s3cret"), "{said}");
    }
}

/// What stands before it on the page is the consumer's part.
const PART_TWO: &str = "\n# Metrics of a run\n";

#[test]
fn the_second_part_of_the_page_says_what_a_run_tells() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/METRICS.md");
    let part = document().unwrap();
    let read = || std::fs::read_to_string(&path).unwrap_or_default();
    if std::env::var_os("UPDATE_DOCS").is_some_and(|value| value == "1") {
        let before = read();
        let first = before.split_once(PART_TWO).map_or("", |(first, _)| first);
        std::fs::write(&path, format!("{first}{PART_TWO}{part}")).unwrap();
    }
    let on_disk = read();
    let (_, ours) = on_disk.split_once(PART_TWO).unwrap_or_default();
    assert!(
        ours == part,
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
    let text = totals().ended(true).text(None).unwrap();
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.trim().is_empty(), "{said}");
}
