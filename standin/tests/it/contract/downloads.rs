//! Downloading zips.

use crate::support::azkaban::Azkaban;
use crate::support::http::Request;
use crate::support::zips::jobs;

#[tokio::test]
async fn a_download_gives_the_exact_bytes_with_version_and_number() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    let content = jobs(&[("f", "")]);
    project
        .upload_as("a b.zip", Some("application/zip"), &content)
        .await;
    let reply = project.download(None).await;
    assert_eq!((reply.status, reply.body == content), (200, true));
    for (name, value) in [
        ("content-type", "application/zip"),
        ("content-disposition", "attachment; filename=\"a b.zip\""),
        ("version", "1"),
        ("projectid", &project.id),
    ] {
        assert_eq!(reply.header(name), Some(value));
    }
    project.delete().await;
}

#[tokio::test]
async fn only_the_presence_of_the_parameter_counts() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    project.install(&jobs(&[("f", "")])).await;
    let reply = azkaban
        .get("/manager", &[("project", &project.name), ("download", "false")])
        .await;
    assert_eq!(reply.header("content-type"), Some("application/zip"));
    project.delete().await;
}

#[tokio::test]
async fn a_version_that_never_was_is_told_in_a_cookie() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    let home = format!("http://{}/", azkaban.addr);
    for (version, told) in [
        (None, "-1"),
        (Some("-1"), "-1"),
        (Some("9"), "9"),
        (Some("0"), "0"),
        (Some("-2"), "-2"),
    ] {
        let reply = project.download(version).await;
        let cookie = format!(
            "\"Project {} with version {told} doesn't exist\";Path=/",
            project.name
        );
        assert_eq!(
            (reply.status, reply.cookie("azkaban.failure.message")),
            (302, Some(cookie.as_str()))
        );
        assert_eq!(reply.header("location"), Some(home.as_str()));
    }
    project.delete().await;
}

#[tokio::test]
async fn a_version_that_is_no_number_is_an_exception() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    for version in ["x", ""] {
        let reply = project.download(Some(version)).await;
        let title = format!("Error 500 For input string: \"{version}\"");
        assert_eq!((reply.status, reply.title()), (500, title));
    }
    project.delete().await;
}

#[tokio::test]
async fn an_unknown_project_and_missing_rights_are_told_in_a_cookie() {
    let azkaban = Azkaban::start().await;
    let reply = azkaban
        .get(
            "/manager",
            &[("project", "no-such-project"), ("download", "true")],
        )
        .await;
    assert_eq!(
        reply.cookie("azkaban.failure.message"),
        Some("\"Project no-such-project doesn't exist.\";Path=/")
    );
    let project = azkaban.project().await;
    let other = azkaban.other().await;
    let reply = other
        .get("/manager", &[("project", &project.name), ("download", "true")])
        .await;
    let cookie = format!("\"No permission to download project {}.\";Path=/", project.name);
    assert_eq!(
        (reply.status, reply.cookie("azkaban.failure.message")),
        (302, Some(cookie.as_str()))
    );
    project.delete().await;
}

#[tokio::test]
async fn the_current_version_and_three_before_it_are_kept() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    for name in ["a", "b", "c", "d", "e"] {
        project.install(&jobs(&[(name, "")])).await;
    }
    for version in ["2", "3", "4", "5"] {
        assert_eq!(
            project.download(Some(version)).await.header("version"),
            Some(version)
        );
    }
    let reply = project.download(Some("1")).await;
    let title = format!(
        "Error 500 Got numChunks=0 for version 1 of project {} - seems like this version has been cleaned up already, \
         because enough newer versions have been uploaded. To increase the retention of project versions, set \
         project.version.retention",
        project.id
    );
    assert_eq!((reply.status, reply.title()), (500, title));
    project.delete().await;
}

#[tokio::test]
async fn a_head_gives_the_headers_only() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    project.install(&jobs(&[("f", "")])).await;
    let target = format!(
        "/manager?session.id={}&project={}&download=1",
        azkaban.session, project.name
    );
    let reply = azkaban.send(Request::new("HEAD", target)).await;
    assert_eq!(
        (reply.status, reply.header("version"), reply.body.len()),
        (200, Some("1"), 0)
    );
    project.delete().await;
}
