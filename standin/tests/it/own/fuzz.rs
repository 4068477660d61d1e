//! Rubbish on the wire: every request is answered or cut, none hangs, none ends the server.

use std::net::SocketAddr;
use std::time::Duration;

use azkaban_standin::Options;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

use crate::support::azkaban::Azkaban;
use crate::support::http::Request;
use crate::support::zips::{jobs, v2, zip};

/// Sends bytes and closes its side; what comes back, if anything.
async fn exchange(addr: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut answer = Vec::new();
    let talk = async {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        // The server may cut it in the middle.
        let _ = stream.write_all(bytes).await;
        let _ = stream.shutdown().await;
        let _ = stream.read_to_end(&mut answer).await;
    };
    tokio::time::timeout(Duration::from_secs(20), talk)
        .await
        .expect("no request hangs");
    answer
}

fn fuzz<T: std::fmt::Debug>(
    cases: u32,
    strategy: impl Strategy<Value = T>,
    request: impl Fn(&Azkaban, &T) -> Vec<u8>,
) {
    let runtime = Runtime::new().unwrap();
    let azkaban = runtime.block_on(async {
        let azkaban = Azkaban::standin(Options::default()).await;
        std::mem::forget(azkaban.project().await);
        azkaban
    });
    let mut runner = TestRunner::new(Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    });
    let outcome = runner.run(&strategy, |value| {
        let bytes = request(&azkaban, &value);
        runtime.block_on(async {
            let answer = exchange(azkaban.addr, &bytes).await;
            prop_assert!(
                answer.is_empty() || answer.starts_with(b"HTTP/1."),
                "{:?}",
                answer
            );
            let status = Request::get("/status").send(azkaban.addr).await.status;
            prop_assert_eq!(status, 200);
            Ok(())
        })
    });
    outcome.unwrap();
}

#[test]
fn any_bytes_are_answered_or_cut() {
    fuzz(100, proptest::collection::vec(any::<u8>(), 0..400), |_, bytes| {
        bytes.clone()
    });
}

#[test]
fn any_query_form_and_cookie_are_answered() {
    let path = prop::sample::select(vec![
        "/",
        "/manager",
        "/executor",
        "/schedule",
        "/index",
        "/status",
        "/standin/faults",
    ]);
    let text = "[a-zA-Z0-9%&=+;._\\[\\]{}\"' -]{0,60}";
    let call = prop::sample::select(vec![
        "fetchexecflow",
        "executeFlow",
        "upload",
        "scheduleCronFlow",
        "fetchProjectLogs",
        "login",
        "fetchExecJobLogs",
    ]);
    let parts = (path, prop::bool::ANY, call, text, text, "[ -~]{0,40}");
    fuzz(300, parts, |azkaban, (path, post, call, query, form, cookie)| {
        let query: String = query
            .bytes()
            .map(|byte| format!("%{byte:02x}"))
            .collect::<String>()
            + form.replace(['"', ' ', '{', '}'], "").as_str();
        let target = format!(
            "{path}?session.id={}&ajax={call}&execid=1&project=x&{query}",
            azkaban.session
        );
        let method = if *post { "POST" } else { "GET" };
        format!(
            "{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nCookie: {cookie}\r\nContent-Type: \
             application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
            form.len()
        )
        .into_bytes()
    });
}

#[test]
fn any_multipart_body_is_answered() {
    let line = prop::sample::select(vec![
        "--B\r\n",
        "--B--\r\n",
        "\r\n",
        "\r\n\r\n",
        "Content-Disposition: form-data; name=\"ajax\"\r\n\r\nupload",
        "Content-Disposition: form-data; name=\"file\"; filename=\"a.zip\"\r\nContent-Type: application/zip\r\n\r\nPK",
        "Content-Disposition: form-data; name=\"project\"\r\n\r\nx",
        "Content-Disposition: form-data; name=\"",
        "\\\"",
        "x",
        "Content-Disposition: form-data; name=session.id\r\n\r\n",
    ]);
    fuzz(300, proptest::collection::vec(line, 0..16), |azkaban, lines| {
        let body = lines.concat();
        format!(
            "POST /manager?session.id={} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: multipart/form-data; \
             boundary=B\r\nContent-Length: {}\r\n\r\n{body}",
            azkaban.session,
            body.len()
        )
        .into_bytes()
    });
}

