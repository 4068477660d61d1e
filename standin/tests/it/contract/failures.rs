//! Executions that fail, are killed, paused, or skip jobs.

use serde_json::json;

use crate::support::azkaban::Azkaban;
use crate::support::running::{patiently, statuses};
use crate::support::zips::{v2, zip};

/// `end` needs `mid`, which needs a slow job and one that fails; `solo` needs the slow one alone.
fn failing() -> Vec<u8> {
    zip(&[
        ("end.job", "type=noop\ndependencies=mid,solo\n"),
        ("mid.job", "type=noop\ndependencies=slow,bad\n"),
        ("solo.job", "type=noop\ndependencies=slow\n"),
        ("slow.job", "type=command\ncommand=sleep 1\n"),
        ("bad.job", "type=command\ncommand=false\n"),
    ])
}

async fn failed_with(action: &str) -> (String, Vec<String>) {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    project.install(&failing()).await;
    let (_, tree) = project.executed("end", &[("failureAction", action)]).await;
    project.delete().await;
    let mut jobs = statuses(&tree);
    jobs.sort();
    (tree["status"].as_str().unwrap().to_owned(), jobs)
}

#[tokio::test]
async fn after_a_failure_what_runs_may_end_and_nothing_is_begun() {
    assert_eq!(
        failed_with("finishCurrent").await,
        (
            "FAILED".to_owned(),
            [
                "bad FAILED",
                "end CANCELLED",
                "mid CANCELLED",
                "slow SUCCEEDED",
                "solo CANCELLED"
            ]
            .map(str::to_owned)
            .to_vec()
        )
    );
}

#[tokio::test]
async fn after_a_failure_what_does_not_depend_on_it_may_go_on() {
    assert_eq!(
        failed_with("finishPossible").await,
        (
            "FAILED".to_owned(),
            [
                "bad FAILED",
                "end CANCELLED",
                "mid CANCELLED",
                "slow SUCCEEDED",
                "solo SUCCEEDED"
            ]
            .map(str::to_owned)
            .to_vec()
        )
    );
}

#[tokio::test]
async fn after_a_failure_all_may_be_killed() {
    assert_eq!(
        failed_with("cancelImmediately").await,
        (
            "KILLED".to_owned(),
            [
                "bad FAILED",
                "end CANCELLED",
                "mid CANCELLED",
                "slow KILLED",
                "solo CANCELLED"
            ]
            .map(str::to_owned)
            .to_vec()
        )
    );
}

#[tokio::test]
async fn a_failure_within_an_embedded_flow_fails_the_flow_around_it() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    let flow = "nodes:\n- name: sub\n  type: flow\n  nodes:\n  - name: bad\n    type: command\n    config:\n      command: \
                false\n- name: last\n  type: noop\n  dependsOn: [sub]\n";
    project.install(&v2(&[("g", flow)])).await;
    let (_, tree) = project.executed("g", &[]).await;
    assert_eq!(tree["status"], "FAILED");
    assert_eq!(
        statuses(&tree),
        ["sub FAILED", "sub:bad FAILED", "last CANCELLED"]
    );
    project.delete().await;
}

#[tokio::test]
async fn conditions_on_the_jobs_before_decide() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    let node = |name: &str, condition: &str| {
        format!("- name: {name}\n  type: noop\n  dependsOn: [good, bad]\n  condition: {condition}\n")
    };
    let flow = format!(
        "nodes:\n- name: good\n  type: noop\n- name: bad\n  type: command\n  config:\n    command: false\n{}{}{}{}",
        node("one", "one_success"),
        node("some", "one_failed"),
        node("done", "all_done"),
        node("none", "all_failed")
    );
    project.install(&v2(&[("g", &flow)])).await;
    let (_, tree) = project.executed("g", &[]).await;
    let mut jobs = statuses(&tree);
    jobs.sort();
    // A JavaScript engine computes the rest of a condition; recent Javas have none, and then nothing holds.
    let met = jobs.iter().any(|job| job == "one SUCCEEDED");
    let expected = match met {
        true => [
            "bad FAILED",
            "done SUCCEEDED",
            "good SUCCEEDED",
            "none CANCELLED",
            "one SUCCEEDED",
            "some SUCCEEDED",
        ],
        false => [
            "bad FAILED",
            "done CANCELLED",
            "good SUCCEEDED",
            "none CANCELLED",
            "one CANCELLED",
            "some CANCELLED",
        ],
    };
    assert_eq!(jobs, expected);
    project.delete().await;
}

