//! Schedules that fire.

use std::time::Duration;

use azkaban_standin::Options;
use serde_json::json;

use crate::support::azkaban::{Azkaban, Project};
use crate::support::running::patiently;
use crate::support::wait::until;
use crate::support::zips::jobs;

async fn ticking() -> Azkaban {
    Azkaban::standin(Options {
        scan_interval: Duration::from_millis(20),
        afterglow: Duration::ZERO,
        ..Options::default()
    })
    .await
}

async fn schedule(project: &Project<'_>, flow: &str, cron: &str, more: &[(&str, &str)]) {
    let fields = [
        ("ajax", "scheduleCronFlow"),
        ("projectName", project.name.as_str()),
        ("flow", flow),
        ("cronExpression", cron),
    ];
    let reply = project
        .azkaban
        .post("/schedule", &[&fields[..], more].concat())
        .await;
    assert_eq!(reply.json()["status"], "success", "{reply:?}");
}

async fn executions(project: &Project<'_>, flow: &str) -> serde_json::Value {
    project
        .ajax(
            "fetchFlowExecutions",
            &[("flow", flow), ("start", "0"), ("length", "100")],
        )
        .await
        .json()
}

#[tokio::test]
async fn a_due_schedule_starts_its_flow_again_and_again() {
    let azkaban = ticking().await;
    let project = azkaban.project().await;
    project.install(&jobs(&[("f", ""), ("g", "")])).await;
    schedule(&project, "f", "* * * * * ?", &[]).await;
    schedule(&project, "g", "0 0 0 1 1 ? 2049", &[]).await;
    patiently("it has run twice", async || {
        executions(&project, "f").await["total"].as_i64() >= Some(2)
    })
    .await;
    let last = &executions(&project, "f").await["executions"][0];
    assert_eq!(last["submitUser"], "azkaban");
    assert_eq!(executions(&project, "g").await["total"], 0);
    assert!(azkaban.own().stats().schedules_fired >= 2);
    let log = project.log().await;
    assert!(
        log.iter().all(|(kind, _)| kind != "EXECUTED"),
        "firings are not logged: {log:?}"
    );
}

#[tokio::test]
async fn a_period_starts_its_flow_again_and_again() {
    let azkaban = ticking().await;
    let project = azkaban.project().await;
    project.install(&jobs(&[("f", "")])).await;
    let fields = [
        ("action", "scheduleFlow"),
        ("projectName", project.name.as_str()),
        ("projectId", project.id.as_str()),
        ("flow", "f"),
        ("scheduleTime", "12,00,am,UTC"),
        ("scheduleDate", ""),
        ("is_recurring", "on"),
        ("period", "1s"),
    ];
    let reply = azkaban.post("/schedule", &fields).await;
    assert_eq!(reply.json()["status"], "success", "{reply:?}");
    patiently("it has run twice", async || {
        executions(&project, "f").await["total"].as_i64() >= Some(2)
    })
    .await;
}

#[tokio::test]
async fn a_schedule_runs_the_version_of_its_day_with_its_own_options() {
    let azkaban = ticking().await;
    let project = azkaban.project().await;
    project
        .install(&jobs(&[("f", "dependencies=g"), ("g", "")]))
        .await;
    schedule(&project, "f", "* * * * * ?", &[("disabled", "[\"g\"]")]).await;
    project
        .install(&jobs(&[("f", "dependencies=g"), ("g", "x=y")]))
        .await;
    patiently("it has run", async || {
        executions(&project, "f").await["executions"][0]["status"] == "SUCCEEDED"
    })
    .await;
    let id = executions(&project, "f").await["executions"][0]["execId"]
        .as_i64()
        .unwrap();
    let info = azkaban.about("flowInfo", id, &[]).await.json();
    assert_eq!(info["nodeStatus"], json!({"f": "SUCCEEDED", "g": "SKIPPED"}));
}

#[tokio::test]
async fn a_locked_or_running_flow_is_passed_over_and_its_schedule_goes_on() {
    let azkaban = ticking().await;
    let project = azkaban.project().await;
    project.install(&jobs(&[("f", "")])).await;
    schedule(&project, "f", "* * * * * ?", &[]).await;
    project
        .ajax("setFlowLock", &[("flowName", "f"), ("isLocked", "true")])
        .await;
    let before = executions(&project, "f").await["total"].clone();
    let fired = azkaban.own().stats().schedules_fired;
    patiently("it was due", async || {
        azkaban.own().stats().schedules_fired > fired + 1
    })
    .await;
    assert_eq!(executions(&project, "f").await["total"], before);
    project
        .ajax("setFlowLock", &[("flowName", "f"), ("isLocked", "false")])
        .await;
    patiently("it runs again", async || {
        executions(&project, "f").await["total"].as_i64() > before.as_i64()
    })
    .await;
}

#[tokio::test]
async fn a_schedule_ends_at_its_end_and_with_its_flow() {
    let azkaban = ticking().await;
    let project = azkaban.project().await;
    project.install(&jobs(&[("f", ""), ("g", ""), ("h", "")])).await;
    schedule(&project, "f", "* * * * * ?", &[("endSchedTime", "5")]).await;
    schedule(&project, "g", "* * * * * ?", &[]).await;
    schedule(&project, "h", "* * * * * ?", &[]).await;
    project.install(&jobs(&[("f", ""), ("h", "")])).await;
    let gone = executions(&project, "g").await["total"].clone();
    until("h has run", async || {
        executions(&project, "h").await["total"].as_i64() >= Some(2)
    })
    .await;
    assert_eq!(executions(&project, "f").await["total"], 0);
    assert_eq!(executions(&project, "g").await["total"], gone);
}
