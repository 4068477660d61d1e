//! `flowlift report` and thresholds on a real RabbitMQ.

use std::time::{Duration, Instant};

use flowlift_common::RunId;
use flowlift_common::amqp::Sender;
use flowlift_common::ledger;
use flowlift_common::ledger::{Outcome, RunEvent, Settled};
use flowlift_common::topology::RUNS;
use serde_json::Value;

use crate::consumer::Consumer;
use crate::person::Person;
use crate::publish::{run_of, words};
use crate::readback::Azkaban;
use crate::runs::{now_ms, settled};
use crate::vhost::Vhost;

/// A run of ten changes, two of them dead.
async fn ten(vhost: &Vhost, person: &Person) -> RunId {
    let run = run_of(&person.calls(&words("publish --project p --flows 10")));
    vhost
        .record(&[
            settled(run, "p", Outcome::Applied, (1, 8)),
            settled(run, "p", Outcome::Dead, (9, 10)),
        ])
        .await;
    run
}

#[tokio::test]
async fn the_page_is_written_where_it_is_said_and_stands_alone() {
    let Some(vhost) = Vhost::new() else { return };
    let person = vhost.person();
    let run = ten(&vhost, &person).await;
    let short = &run.to_string()[28..];
    let said = person.calls(&["report", short]);
    let file = format!("flowlift-report-{short}.html");
    assert_eq!(
        (said.code, said.out.trim_end()),
        (0, file.as_str()),
        "{}",
        said.err
    );
    let page = std::fs::read_to_string(person.path().join(&file)).unwrap();
    assert!(
        page.starts_with("<!doctype html>")
            && page.contains("All 10 changes have their outcome; 2 could not be applied.")
    );
    assert!(page.contains("&lt;script&gt;alert(1)") && !page.contains("<script"));
    assert!(page.contains("flowlift-consumer 9.9.9"));

    let said = person.calls(&[
        "report",
        &run.to_string(),
        "--json",
        "--csv",
        "x.csv",
        "--against",
        short,
    ]);
    let json: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(
        (&json["outcomes"]["applied"], &json["latency"]["p99_ms"]),
        (&8.into(), &5_000.into())
    );
    assert_eq!(
        (&json["ratios"]["settled"], &json["files"]),
        (&1.0.into(), &serde_json::json!(["x.csv"]))
    );
    assert_eq!(json["uploads"]["all"][0]["zip_bytes"], 12_345);
    let csv = std::fs::read_to_string(person.path().join("x.csv")).unwrap();
    assert_eq!(csv.lines().count(), 3, "{csv}");
    let said = person.calls(&["report", short, "--html", "none/x.html"]);
    assert_eq!(said.code, 74);
    person.is_refused(
        "report 12345678",
        66,
        "there is no run 12345678 in this RabbitMQ (runs are kept for 90 days)",
    );
}

#[tokio::test]
async fn broken_thresholds_are_told_and_decide_the_exit_code() {
    let Some(vhost) = Vhost::new() else { return };
    let person = vhost.person();
    let run = ten(&vhost, &person).await.to_string();
    let holds = person.calls(&[
        "report",
        &run,
        "--json",
        "--threshold",
        "p99<=5s,dead<3,applied=8",
    ]);
    assert_eq!(holds.code, 0, "{}", holds.err);
    let broken = person.calls(&["report", &run, "--threshold", "p99<5s,dead=0"]);
    assert_eq!(broken.code, 1);
    let wanted = "threshold p99<5s is broken: it is 5.0 s\nthreshold dead=0 is broken: it is 2\n";
    assert!(broken.err.ends_with(wanted), "{}", broken.err);
    let waited = person.calls(&["wait", &run, "--threshold", "dead=0", "--json"]);
    let json: Value = serde_json::from_str(&waited.out).unwrap();
    assert_eq!(
        (waited.code, &json["broken_thresholds"][0]),
        (1, &"threshold dead=0 is broken: it is 2".into())
    );
    for command in ["report", "wait"] {
        let said = person.calls(&[command, &run, "--threshold", "p98<1s"]);
        assert_eq!(said.code, 64);
        assert!(
            said.err.contains("\"p98\" is no metric: expected one of p50 p90"),
            "{}",
            said.err
        );
    }
}

#[tokio::test]
async fn a_lost_threshold_ends_waiting_only_where_that_is_asked_for() {
    let Some(vhost) = Vhost::new() else { return };
    let person = vhost.person();
    let run = run_of(&person.calls(&words("publish --project p --flows 10")));
    vhost.record(&[settled(run, "p", Outcome::Dead, (1, 1))]).await;
    let run = run.to_string();
    let said = person.calls(&[
        "wait",
        &run,
        "--threshold",
        "dead=0",
        "--abort-on-fail",
        "--timeout",
        "60s",
    ]);
    assert_eq!(said.code, 1, "{}", said.err);
    assert!(
        said.err.contains("threshold dead=0 is broken: it is 1\n"),
        "{}",
        said.err
    );
    assert!(said.err.contains("the run is cancelled"), "{}", said.err);
    assert_eq!(vhost.wished("p").await.1, [run.parse::<RunId>().unwrap()]);
    let said = person.calls(&["wait", &run, "--threshold", "dead=0", "--timeout", "2s"]);
    assert_eq!(said.code, 75, "{}", said.err);
}