/// A zip that is whole, with files that may not be.
fn upload(azkaban: &Azkaban, project: &str, zip: &[u8]) -> Vec<u8> {
    let head = |name: &str, value: &str| {
        format!("--B\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let mut body =
        (head("session.id", &azkaban.session) + &head("ajax", "upload") + &head("project", project))
            .into_bytes();
    body.extend(b"--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.zip\"\r\nContent-Type: application/zip\r\n\r\n");
    body.extend(zip);
    body.extend(b"\r\n--B--\r\n");
    let head = format!(
        "POST /manager HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: multipart/form-data; boundary=B\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    [head.into_bytes(), body].concat()
}

/// The name of a project made for the fuzzing.
fn project(azkaban: &Azkaban) -> String {
    let name = format!("fuzz_{}", azkaban.addr.port());
    let body = format!(
        "session.id={}&action=create&name={name}&description=d",
        azkaban.session
    );
    let request = format!(
        "POST /manager HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(azkaban.addr).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    stream.read_to_string(&mut String::new()).unwrap();
    name
}

#[test]
fn any_jobs_of_flow_1_are_accepted_or_refused() {
    let name = "[a-d]";
    let line = prop_oneof![
        Just("type=noop".to_owned()),
        Just("type=flow".to_owned()),
        Just("root.node=true".to_owned()),
        name.prop_map(|name| format!("flow.name={name}")),
        proptest::collection::vec(name, 0..4).prop_map(|names| format!("dependencies={}", names.join(","))),
        "[ -~\\\\u]{0,30}".prop_map(|text| text),
        "[a-z_!&|()${}:='\" ]{0,30}".prop_map(|text| format!("condition={text}")),
    ];
    let file = ("[a-d]", proptest::collection::vec(line, 0..5));
    fuzz(300, proptest::collection::vec(file, 0..6), |azkaban, files| {
        let jobs: Vec<_> = files
            .iter()
            .map(|(name, lines)| (name.as_str(), lines.join("\n")))
            .collect();
        let mut seen = std::collections::BTreeMap::new();
        seen.extend(jobs.iter().map(|(name, rest)| (*name, rest.as_str())));
        let zip = self::jobs(&seen.into_iter().collect::<Vec<_>>());
        upload(azkaban, &project(azkaban), &zip)
    });
}

#[test]
fn any_yaml_of_flow_2_is_accepted_or_refused() {
    let token = prop::sample::select(vec![
        "nodes:",
        "- name: a",
        "- name: b",
        "  type: noop",
        "  type: flow",
        "  nodes:",
        "  - name: c",
        "    type: noop",
        "  dependsOn: [a]",
        "  dependsOn: [a, b, c]",
        "  condition: one_success",
        "  config:",
        "    k: v",
        "config: {a: &x b}",
        "*x",
        "trigger:",
        "  maxWaitMins: 5",
        "  schedule:",
        "    type: cron",
        "    value: 0 0 1 ? * *",
        "<<: *x",
        "!!int 5",
        "? [a]",
        "%YAML 1.1",
        "---",
        "...",
        "'",
        "\"",
        "\t",
        "&a *a",
        "- - - -",
        "{",
        "]",
        "ä: \u{85}",
        "name: \u{0}",
    ]);
    let project_file = prop_oneof![
        Just("azkaban-flow-version: 2.0"),
        Just("azkaban-flow-version: 2"),
        Just("a: [")
    ];
    fuzz(
        300,
        (project_file, proptest::collection::vec(token, 0..14)),
        |azkaban, (version, lines)| {
            let flow = lines.join("\n");
            let zip = match *version {
                "azkaban-flow-version: 2.0" => v2(&[("f", &flow)]),
                version => zip(&[("p.project", version), ("f.flow", &flow)]),
            };
            upload(azkaban, &project(azkaban), &zip)
        },
    );
}

#[test]
fn any_damage_to_a_zip_is_answered() {
    let damage = proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6);
    let cut = any::<prop::sample::Index>();
    fuzz(200, (damage, cut), |azkaban, (damage, cut)| {
        let mut zip = jobs(&[("f", "dependencies=g"), ("g", "")]);
        for (at, byte) in damage {
            let at = at.index(zip.len());
            zip[at] = *byte;
        }
        if damage.len() % 2 == 1 {
            zip.truncate(cut.index(zip.len()));
        }
        upload(azkaban, &project(azkaban), &zip)
    });
}
