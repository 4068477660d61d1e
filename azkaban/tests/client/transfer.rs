//! The zip up and down, and every way an upload can break.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::response::Response;
use bytes::Bytes;
use flowlift_azkaban::client::{BodyState, Client, ClientConfig, ClientError, Doubt, ErrorClass, Uploaded};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use crate::fake::*;

const HOUR: Duration = Duration::from_secs(3600);

async fn upload(client: &Client, zip: Bytes, state: &BodyState) -> Result<Uploaded, ClientError> {
    client
        .upload_tracked(&project(), "attempt-1.zip", zip, HOUR, state)
        .await
}

/// Logs in by hand; every other connection is handed over raw after its head was read.
async fn raw<R: Future<Output = ()> + Send + 'static>(
    with: impl Fn(TcpStream, Vec<u8>) -> R + Send + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut got = Vec::new();
            while !got.windows(4).any(|four| four == b"\r\n\r\n") {
                if stream.read_buf(&mut got).await.unwrap() == 0 {
                    break;
                }
            }
            if got.starts_with(b"POST / ") {
                let answer = "HTTP/1.1 200 OK\r\nContent-Length: 41\r\n\r\n{\"session.id\":\"s1\",\"status\" : \"success\" }";
                stream.write_all(answer.as_bytes()).await.unwrap();
            } else {
                tokio::spawn(with(stream, got));
            }
        }
    });
    address
}

/// Reads the rest of a request with a declared length.
async fn read_all(stream: &mut TcpStream, mut got: Vec<u8>) {
    let head = got.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    let text = String::from_utf8_lossy(&got[..head]).to_lowercase();
    let length = text
        .split_once("content-length: ")
        .unwrap()
        .1
        .split("\r\n")
        .next()
        .unwrap();
    let whole = head + length.parse::<usize>().unwrap();
    while got.len() < whole {
        assert_ne!(stream.read_buf(&mut got).await.unwrap(), 0);
    }
}

fn client(address: SocketAddr) -> Client {
    Client::new(ClientConfig {
        sessions: 1,
        ..config(&format!("http://{address}"))
    })
    .unwrap()
}

#[tokio::test]
async fn an_upload_is_a_form_with_a_declared_length_and_the_exact_bytes() {
    let fake = Fake::start(|_| async { uploaded_answer() }).await;
    let zip: Bytes = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
    let state = BodyState::new();
    let uploaded = upload(&fake.client(1), zip.clone(), &state).await.unwrap();
    assert_eq!((uploaded.version, uploaded.project_id.0), (2, 7));
    assert!(state.all_sent());
    assert_eq!(state.bytes(), zip.len() as u64);
    let [call] = &fake.calls()[..] else { panic!() };
    assert_eq!((call.path.as_str(), call.query.as_str()), ("/manager", ""));
    assert_eq!(
        (call.session(), call.param("ajax"), call.param("project")),
        ("s1", "upload", "p1")
    );
    assert_eq!(
        call.headers["content-length"].to_str().unwrap(),
        call.body.len().to_string()
    );
    let head = b"name=\"file\"; filename=\"attempt-1.zip\"\r\nContent-Type: application/zip\r\n\r\n";
    let at = call
        .body
        .windows(head.len())
        .position(|window| window == head)
        .unwrap()
        + head.len();
    assert!(call.body[at..].starts_with(&zip));
}

#[tokio::test]
async fn a_connection_cut_before_the_whole_body_left_is_no_doubt() {
    // dropped with unread bytes in it: the client sees a reset
    let address = raw(|stream, _| async move { drop(stream) }).await;
    let state = BodyState::new();
    let error = upload(&client(address), Bytes::from(vec![0; 64 << 20]), &state)
        .await
        .unwrap_err();
    assert_eq!((error.code(), error.class()), ("broken", ErrorClass::Transient));
    assert!(!state.all_sent());
}

