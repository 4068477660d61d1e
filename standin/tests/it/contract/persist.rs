//! Uploads that break in the middle of being stored: burnt versions, and what stays active.

use crate::support::azkaban::{Azkaban, Project};
use crate::support::zips::{jobs, v2};

const FLOW: &str = "nodes:\n- name: a\n  type: noop\n";

async fn assert_fails(project: &Project<'_>, content: &[u8], error: &str, version: u32) {
    let json = project.upload(content).await.json();
    assert_eq!(json["error"], format!("Installation Failed.<br>{error}"));
    assert_eq!(json["version"], version.to_string());
}

#[tokio::test]
async fn a_flow_id_of_129_characters_burns_a_version_and_leaves_the_old_flows() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    project.install(&jobs(&[("old", "")])).await;
    let long = "x".repeat(129);
    let bad = jobs(&[(&long, "")]);
    assert_fails(&project, &bad, &format!("Error inserting flow {long}"), 1).await;
    assert_eq!(project.flows().await, ["old"]);
    let newest = project.download(None).await;
    assert_eq!(
        (newest.header("version"), newest.body == bad),
        (Some("2"), true),
        "the rejected zip is handed out"
    );
    project.install(&jobs(&[(&long[..128], "")])).await;
    assert_eq!(project.download(None).await.header("version"), Some("3"));
    assert_eq!(project.flows().await, [&long[..128]]);
    project.delete().await;
}

#[tokio::test]
async fn flow_ids_that_differ_in_case_only_break_at_the_second() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    let json = project.upload(&jobs(&[("fa", ""), ("FA", "")])).await.json();
    // Which one comes first depends on the file system of the server.
    let error = json["error"].as_str().unwrap();
    assert!(
        error.eq_ignore_ascii_case("Installation Failed.<br>Error inserting flow fa"),
        "{error}"
    );
    assert_eq!(json["version"], "0");
    assert_eq!(project.download(None).await.header("version"), Some("1"));
    project.delete().await;
}

#[tokio::test]
async fn job_names_that_differ_in_case_only_break_after_the_new_flows_are_active() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    project.install(&jobs(&[("old", "")])).await;
    let json = project
        .upload(&jobs(&[("f", "dependencies=ga,GA"), ("ga", ""), ("GA", "")]))
        .await
        .json();
    let error = json["error"].as_str().unwrap().to_lowercase();
    let name = project.name.to_lowercase();
    assert_eq!(
        error,
        format!("installation failed.<br>error uploading project properties ga.job into {name} version 2")
    );
    assert_eq!(json["version"], "2");
    assert_eq!(project.flows().await, ["f"]);
    let uploaded = project
        .log()
        .await
        .into_iter()
        .filter(|(kind, _)| kind == "UPLOADED")
        .count();
    assert_eq!(uploaded, 1, "only what was stored to its end is logged");
    project.delete().await;
}

#[tokio::test]
async fn a_job_path_of_256_characters_breaks_after_the_new_flows_are_active() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    let name = format!(
        "{}/{}",
        ["d".repeat(60), "d".repeat(60), "d".repeat(60)].join("/"),
        "x".repeat(69)
    );
    let path = format!("{name}.job");
    assert_eq!(path.len(), 256);
    let error = format!(
        "Error uploading project properties {path} into {} version 1",
        project.name
    );
    assert_fails(&project, &jobs(&[(&name, "")]), &error, 1).await;
    assert_eq!(project.flows().await, ["x".repeat(69)]);
    let info = project
        .ajax(
            "fetchJobInfo",
            &[("flowName", &"x".repeat(69)), ("jobName", &"x".repeat(69))],
        )
        .await
        .json();
    assert_eq!(
        info["jobType"],
        serde_json::Value::Null,
        "its properties were not stored: {info}"
    );
    project.delete().await;
}

#[tokio::test]
async fn a_flow_file_name_of_129_characters_breaks_after_the_new_flows_are_active() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    project.install(&v2(&[("old", FLOW)])).await;
    let name = "x".repeat(124);
    assert_fails(
        &project,
        &v2(&[(&name, FLOW)]),
        &format!("Error uploading flow file {name}.flow, version 1."),
        2,
    )
    .await;
    assert_eq!(project.flows().await, [name.as_str()]);
    project.install(&v2(&[(&name[..123], FLOW)])).await;
    project.delete().await;
}

#[tokio::test]
async fn a_zip_name_of_129_characters_burns_no_version() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    let content = jobs(&[("f", "")]);
    let reply = project
        .upload_as(
            &format!("{}.zip", "x".repeat(125)),
            Some("application/zip"),
            &content,
        )
        .await;
    let error = format!(
        "Installation Failed.<br>Error initializing project id: {} version: 1 ",
        project.id
    );
    assert_eq!(reply.json()["error"], error);
    let reply = project
        .upload_as(
            &format!("{}.zip", "x".repeat(124)),
            Some("application/zip"),
            &content,
        )
        .await;
    assert_eq!(reply.json()["version"], "1");
    project.delete().await;
}