#[tokio::test]
async fn publishing_and_waiting_at_once_knows_thresholds_too() {
    let Some(vhost) = Vhost::new() else { return };
    let person = vhost.person();
    // nobody consumes, so it takes longer than any time
    let said = person.calls(&[
        "publish",
        "--project",
        "p",
        "--flows",
        "10",
        "--wait",
        "--threshold",
        "duration<1s",
        "--abort-on-fail",
        "--json",
    ]);
    assert_eq!(said.code, 1, "{}", said.err);
    let json: Value = serde_json::from_str(&said.out).unwrap();
    let broken = json["outcome"]["broken_thresholds"][0].as_str().unwrap();
    assert!(broken.starts_with("threshold duration<1s is broken"), "{broken}");
    assert!(said.err.contains("the run is cancelled"), "{}", said.err);
    let run: RunId = json["run"].as_str().unwrap().parse().unwrap();
    assert_eq!(vhost.wished("p").await.1, [run]);
}

/// A million changes in a thousand projects, in the records of a night.
async fn a_million(vhost: &Vhost) -> RunId {
    let run = RunId::fresh();
    let link = vhost.link().await;
    let sender = Sender::open(&link).await.unwrap();
    let project = |n: u64| flowlift_azkaban::ProjectName::new(format!("project_{n:04}")).unwrap();
    let at_ms = now_ms();
    let opened = RunEvent::Opened {
        run,
        rank: at_ms,
        who: "night@host".into(),
        source: "1,000,000 generated flows".into(),
        owner: String::new(),
        at_ms,
        deadline_ms: None,
        version: None,
        shards: None,
    };
    let closed = RunEvent::Closed {
        run,
        rank: at_ms,
        projects: (0..1_000).map(|n| (project(n), 1_000)).collect(),
        partial: false,
        at_ms,
    };
    sender.record(RUNS, &ledger::encode(&opened)).await.unwrap();
    sender.record(RUNS, &ledger::encode(&closed)).await.unwrap();
    link.close().await;
    let record = |n: u64| {
        let one = settled(
            run,
            project(n).as_str(),
            Outcome::Applied,
            (n * 1_000 + 1, n * 1_000 + 1_000),
        );
        Settled {
            at_ms: at_ms + n * 100,
            ..one
        }
    };
    vhost.record(&(0..1_000).map(record).collect::<Vec<_>>()).await;
    run
}

#[tokio::test]
async fn a_million_changes_are_shown_within_five_seconds_and_reported_within_ten() {
    let Some(vhost) = Vhost::new() else { return };
    let person = vhost.person();
    assert_eq!(person.calls(&["runs"]).code, 0);
    let run = a_million(&vhost).await.to_string();
    let timed = |args: &[&str]| {
        let begun = Instant::now();
        let said = person.calls(args);
        (said, begun.elapsed())
    };
    let (said, took) = timed(&["show", "project_0999/flow_999500", "--json"]);
    assert_eq!(said.out.lines().count(), 1, "{}", said.err);
    println!("show FLOW {took:?}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    let (said, took) = timed(&["show", "project_0500"]);
    assert_eq!(said.out.lines().count(), 1_001);
    println!("show PROJECT {took:?}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    let (said, took) = timed(&["show", "--run", &run]);
    assert_eq!(said.out.lines().count(), 1_000_001);
    println!("show RUN {took:?}");
    let (said, took) = timed(&["report", &run, "--html", "night.html"]);
    assert_eq!(said.code, 0, "{}", said.err);
    println!("report {took:?}");
    assert!(took < Duration::from_secs(10), "{took:?}");
    let page = std::fs::read_to_string(person.path().join("night.html")).unwrap();
    assert!(
        page.contains("All 1,000,000 changes are done.") && page.len() < 5_000_000,
        "{} bytes",
        page.len()
    );
    let (said, took) = timed(&["runs", "--json"]);
    let json: Value = serde_json::from_str(said.out.trim_end()).unwrap();
    assert_eq!(
        (&json["done"], &json["state"]),
        (&1_000_000.into(), &"settled".into())
    );
    println!("runs {took:?}");
}

#[tokio::test]
async fn what_a_consumer_writes_has_all_that_a_report_wants() {
    let Some(vhost) = Vhost::new() else { return };
    let azkaban = Azkaban::start().await;
    let _consumer = Consumer::start(&vhost, &azkaban).await;
    let person = || azkaban.known_to(vhost.person());
    let publish = "publish --project p --flows 40 --cron none --wait --timeout 60s --deadline 23:59:59";
    let (_, said) = azkaban.calls(person(), publish).await;
    let run = said.out.lines().next().unwrap_or_default().to_owned();
    assert_eq!(said.code, 0, "{}", said.err);
    let (_, said) = azkaban
        .calls(
            person(),
            &format!("report {run} --json --threshold applied=40,dead=0,max<60s"),
        )
        .await;
    assert_eq!(said.code, 0, "{}", said.err);
    let json: Value = serde_json::from_str(&said.out).unwrap();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        json["consumers"][0],
        serde_json::json!({"consumer": "it", "changes": 40, "uploads": 1, "versions": [version]})
    );
    for (at, step) in [
        "waiting for its turn",
        "planning and packing",
        "uploading",
        "reading back",
    ]
    .iter()
    .enumerate()
    {
        assert_eq!(
            (&json["steps"][at]["step"], &json["steps"][at]["count"]),
            (&Value::from(*step), &1.into()),
            "{json}"
        );
    }
    assert_eq!(
        (&json["uploads"]["all"][0]["changes"], &json["deadline"]["kept"]),
        (&40.into(), &true.into())
    );
    let latency = json["latency"]["p99_ms"].as_u64().unwrap();
    assert!(latency > 0 && latency < 60_000, "{latency}");
}
