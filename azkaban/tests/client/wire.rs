//! What every request has, and how the ones that are no uploads fail.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use axum::response::Response;
use bytes::Bytes;
use flowlift_azkaban::client::{Client, ClientError, ErrorClass, ScheduleId, Watch};
use tokio::net::TcpListener;
use tokio::sync::Notify;

use crate::fake::*;

fn redirect() -> Response {
    Response::builder()
        .status(302)
        .header("location", "/trap")
        .body("".into())
        .unwrap()
}

/// Makes every call once; the answers do not matter.
async fn every_call(client: &Client) -> Vec<ClientError> {
    let p = project();
    let zip = Bytes::from_static(b"PK");
    let hour = std::time::Duration::from_secs(3600);
    [
        client.status().await.err(),
        client.project_id(&p).await.err(),
        client.projects().await.err(),
        client.create_project(&p, "d").await.err(),
        client.delete_project(&p).await.err(),
        client.flows(&p).await.err(),
        client.flow_graph(&p, "f").await.err(),
        client.job_info(&p, "f", "j").await.err(),
        client.download(&p, None).await.err(),
        client.upload(&p, "a.zip", zip, hour).await.err(),
        client.schedules().await.err(),
        client.schedule_cron(&p, "f", "0 0 3 ? * *").await.err(),
        client.remove_schedule(ScheduleId(1)).await.err(),
        client.project_log(&p, 10, 0).await.err(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[tokio::test]
async fn no_redirect_is_followed_by_any_call() {
    let fake = Fake::start(|_| async { redirect() }).await;
    let errors = every_call(&fake.client(1)).await;
    assert_eq!(errors.len(), 14, "{errors:?}");
    assert!(
        errors.iter().all(|error| error.code() == "bad_request"),
        "{errors:?}"
    );
    assert!(fake.seen().iter().all(|seen| seen.path != "/trap"));
}

#[tokio::test]
async fn every_request_is_watched_by_the_name_of_its_call_whether_answered_or_not() {
    let fake = Fake::start(|_| async { redirect() }).await;
    let heard: Arc<Mutex<BTreeSet<&str>>> = Arc::default();
    let hearing = Arc::clone(&heard);
    let config = flowlift_azkaban::client::ClientConfig {
        watch: Some(Watch::new(move |call, _took| {
            hearing.lock().unwrap().insert(call);
        })),
        ..config(&fake.url)
    };
    every_call(&Client::new(config).unwrap()).await;
    let heard: Vec<&str> = heard.lock().unwrap().iter().copied().collect();
    let expected = [
        "create project",
        "delete project",
        "download",
        "fetchJobInfo",
        "fetchProjectLogs",
        "fetchSchedules",
        "fetchallprojects",
        "fetchflowgraph",
        "fetchprojectflows",
        "getProjectId",
        "login",
        "removeSched",
        "scheduleCronFlow",
        "status",
        "upload",
    ];
    assert_eq!(heard, expected);
}

#[tokio::test]
async fn every_request_closes_its_connection_and_carries_no_cookie() {
    let fake = Fake::start(|_| async { reply(200, "{ }") }).await;
    every_call(&fake.client(1)).await;
    assert_eq!(fake.seen().len(), 15);
    for seen in fake.seen() {
        assert_eq!(seen.headers["connection"], "close", "{seen:?}");
        assert!(!seen.headers.contains_key("cookie"), "{seen:?}");
        let agent = concat!("flowlift/", env!("CARGO_PKG_VERSION"));
        assert_eq!(seen.headers["user-agent"], agent, "{seen:?}");
    }
}

#[tokio::test]
async fn the_session_is_a_parameter_of_all_calls_but_status() {
    let fake = Fake::start(|_| async { reply(200, "{ }") }).await;
    every_call(&fake.client(1)).await;
    for seen in fake.calls() {
        assert_eq!(
            seen.session(),
            if seen.path == "/status" { "" } else { "s1" },
            "{seen:?}"
        );
    }
}

#[tokio::test]
async fn a_path_in_the_address_stays_before_every_call() {
    let fake = Fake::start(|_| async { id_answer() }).await;
    let client = Client::new(config(&format!("{}/azkaban/", fake.url))).unwrap();
    client.project_id(&project()).await.unwrap();
    assert_eq!(client.url(), format!("{}/azkaban", fake.url));
    let paths: Vec<String> = fake.seen().into_iter().map(|seen| seen.path).collect();
    assert_eq!(paths, ["/azkaban/", "/azkaban/manager"]);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_with_its_address() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = Client::new(config(&url)).unwrap().status().await.unwrap_err();
    assert_eq!(
        (error.code(), error.class()),
        ("unreachable", ErrorClass::Transient)
    );
    assert_eq!(
        error.to_string(),
        format!("cannot reach Azkaban at {url}: Connection refused (os error 111)")
    );
}

#[tokio::test]
async fn a_call_without_an_answer_in_time_is_transient() {
    let arrived = Arc::new(Notify::new());
    let signal = Arc::clone(&arrived);
    let fake = Fake::start(move |_| {
        let signal = Arc::clone(&signal);
        async move {
            signal.notify_one();
            std::future::pending::<Response>().await
        }
    })
    .await;
    let client = fake.client(1);
    let call = tokio::spawn(async move { client.flows(&project()).await });
    arrived.notified().await;
    // from here on nothing but the limit can happen, so the clock jumps to it
    tokio::time::pause();
    let error = call.await.unwrap().unwrap_err();
    assert_eq!(
        (error.code(), error.class()),
        ("timed_out", ErrorClass::Transient)
    );
}

#[tokio::test]
async fn a_client_without_sessions_is_refused() {
    let config = flowlift_azkaban::client::ClientConfig {
        sessions: 0,
        ..config("http://h")
    };
    let error = Client::new(config).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the number of Azkaban sessions must be at least 1"
    );
}

#[tokio::test]
async fn of_the_schedules_of_a_large_server_one_projects_are_kept() {
    let fake = Fake::start(|_| async {
        let row = |n: usize| {
            let project = if n.is_multiple_of(1_000) { "MINE" } else { "other" };
            format!(r#"{{"cron":"0 0 3 ? * *","projectname":"{project}","period":0,"flowname":"f{n}","time":1,"history":false,"scheduleId":{n}}}"#)
        };
        let rows: Vec<String> = (0..5_000).map(row).collect();
        reply(200, format!(r#"{{"items":[{}]}}"#, rows.join(",")))
    })
    .await;
    let mine = fake
        .client(1)
        .schedules_of(&"mine".parse().unwrap())
        .await
        .unwrap();
    let flows: Vec<&str> = mine.iter().map(|one| one.flow.as_str()).collect();
    assert_eq!(flows, ["f0", "f1000", "f2000", "f3000", "f4000"]);
    assert_eq!(fake.client(1).schedules().await.unwrap().len(), 5_000);
}

#[tokio::test]
async fn a_large_listing_that_breaks_off_is_no_list() {
    let fake = Fake::start(|_| async { reply(200, format!(r#"{{"items":[{}"#, " ".repeat(200_000))) }).await;
    assert_eq!(fake.client(1).schedules().await.unwrap_err().code(), "bad_answer");
}