#[tokio::test]
async fn a_connection_cut_after_the_whole_body_left_leaves_the_outcome_open() {
    let address = raw(|mut stream, got| async move { read_all(&mut stream, got).await }).await;
    let state = BodyState::new();
    let error = upload(&client(address), Bytes::from(vec![0; 1 << 20]), &state)
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            ClientError::InDoubt {
                doubt: Doubt::Broken(_),
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(error.class(), ErrorClass::Unknown);
    assert!(state.all_sent());
}

#[tokio::test]
async fn no_answer_in_time_after_the_whole_body_left_leaves_the_outcome_open() {
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
    let (client, state) = (fake.client(1), BodyState::new());
    let sent = state.clone();
    let upload = tokio::spawn(async move { upload(&client, Bytes::from_static(b"PK"), &sent).await });
    arrived.notified().await;
    // from here on nothing but the limit can happen, so the clock jumps to it
    tokio::time::pause();
    let error = upload.await.unwrap().unwrap_err();
    assert!(
        matches!(
            error,
            ClientError::InDoubt {
                doubt: Doubt::TimedOut(HOUR),
                ..
            }
        ),
        "{error:?}"
    );
    assert!(state.all_sent());
}

#[tokio::test]
async fn no_answer_in_time_while_the_body_is_stuck_is_no_doubt() {
    let arrived = Arc::new(Notify::new());
    let signal = Arc::clone(&arrived);
    let address = raw(move |stream, _| {
        let signal = Arc::clone(&signal);
        async move {
            signal.notify_one();
            std::future::pending::<()>().await;
            drop(stream);
        }
    })
    .await;
    let (client, state) = (client(address), BodyState::new());
    let sent = state.clone();
    let upload = tokio::spawn(async move { upload(&client, Bytes::from(vec![0; 64 << 20]), &sent).await });
    arrived.notified().await;
    tokio::time::pause();
    let error = upload.await.unwrap().unwrap_err();
    assert_eq!(
        (error.code(), error.class()),
        ("timed_out", ErrorClass::Transient)
    );
    assert!(!state.all_sent());
}

#[tokio::test]
async fn a_dropped_upload_still_tells_that_its_body_had_left() {
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
    let (client, state) = (fake.client(1), BodyState::new());
    tokio::select! {
        outcome = upload(&client, Bytes::from_static(b"PK"), &state) => panic!("{outcome:?}"),
        () = arrived.notified() => {}
    }
    assert!(state.all_sent());
    // and its slot is free again
    client.login_check().await.unwrap();
}

#[tokio::test]
async fn a_lost_session_takes_back_that_the_body_had_left() {
    let fake = Fake::start(|seen: Seen| async move { lost(&seen) }).await;
    let state = BodyState::new();
    let error = upload(&fake.client(1), Bytes::from_static(b"PK"), &state)
        .await
        .unwrap_err();
    assert_eq!(error, ClientError::SessionLost { call: "upload" });
    assert!(!state.all_sent());
}

#[tokio::test]
async fn a_refused_upload_brings_azkabans_words() {
    let body = r#"{"error":"Validator Directory Flow reports errors:<br><br>f1 has a self cycle<br>","projectId":"7","version":"1"}"#;
    let fake = Fake::start(move |_| async move { reply(500, body) }).await;
    let error = upload(&fake.client(1), Bytes::from_static(b"PK"), &BodyState::new())
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "Azkaban refuses the upload: f1 has a self cycle"
    );
    assert_eq!(fake.calls().len(), 1);
}

fn zip_answer(bytes: Vec<u8>) -> Response {
    Response::builder()
        .header("content-type", "application/zip")
        .header("content-disposition", "attachment; filename=\"attempt-1.zip\"")
        .header("version", "6")
        .header("projectId", "5")
        .body(bytes.into())
        .unwrap()
}

#[tokio::test]
async fn a_download_is_the_exact_bytes_and_what_the_headers_say() {
    let fake = Fake::start(|_| async { zip_answer((0..100_000_u32).map(|n| n as u8).collect()) }).await;
    let got = fake
        .client(1)
        .download(&project(), Some(6))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (got.version, got.project_id.0, got.file_name.as_str()),
        (6, 5, "attempt-1.zip")
    );
    assert!(got.zip.iter().copied().eq((0..100_000_u32).map(|n| n as u8)));
    let call = fake.calls().remove(0);
    assert_eq!((call.param("download"), call.param("version")), ("true", "6"));
}

#[tokio::test]
async fn the_newest_zip_is_asked_for_without_a_version() {
    let fake = Fake::start(|_| async { zip_answer(b"PK".to_vec()) }).await;
    fake.client(1).download(&project(), None).await.unwrap().unwrap();
    assert!(!fake.calls()[0].query.contains("version"));
}

#[tokio::test]
async fn a_zip_beyond_the_limit_is_not_read_to_its_end() {
    let fake = Fake::start(|_| async { zip_answer(vec![0; 1 << 20]) }).await;
    let client = fake.client(1).with_download_limit(1 << 19);
    let error = client.download(&project(), None).await.unwrap_err();
    assert_eq!(
        error,
        ClientError::TooLarge {
            call: "download",
            limit: 1 << 19
        }
    );
}
