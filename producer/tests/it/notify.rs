//! `wait --notify` and `publish --wait --notify` on a real RabbitMQ.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use flowlift_common::ledger::Outcome;

use crate::person::Person;
use crate::publish::{run_of, words};
use crate::vhost::{SHARDS, Vhost};

/// Writes down what the command is told, but for what it inherits.
const WRITE: &str = "env | grep '^FLOWLIFT_' | sort >told";

fn told(person: &Person) -> String {
    std::fs::read_to_string(person.path().join("told")).unwrap()
}

#[tokio::test]
async fn a_command_is_told_what_became_of_the_run_and_no_password() {
    let Some(vhost) = Vhost::new() else { return };
    let person = vhost.person().with("FLOWLIFT_AZKABAN_PASSWORD", "s3cret");
    let run = run_of(&person.calls(&words("publish --project p --flows 3")));
    vhost.settle(run, Outcome::Applied, (1, 2), None).await;
    vhost.settle(run, Outcome::Unchanged, (3, 3), None).await;
    let said = person.calls(&[
        "wait",
        &run.to_string(),
        "--notify",
        &format!("{WRITE}; echo heard"),
    ]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(
        !said.out.contains("heard") && said.err.contains("heard\n"),
        "standard output is for results"
    );
    let told = told(&person);
    for line in [
        "FLOWLIFT_APPLIED=2",
        "FLOWLIFT_CHANGES=3",
        "FLOWLIFT_DEAD=0",
        &format!("FLOWLIFT_RUN={run}"),
        "FLOWLIFT_STATE=done",
        "FLOWLIFT_UNCHANGED=1",
    ] {
        assert!(told.lines().any(|known| known == line), "{line} in {told}");
    }
    assert!(
        told.contains("FLOWLIFT_SUMMARY=3 changes: 2 applied, 1 unchanged; 0 uploads, "),
        "{told}"
    );
    assert!(!told.contains("s3cret") && !told.contains("AMQP_URL"), "{told}");
}

#[tokio::test]
async fn a_command_that_fails_is_told_and_changes_no_exit_code() {
    let Some(vhost) = Vhost::new() else { return };
    let person = vhost.person();
    let run = run_of(&person.calls(&words("publish --project p --flows 3")));
    vhost.settle(run, Outcome::Dead, (1, 3), Some("because")).await;
    let said = person.calls(&["wait", &run.to_string(), "--notify", &format!("{WRITE}; exit 7")]);
    assert_eq!(said.code, 1);
    assert!(
        said.err.contains("--notify: the command failed (exit status: 7)"),
        "{}",
        said.err
    );
    assert!(told(&person).contains("FLOWLIFT_STATE=dead\n"));
    let said = person.calls(&[
        "wait",
        &run.to_string(),
        "--threshold",
        "dead=0",
        "--notify",
        WRITE,
    ]);
    assert_eq!(said.code, 1);
    assert!(told(&person).contains("FLOWLIFT_STATE=failed-threshold\n"));
}

#[tokio::test]
async fn publishing_that_is_waited_for_tells_a_command_that_time_is_over() {
    let Some(vhost) = Vhost::new() else { return };
    let person = vhost.person();
    let said = person.calls(&[
        "publish",
        "--project",
        "p",
        "--flows",
        "3",
        "--wait",
        "--timeout",
        "1s",
        "--notify",
        WRITE,
    ]);
    assert_eq!(said.code, 75, "{}", said.err);
    let told = told(&person);
    assert!(
        told.contains("FLOWLIFT_STATE=timed-out\n") && told.contains("FLOWLIFT_CHANGES=3\n"),
        "{told}"
    );
    assert!(
        told.contains("FLOWLIFT_SUMMARY=0 of 3 changes are settled after 1."),
        "{told}"
    );
}

#[tokio::test]
async fn a_signal_is_told_as_interrupted() {
    let Some(vhost) = Vhost::new() else { return };
    let person = vhost.person();
    let run = run_of(&person.calls(&words("publish --project p --flows 3")));
    let mut child = Command::new(env!("CARGO_BIN_EXE_flowlift"))
        .args(["wait", &run.to_string(), "--notify", WRITE])
        .current_dir(person.path())
        .env("FLOWLIFT_AMQP_URL", &vhost.url)
        .env("FLOWLIFT_SHARDS", SHARDS.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (line, lines) = std::sync::mpsc::channel();
    let mut errors = BufReader::new(child.stderr.take().unwrap()).lines();
    std::thread::spawn(move || errors.try_for_each(|text| line.send(text.ok()?).ok()));
    let soon = Duration::from_secs(60);
    let waits = |lines: &std::sync::mpsc::Receiver<String>, part: &str| loop {
        match lines.recv_timeout(soon) {
            Ok(text) if text.contains(part) => return true,
            Ok(_) => {}
            Err(_) => return false,
        }
    };
    let began = waits(&lines, "nobody is consuming");
    let pid = child.id().to_string();
    let told_it = Command::new("kill")
        .args([if began { "-INT" } else { "-KILL" }, &pid])
        .status()
        .unwrap()
        .success();
    // its standard error ends with it
    let ended = waits(&lines, "interrupted: ");
    if !ended {
        child.kill().unwrap();
    }
    let code = child.wait().unwrap().code();
    assert_eq!((began, told_it, ended, code), (true, true, true, Some(130)));
    let told = told(&person);
    assert!(told.contains("FLOWLIFT_STATE=interrupted\n"), "{told}");
    assert!(
        told.contains("FLOWLIFT_SUMMARY=interrupted: 0 of 3 changes are settled"),
        "{told}"
    );
}
