//! Uploads that are accepted, and what they leave behind.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::azkaban::Azkaban;
use crate::support::http::{Part, Request, parse};
use crate::support::zips::{flows, jobs, nested, v2, zip};

fn accepted(id: &str, version: u32) -> String {
    format!("{{\n  \"projectId\" : \"{id}\",\n  \"version\" : \"{version}\"\n}}")
}

#[tokio::test]
async fn an_upload_answers_with_number_and_version_as_texts() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    for version in [1, 2] {
        let reply = project.upload(&jobs(&[("f", "")])).await;
        assert_eq!(
            (reply.status, reply.text()),
            (200, accepted(&project.id, version))
        );
        assert_eq!(reply.header("content-type"), Some("application/json"));
    }
    project.delete().await;
}

#[tokio::test]
async fn an_upload_replaces_the_whole_project() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    project.install(&jobs(&[("a", ""), ("b", "")])).await;
    assert_eq!(project.flows().await, ["a", "b"]);
    project.install(&jobs(&[("b", ""), ("c", "")])).await;
    assert_eq!(project.flows().await, ["b", "c"]);
    project.install(&nested()).await;
    assert_eq!(project.flows().await, ["g"], "embedded flows are not listed");
    project.delete().await;
}

#[tokio::test]
async fn the_project_is_found_whatever_its_case() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    let (upper, content) = (project.name.to_uppercase(), jobs(&[("f", "")]));
    let parts = [
        Part::field("session.id", &azkaban.session),
        Part::field("ajax", "upload"),
        Part::field("project", &upper),
        Part::file("file", "a.zip", Some("application/zip"), &content),
    ];
    assert_eq!(
        azkaban.send(Request::multipart("/manager", &parts)).await.text(),
        accepted(&project.id, 1)
    );
    assert_eq!(project.flows().await, ["f"]);
    project.delete().await;
}

#[tokio::test]
async fn zips_come_under_three_content_types_and_any_case_of_extension() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    let types = [
        "application/zip",
        "application/x-zip-compressed",
        "application/octet-stream; charset=x",
    ];
    for (version, (file, kind)) in (1..).zip(["a.zip", "a.ZIP", "b c.Zip"].into_iter().zip(types)) {
        let reply = project.upload_as(file, Some(kind), &jobs(&[("f", "")])).await;
        assert_eq!(reply.text(), accepted(&project.id, version));
    }
    project.delete().await;
}

#[tokio::test]
async fn an_upload_needs_no_session_when_it_brings_name_and_password() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    let content = jobs(&[("f", "")]);
    let parts = [
        Part::field("username", "azkaban"),
        Part::field("password", "azkaban"),
        Part::field("ajax", "upload"),
        Part::field("project", &project.name),
        Part::field("fix", "off"),
        Part::file("file", "a.zip", Some("application/zip"), &content),
    ];
    assert_eq!(
        azkaban.send(Request::multipart("/manager", &parts)).await.text(),
        accepted(&project.id, 1)
    );
    project.delete().await;
}

#[tokio::test]
async fn a_browsers_upload_leads_back_to_the_project() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    let upload = async |content: &[u8]| {
        let parts = [
            Part::field("session.id", &azkaban.session),
            Part::field("action", "upload"),
            Part::field("project", &project.name),
            Part::file("file", "a.zip", Some("application/zip"), content),
        ];
        azkaban.send(Request::multipart("/manager", &parts)).await
    };
    let back = format!("http://{}/manager?project={}", azkaban.addr, project.name);
    let reply = upload(&jobs(&[("f", "")])).await;
    assert_eq!(
        (reply.status, reply.header("location")),
        (302, Some(back.as_str()))
    );
    assert_eq!(reply.cookie("azkaban.failure.message"), None);
    assert_eq!(project.flows().await, ["f"]);
    let reply = upload(b"no zip").await;
    assert_eq!(
        (reply.status, reply.header("location")),
        (302, Some(back.as_str()))
    );
    let cookie = "\"Installation Failed.<br>Error unzipping file.\";Path=/";
    assert_eq!(reply.cookie("azkaban.failure.message"), Some(cookie));
    project.delete().await;
}

#[tokio::test]
async fn an_empty_zip_wipes_the_project() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    project.install(&jobs(&[("f", "")])).await;
    assert_eq!(project.upload(&zip(&[])).await.text(), accepted(&project.id, 2));
    assert_eq!(project.flows().await, [""; 0]);
    project.delete().await;
}

