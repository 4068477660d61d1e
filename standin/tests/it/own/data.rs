//! The data file: what a restart loses, also one without warning.

use std::path::{Path, PathBuf};

use azkaban_standin::{DataError, Options, Standin, StartError, User};
use serde_json::json;

use crate::support::azkaban::{Azkaban, Project, login};
use crate::support::http::Request;
use crate::support::zips::{flows, jobs, v2, zip};

fn with(data: &Path) -> Options {
    Options {
        data: Some(data.to_owned()),
        users: vec![
            User::admin("azkaban", "azkaban"),
            User::plain("metrics", "metrics"),
        ],
        ..Options::default()
    }
}

fn file() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("azkaban.redb");
    (folder, path)
}

/// Answers that show all there is of a project.
async fn everything(azkaban: &Azkaban, name: &str, id: &str) -> Vec<String> {
    let mut all = Vec::new();
    let project = ("project", name);
    for call in [
        "getProjectId",
        "fetchprojectflows",
        "fetchProjectLogs",
        "getPermissions",
        "getGroupPermissions",
        "getProxyUsers",
    ] {
        all.push(azkaban.get("/manager", &[("ajax", call), project]).await.text());
    }
    for (call, flow) in [("fetchflowgraph", "g"), ("fetchFlowExecutions", "f")] {
        let fields = [
            ("ajax", call),
            project,
            ("flow", flow),
            ("start", "0"),
            ("length", "9"),
        ];
        all.push(azkaban.get("/manager", &fields).await.text());
    }
    all.push(
        azkaban
            .get(
                "/manager",
                &[("ajax", "isFlowLocked"), project, ("flowName", "g")],
            )
            .await
            .text(),
    );
    all.push(
        azkaban
            .get("/index", &[("ajax", "fetchallprojects")])
            .await
            .text(),
    );
    let job = [project, ("flowName", "g"), ("jobName", "g")];
    let fields = [&[("ajax", "fetchJobInfo")], &job[..]].concat();
    all.push(azkaban.get("/manager", &fields).await.text());
    all.push(
        azkaban
            .get("/schedule", &[("ajax", "fetchSchedules")])
            .await
            .text(),
    );
    let mut schedule = azkaban
        .get(
            "/schedule",
            &[("ajax", "fetchSchedule"), ("projectId", id), ("flowId", "f")],
        )
        .await
        .json();
    schedule["schedule"]["nextExecTime"].take();
    all.push(schedule.to_string());
    for version in ["1", "2"] {
        let reply = azkaban
            .get("/manager", &[project, ("download", "true"), ("version", version)])
            .await;
        all.push(format!(
            "{} {:?} {}",
            reply.status,
            reply.header("version"),
            reply.body.len()
        ));
    }
    all.push(azkaban.about("fetchexecflow", 1, &[]).await.text());
    all.push(azkaban.log(1, Some("f")).await);
    all.push(azkaban.log(1, None).await);
    all
}

async fn fill(azkaban: &Azkaban) -> (String, String) {
    let project = azkaban.project().await;
    project
        .install(&zip(&[
            ("f.job", "type=command\ncommand=echo kept\n"),
            ("g.job", "type=noop\n"),
        ]))
        .await;
    project
        .install(&zip(&[
            ("f.job", "type=command\ncommand=echo kept\nx=ä\n"),
            ("g.job", "type=noop\n"),
        ]))
        .await;
    let schedule = [
        ("ajax", "scheduleCronFlow"),
        ("projectName", project.name.as_str()),
        ("flow", "f"),
        ("cronExpression", "0 0 3 ? * *"),
        ("disabled", "[\"f\"]"),
    ];
    azkaban.post("/schedule", &schedule).await;
    let once = [
        ("ajax", "scheduleFlow"),
        ("projectName", project.name.as_str()),
        ("projectId", project.id.as_str()),
        ("flow", "g"),
        ("scheduleTime", "12,00,pm,UTC"),
        ("scheduleDate", "07/22/2048"),
    ];
    azkaban.post("/schedule", &once).await;
    project
        .ajax("setFlowLock", &[("flowName", "g"), ("isLocked", "true")])
        .await;
    let set = [
        ("flowName", "g"),
        ("jobName", "g"),
        ("jobOverride[type]", "command"),
    ];
    project.ajax("setJobOverrideProperty", &set).await;
    project.executed("f", &[]).await;
    let Project { name, id, .. } = project;
    (name, id)
}

#[tokio::test]
async fn a_restart_loses_nothing_but_sessions() {
    let (_folder, path) = file();
    let azkaban = Azkaban::standin(with(&path)).await;
    let (name, id) = fill(&azkaban).await;
    let before = everything(&azkaban, &name, &id).await;
    let session = azkaban.session.clone();
    azkaban.stop().await;

    let azkaban = Azkaban::standin(with(&path)).await;
    let lost = Request::get(format!("/index?ajax=fetchallprojects&session.id={session}"));
    assert_eq!(azkaban.send(lost).await.json()["error"], "session");
    assert_eq!(everything(&azkaban, &name, &id).await, before);
    // Numbers go on where they were.
    let other = azkaban.project().await;
    assert_eq!(other.id, (id.parse::<i32>().unwrap() + 1).to_string());
    other.install(&jobs(&[("f", "")])).await;
    assert_eq!(other.begin("f", &[]).await, 2);
}

