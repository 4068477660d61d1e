//! Uploads whose client has left.

use azkaban_standin::Options;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::azkaban::{Azkaban, Project};
use crate::support::wait::until;
use crate::support::zips::jobs;

/// Sends so much of an upload and leaves.
async fn abandon(project: &Project<'_>, flow: &str, part: impl Fn(usize) -> usize) {
    let request = project.upload_request("zombie.zip", Some("application/zip"), &jobs(&[(flow, "")]));
    let bytes = request.bytes(project.azkaban.addr);
    let mut stream = TcpStream::connect(project.azkaban.addr).await.unwrap();
    stream.write_all(&bytes[..part(bytes.len())]).await.unwrap();
    let before = project.azkaban.own().stats();
    if part(bytes.len()) == bytes.len() {
        until("the body has arrived", async || {
            project.azkaban.own().stats().uploads > 0 || before.uploads > 0
        })
        .await;
    }
}

#[tokio::test]
async fn an_abandoned_upload_lands_later_over_one_that_was_acknowledged_meanwhile() {
    let azkaban = Azkaban::standin(Options::default()).await;
    let project = azkaban.project().await;
    azkaban
        .own()
        .set_faults(|faults| (faults.hang, faults.hang_ms) = (1, 300));
    abandon(&project, "zombie", |length| length).await;
    assert_eq!(
        project.upload(&jobs(&[("acknowledged", "")])).await.json()["version"],
        "1"
    );
    until("the zombie lands", async || project.flows().await == ["zombie"]).await;
    until("it is logged", async || {
        project.log().await[0].1 == "Uploaded project files zip zombie.zip"
    })
    .await;
    let stats = azkaban.own().stats();
    assert_eq!(
        (
            stats.requests_abandoned,
            stats.uploads_overlapped,
            stats.uploads_installed
        ),
        (1, 1, 2)
    );
}

#[tokio::test]
async fn an_upload_that_was_not_sent_to_its_end_leaves_nothing() {
    let azkaban = Azkaban::standin(Options::default()).await;
    let project = azkaban.project().await;
    abandon(&project, "zombie", |length| length - 1).await;
    until("the connection is given up", async || {
        azkaban.own().stats().connections_open == 0
    })
    .await;
    assert_eq!(azkaban.own().stats().uploads, 0);
    assert_eq!(project.download(None).await.status, 302, "there is no version");
}

#[tokio::test]
async fn a_thread_is_held_until_an_abandoned_upload_is_done() {
    let azkaban = Azkaban::standin(Options::default()).await;
    let project = azkaban.project().await;
    azkaban
        .own()
        .set_faults(|faults| (faults.hang, faults.hang_ms) = (1, 200));
    abandon(&project, "zombie", |length| length).await;
    until("the client has left", async || {
        azkaban.own().stats().requests_abandoned == 1
    })
    .await;
    assert_eq!(azkaban.own().stats().connections_open, 1);
    until("it is done", async || {
        azkaban.own().stats().uploads_installed == 1
    })
    .await;
    until("the thread is free", async || {
        azkaban.own().stats().connections_open == 0
    })
    .await;
}
