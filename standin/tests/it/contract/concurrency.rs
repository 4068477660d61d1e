//! Several executions of one flow.

use crate::support::azkaban::{Azkaban, Project};
use crate::support::http::Reply;
use crate::support::running::statuses;
use crate::support::zips::zip;

async fn slow(azkaban: &Azkaban) -> Project<'_> {
    let project = azkaban.project().await;
    project
        .install(&zip(&[("s.job", "type=command\ncommand=sleep 2\n")]))
        .await;
    project
}

fn told(reply: &Reply) -> String {
    let json = reply.json();
    let text = |key: &str| json[key].as_str().map(str::to_owned);
    text("message")
        .or_else(|| text("error"))
        .unwrap_or_else(|| panic!("{reply:?}"))
}

#[tokio::test]
async fn a_running_flow_is_not_started_again_unless_asked_so() {
    let azkaban = Azkaban::start().await;
    let project = slow(&azkaban).await;
    let first = project.begin("s", &[]).await;
    let reply = project.execute("s", &[]).await;
    assert_eq!(
        reply.text(),
        format!(
            "{{\n  \"project\" : \"{}\",\n  \"error\" : \"Error submitting flow s. Flow s is already running. Skipping \
             execution.\",\n  \"flow\" : \"s\",\n  \"execid\" : -1\n}}",
            project.name
        )
    );
    let second = project.execute("s", &[("concurrentOption", "ignore")]).await;
    let id = second.json()["execid"].as_i64().unwrap();
    assert_eq!(
        told(&second),
        format!(
            "Flow s is already running with exec id {first}. Will execute concurrently. \nExecution queued successfully \
             with exec id {id}"
        )
    );
    let third = project.execute("s", &[("concurrentOption", "anything")]).await;
    assert!(told(&third).starts_with(&format!(
        "Flow s is already running with exec id {first},{id}. Will"
    )));
    let last = third.json()["execid"].as_i64().unwrap();
    assert_eq!(project.running("s").await, [first, id, last]);
    for id in [first, id, last] {
        assert_eq!(project.end_of("s", id).await["status"], "SUCCEEDED");
    }
    assert_eq!(project.running("s").await, Vec::<i64>::new());
    project.delete().await;
}

#[tokio::test]
async fn a_pipelined_execution_waits_for_the_same_job_of_the_one_before() {
    let azkaban = Azkaban::start().await;
    let project = slow(&azkaban).await;
    let first = project.begin("s", &[]).await;
    let options = [("concurrentOption", "pipeline"), ("pipelineLevel", "1")];
    let reply = project.execute("s", &options).await;
    let second = reply.json()["execid"].as_i64().unwrap();
    assert_eq!(
        told(&reply),
        format!(
            "Flow s is already running with exec id {first}. Pipelining level 1. \nExecution queued successfully with \
             exec id {second}"
        )
    );
    project.until_job(first, "s", "RUNNING").await;
    project.until_job(second, "s", "QUEUED").await;
    assert_eq!(statuses(&azkaban.execution(first).await), ["s RUNNING"]);
    let (first, second) = (
        project.end_of("s", first).await,
        project.end_of("s", second).await,
    );
    let time = |tree: &serde_json::Value, key: &str| tree["nodes"][0][key].as_i64().unwrap();
    assert!(time(&first, "endTime") <= time(&second, "startTime"));
    project.delete().await;
}

#[tokio::test]
async fn pipelining_needs_a_level() {
    let azkaban = Azkaban::start().await;
    let project = slow(&azkaban).await;
    let reply = project.execute("s", &[("concurrentOption", "pipeline")]).await;
    assert_eq!(
        reply.text(),
        format!(
            "{{\n  \"project\" : \"{}\",\n  \"error\" : \"Error parsing flow options: Missing required parameter \
             'pipelineLevel'.\",\n  \"flow\" : \"s\"\n}}",
            project.name
        )
    );
    project.delete().await;
}
