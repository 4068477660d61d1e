//! Password and session stay where they belong.

use flowlift_azkaban::client::{Client, ClientError};
use tokio::net::TcpListener;

use crate::fake::*;

fn assert_clean(error: &ClientError, session: &str) {
    for text in [error.to_string(), format!("{error:?}"), format!("{error:#?}")] {
        assert!(!text.contains(PASSWORD), "{text}");
        assert!(!text.contains(session), "{text}");
    }
}

#[tokio::test]
async fn the_password_travels_in_the_body_of_a_login_and_nowhere_else() {
    let fake = Fake::start(|_| async { id_answer() }).await;
    fake.client(1).project_id(&project()).await.unwrap();
    let [login, call] = &fake.seen()[..] else { panic!() };
    assert_eq!(
        (login.method.as_str(), login.path.as_str(), login.query.as_str()),
        ("POST", "/", "")
    );
    assert_eq!(
        (login.param("username"), login.param("password")),
        ("bob", PASSWORD)
    );
    assert!(!format!("{call:?}").contains(PASSWORD));
}

#[tokio::test]
async fn no_error_shows_password_or_session() {
    const SESSION: &str = "5e55-10n";
    let give = |_| reply(200, format!(r#"{{"session.id":"{SESSION}","status":"success"}}"#));
    // cuts every connection but the login's
    let fake = Fake::with_login(give, |_| async { panic!("no answer") }).await;
    let client = fake.client(1);
    let broken = client.flows(&project()).await.unwrap_err();
    assert_eq!(broken.code(), "broken");
    assert_clean(&broken, SESSION);
    let refused = |_| {
        reply(
            200,
            r#"{"error":"Incorrect Login. Username/Password not found."}"#,
        )
    };
    let fake = Fake::with_login(refused, |_| async { id_answer() }).await;
    let wrong = fake.client(1).login_check().await.unwrap_err();
    assert_eq!(
        wrong.to_string(),
        "Azkaban refuses the login of user bob: Incorrect Login. Username/Password not found."
    );
    assert_clean(&wrong, SESSION);
    let gone = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let unreachable = Client::new(config(&format!("http://{gone}")))
        .unwrap()
        .login_check()
        .await
        .unwrap_err();
    assert_eq!(unreachable.code(), "unreachable");
    assert_clean(&unreachable, SESSION);
}

#[test]
fn settings_and_client_print_without_the_password() {
    let config = config("http://h");
    assert!(!format!("{config:?}").contains(PASSWORD));
    let client = Client::new(config).unwrap();
    assert_eq!(format!("{client:?}"), "Client { url: \"http://h\", .. }");
}

#[test]
fn a_password_in_the_address_is_refused_and_not_repeated() {
    let error = Client::new(config(&format!("http://bob:{PASSWORD}@h"))).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the Azkaban URL must not hold user or password; set them by themselves"
    );
}
