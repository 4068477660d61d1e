//! Uploads that are refused: one test per row of the table of answers, and the validator's messages.

use crate::support::azkaban::{Azkaban, Project};
use crate::support::http::{Part, Reply, Request};
use crate::support::zips::{jobs, v2, zip};

/// What an upload answers that fails after the project was found.
fn failed(project: &Project<'_>, error: &str, version: u32) -> (u16, String) {
    let id = &project.id;
    let body = format!(
        "{{\n  \"error\" : \"{error}\",\n  \"projectId\" : \"{id}\",\n  \"version\" : \"{version}\"\n}}"
    );
    (500, body)
}

fn refused(status: u16, error: &str) -> (u16, String) {
    (status, format!("{{\n  \"error\" : \"{error}\"\n}}"))
}

fn said(reply: &Reply) -> (u16, String) {
    (reply.status, reply.text())
}

async fn assert_report(content: &[u8], message: &str) {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    project.install(&jobs(&[("old", "")])).await;
    let reply = project.upload(content).await;
    let error = format!("Validator Directory Flow reports errors:<br><br>{message}<br>");
    assert_eq!(said(&reply), failed(&project, &error, 1));
    assert_eq!(project.flows().await, ["old"], "nothing of it is stored");
    assert_eq!(
        project.download(None).await.header("version"),
        Some("1"),
        "no version is used"
    );
    project.delete().await;
}

async fn assert_exception(content: &[u8], message: &str) {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    let reply = project.upload(content).await;
    assert_eq!(
        said(&reply),
        failed(&project, &format!("Installation Failed.<br>{message}"), 0)
    );
    project.delete().await;
}

#[tokio::test]
async fn a_missing_dependency_refuses_the_whole_zip() {
    assert_report(
        &jobs(&[("f1", "dependencies=nope"), ("f2", "")]),
        "f1 cannot find dependency nope",
    )
    .await;
}

#[tokio::test]
async fn a_job_without_type_is_reported() {
    assert_report(&zip(&[("f.job", "a=b")]), "Job doesn't have type set 'f'.").await;
}

#[tokio::test]
async fn two_jobs_of_one_name_are_reported() {
    assert_report(
        &jobs(&[("a/f", ""), ("b/f", "")]),
        "Duplicate job names found 'f'.",
    )
    .await;
}

#[tokio::test]
async fn a_job_that_depends_on_itself_is_reported() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    let reply = project.upload(&jobs(&[("f", "dependencies=f")])).await;
    assert!(
        reply.text().contains("f has a self cycle<br>"),
        "{}",
        reply.text()
    );
    project.delete().await;
}

#[tokio::test]
async fn a_cycle_behind_an_end_job_is_reported() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    let reply = project
        .upload(&jobs(&[
            ("z", "dependencies=a"),
            ("a", "dependencies=b"),
            ("b", "dependencies=a"),
        ]))
        .await;
    assert!(
        reply.text().contains("Cyclical dependency found at "),
        "{}",
        reply.text()
    );
    project.delete().await;
}

#[tokio::test]
async fn too_much_memory_is_reported() {
    let message = "f: Xmx value has exceeded the allowed limit (max Xmx = 2G)";
    assert_report(&jobs(&[("f", "Xmx=3G")]), message).await;
}

#[tokio::test]
async fn a_bad_flow_file_is_reported_with_its_name() {
    let content = v2(&[("bad", "nodes:\n- name: a\n  type: noop\n  dependsOn: [x]\n")]);
    assert_report(
        &content,
        "Failed to validate nodeBean for bad.flow. Duplicate nodes found or dependency undefined.",
    )
    .await;
}

#[tokio::test]
async fn a_long_report_is_cut_at_4000_characters() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    let names: Vec<_> = (0..200)
        .map(|number| {
            (
                format!("f{number}"),
                format!("dependencies=nope{}", "x".repeat(30)),
            )
        })
        .collect();
    let bad: Vec<_> = names
        .iter()
        .map(|(name, rest)| (name.as_str(), rest.as_str()))
        .collect();
    let json = project.upload(&jobs(&bad)).await.json();
    assert_eq!(json["error"].as_str().unwrap().len(), 4000);
    project.delete().await;
}

