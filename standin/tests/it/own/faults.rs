//! Faults that are set while the server runs.

use std::time::Duration;

use azkaban_standin::Options;
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::azkaban::{Azkaban, login};
use crate::support::http::{Reply, Request};
use crate::support::wait::until;
use crate::support::zips::{flows, jobs};

async fn put(azkaban: &Azkaban, faults: &str) -> Reply {
    azkaban
        .send(Request::new("PUT", "/standin/faults").body("application/json", faults))
        .await
}

async fn with_faults() -> Azkaban {
    Azkaban::standin(Options {
        allow_faults: true,
        ..Options::default()
    })
    .await
}

#[tokio::test]
async fn faults_are_refused_over_http_unless_they_were_allowed() {
    let azkaban = Azkaban::standin(Options::default()).await;
    let reply = put(&azkaban, r#"{"html_500": 1}"#).await;
    assert_eq!(
        (reply.status, reply.json()),
        (403, json!({"error": "started without --allow-faults"}))
    );
    assert_eq!(azkaban.own().faults().html_500, 0);
}

#[tokio::test]
async fn only_named_faults_are_changed() {
    let azkaban = with_faults().await;
    assert_eq!(
        put(&azkaban, r#"{"ms_per_flow": 0.5, "hang": 2}"#).await.status,
        200
    );
    let reply = put(&azkaban, r#"{"hang": 1}"#).await;
    assert_eq!(
        (
            reply.json()["ms_per_flow"].as_f64(),
            reply.json()["hang"].as_u64()
        ),
        (Some(0.5), Some(1))
    );
    assert_eq!(
        azkaban.send(Request::get("/standin/faults")).await.json(),
        reply.json()
    );
    for (bad, error) in [
        ("[]", "the body is no JSON object"),
        (r#"{"hnag": 1}"#, "unknown field `hnag`"),
    ] {
        let reply = put(&azkaban, bad).await;
        assert_eq!(reply.status, 400);
        assert!(
            reply.json()["error"].as_str().unwrap().starts_with(error),
            "{}",
            reply.text()
        );
    }
}

#[tokio::test]
async fn html_500_hits_as_many_uploads_as_asked_for() {
    let azkaban = with_faults().await;
    let project = azkaban.project().await;
    put(&azkaban, r#"{"html_500": 1}"#).await;
    let reply = project.upload(&jobs(&[("f", "")])).await;
    assert_eq!(
        (reply.status, reply.title().as_str()),
        (500, "Error 500 Java heap space")
    );
    assert_eq!(project.flows().await, [""; 0]);
    project.install(&jobs(&[("f", "")])).await;
}

#[tokio::test]
async fn storing_breaks_off_after_so_many_flows() {
    let azkaban = with_faults().await;
    let project = azkaban.project().await;
    project.install(&jobs(&[("old", "")])).await;
    put(&azkaban, r#"{"fail_persist_after": 2}"#).await;
    let reply = project.upload(&flows(5)).await;
    let error = reply.json()["error"].as_str().unwrap().to_owned();
    assert!(
        error.starts_with("Installation Failed.<br>Error inserting flow flow_0000"),
        "{error}"
    );
    assert_eq!(
        (
            project.flows().await,
            project.download(None).await.header("version")
        ),
        (vec!["old".to_owned()], Some("2"))
    );
    assert_eq!(
        project.upload(&flows(5)).await.json()["version"],
        "3",
        "one upload only, and its version is burnt"
    );
}

#[tokio::test]
async fn the_connection_is_cut_after_all_is_stored() {
    let azkaban = with_faults().await;
    let project = azkaban.project().await;
    put(&azkaban, r#"{"drop_after_commit": 1}"#).await;
    let request = project.upload_request("a.zip", Some("application/zip"), &jobs(&[("f", "")]));
    let mut stream = TcpStream::connect(azkaban.addr).await.unwrap();
    stream.write_all(&request.bytes(azkaban.addr)).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert_eq!(String::from_utf8_lossy(&answer), "");
    assert_eq!(project.flows().await, ["f"]);
}

#[tokio::test]
async fn while_the_database_is_down_only_what_is_in_memory_answers() {
    let azkaban = with_faults().await;
    let project = azkaban.project().await;
    put(&azkaban, r#"{"db_down": true}"#).await;
    let request = Request::get("/status");
    let status = request.send(azkaban.addr);
    tokio::pin!(status);
    assert!(
        tokio::time::timeout(Duration::from_millis(100), &mut status)
            .await
            .is_err()
    );
    let log = project.ajax("fetchProjectLogs", &[]);
    tokio::pin!(log);
    assert!(
        tokio::time::timeout(Duration::from_millis(100), &mut log)
            .await
            .is_err()
    );
    assert_eq!(project.flows().await, [""; 0], "flows are in memory");
    put(&azkaban, r#"{"db_down": false}"#).await;
    assert_eq!(status.await.status, 200);
    assert_eq!(log.await.json()["logData"][0][2], "CREATED");
}

#[tokio::test]
async fn lost_sessions_have_to_log_in_again() {
    let azkaban = with_faults().await;
    put(&azkaban, r#"{"sessions_lost": true}"#).await;
    assert_eq!(
        azkaban
            .get("/index", &[("ajax", "fetchallprojects")])
            .await
            .json()["error"],
        "session"
    );
}

#[tokio::test]
async fn a_restart_cuts_uploads_forgets_sessions_and_has_another_number() {
    let azkaban = with_faults().await;
    let project = azkaban.project().await;
    project.install(&jobs(&[("old", "")])).await;
    let pid = azkaban.send(Request::get("/status")).await.json()["pid"].clone();
    put(&azkaban, r#"{"ms_per_flow": 60000}"#).await;
    let request = project.upload_request("a.zip", Some("application/zip"), &jobs(&[("new", "")]));
    let mut stream = TcpStream::connect(azkaban.addr).await.unwrap();
    stream.write_all(&request.bytes(azkaban.addr)).await.unwrap();
    until("its version is there", async || {
        project.download(None).await.header("version") == Some("2")
    })
    .await;
    assert_eq!(
        azkaban
            .send(Request::new("POST", "/standin/restart"))
            .await
            .status,
        202
    );
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert_eq!(String::from_utf8_lossy(&answer), "");
    assert_ne!(azkaban.send(Request::get("/status")).await.json()["pid"], pid);
    assert_eq!(
        azkaban
            .get("/index", &[("ajax", "fetchallprojects")])
            .await
            .json()["error"],
        "session"
    );
    let session = login(azkaban.addr, "azkaban").await;
    let target = format!(
        "/manager?ajax=fetchprojectflows&project={}&session.id={session}",
        project.name
    );
    assert_eq!(
        azkaban.send(Request::get(target)).await.json()["flows"],
        json!([{"flowId": "old"}])
    );
}
