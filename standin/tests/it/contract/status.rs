//! `/status`.

use crate::support::azkaban::Azkaban;
use crate::support::http::Request;

#[tokio::test]
async fn the_status_needs_no_login() {
    let azkaban = Azkaban::start().await;
    let reply = azkaban.send(Request::get("/status")).await;
    assert_eq!(
        (reply.status, reply.header("content-type")),
        (200, Some("application/json"))
    );
    let text = reply.text();
    let keys = [
        "version",
        "pid",
        "installationPath",
        "usedMemory",
        "xmx",
        "isDatabaseUp",
        "executorStatusMap",
    ];
    let at: Vec<_> = keys
        .iter()
        .map(|key| text.find(&format!("\n  \"{key}\" : ")).unwrap())
        .collect();
    assert!(at.is_sorted(), "{text}");
    assert!(text.ends_with("\n}\r\n"));
    let json = reply.json();
    assert_eq!(json["isDatabaseUp"], true);
    assert_eq!(json["executorStatusMap"]["1"]["isActive"], true);
    assert!(json["usedMemory"].as_i64().unwrap() > 0);
}

#[tokio::test]
async fn only_get_is_answered() {
    let azkaban = Azkaban::start().await;
    let reply = azkaban.send(Request::new("POST", "/status")).await;
    let title = "Error 405 HTTP method POST is not supported by this URL";
    assert_eq!((reply.status, reply.title().as_str()), (405, title));
}
