//! A thread per connection: the server stops answering when idle connections hold them all.

use std::time::Duration;

use azkaban_standin::Options;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::azkaban::Azkaban;
use crate::support::http::Request;
use crate::support::wait::until;

#[tokio::test]
async fn one_connection_less_than_threads_is_answered_and_the_next_waits() {
    let azkaban = Azkaban::standin(Options {
        max_threads: 3,
        ..Options::default()
    })
    .await;
    until("logging in has left", async || {
        azkaban.own().stats().connections_open == 0
    })
    .await;
    let before = azkaban.own().stats().connections;
    let first = TcpStream::connect(azkaban.addr).await.unwrap();
    let _second = TcpStream::connect(azkaban.addr).await.unwrap();
    until("both hold a thread", async || {
        azkaban.own().stats().connections_open == 2
    })
    .await;
    let request = Request::get("/status");
    let third = request.send(azkaban.addr);
    tokio::pin!(third);
    let waited = tokio::time::timeout(Duration::from_millis(100), &mut third).await;
    assert!(waited.is_err(), "no thread is left for it");
    assert_eq!(azkaban.own().stats().connections, before + 2);
    drop(first);
    assert_eq!(third.await.status, 200);
    assert_eq!(azkaban.own().stats().connections_open_max, 2);
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_its_time_before_and_after_a_request() {
    let azkaban = Azkaban::standin(Options {
        connection_idle: Duration::from_millis(50),
        ..Options::default()
    })
    .await;
    let mut silent = TcpStream::connect(azkaban.addr).await.unwrap();
    assert_eq!(silent.read(&mut [0]).await.unwrap(), 0);
    let mut kept = TcpStream::connect(azkaban.addr).await.unwrap();
    let request = Request::get("/status").header("Connection", "keep-alive");
    kept.write_all(&request.bytes(azkaban.addr)).await.unwrap();
    let mut answer = Vec::new();
    kept.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
    until("no thread is held", async || {
        azkaban.own().stats().connections_open == 0
    })
    .await;
}

#[tokio::test]
async fn a_connection_serves_one_request_after_another() {
    let azkaban = Azkaban::standin(Options::default()).await;
    let mut stream = TcpStream::connect(azkaban.addr).await.unwrap();
    let before = azkaban.own().stats().calls("status");
    for number in 1..=3 {
        let request = Request::get("/status").header("Connection", "keep-alive");
        stream.write_all(&request.bytes(azkaban.addr)).await.unwrap();
        let mut start = [0; 15];
        stream.read_exact(&mut start).await.unwrap();
        assert_eq!(&start, b"HTTP/1.1 200 OK");
        until("it is counted", async || {
            azkaban.own().stats().calls("status") == before + number
        })
        .await;
        let mut rest = vec![0; 4096];
        assert!(stream.read(&mut rest).await.unwrap() > 0);
    }
}