#[tokio::test]
async fn what_was_removed_stays_removed() {
    let (_folder, path) = file();
    let azkaban = Azkaban::standin(with(&path)).await;
    let (name, id) = fill(&azkaban).await;
    azkaban
        .get("/manager", &[("project", &name), ("delete", "true")])
        .await;
    let kept = azkaban.project().await;
    for _ in 0..5 {
        kept.install(&v2(&[("h", "nodes:\n- name: a\n  type: noop\n")]))
            .await;
    }
    let (name, kept) = (name, kept.name.clone());
    azkaban.stop().await;

    let azkaban = Azkaban::standin(with(&path)).await;
    let projects = azkaban
        .get("/index", &[("ajax", "fetchallprojects")])
        .await
        .json();
    let names: Vec<_> = projects["projects"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["projectName"])
        .collect();
    assert_eq!(names, [&json!(kept)]);
    let schedules = azkaban.get("/schedule", &[("ajax", "fetchSchedules")]).await;
    assert_eq!(schedules.text(), "{ }");
    let versions = async |version: &str| {
        let fields = [
            ("project", kept.as_str()),
            ("download", "true"),
            ("version", version),
        ];
        azkaban.get("/manager", &fields).await.status
    };
    assert_eq!(
        (versions("1").await, versions("2").await, versions("5").await),
        (500, 200, 200)
    );
    let again = [
        ("action", "create"),
        ("name", name.as_str()),
        ("description", "d"),
    ];
    assert_eq!(
        azkaban.post("/manager", &again).await.json()["status"],
        "success",
        "the name of {id} is free"
    );
}

#[tokio::test]
async fn a_burnt_version_and_its_zip_are_kept() {
    let (_folder, path) = file();
    let azkaban = Azkaban::standin(with(&path)).await;
    let project = azkaban.project().await;
    project.install(&jobs(&[("f", "")])).await;
    assert_eq!(project.upload(&jobs(&[("fa", ""), ("FA", "")])).await.status, 500);
    let name = project.name.clone();
    azkaban.stop().await;

    let azkaban = Azkaban::standin(with(&path)).await;
    let reply = azkaban
        .get("/manager", &[("project", &name), ("download", "true")])
        .await;
    assert_eq!(reply.header("version"), Some("2"), "the zip of the failed upload");
    let listed = azkaban
        .get("/manager", &[("ajax", "fetchprojectflows"), ("project", &name)])
        .await
        .json();
    assert_eq!(listed["flows"], json!([{"flowId": "f"}]));
}

#[tokio::test]
async fn an_upload_writes_only_what_it_brings() {
    let (_folder, path) = file();
    let azkaban = Azkaban::standin(with(&path)).await;
    let big = azkaban.project().await;
    // Something that cannot be packed much smaller.
    let mut seed = 1_u32;
    let padding: String = std::iter::repeat_with(|| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b'0' + u8::try_from(seed >> 26).unwrap())
    })
    .take(600_000)
    .collect();
    for _ in 0..4 {
        big.install(&zip(&[("f.job", "type=noop\n"), ("data.txt", &padding)]))
            .await;
    }
    let written = || std::fs::read_to_string("/proc/self/io").unwrap();
    let bytes = |text: String| {
        let line = text
            .lines()
            .find(|line| line.starts_with("write_bytes"))
            .unwrap()
            .to_owned();
        line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()
    };
    let size = std::fs::metadata(&path).unwrap().len();
    let small = azkaban.project().await;
    let before = bytes(written());
    for _ in 0..5 {
        small.install(&flows(3)).await;
    }
    let cost = bytes(written()) - before;
    // Other tests of this process write as well; all of the file, five times, would be more than that.
    assert!(
        size > 1_000_000 && cost < 5 * size,
        "{cost} bytes for five small uploads, the file has {size}"
    );
}

#[tokio::test]
async fn a_file_in_use_and_a_foreign_file_are_refused() {
    let (folder, path) = file();
    let azkaban = Azkaban::standin(with(&path)).await;
    let error = Standin::start(with(&path)).await.unwrap_err();
    assert!(matches!(error, StartError::Data(DataError::InUse(_))), "{error}");
    assert!(
        error
            .to_string()
            .ends_with("azkaban.redb\" is in use by another program"),
        "{error}"
    );
    azkaban.stop().await;
    let foreign = folder.path().join("notes.txt");
    std::fs::write(
        &foreign,
        "no database at all, but long enough to be looked at twice",
    )
    .unwrap();
    let error = Standin::start(with(&foreign)).await.unwrap_err();
    assert!(
        matches!(error, StartError::Data(DataError::Foreign(..))),
        "{error}"
    );
    let nowhere = folder.path().join("no/such/folder/x");
    let error = Standin::start(with(&nowhere)).await.unwrap_err();
    assert!(matches!(error, StartError::Data(DataError::Io(..))), "{error}");
    let text = std::fs::read_to_string(&foreign).unwrap();
    assert!(text.starts_with("no database"), "a foreign file is left alone");
}

#[tokio::test]
async fn an_execution_under_way_at_a_restart_has_failed() {
    let (_folder, path) = file();
    let azkaban = Azkaban::standin(with(&path)).await;
    let project = azkaban.project().await;
    project
        .install(&zip(&[
            ("f.job", "type=command\ncommand=sleep 100\ndependencies=a\n"),
            ("a.job", "type=noop\n"),
        ]))
        .await;
    let id = project.begin("f", &[]).await;
    project.until_job(id, "f", "RUNNING").await;
    azkaban.stop().await;

    let azkaban = Azkaban::standin(with(&path)).await;
    let tree = azkaban.execution(id).await;
    assert_eq!(tree["status"], "FAILED");
    assert_eq!(
        crate::support::running::statuses(&tree),
        ["a SUCCEEDED", "f FAILED"]
    );
    assert!(azkaban.log(id, Some("a")).await.contains("with status SUCCEEDED"));
    let _ = login(azkaban.addr, "metrics").await;
}
