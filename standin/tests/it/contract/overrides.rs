//! Properties of jobs that are set by hand until the next upload.

use serde_json::{Value, json};

use crate::support::azkaban::{Azkaban, Project};
use crate::support::zips::{v2, zip};

/// Flow 1.0: flows `f` and `g` with the job `a` in both.
fn two_flows() -> Vec<u8> {
    zip(&[
        ("f.job", "type=noop\ndependencies=a\n"),
        ("g.job", "type=noop\ndependencies=a\n"),
        ("a.job", "type=command\ncommand=echo ${word}\nword=old\n"),
    ])
}

/// Flow 2.0: job `a` beside a flow within the flow.
fn within() -> Vec<u8> {
    let flow = "config:\n  word: flow\nnodes:\n- name: a\n  type: command\n  config:\n    command: echo ${word}\n- name: sub\n  \
                type: flow\n  nodes:\n  - name: k\n    type: command\n    config:\n      command: echo k\n";
    v2(&[("f", flow)])
}

async fn set(project: &Project<'_>, flow: &str, job: &str, props: &[(&str, &str)]) -> String {
    let names: Vec<String> = props
        .iter()
        .map(|(name, _)| format!("jobOverride[{name}]"))
        .collect();
    let mut fields = vec![("flowName", flow), ("jobName", job)];
    fields.extend(
        names
            .iter()
            .map(String::as_str)
            .zip(props.iter().map(|(_, value)| *value)),
    );
    project.ajax("setJobOverrideProperty", &fields).await.text()
}

/// What was uploaded and what counts.
async fn info(project: &Project<'_>, flow: &str, job: &str) -> (Value, Value) {
    let json = project
        .ajax("fetchJobInfo", &[("flowName", flow), ("jobName", job)])
        .await
        .json();
    (json["generalParams"].clone(), json["overrideParams"].clone())
}

/// All that is said when it worked.
fn nothing_more(project: &Project<'_>) -> String {
    format!(
        "{{\n  \"project\" : \"{}\",\n  \"projectId\" : {}\n}}",
        project.name, project.id
    )
}

#[tokio::test]
async fn what_is_set_takes_the_place_of_what_was_uploaded() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    project.install(&two_flows()).await;
    let uploaded = json!({"type": "command", "command": "echo ${word}", "word": "old", });
    assert_eq!(
        info(&project, "f", "a").await,
        (uploaded.clone(), uploaded.clone())
    );
    let props = [
        ("type", "command"),
        ("command", "echo new ${word}"),
        ("word", "1"),
    ];
    assert_eq!(set(&project, "f", "a", &props).await, nothing_more(&project));
    let new = json!({"type": "command", "command": "echo new ${word}", "word": "1"});
    assert_eq!(info(&project, "f", "a").await, (uploaded.clone(), new.clone()));
    assert_eq!(info(&project, "g", "a").await.1, new, "it counts in all flows");
    let node = project
        .ajax("fetchflownodedata", &[("flow", "f"), ("node", "a")])
        .await;
    assert_eq!(
        node.json()["props"],
        uploaded,
        "this call tells what was uploaded"
    );
    let (id, tree) = project.executed("f", &[]).await;
    assert_eq!(tree["status"], "SUCCEEDED");
    assert!(azkaban.log(id, Some("a")).await.contains("INFO - new 1\n"));
    project.delete().await;
}

#[tokio::test]
async fn the_project_log_tells_the_difference() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    project.install(&two_flows()).await;
    set(&project, "f", "a", &[("type", "noop"), ("x", "1"), ("y", "2")]).await;
    let first = "Newly created Properties: [ x, 1], [ y, 2], [ type, noop], \n";
    set(&project, "f", "a", &[("type", "noop"), ("x", "3"), ("z", "4")]).await;
    let second = "Newly created Properties: [ z, 4], \nDeleted Properties: [ y, 2], \nModified Properties: [ x, 1-->3], ";
    let log: Vec<_> = project.log().await.into_iter().take(2).collect();
    let expected = [second, first].map(|text| ("PROPERTY_OVERRIDE".to_owned(), text.to_owned()));
    assert_eq!(log, expected);
    project.delete().await;
}

#[tokio::test]
async fn the_next_upload_forgets_it_and_a_refused_one_does_not() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    project.install(&two_flows()).await;
    set(&project, "f", "a", &[("type", "noop")]).await;
    project
        .upload(&zip(&[("a.job", "type=noop\ndependencies=zz\n")]))
        .await;
    assert_eq!(info(&project, "f", "a").await.1, json!({"type": "noop"}));
    project.install(&two_flows()).await;
    let (uploaded, counts) = info(&project, "f", "a").await;
    assert_eq!(uploaded, counts);
    project.delete().await;
}