#[tokio::test]
async fn a_job_is_tried_again_as_often_as_it_says() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    project
        .install(&zip(&[(
            "rt.job",
            "type=command\ncommand=false\nretries=2\nretry.backoff=300\n",
        )]))
        .await;
    let (id, tree) = project.executed("rt", &[]).await;
    let node = &tree["nodes"][0];
    assert_eq!((&node["status"], &node["attempt"]), (&json!("FAILED"), &json!(2)));
    let past = node["pastAttempts"].as_array().unwrap();
    assert_eq!(
        past.iter()
            .map(|past| (past["attempt"].as_i64(), past["status"].as_str()))
            .collect::<Vec<_>>(),
        [(Some(0), Some("FAILED")), (Some(1), Some("FAILED"))]
    );
    assert!(past[0]["endTime"].as_i64().unwrap() + 300 <= past[1]["startTime"].as_i64().unwrap());
    let log = async |attempt: &str| {
        let fields = [
            ("jobId", "rt"),
            ("offset", "0"),
            ("length", "100000"),
            ("attempt", attempt),
        ];
        azkaban.about("fetchExecJobLogs", id, &fields).await.json()["data"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert!(log("0").await.contains("INFO - Starting job rt at "));
    assert!(
        log("1")
            .await
            .contains("Delaying start of execution for 300 milliseconds.")
    );
    assert!(log("2").await.contains("INFO - Starting job rt retry: 2 at "));
    assert_eq!(log("3").await, "");
    project.delete().await;
}

#[tokio::test]
async fn a_disabled_job_is_skipped_and_what_needs_it_runs() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    project.install(&failing()).await;
    let (id, tree) = project
        .executed("end", &[("disabled", "[\"bad\", \"slow\", \"no such job\"]")])
        .await;
    let mut jobs = statuses(&tree);
    jobs.sort();
    assert_eq!(
        jobs,
        [
            "bad SKIPPED",
            "end SUCCEEDED",
            "mid SUCCEEDED",
            "slow SKIPPED",
            "solo SUCCEEDED"
        ]
    );
    assert_eq!(azkaban.log(id, Some("bad")).await, "");
    project.delete().await;
}

#[tokio::test]
async fn a_job_of_an_embedded_flow_is_disabled_by_its_flow_and_name() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    let flow = "nodes:\n- name: sub\n  type: flow\n  nodes:\n  - name: k1\n    type: command\n    config:\n      command: \
                false\n  - name: k2\n    type: noop\n    dependsOn: [k1]\n";
    project.install(&v2(&[("g", flow)])).await;
    let disabled = r#"[{"id": "sub", "children": ["k1"]}]"#;
    let (_, tree) = project.executed("g", &[("disabled", disabled)]).await;
    assert_eq!(
        statuses(&tree),
        ["sub SUCCEEDED", "sub:k1 SKIPPED", "sub:k2 SUCCEEDED"]
    );
    project.delete().await;
}

#[tokio::test]
async fn a_cancelled_flow_and_its_jobs_are_killed() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    project
        .install(&zip(&[
            ("after.job", "type=noop\ndependencies=long\n"),
            ("long.job", "type=command\ncommand=sleep 100\n"),
        ]))
        .await;
    let id = project.begin("after", &[]).await;
    project.until_job(id, "long", "RUNNING").await;
    patiently("its process runs", async || {
        azkaban.log(id, Some("long")).await.contains("Spawned process")
    })
    .await;
    assert_eq!(azkaban.about("cancelFlow", id, &[]).await.text(), "{ }");
    let tree = project.end_of("after", id).await;
    assert_eq!(tree["status"], "KILLED");
    assert_eq!(statuses(&tree), ["after CANCELLED", "long KILLED"]);
    let log = azkaban.log(id, Some("long")).await;
    for line in [
        "ERROR - Kill has been called.\n",
        "ERROR - Job run killed!\n",
        "Process exited with code 143 cause: ",
        " with status KILLED\n",
    ] {
        assert!(log.contains(line), "{line}: {log}");
    }
    assert_eq!(
        azkaban.about("cancelFlow", id, &[]).await.json()["error"],
        format!("Execution {id} of flow after isn't running.")
    );
    project.delete().await;
}

#[tokio::test]
async fn a_paused_flow_begins_nothing_until_it_is_resumed() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    project
        .install(&zip(&[
            ("b.job", "type=command\ncommand=sleep 1\ndependencies=a\n"),
            ("a.job", "type=command\ncommand=sleep 1\n"),
        ]))
        .await;
    let id = project.begin("b", &[]).await;
    project.until_job(id, "a", "RUNNING").await;
    assert_eq!(azkaban.about("pauseFlow", id, &[]).await.text(), "{ }");
    assert_eq!(azkaban.execution(id).await["status"], "PAUSED");
    assert_eq!(
        azkaban.about("pauseFlow", id, &[]).await.text(),
        "{ }",
        "twice does no harm"
    );
    patiently("the job ends", async || {
        azkaban.log(id, Some("a")).await.contains("with status SUCCEEDED")
    })
    .await;
    let tree = azkaban.execution(id).await;
    assert_eq!(
        statuses(&tree),
        ["a RUNNING", "b READY"],
        "what ends meanwhile is not told before"
    );
    assert_eq!(azkaban.about("resumeFlow", id, &[]).await.text(), "{ }");
    assert_eq!(azkaban.about("resumeFlow", id, &[]).await.text(), "{ }");
    let tree = project.end_of("b", id).await;
    assert_eq!(
        (&tree["status"], statuses(&tree)),
        (
            &json!("SUCCEEDED"),
            ["a SUCCEEDED", "b SUCCEEDED"].map(str::to_owned).to_vec()
        )
    );
    project.delete().await;
}

#[tokio::test]
async fn a_failure_that_kills_all_does_so_in_a_paused_flow_too() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    project
        .install(&zip(&[
            ("f.job", "type=noop\ndependencies=a,long\n"),
            ("a.job", "type=command\ncommand=sleep 2\ncommand.1=false\n"),
            ("long.job", "type=command\ncommand=sleep 100\n"),
        ]))
        .await;
    let id = project
        .begin("f", &[("failureAction", "cancelImmediately")])
        .await;
    project.until_job(id, "a", "RUNNING").await;
    project.until_job(id, "long", "RUNNING").await;
    azkaban.about("pauseFlow", id, &[]).await;
    let tree = project.end_of("f", id).await;
    assert_eq!(tree["status"], "KILLED");
    assert_eq!(statuses(&tree), ["a FAILED", "f CANCELLED", "long KILLED"]);
    project.delete().await;
}
