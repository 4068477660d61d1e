//! Artificial latency, and what can be seen while an upload is stored.

use std::time::{Duration, Instant};

use azkaban_standin::Options;

use crate::support::azkaban::Azkaban;
use crate::support::wait::until;
use crate::support::zips::{flows, jobs, v2};

const FLOW: &str = "nodes:\n- name: a\n  type: noop\n";

#[tokio::test]
async fn an_upload_takes_its_time_per_flow_of_the_whole_zip() {
    let azkaban = Azkaban::standin(Options {
        ms_per_flow: 10.0,
        ..Options::default()
    })
    .await;
    let project = azkaban.project().await;
    let start = Instant::now();
    project.install(&flows(10)).await;
    assert!(
        start.elapsed() >= Duration::from_millis(100),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test]
async fn flow_2_0_has_a_price_of_its_own() {
    let azkaban = Azkaban::standin(Options {
        ms_per_flow_v2: Some(50.0),
        ..Options::default()
    })
    .await;
    let project = azkaban.project().await;
    let start = Instant::now();
    project.install(&v2(&[("f", FLOW), ("g", FLOW)])).await;
    assert!(
        start.elapsed() >= Duration::from_millis(100),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test]
async fn every_request_takes_its_time() {
    let azkaban = Azkaban::standin(Options {
        ms_per_request: 30.0,
        ..Options::default()
    })
    .await;
    let start = Instant::now();
    azkaban.get("/index", &[("ajax", "fetchallprojects")]).await;
    assert!(
        start.elapsed() >= Duration::from_millis(30),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test]
async fn uploads_of_one_project_are_stored_one_after_another() {
    let azkaban = Azkaban::standin(Options {
        ms_per_flow: 10.0,
        ..Options::default()
    })
    .await;
    let project = azkaban.project().await;
    let content = flows(10);
    let start = Instant::now();
    tokio::join!(project.install(&content), project.install(&content));
    assert!(
        start.elapsed() >= Duration::from_millis(200),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(azkaban.own().stats().uploads_overlapped, 1);
}

#[tokio::test]
async fn while_flows_are_stored_the_new_zip_is_there_and_the_old_flows_are_listed() {
    let azkaban = Azkaban::standin(Options::default()).await;
    let project = azkaban.project().await;
    project.install(&jobs(&[("old", "")])).await;
    azkaban.own().set_faults(|faults| faults.ms_per_flow = 1000.0);
    let content = jobs(&[("new", "")]);
    let looking = async {
        until("the new version is handed out", async || {
            project.download(None).await.header("version") == Some("2")
        })
        .await;
        assert_eq!(project.flows().await, ["old"]);
        until("the new flows are listed", async || {
            project.flows().await == ["new"]
        })
        .await;
        let log = project.log().await;
        assert_eq!(
            log.iter().filter(|(kind, _)| kind == "UPLOADED").count(),
            1,
            "the upload is logged at its end"
        );
    };
    let (reply, ()) = tokio::join!(project.upload(&content), looking);
    assert_eq!(reply.status, 200);
    assert_eq!(project.log().await[0].0, "UPLOADED");
}
