//! What people watch, with the real programs: Prometheus, as deploy/ sets it up, scrapes RabbitMQ, the stand-in and consumers that
//! work, and answers every question of every dashboard and rule. `dev/broker run --plugins rabbitmq_prometheus -- cargo test -p
//! flowlift --test watch` starts a broker that can be scraped; without it, or without Prometheus, the tests say that they are
//! skipped.

#![cfg(test)]

mod alerts;
#[path = "../shared/build.rs"]
mod build;
mod prometheus;
mod questions;
mod stage;

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use prometheus::{Answer, Patience, Prometheus};
use questions::{Question, questions};
use stage::Stage;

/// Whatever is waited for comes within this, or the test fails.
const SOON: Duration = Duration::from_secs(45);

/// One test at a time: each upsets the whole broker.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Panels that may show nothing on a night without trouble: no run has a deadline, and no upload was left open.
const EMPTY_BY_DESIGN: [&str; 2] = ["earliest_deadline_timestamp_seconds", "fence_seconds_bucket"];

fn may_be_empty(question: &Question) -> bool {
    EMPTY_BY_DESIGN
        .iter()
        .any(|name| question.expression.contains(name))
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_answers_every_question_of_every_dashboard_and_sees_consumers_die() {
    let _alone = ALONE.lock().await;
    let Some(mut stage) = Stage::set().await else {
        return;
    };
    let Some(prometheus) = Prometheus::start(&stage.scraped(), Patience::AsDeployed).await else {
        return;
    };
    let traffic = stage.traffic();

    prometheus.until_all_are_up(stage.targets()).await;
    let mut open = questions(&stage);
    assert!(open.len() > 80, "only {} questions", open.len());
    let asked = async {
        let mut pause = tokio::time::interval(Duration::from_millis(250));
        while !open.is_empty() {
            pause.tick().await;
            let mut still = Vec::new();
            for question in open.drain(..) {
                match prometheus.ask(&question.expression).await {
                    Answer::Numbers(_) => {}
                    Answer::Nothing if may_be_empty(&question) => {}
                    Answer::Nothing => still.push(question),
                    Answer::Refused(reason) => panic!("{question}: {reason}"),
                }
            }
            open = still;
        }
    };
    if tokio::time::timeout(SOON, asked).await.is_err() {
        let open: Vec<String> = open.iter().map(ToString::to_string).collect();
        panic!("Prometheus has no answer to\n{}", open.join("\n"));
    }

    let rules = prometheus.rules().await;
    assert!(rules.alerts.len() >= 8 && rules.recorded.len() >= 3, "{rules:?}");
    for name in &rules.recorded {
        prometheus.until_answered(name).await;
    }
    // its counters were scraped at zero, so it is seen that one of them moves
    stage.refused_run().await;
    prometheus.until_alert("FlowliftDeadLetters", &["firing"]).await;
    assert_eq!(prometheus.alert("FlowliftNoConsumer").await, "inactive");
    lint(&stage).await;
    let others = "sum(flowlift_consumer_azkaban_call_seconds_count{call=\"other\"})";
    assert_eq!(
        prometheus.ask(others).await,
        Answer::Numbers(vec![0.0]),
        "a call has no label"
    );

    // no run may wait for consumers that are gone
    traffic.end().await;
    stage.azkaban_goes_away().await;
    prometheus
        .until_alert("FlowliftBreakerOpen", &["pending", "firing"])
        .await;
    // what cannot go on is in hand, and tells its deadline
    prometheus
        .until_answered("flowlift_consumer_earliest_deadline_timestamp_seconds > 0")
        .await;
    stage.kill_consumers().await;
    prometheus
        .until_alert("FlowliftNoConsumer", &["pending", "firing"])
        .await;
}

/// promtool looks at what a consumer at work serves.
async fn lint(stage: &Stage) {
    let text = reqwest::get(format!("http://{}/metrics", stage.consumers()[0]))
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    // it comes with Prometheus
    let mut promtool = promtool.expect("promtool is installed");
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.trim().is_empty(), "{said}");
}