#[tokio::test]
async fn what_is_no_zip_cannot_be_unzipped() {
    for content in [&b""[..], b"no zip", &jobs(&[("f", "")])[..40]] {
        assert_exception(content, "Error unzipping file.").await;
    }
}

#[tokio::test]
async fn a_path_that_leaves_the_folder_cannot_be_unzipped() {
    assert_exception(&zip(&[("../f.job", "type=noop")]), "Error unzipping file.").await;
}

#[tokio::test]
async fn a_broken_escape_ends_the_upload() {
    assert_exception(
        &zip(&[("f.job", "type=noop\na=\\uZZ")]),
        "Malformed \\\\uxxxx encoding.",
    )
    .await;
}

#[tokio::test]
async fn a_memory_limit_that_is_no_number_ends_the_upload() {
    assert_exception(&jobs(&[("f", "Xmx=zz")]), "For input string: \\\"zz\\\"").await;
}

#[tokio::test]
async fn a_wrong_flow_version_ends_the_upload() {
    let content = zip(&[
        ("p.project", "azkaban-flow-version: 1.0"),
        ("f.flow", "nodes:\n- name: a\n  type: noop\n"),
    ]);
    assert_exception(&content, "Invalid azkaban-flow-version in the project YAML file.").await;
}

#[tokio::test]
async fn a_cycle_behind_a_start_job_overflows_the_stack() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    project.install(&jobs(&[("old", "")])).await;
    let content = jobs(&[
        ("z", "dependencies=a"),
        ("a", "dependencies=b,c"),
        ("b", "dependencies=a"),
        ("c", ""),
    ]);
    let reply = project.upload(&content).await;
    assert_eq!(
        (reply.status, reply.reason.as_str()),
        (500, "Internal Server Error")
    );
    assert_eq!(
        reply.header("content-type"),
        Some("text/html; charset=iso-8859-1")
    );
    assert_eq!(reply.title(), "Error 500 INTERNAL_SERVER_ERROR");
    assert!(reply.text().contains("<pre>java.lang.StackOverflowError\n"));
    assert_eq!(project.flows().await, ["old"]);
    project.delete().await;
}

#[tokio::test]
async fn an_upload_without_project_is_a_bad_request() {
    let azkaban = Azkaban::start().await;
    let parts = [
        Part::field("session.id", &azkaban.session),
        Part::field("ajax", "upload"),
    ];
    for more in [&[][..], &[Part::field("project", "")]] {
        let reply = azkaban
            .send(Request::multipart("/manager", &[&parts[..], more].concat()))
            .await;
        assert_eq!(said(&reply), refused(400, "No project name found."));
    }
}

#[tokio::test]
async fn an_unknown_and_a_deleted_project_are_gone() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    azkaban
        .get("/manager", &[("project", &project.name), ("delete", "true")])
        .await;
    let reply = project.upload(&jobs(&[("f", "")])).await;
    let error = format!("Installation Failed. Project '{} doesn't exist.", project.name);
    assert_eq!(said(&reply), refused(410, &error));
    assert_eq!(reply.reason, "Gone");
}

#[tokio::test]
async fn a_user_without_rights_may_not_upload() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    let other = azkaban.other().await;
    let as_other = Project {
        azkaban: &other,
        name: project.name.clone(),
        id: project.id.clone(),
    };
    let reply = as_other.upload(&jobs(&[("f", "")])).await;
    assert_eq!(
        said(&reply),
        refused(
            400,
            "Installation Failed. User 'metrics' does not have write access."
        )
    );
    project.delete().await;
}

#[tokio::test]
async fn extension_and_content_type_are_checked() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    let zip = Some("application/zip");
    for (file, kind, error) in [
        ("a.tar", zip, "File extension 'tar' unrecognized."),
        ("a.TAR", zip, "File extension 'tar' unrecognized."),
        ("zip", zip, "File extension '' unrecognized."),
        ("", zip, "File extension '' unrecognized."),
        ("a.tar", None, "File extension 'tar' unrecognized."),
        (
            "a.zip",
            Some("text/plain"),
            "Content type 'text/plain' does not match extension 'zip'",
        ),
        (
            "a.zip",
            Some("Application/Zip"),
            "Content type 'Application/Zip' does not match extension 'zip'",
        ),
        (
            "a.zip",
            None,
            "Content type 'null' does not match extension 'zip'",
        ),
    ] {
        assert_eq!(
            said(&project.upload_as(file, kind, b"").await),
            refused(400, error)
        );
    }
    project.delete().await;
}

