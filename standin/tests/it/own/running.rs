//! Executions, as far as only the stand-in can be asked to show it: what is left behind, limits, the moment after the end.

use std::time::Duration;

use azkaban_standin::Options;

use crate::support::azkaban::Azkaban;
use crate::support::running::{patiently, statuses};
use crate::support::zips::{jobs, zip};

#[tokio::test]
async fn just_after_its_end_an_execution_still_counts_as_running() {
    let azkaban = Azkaban::standin(Options {
        afterglow: Duration::from_secs(3600),
        ..Options::default()
    })
    .await;
    let project = azkaban.project().await;
    project.install(&jobs(&[("f", "")])).await;
    let id = project.begin("f", &[]).await;
    patiently("it ends", async || {
        azkaban.about("cancelFlow", id, &[]).await.json()["error"]
            == format!("Execution {id} is not running.")
    })
    .await;
    assert_eq!(project.running("f").await, [id]);
    let again = project.execute("f", &[]).await.json();
    assert_eq!(
        again["error"],
        "Error submitting flow f. Flow f is already running. Skipping execution."
    );
    let reply = azkaban
        .about("fetchExecFlowLogs", id, &[("offset", "0"), ("length", "1")])
        .await;
    assert_eq!(
        (reply.status, reply.title()),
        (500, format!("Error 500 Running flow {id} not found."))
    );
}

#[tokio::test]
async fn more_than_thirty_one_executions_of_a_flow_are_refused() {
    let azkaban = Azkaban::standin(Options {
        afterglow: Duration::from_secs(3600),
        ..Options::default()
    })
    .await;
    let project = azkaban.project().await;
    project.install(&jobs(&[("f", "")])).await;
    let ignore = [("concurrentOption", "ignore")];
    for _ in 0..31 {
        project.begin("f", &ignore).await;
    }
    assert_eq!(
        project.execute("f", &ignore).await.json()["error"],
        "Error submitting flow f. Flow f has more than 30 concurrent runs. Skipping"
    );
    let stats = azkaban.own().stats();
    assert_eq!((stats.sizes.executions, stats.sizes.executions_running), (31, 31));
}

/// A number no other process has, to look for in the system's list.
fn mark() -> String {
    format!("1{:05}.{}", std::process::id() % 100_000, uuid_digits())
}

fn uuid_digits() -> u32 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.unwrap().subsec_nanos()
}

/// Processes whose command line has this word.
fn processes(word: &str) -> usize {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = all.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines
        .filter(|line| line.split(|byte| *byte == 0).any(|part| part == word.as_bytes()))
        .count()
}

#[tokio::test]
async fn children_of_a_job_do_not_outlive_it() {
    let azkaban = Azkaban::standin(Options::default()).await;
    let project = azkaban.project().await;
    let mark = mark();
    let job = format!("type=command\ncommand=sh -c \"sleep {mark} >/dev/null 2>&1 & echo begun\"\n");
    project.install(&zip(&[("f.job", &job)])).await;
    let (id, tree) = project.executed("f", &[]).await;
    assert_eq!(tree["status"], "SUCCEEDED");
    assert!(azkaban.log(id, Some("f")).await.contains("INFO - begun\n"));
    patiently("its child is gone", async || processes(&mark) == 0).await;
}

#[tokio::test]
async fn a_job_that_ignores_the_request_to_end_is_killed() {
    let azkaban = Azkaban::standin(Options::default()).await;
    let project = azkaban.project().await;
    let mark = mark();
    let job = format!(
        "type=command\ncommand=sh -c \"trap '' TERM; echo deaf; while sleep 0.2; do : {mark}; done\"\n"
    );
    project.install(&zip(&[("f.job", &job)])).await;
    let id = project.begin("f", &[]).await;
    patiently("it has begun", async || {
        azkaban.log(id, Some("f")).await.contains("INFO - deaf\n")
    })
    .await;
    azkaban.about("cancelFlow", id, &[]).await;
    assert_eq!(project.end_of("f", id).await["status"], "KILLED");
    let log = azkaban.log(id, Some("f")).await;
    assert!(
        log.contains("WARN - Kill with signal TERM failed. Killing with KILL signal.\n"),
        "{log}"
    );
    assert!(log.contains("Process exited with code 137"), "{log}");
}

#[tokio::test]
async fn a_restart_kills_what_runs_and_fails_it() {
    let azkaban = Azkaban::standin(Options::default()).await;
    let project = azkaban.project().await;
    let mark = mark();
    let job = format!("type=command\ncommand=sleep {mark}\n");
    project
        .install(&zip(&[
            ("f.job", &job),
            ("last.job", "type=noop\ndependencies=f\n"),
        ]))
        .await;
    let id = project.begin("last", &[]).await;
    patiently("its process runs", async || processes(&mark) == 1).await;
    azkaban.own().restart();
    patiently("its process is gone", async || processes(&mark) == 0).await;
    let session = crate::support::azkaban::login(azkaban.addr, "azkaban").await;
    let target = format!("/executor?session.id={session}&ajax=fetchexecflow&execid={id}");
    patiently("it has failed", async || {
        let tree = azkaban
            .send(crate::support::http::Request::get(target.clone()))
            .await
            .json();
        tree["status"] == "FAILED"
            && ["f FAILED", "last KILLING"]
                .iter()
                .all(|job| statuses(&tree).contains(&(*job).to_owned()))
    })
    .await;
}

#[tokio::test]
async fn old_executions_are_forgotten() {
    let azkaban = Azkaban::standin(Options {
        keep_executions: 2,
        afterglow: Duration::ZERO,
        ..Options::default()
    })
    .await;
    let project = azkaban.project().await;
    project.install(&jobs(&[("f", "")])).await;
    for _ in 0..4 {
        project.executed("f", &[]).await;
    }
    assert_eq!(azkaban.execution(1).await["error"], "Cannot find execution '1'");
    assert_eq!(azkaban.execution(4).await["status"], "SUCCEEDED");
}

#[tokio::test]
async fn flows_wait_for_a_free_thread() {
    let azkaban = Azkaban::standin(Options {
        flow_threads: 1,
        ..Options::default()
    })
    .await;
    let project = azkaban.project().await;
    project
        .install(&zip(&[
            ("a.job", "type=command\ncommand=sleep 0.5\n"),
            ("b.job", "type=noop\n"),
        ]))
        .await;
    let first = project.begin("a", &[]).await;
    project.until_job(first, "a", "RUNNING").await;
    let second = project.begin("b", &[]).await;
    assert_eq!(azkaban.execution(second).await["status"], "PREPARING");
    let (first, second) = (
        project.end_of("a", first).await,
        project.end_of("b", second).await,
    );
    assert!(first["endTime"].as_i64() <= second["startTime"].as_i64());
}