#[tokio::test]
async fn in_flow_2_it_counts_for_one_job_and_keeps_the_type() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    project.install(&within()).await;
    let said = set(&project, "f", "a", &[("command", "echo now ${word}")]).await;
    assert_eq!(said, nothing_more(&project));
    set(
        &project,
        "f:sub",
        "k",
        &[("type", "command"), ("command", "echo later")],
    )
    .await;
    let uploaded = json!({"type": "command", "command": "echo ${word}"});
    let new = json!({"type": "command", "command": "echo now ${word}"});
    assert_eq!(info(&project, "f", "a").await, (uploaded, new));
    let sub = info(&project, "f:sub", "k").await;
    assert_eq!(
        (&sub.0["command"], &sub.1["command"]),
        (&json!("echo k"), &json!("echo later"))
    );
    let log = &project.log().await[1].1;
    let expected = "Deleted Properties: [ type, command], \nModified Properties: [ command, echo ${word}-->echo now ${word}], ";
    assert_eq!(log, expected);
    let (id, tree) = project.executed("f", &[]).await;
    assert_eq!(tree["status"], "SUCCEEDED");
    assert!(azkaban.log(id, Some("a")).await.contains("INFO - now flow\n"));
    assert!(azkaban.log(id, Some("sub:k")).await.contains("INFO - later\n"));
    project.install(&within()).await;
    assert_eq!(info(&project, "f", "a").await.1["command"], "echo ${word}");
    project.delete().await;
}

#[tokio::test]
async fn a_job_whose_type_was_not_set_breaks_its_flow() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    project.install(&two_flows()).await;
    assert_eq!(set(&project, "f", "a", &[]).await, nothing_more(&project));
    assert_eq!(info(&project, "f", "a").await.1, json!({}));
    let (id, tree) = project.executed("f", &[]).await;
    assert_eq!(tree["status"], "FAILED");
    let jobs: Vec<_> = tree["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| (node["id"].clone(), node["status"].clone()))
        .collect();
    assert_eq!(
        jobs,
        [(json!("a"), json!("QUEUED")), (json!("f"), json!("READY"))]
    );
    let log = azkaban.log(id, None).await;
    for line in [
        "ERROR - An error has occurred during the running of the flow. Quitting.\n",
        "azkaban.utils.UndefinedPropertyException: Missing required property 'type'\n",
    ] {
        assert!(log.contains(line), "{line}: {log}");
    }
    project.delete().await;
}

#[tokio::test]
async fn an_execution_uses_the_type_that_was_set() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    project.install(&zip(&[("f.job", "type=noop\n")])).await;
    set(
        &project,
        "f",
        "f",
        &[("type", "command"), ("command", "echo it runs")],
    )
    .await;
    let (id, tree) = project.executed("f", &[]).await;
    assert_eq!(
        tree["nodes"][0]["type"], "noop",
        "the tree tells what was uploaded"
    );
    assert!(azkaban.log(id, Some("f")).await.contains("INFO - it runs\n"));
    project.delete().await;
}

#[tokio::test]
async fn what_cannot_be_set_is_told() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    project.install(&two_flows()).await;
    let told = |error: &str| {
        format!(
            "{{\n  \"error\" : \"{error}\",\n  \"project\" : \"{}\",\n  \"projectId\" : {}\n}}",
            project.name, project.id
        )
    };
    let unsorted = |text: String| {
        let mut lines: Vec<_> = text
            .lines()
            .map(|line| line.trim_end_matches(',').to_owned())
            .collect();
        lines.sort();
        lines
    };
    for (flow, job, error) in [
        (
            "zz",
            "a",
            format!("Flow zz not found in project {}", project.name),
        ),
        ("f", "zz", "Job zz not found in flow f".to_owned()),
    ] {
        let said = set(&project, flow, job, &[("type", "noop")]).await;
        assert_eq!(unsorted(said), unsorted(told(&error)));
    }
    let other = azkaban.other().await;
    let fields = [("flowName", "f"), ("jobName", "a")];
    let denied = project.ajax_as(&other, "setJobOverrideProperty", &fields).await;
    assert_eq!(denied.json()["error"], "Permission denied. Need WRITE access.");
    for (fields, missing) in [(&[][..], "flowName"), (&fields[..1], "jobName")] {
        let reply = project.ajax("setJobOverrideProperty", fields).await;
        let title = format!("Error 500 Missing required parameter '{missing}'.");
        assert_eq!((reply.status, reply.title()), (500, title));
    }
    project.delete().await;
}