#[tokio::test]
async fn a_slash_in_the_file_name_is_a_folder_that_is_not_there() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    let reply = project
        .upload_as("x/a.zip", Some("application/zip"), &jobs(&[("f", "")]))
        .await;
    let error = reply.json()["error"].as_str().unwrap().to_owned();
    assert!(
        error.starts_with("Installation Failed.<br>/")
            && error.ends_with("/x/a.zip (No such file or directory)"),
        "{error}"
    );
    assert_eq!(reply.status, 500);
    project.delete().await;
}

#[tokio::test]
async fn an_upload_without_a_file_is_an_exception() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    let parts = [
        Part::field("session.id", &azkaban.session),
        Part::field("ajax", "upload"),
        Part::field("project", &project.name),
    ];
    let reply = azkaban.send(Request::multipart("/manager", &parts)).await;
    assert_eq!(reply.status, 500);
    assert!(
        reply.title().starts_with("Error 500 Cannot invoke"),
        "{}",
        reply.title()
    );
    let plain = [&parts[..], &[Part::field("file", "x")]].concat();
    let reply = azkaban.send(Request::multipart("/manager", &plain)).await;
    assert_eq!(reply.status, 500);
    assert!(
        reply
            .title()
            .starts_with("Error 500 class java.lang.String cannot be cast to class"),
        "{}",
        reply.title()
    );
    project.delete().await;
}

#[tokio::test]
async fn ajax_counts_as_a_multipart_field_only() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    let content = jobs(&[("f", "")]);
    let parts = [
        Part::field("project", &project.name),
        Part::file("file", "a.zip", Some("application/zip"), &content),
    ];
    let target = format!("/manager?ajax=upload&session.id={}", azkaban.session);
    let reply = azkaban.send(Request::multipart(&target, &parts)).await;
    assert_eq!((reply.status, reply.text().as_str()), (200, ""));
    let unknown = [&parts[..], &[Part::field("ajax", "zzz")]].concat();
    assert_eq!(
        azkaban.send(Request::multipart(&target, &unknown)).await.text(),
        "{ }"
    );
    assert_eq!(project.flows().await, [""; 0]);
    project.delete().await;
}

#[tokio::test]
async fn a_multipart_body_that_breaks_off_is_an_exception() {
    let azkaban = Azkaban::start().await;
    let target = format!("/manager?session.id={}", azkaban.session);
    let head = "--X\r\nContent-Disposition: form-data; name=\"ajax\"";
    for (body, title) in [
        (format!("{head}\r\n"), "Error 500 Stream ended unexpectedly"),
        (
            format!("{head}\r\n\r\nx"),
            "Error 500 Processing of multipart/form-data request failed. Stream ended unexpectedly",
        ),
    ] {
        let request = Request::new("POST", target.clone()).body("multipart/form-data; boundary=X", body);
        let reply = azkaban.send(request).await;
        assert_eq!((reply.status, reply.title().as_str()), (500, title));
    }
    let request = Request::new("POST", target).body("multipart/form-data", "x");
    let title = "Error 500 the request was rejected because no multipart boundary was found";
    assert_eq!(azkaban.send(request).await.title(), title);
}

#[tokio::test]
async fn a_form_of_more_than_ten_mebibytes_is_refused_unread() {
    let azkaban = Azkaban::start().await;
    let request = Request::form("/manager", &[]).header("Connection", "close");
    // A first piece of the body is enough: the answer comes without the rest.
    let head = String::from_utf8(request.bytes(azkaban.addr))
        .unwrap()
        .replace("Content-Length: 0", "Content-Length: 10485761");
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(azkaban.addr).await.unwrap();
    stream
        .write_all(&[head.as_bytes(), &[b'x'; 1000]].concat())
        .await
        .unwrap();
    let mut start = vec![0; 64];
    stream.read_exact(&mut start).await.unwrap();
    assert!(
        String::from_utf8(start)
            .unwrap()
            .starts_with("HTTP/1.1 500 Form too large10485761>10485760\r\n")
    );
}
