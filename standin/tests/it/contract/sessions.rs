//! Carrying a session, and losing it.

use crate::support::azkaban::{Azkaban, login};
use crate::support::http::{Part, Reply, Request};

const LOST: &str = "no-such-session";

fn assert_login_page(reply: &Reply) {
    assert_eq!(
        (reply.status, reply.header("content-type")),
        (200, Some("text/html; charset=utf-8")),
        "{reply:?}"
    );
    assert_eq!(reply.title(), "Azkaban Web Client");
}

#[tokio::test]
async fn a_get_with_ajax_and_without_session_is_told_so_in_json() {
    let azkaban = Azkaban::start().await;
    for target in [
        "/manager?ajax=fetchprojectflows&project=x",
        "/schedule?ajax=fetchSchedules",
        "/x?ajax=y",
    ] {
        for target in [target.to_owned(), format!("{target}&session.id={LOST}")] {
            let reply = azkaban.send(Request::get(target)).await;
            assert_eq!(
                (reply.status, reply.text().as_str()),
                (200, "{\n  \"error\" : \"session\"\n}")
            );
            assert_eq!(reply.header("content-type"), Some("application/json"));
        }
    }
}

#[tokio::test]
async fn a_get_without_ajax_and_session_gets_the_login_page() {
    let azkaban = Azkaban::start().await;
    for target in [
        "/",
        "/manager",
        "/manager?project=x&download=true",
        "/no-such-page",
        "/status/",
    ] {
        assert_login_page(&azkaban.send(Request::get(target)).await);
    }
}

#[tokio::test]
async fn a_form_without_session_gets_the_login_page() {
    let azkaban = Azkaban::start().await;
    for path in ["/", "/manager", "/schedule", "/executor", "/index"] {
        assert_login_page(
            &azkaban
                .send(Request::form(path, &[("session.id", LOST), ("ajax", "x")]))
                .await,
        );
    }
}

#[tokio::test]
async fn a_form_from_a_script_without_session_gets_compact_json() {
    let azkaban = Azkaban::start().await;
    let request = Request::form("/manager", &[("ajax", "x")]).header("X-Requested-With", "XMLHttpRequest");
    let reply = azkaban.send(request).await;
    assert_eq!(
        reply.text(),
        r#"{"action":"login","message":"Invalid Session. Need to re-login","status":"error"}"#
    );
    assert_eq!((reply.status, reply.header("content-type")), (200, None));
}

#[tokio::test]
async fn a_multipart_form_without_session_gets_plain_text() {
    let azkaban = Azkaban::start().await;
    for path in ["/manager", "/index", "/"] {
        let parts = [Part::field("session.id", LOST), Part::field("ajax", "upload")];
        let reply = azkaban.send(Request::multipart(path, &parts)).await;
        assert_eq!(
            (reply.status, reply.text().as_str()),
            (200, "Login error. Need username and password")
        );
        assert_eq!(reply.header("content-type"), None);
    }
}

#[tokio::test]
async fn a_session_is_found_in_query_form_and_cookie() {
    let azkaban = Azkaban::start().await;
    let id = &azkaban.session;
    let target = "/manager?ajax=getProjectId&project=no-such-project";
    let form = [
        ("session.id", id.as_str()),
        ("ajax", "getProjectId"),
        ("project", "no-such-project"),
    ];
    for request in [
        Request::get(format!("{target}&session.id={id}")),
        Request::form("/manager", &form),
        Request::get(target).header("Cookie", &format!("x=y; azkaban.browser.session.id={id}; z=1")),
    ] {
        assert_eq!(
            azkaban.send(request).await.json()["error"],
            "Project no-such-project doesn't exist."
        );
    }
}

#[tokio::test]
async fn a_stale_cookie_hides_a_good_parameter() {
    let azkaban = Azkaban::start().await;
    let target = format!(
        "/manager?ajax=getProjectId&project=no-such-project&session.id={}",
        azkaban.session
    );
    let stale = Request::get(target.clone()).header("Cookie", &format!("azkaban.browser.session.id={LOST}"));
    assert_eq!(azkaban.send(stale).await.json()["error"], "session");
    let empty = Request::get(target).header("Cookie", "azkaban.browser.session.id=");
    assert_eq!(
        azkaban.send(empty).await.json()["error"],
        "Project no-such-project doesn't exist."
    );
}

#[tokio::test]
async fn a_stale_cookie_does_not_hide_a_good_multipart_field() {
    let azkaban = Azkaban::start().await;
    let parts = [
        Part::field("session.id", &azkaban.session),
        Part::field("ajax", "x"),
    ];
    let request = Request::multipart("/manager", &parts)
        .header("Cookie", &format!("azkaban.browser.session.id={LOST}"));
    assert_eq!(azkaban.send(request).await.text(), "{ }");
}

#[tokio::test]
async fn a_new_login_leaves_older_sessions_alive_and_logout_ends_one() {
    let azkaban = Azkaban::start().await;
    let second = login(azkaban.addr, "azkaban").await;
    let reply = azkaban
        .send(Request::get(format!("/?logout=true&session.id={second}")))
        .await;
    assert_eq!(
        (reply.status, reply.header("location")),
        (302, Some(format!("http://{}/", azkaban.addr).as_str()))
    );
    // A real server removes the session after its answer: ask until it has.
    let gone = format!("/index?ajax=fetchuserprojects&session.id={second}");
    for attempt in 0.. {
        if azkaban.send(Request::get(gone.clone())).await.json()["error"] == "session" {
            break;
        }
        assert!(attempt < 100, "the session lives on");
    }
    assert!(
        azkaban
            .get("/index", &[("ajax", "fetchuserprojects")])
            .await
            .json()["projects"]
            .is_array()
    );
}

#[tokio::test]
async fn unknown_paths_lead_to_the_index() {
    let azkaban = Azkaban::start().await;
    for path in ["/", "/no-such-page", "/manager/x"] {
        let reply = azkaban.get(path, &[]).await;
        let index = format!("http://{}/index", azkaban.addr);
        assert_eq!(
            (reply.status, reply.header("location")),
            (302, Some(index.as_str()))
        );
    }
}

#[tokio::test]
async fn files_of_pages_that_do_not_exist_are_not_found() {
    let azkaban = Azkaban::start().await;
    let reply = azkaban.send(Request::get("/css/no-such-file.css")).await;
    assert_eq!(
        (reply.status, reply.title().as_str()),
        (404, "Error 404 NOT_FOUND")
    );
}

#[tokio::test]
async fn a_session_does_not_get_past_an_unknown_method() {
    let azkaban = Azkaban::start().await;
    for (method, status, reason) in [
        ("PUT", 405, "HTTP method PUT is not supported by this URL"),
        (
            "PATCH",
            501,
            "Method PATCH is not defined in RFC 2068 and is not supported by the Servlet API ",
        ),
    ] {
        let reply = azkaban.send(Request::new(method, "/manager")).await;
        assert_eq!(
            (reply.status, reply.reason.as_str(), reply.text().as_str()),
            (status, reason, "")
        );
    }
}
