//! One login for all, renewed once when Azkaban forgot it.

use std::sync::Arc;
use std::time::Duration;

use axum::response::Response;
use bytes::Bytes;
use flowlift_azkaban::ProjectName;
use flowlift_azkaban::client::{ClientError, Created, ErrorClass, ScheduleId};
use futures_util::future::join_all;
use tokio::sync::{Barrier, Notify};

use crate::fake::*;

/// Knows every session but the first.
async fn forgetful(lost: fn(&Seen) -> Response, good: fn() -> Response) -> Fake {
    Fake::start(move |seen: Seen| async move {
        match seen.session() {
            "s1" => lost(&seen),
            _ => good(),
        }
    })
    .await
}

fn assert_one_relogin(fake: &Fake) {
    assert_eq!(fake.logins(), 2);
    let sessions: Vec<String> = fake
        .calls()
        .iter()
        .map(|seen| seen.session().to_owned())
        .collect();
    assert_eq!(sessions, ["s1", "s2"]);
}

#[tokio::test]
async fn a_lost_session_on_an_ajax_get_is_renewed_once() {
    let fake = forgetful(|_| session_error(), id_answer).await;
    assert!(fake.client(2).project_id(&project()).await.unwrap().is_some());
    assert_one_relogin(&fake);
}

#[tokio::test]
async fn a_lost_session_on_a_page_get_is_renewed_once() {
    let gone = || {
        let cookie = "azkaban.success.message=\"Project 'p1' was successfully deleted and associated schedules are removed.\";Path=/";
        Response::builder()
            .status(302)
            .header("set-cookie", cookie)
            .header("location", "/")
            .body("".into())
            .unwrap()
    };
    let fake = forgetful(|_| login_page(), gone).await;
    fake.client(2).delete_project(&project()).await.unwrap();
    assert_one_relogin(&fake);
}

#[tokio::test]
async fn a_lost_session_on_a_post_is_renewed_once() {
    let made = || {
        reply(
            200,
            r#"{"path":"manager?project=p1","action":"redirect","status":"success"}"#,
        )
    };
    let fake = forgetful(lost, made).await;
    assert_eq!(
        fake.client(2).create_project(&project(), "d").await.unwrap(),
        Created::Made
    );
    assert_one_relogin(&fake);
    assert!(
        fake.calls()
            .iter()
            .all(|seen| seen.headers["x-requested-with"] == "XMLHttpRequest")
    );
}

#[tokio::test]
async fn a_lost_session_on_an_upload_is_renewed_once_and_the_zip_sent_again() {
    let fake = forgetful(lost, uploaded_answer).await;
    let zip = Bytes::from(vec![7; 300_000]);
    let hour = Duration::from_secs(3600);
    let uploaded = fake
        .client(2)
        .upload(&project(), "a.zip", zip, hour)
        .await
        .unwrap();
    assert_eq!(uploaded.version, 2);
    assert_one_relogin(&fake);
}

#[tokio::test]
async fn ten_callers_with_a_lost_session_log_in_once() {
    let all_here = Arc::new(Barrier::new(10));
    let fake = Fake::start(move |seen: Seen| {
        let all_here = Arc::clone(&all_here);
        async move {
            if seen.param("ajax") == "fetchSchedules" {
                return reply(200, "{ }");
            }
            if seen.session() == "s1" {
                all_here.wait().await;
                return session_error();
            }
            id_answer()
        }
    })
    .await;
    let client = fake.client(10);
    client.schedules().await.unwrap();
    let p = project();
    let answers = join_all((0..10).map(|_| client.project_id(&p))).await;
    assert!(
        answers.iter().all(|answer| matches!(answer, Ok(Some(_)))),
        "{answers:?}"
    );
    assert_eq!(fake.logins(), 2);
}

