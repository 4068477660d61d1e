//! What the server tells about itself.

use azkaban_standin::Options;

use crate::support::azkaban::Azkaban;
use crate::support::http::Request;
use crate::support::wait::until;
use crate::support::zips::jobs;

#[tokio::test]
async fn requests_are_counted_by_call_status_and_outcome() {
    let azkaban = Azkaban::standin(Options::default()).await;
    let project = azkaban.project().await;
    project.install(&jobs(&[("f", ""), ("g", "")])).await;
    project.upload(b"no zip").await;
    azkaban
        .send(Request::get("/manager?ajax=fetchprojectflows&project=x"))
        .await;
    azkaban
        .send(Request::get("/manager?ajax=made-up&project=x"))
        .await;
    until("nobody is connected", async || {
        azkaban.own().stats().connections_open == 0
    })
    .await;
    let json = azkaban.send(Request::get("/standin/stats")).await.json();
    let count = |call: &str, status: u16, outcome: &str| {
        let requests = json["requests"].as_array().unwrap().iter();
        let mut found = requests
            .filter(|one| one["call"] == call && one["status"] == status && one["outcome"] == outcome);
        found.next().map_or(0, |one| one["count"].as_u64().unwrap())
    };
    assert_eq!(
        (
            count("login", 200, "ok"),
            count("create", 200, "ok"),
            count("getProjectId", 200, "ok")
        ),
        (1, 1, 1)
    );
    assert_eq!(
        (count("upload", 200, "ok"), count("upload", 500, "refused")),
        (1, 1)
    );
    assert_eq!(
        (
            count("fetchprojectflows", 200, "login"),
            count("other", 200, "login")
        ),
        (1, 1)
    );
    for (name, value) in [
        ("uploads", 2),
        ("uploads_installed", 1),
        ("uploads_overlapped", 0),
        ("projects", 1),
        ("flows", 2),
        ("schedules", 0),
        ("sessions", 1),
        ("connections_open", 1),
        ("connections_open_max", 1),
    ] {
        assert_eq!(json[name].as_u64(), Some(value), "{name}");
    }
}

#[tokio::test]
async fn prometheus_gets_text_by_accept_or_by_format() {
    let azkaban = Azkaban::standin(Options::default()).await;
    let by_accept = Request::get("/standin/stats")
        .header("Accept", "application/openmetrics-text;q=0.5,text/plain;q=0.4");
    for request in [by_accept, Request::get("/standin/stats?format=prometheus")] {
        let reply = azkaban.send(request).await;
        assert_eq!(
            reply.header("content-type"),
            Some("text/plain; version=0.0.4; charset=utf-8")
        );
        assert!(
            reply
                .text()
                .contains("azkaban_standin_requests_total{call=\"login\",status=\"200\",outcome=\"ok\"} 1\n")
        );
    }
    let reply = azkaban
        .send(Request::get("/standin/stats?format=json").header("Accept", "text/plain"))
        .await;
    assert_eq!(reply.header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn pages_it_does_not_have_are_not_found() {
    let azkaban = Azkaban::standin(Options::default()).await;
    assert_eq!(azkaban.send(Request::get("/standin/x")).await.status, 404);
    assert_eq!(
        azkaban.send(Request::form("/standin/stats", &[])).await.status,
        405
    );
}
