//! Logging in.

use crate::support::azkaban::Azkaban;
use crate::support::http::{Part, Request};

/// Status, body and content type of a form that is posted to `/`.
async fn answer(fields: &[(&str, &str)]) -> (u16, String, Option<String>) {
    let azkaban = Azkaban::start().await;
    let reply = azkaban.send(Request::form("/", fields)).await;
    (
        reply.status,
        reply.text(),
        reply.header("content-type").map(str::to_owned),
    )
}

async fn assert_error(fields: &[(&str, &str)], error: &str) {
    let expected = format!("{{\n  \"error\" : \"{error}\"\n}}");
    assert_eq!(
        answer(fields).await,
        (200, expected, Some("application/json".to_owned()))
    );
}

#[tokio::test]
async fn a_login_gives_the_session_in_the_body_and_in_a_cookie() {
    let azkaban = Azkaban::start().await;
    let form = [
        ("action", "login"),
        ("username", "azkaban"),
        ("password", "azkaban"),
    ];
    for path in ["/", "/manager", "/schedule", "/index", "/no-such-page"] {
        let reply = azkaban.send(Request::form(path, &form)).await;
        let id = reply.json()["session.id"].as_str().unwrap().to_owned();
        assert_eq!(
            reply.text(),
            format!("{{\n  \"session.id\" : \"{id}\",\n  \"status\" : \"success\"\n}}")
        );
        assert_eq!(
            reply.cookie("azkaban.browser.session.id"),
            Some(format!("{id};Path=/").as_str())
        );
        assert_eq!(id.len(), 36);
    }
}

#[tokio::test]
async fn an_unknown_user_and_a_wrong_password_get_the_same_answer() {
    let error = "Incorrect Login. Username/Password not found.";
    assert_error(
        &[("action", "login"), ("username", "nobody"), ("password", "x")],
        error,
    )
    .await;
    assert_error(
        &[("action", "login"), ("username", "azkaban"), ("password", "x")],
        error,
    )
    .await;
    assert_error(
        &[
            ("action", "login"),
            ("username", "Azkaban"),
            ("password", "azkaban"),
        ],
        error,
    )
    .await;
}

#[tokio::test]
async fn an_empty_name_is_told_before_an_empty_password() {
    let login = |name, password| [("action", "login"), ("username", name), ("password", password)];
    assert_error(&login("", ""), "Incorrect Login. Username is empty.").await;
    assert_error(&login(" ", "x"), "Incorrect Login. Username is empty.").await;
    assert_error(&login("x", ""), "Incorrect Login. Password is empty.").await;
}

#[tokio::test]
async fn a_login_without_name_or_password_is_incorrect() {
    assert_error(&[("action", "login")], "Incorrect Login.").await;
    assert_error(
        &[("action", "login"), ("username", "azkaban")],
        "Incorrect Login.",
    )
    .await;
}

#[tokio::test]
async fn a_password_in_the_query_is_refused() {
    let azkaban = Azkaban::start().await;
    let reply = azkaban
        .send(Request::new(
            "POST",
            "/?action=login&username=azkaban&password=azkaban",
        ))
        .await;
    assert_eq!(
        reply.text(),
        "Login error. Must pass username and password in request body"
    );
    assert_eq!((reply.status, reply.header("content-type")), (200, None));
}

#[tokio::test]
async fn name_and_password_do_for_one_request() {
    let azkaban = Azkaban::start().await;
    let credentials = [("username", "azkaban"), ("password", "azkaban")];
    let form = [
        &credentials[..],
        &[("ajax", "getProjectId"), ("project", "no-such-project")],
    ]
    .concat();
    let reply = azkaban.send(Request::form("/manager", &form)).await;
    assert_eq!(reply.json()["error"], "Project no-such-project doesn't exist.");
    let parts = credentials.map(|(name, value)| Part::field(name, value));
    let reply = azkaban
        .send(Request::multipart(
            "/manager",
            &[&parts[..], &[Part::field("ajax", "x")]].concat(),
        ))
        .await;
    assert_eq!(reply.text(), "{ }");
}

#[tokio::test]
async fn wrong_credentials_for_one_request_are_told_in_plain_text() {
    let azkaban = Azkaban::start().await;
    for (name, password, error) in [
        ("azkaban", "x", "Login error: Username/Password not found."),
        ("", "x", "Login error: Username is empty."),
        ("x", "", "Login error: Password is empty."),
    ] {
        let form = Request::form(
            "/manager",
            &[("username", name), ("password", password), ("ajax", "x")],
        );
        let parts = [
            Part::field("username", name),
            Part::field("password", password),
            Part::field("ajax", "x"),
        ];
        for request in [form, Request::multipart("/manager", &parts)] {
            let reply = azkaban.send(request).await;
            assert_eq!(
                (reply.status, reply.text().as_str(), reply.header("content-type")),
                (200, error, None)
            );
        }
    }
}