#[tokio::test]
async fn jobs_of_a_cycle_nobody_depends_on_are_lost_without_a_word() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    let content = jobs(&[("a", "dependencies=b"), ("b", "dependencies=a"), ("f", "")]);
    assert_eq!(project.upload(&content).await.status, 200);
    assert_eq!(project.flows().await, ["f"]);
    project.delete().await;
}

#[tokio::test]
async fn flow_files_without_a_project_file_wipe_the_project() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    project.install(&jobs(&[("f", "")])).await;
    project
        .install(&zip(&[("g.flow", "nodes:\n- name: a\n  type: noop\n")]))
        .await;
    assert_eq!(project.flows().await, [""; 0]);
    project.delete().await;
}

#[tokio::test]
async fn a_job_depended_on_is_no_flow_of_its_own() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    project
        .install(&jobs(&[
            ("a", ""),
            ("b", "dependencies=a"),
            ("c", "dependencies=a"),
        ]))
        .await;
    assert_eq!(project.flows().await, ["b", "c"]);
    project.delete().await;
}

#[tokio::test]
async fn a_thousand_flows_are_listed_in_one_answer() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    project.install(&flows(1000)).await;
    let listed = project.flows().await;
    assert_eq!(
        (listed.len(), listed[0].as_str(), listed[999].as_str()),
        (1000, "flow_00000", "flow_00999")
    );
    project.delete().await;
}

#[tokio::test]
async fn names_may_hold_any_character_of_a_file_name() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    project
        .install(&jobs(&[("a b", ""), ("c,d", ""), ("e:f", ""), ("g\"h", "")]))
        .await;
    assert_eq!(project.flows().await, ["a b", "c,d", "e:f", "g\"h"]);
    project.delete().await;
}

#[tokio::test]
async fn parallel_uploads_of_one_project_all_succeed_and_the_last_one_stays() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    let zips: Vec<_> = ["a", "b", "c", "d"]
        .iter()
        .map(|name| jobs(&[(name, "")]))
        .collect();
    let replies = tokio::join!(
        project.upload(&zips[0]),
        project.upload(&zips[1]),
        project.upload(&zips[2]),
        project.upload(&zips[3]),
    );
    let replies: [crate::support::http::Reply; 4] = replies.into();
    let versions: Vec<_> = replies
        .iter()
        .map(|reply| reply.json()["version"].as_str().unwrap().to_owned())
        .collect();
    let mut numbers: Vec<u32> = versions.iter().map(|version| version.parse().unwrap()).collect();
    numbers.sort_unstable();
    // Versions are read after the lock is given back, so a slow one may see a later upload's.
    assert_eq!(numbers[3], 4, "{versions:?}");
    assert_eq!(project.flows().await.len(), 1);
    let uploads = project
        .log()
        .await
        .into_iter()
        .filter(|(kind, _)| kind == "UPLOADED")
        .count();
    assert_eq!(uploads, 4);
    project.delete().await;
}

#[tokio::test]
async fn two_flow_files_make_two_flows() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    let flow = "nodes:\n- name: a\n  type: noop\n";
    project.install(&v2(&[("f", flow), ("dir/g", flow)])).await;
    assert_eq!(project.flows().await, ["f", "g"]);
    project.delete().await;
}

#[tokio::test]
async fn a_body_may_come_in_chunks() {
    let azkaban = Azkaban::start().await;
    let project = azkaban.project().await;
    let request = project.upload_request("a.zip", Some("application/zip"), &jobs(&[("f", "")]));
    let bytes = request.bytes(azkaban.addr);
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let (head, _) = head.split_once("\r\nContent-Length").unwrap();
    let mut chunked = format!("{head}\r\nTransfer-Encoding: chunked\r\n\r\n").into_bytes();
    for chunk in bytes[end + 4..].chunks(100) {
        chunked.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        chunked.extend_from_slice(chunk);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    let mut stream = TcpStream::connect(azkaban.addr).await.unwrap();
    stream.write_all(&chunked).await.unwrap();
    let mut raw = Vec::new();
    stream.read_to_end(&mut raw).await.unwrap();
    assert_eq!(parse(&raw).unwrap().text(), accepted(&project.id, 1));
    project.delete().await;
}
