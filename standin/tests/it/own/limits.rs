//! What the stand-in refuses and a real Azkaban would take: giant bodies and zip bombs.

use std::time::Duration;

use azkaban_standin::{Options, ZipLimits};

use crate::support::azkaban::Azkaban;
use crate::support::http::Request;
use crate::support::zips::{flows, jobs, zip};

#[tokio::test]
async fn a_body_over_the_limit_is_refused() {
    let azkaban = Azkaban::standin(Options {
        body_max: 1000,
        ..Options::default()
    })
    .await;
    let project = azkaban.project().await;
    assert_eq!(project.upload(&flows(100)).await.status, 413);
    let chunked =
        "POST /manager HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n7d0\r\n";
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(azkaban.addr).await.unwrap();
    stream.write_all(chunked.as_bytes()).await.unwrap();
    stream.write_all(&[b'x'; 2000]).await.unwrap();
    let mut start = [0; 12];
    stream.read_exact(&mut start).await.unwrap();
    assert_eq!(&start, b"HTTP/1.1 413");
}

#[tokio::test]
async fn a_zip_bomb_cannot_be_unzipped() {
    let limits = ZipLimits {
        entries: 10,
        entry: 10_000,
        total: 20_000,
    };
    let azkaban = Azkaban::standin(Options {
        zip: limits,
        ..Options::default()
    })
    .await;
    let project = azkaban.project().await;
    let big = " ".repeat(10_001);
    let many = " ".repeat(9_000);
    for bomb in [
        zip(&[("a.txt", &big)]),
        zip(&[("a.txt", &many), ("b.txt", &many), ("c.txt", &many)]),
        flows(11),
    ] {
        let json = project.upload(&bomb).await.json();
        assert_eq!(json["error"], "Installation Failed.<br>Error unzipping file.");
    }
    project.install(&jobs(&[("f", "")])).await;
}

#[tokio::test]
async fn an_unused_session_expires() {
    let azkaban = Azkaban::standin(Options {
        session_idle: Duration::ZERO,
        ..Options::default()
    })
    .await;
    let reply = azkaban.get("/index", &[("ajax", "fetchallprojects")]).await;
    assert_eq!(reply.json()["error"], "session");
    assert_eq!(azkaban.send(Request::get("/status")).await.status, 200);
}

#[tokio::test]
async fn a_standin_that_is_dropped_stops_listening() {
    let azkaban = Azkaban::standin(Options::default()).await;
    let addr = azkaban.addr;
    drop(azkaban);
    crate::support::wait::until("the port is free", async || {
        tokio::net::TcpStream::connect(addr).await.is_err()
    })
    .await;
}
