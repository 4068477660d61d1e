//! Failed jobs that are tried again: by themselves, and because somebody asks for it.

use serde_json::json;

use crate::support::azkaban::{Azkaban, Project};
use crate::support::running::{patiently, statuses, without_times};
use crate::support::zips::zip;

/// Fails at its first try and succeeds at the second.
const SECOND: &str = "type=command\ncommand=sh -c \"test -e mark || { touch mark; exit 1; }\"\n";

/// `f` after `a`, which fails once, and after `long`, which takes some seconds.
fn failing_once() -> Vec<u8> {
    zip(&[
        ("f.job", "type=noop\ndependencies=b,long\n"),
        ("b.job", "type=noop\ndependencies=a\n"),
        ("a.job", SECOND),
        ("long.job", "type=command\ncommand=sleep 5\n"),
    ])
}

async fn until_failed(project: &Project<'_>, id: i64, job: &str) {
    project.until_job(id, job, "FAILED").await;
}

/// Begins [`failing_once`] and waits until `a` has failed; the execution.
async fn failed_once(project: &Project<'_>) -> i64 {
    project.install(&failing_once()).await;
    let id = project.begin("f", &[]).await;
    until_failed(project, id, "a").await;
    project.until_job(id, "b", "CANCELLED").await;
    id
}

#[tokio::test]
async fn all_that_failed_is_tried_again_while_the_flow_runs() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    let id = failed_once(&project).await;
    assert_eq!(azkaban.execution(id).await["status"], "FAILED_FINISHING");
    assert_eq!(azkaban.about("retryFailedJobs", id, &[]).await.text(), "{ }");
    let tree = project.end_of("f", id).await;
    assert_eq!(tree["status"], "SUCCEEDED");
    assert_eq!(
        statuses(&tree),
        ["a SUCCEEDED", "b SUCCEEDED", "f SUCCEEDED", "long SUCCEEDED"]
    );
    let node = &without_times(tree)["nodes"][0];
    let expected = json!({"nestedId": "a", "id": "a", "type": "command", "status": "SUCCEEDED", "attempt": 1,
                          "startTime": null, "endTime": null, "updateTime": null,
                          "pastAttempts": [{"attempt": 0, "startTime": null, "endTime": null, "status": "FAILED"}]});
    assert_eq!(node, &expected);
    let log = azkaban.log(id, None).await;
    for line in [
        "INFO - Setting f to FAILED_FINISHING\n",
        "INFO - Retrying failures invoked by azkaban\n",
        "INFO - Restarting all failed jobs\n",
        "INFO - Resetting job 'b' from CANCELLED to READY\n",
        "INFO - Resetting job 'a' from FAILED to READY\n",
        "INFO - Resetting flow 'f' from RUNNING to RUNNING\n",
        "INFO - Submitting job 'a' to run.\n",
    ] {
        assert!(log.contains(line), "{line}: {log}");
    }
    assert!(
        azkaban
            .log(id, Some("a"))
            .await
            .contains("INFO - Starting job a retry: 1 at ")
    );
    project.delete().await;
}

#[tokio::test]
async fn a_retry_when_nothing_failed_changes_nothing() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    project
        .install(&zip(&[
            ("f.job", "type=noop\ndependencies=a,long,off\n"),
            ("a.job", "type=noop\n"),
            ("off.job", "type=noop\n"),
            ("long.job", "type=command\ncommand=sleep 2\n"),
        ]))
        .await;
    let id = project.begin("f", &[("disabled", "[\"off\"]")]).await;
    project.until_job(id, "off", "SKIPPED").await;
    project.until_job(id, "long", "RUNNING").await;
    project.until_job(id, "a", "SUCCEEDED").await;
    assert_eq!(azkaban.about("retryFailedJobs", id, &[]).await.text(), "{ }");
    let tree = project.end_of("f", id).await;
    assert_eq!(
        statuses(&tree),
        ["a SUCCEEDED", "f SUCCEEDED", "long SUCCEEDED", "off SKIPPED"]
    );
    let nodes = tree["nodes"].as_array().unwrap();
    assert!(nodes.iter().all(|node| node["attempt"] == 0), "{tree}");
    let log = azkaban.log(id, None).await;
    assert!(
        log.contains("INFO - Resetting job 'off' from SKIPPED to DISABLED\n"),
        "{log}"
    );
    project.delete().await;
}