#[tokio::test]
async fn a_late_word_that_the_old_session_is_lost_leaves_the_new_one_alone() {
    let (arrived, renewed) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (here, go) = (Arc::clone(&arrived), Arc::clone(&renewed));
    let fake = Fake::start(move |seen: Seen| {
        let (here, go) = (Arc::clone(&here), Arc::clone(&go));
        async move {
            match (seen.session(), seen.param("project")) {
                ("s1", "slow") => {
                    here.notify_one();
                    go.notified().await;
                    session_error()
                }
                ("s1", _) => session_error(),
                _ => id_answer(),
            }
        }
    })
    .await;
    let client = fake.client(2);
    let slow = tokio::spawn({
        let client = client.clone();
        async move { client.project_id(&ProjectName::new("slow").unwrap()).await }
    });
    arrived.notified().await;
    client.project_id(&project()).await.unwrap();
    assert_eq!(fake.logins(), 2);
    renewed.notify_one();
    assert!(slow.await.unwrap().unwrap().is_some());
    assert_eq!(fake.logins(), 2);
}

#[tokio::test]
async fn ten_callers_at_the_start_log_in_once() {
    let fake = Fake::start(|_| async { id_answer() }).await;
    let (client, p) = (fake.client(10), project());
    join_all((0..10).map(|_| client.project_id(&p)))
        .await
        .into_iter()
        .for_each(|id| assert!(id.is_ok()));
    assert_eq!(fake.logins(), 1);
}

#[tokio::test]
async fn a_wrong_password_is_tried_once_for_all_who_wait() {
    let refused = |_| {
        reply(
            200,
            r#"{"error":"Incorrect Login. Username/Password not found."}"#,
        )
    };
    let fake = Fake::with_login(refused, |_| async { id_answer() }).await;
    let (client, p) = (fake.client(10), project());
    for answer in join_all((0..10).map(|_| client.project_id(&p))).await {
        let error = answer.unwrap_err();
        assert_eq!(
            (error.code(), error.class()),
            ("login_refused", ErrorClass::Login)
        );
    }
    assert_eq!((fake.logins(), fake.calls().len()), (1, 0));
}

#[tokio::test]
async fn a_corrected_password_is_taken_at_the_next_call() {
    let second = |number| match number {
        1 => reply(
            200,
            r#"{"error":"Incorrect Login. Username/Password not found."}"#,
        ),
        _ => reply(200, r#"{"session.id":"s2","status":"success"}"#),
    };
    let fake = Fake::with_login(second, |_| async { id_answer() }).await;
    let client = fake.client(1);
    assert!(matches!(
        client.login_check().await,
        Err(ClientError::LoginRefused { .. })
    ));
    client.login_check().await.unwrap();
}

#[tokio::test]
async fn sessions_that_are_never_taken_end_the_call_after_one_renewal() {
    let fake = Fake::start(|_| async { session_error() }).await;
    let error = fake.client(2).remove_schedule(ScheduleId(1)).await.unwrap_err();
    assert_eq!(error, ClientError::SessionLost { call: "removeSched" });
    assert_eq!((fake.logins(), fake.calls().len()), (2, 2));
}

#[tokio::test]
async fn calls_beyond_the_pool_wait_for_their_turn() {
    let now = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let most = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let (running, peak) = (Arc::clone(&now), Arc::clone(&most));
    let fake = Fake::start(move |_| {
        let (running, peak) = (Arc::clone(&running), Arc::clone(&peak));
        async move {
            use std::sync::atomic::Ordering::SeqCst;
            peak.fetch_max(running.fetch_add(1, SeqCst) + 1, SeqCst);
            // lets every other request that is under way come in
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            running.fetch_sub(1, SeqCst);
            id_answer()
        }
    })
    .await;
    let (client, p) = (fake.client(2), project());
    assert!(
        join_all((0..12).map(|_| client.project_id(&p)))
            .await
            .iter()
            .all(Result::is_ok)
    );
    assert_eq!(most.load(std::sync::atomic::Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_login_unused_for_half_an_hour_is_renewed_before_it_is_used() {
    let fake = Fake::start(|_| async { id_answer() }).await;
    let client = fake.client(1);
    client.project_id(&project()).await.unwrap();
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(31 * 60)).await;
    tokio::time::resume();
    client.project_id(&project()).await.unwrap();
    let sessions: Vec<String> = fake
        .calls()
        .iter()
        .map(|seen| seen.session().to_owned())
        .collect();
    assert_eq!(
        (fake.logins(), sessions),
        (2, vec!["s1".to_owned(), "s2".to_owned()])
    );
}
