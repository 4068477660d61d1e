//! Executions, as far as they can be asked for when nothing runs.

use crate::support::azkaban::Azkaban;
use crate::support::zips::jobs;

#[tokio::test]
async fn a_flow_that_was_not_started_is_not_running() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    project.install(&jobs(&[("f", "")])).await;
    let running = async |project: &str| {
        azkaban
            .get(
                "/executor",
                &[("ajax", "getRunning"), ("project", project), ("flow", "f")],
            )
            .await
            .text()
    };
    assert_eq!(running(&project.name).await, "{ }");
    assert_eq!(
        running("no-such-project").await,
        "{\n  \"error\" : \"Project 'null' not found.\"\n}"
    );
    project.delete().await;
}

#[tokio::test]
async fn an_unknown_execution_is_told() {
    let azkaban = Azkaban::start().await;
    let reply = azkaban
        .get("/executor", &[("ajax", "fetchexecflow"), ("execid", "999999999")])
        .await;
    assert_eq!(
        reply.text(),
        "{\n  \"error\" : \"Cannot find execution '999999999'\"\n}"
    );
}

#[tokio::test]
async fn a_call_it_does_not_know_needs_a_project_and_does_nothing() {
    let azkaban = Azkaban::start().await;
    let reply = azkaban
        .get("/executor", &[("ajax", "zz"), ("project", "x")])
        .await;
    assert_eq!(reply.text(), "{\n  \"project\" : \"x\"\n}");
    let reply = azkaban.get("/executor", &[("ajax", "zz")]).await;
    assert_eq!(
        (reply.status, reply.title().as_str()),
        (500, "Error 500 Missing required parameter 'project'.")
    );
}