#[tokio::test]
async fn a_retry_reaches_into_embedded_flows() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    project
        .install(&zip(&[
            ("f.job", "type=noop\ndependencies=emb,long\n"),
            ("emb.job", "type=flow\nflow.name=end\n"),
            ("end.job", "type=noop\ndependencies=a\n"),
            ("a.job", SECOND),
            ("long.job", "type=command\ncommand=sleep 5\n"),
        ]))
        .await;
    let id = project.begin("f", &[]).await;
    until_failed(&project, id, "emb").await;
    azkaban.about("retryFailedJobs", id, &[]).await;
    let tree = project.end_of("f", id).await;
    assert_eq!(tree["status"], "SUCCEEDED");
    assert_eq!(
        statuses(&tree),
        [
            "f SUCCEEDED",
            "emb SUCCEEDED",
            "emb:a SUCCEEDED",
            "emb:end SUCCEEDED",
            "long SUCCEEDED"
        ]
    );
    let log = azkaban.log(id, None).await;
    for line in [
        "INFO - Resetting job 'emb:end' from CANCELLED to READY\n",
        "INFO - Resetting job 'emb:a' from FAILED to READY\n",
        "INFO - Resetting flow 'emb' from FAILED to RUNNING\n",
    ] {
        assert!(log.contains(line), "{line}: {log}");
    }
    project.delete().await;
}

#[tokio::test]
async fn a_paused_flow_tries_again_when_it_goes_on() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    let id = failed_once(&project).await;
    azkaban.about("pauseFlow", id, &[]).await;
    assert_eq!(azkaban.about("retryFailedJobs", id, &[]).await.text(), "{ }");
    patiently("the job ends", async || {
        azkaban
            .log(id, Some("long"))
            .await
            .contains("with status SUCCEEDED")
    })
    .await;
    assert_eq!(azkaban.execution(id).await["status"], "PAUSED");
    azkaban.about("resumeFlow", id, &[]).await;
    let tree = project.end_of("f", id).await;
    assert_eq!(tree["status"], "SUCCEEDED");
    assert_eq!(tree["nodes"][0]["attempt"], 1);
    project.delete().await;
}

#[tokio::test]
async fn an_ended_flow_is_not_tried_again() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    project
        .install(&zip(&[("f.job", "type=command\ncommand=false\n")]))
        .await;
    let (id, _) = project.executed("f", &[]).await;
    assert_eq!(
        azkaban.about("retryFailedJobs", id, &[]).await.json(),
        json!({"error": "Flow has already finished. Please re-execute."})
    );
    project.delete().await;
}

#[tokio::test]
async fn a_number_of_retries_that_is_none_breaks_the_flow() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    project
        .install(&zip(&[
            ("f.job", "type=noop\ndependencies=a\n"),
            (
                "a.job",
                "type=command\ncommand=${run}\nretries=${n}\nn=2\nrun=false\n",
            ),
        ]))
        .await;
    let (id, tree) = project.executed("f", &[]).await;
    assert_eq!(tree["status"], "FAILED");
    assert_eq!(statuses(&tree), ["a FAILED", "f READY"]);
    let log = azkaban.log(id, None).await;
    assert!(
        log.contains("Quitting.\njava.lang.NumberFormatException: For input string: \"${n}\"\n")
            || log
                .contains("Quitting.\njava.lang.NumberFormatException: For input string: &quot;${n}&quot;\n"),
        "{log}"
    );
    project.delete().await;
}
