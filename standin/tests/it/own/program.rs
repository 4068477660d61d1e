//! The program: its command line, what it says, how it ends.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use crate::support::azkaban::login;
use crate::support::http::{Part, Request};
use crate::support::zips::jobs;

/// A running program that ends with the test.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_azkaban-standin"));
    command
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Starts it, and reads where it listens.
fn start(args: &[&str]) -> (Program, std::net::SocketAddr, String) {
    let mut program = Program(
        command(&[&["--listen", "127.0.0.1:0"], args].concat())
            .spawn()
            .unwrap(),
    );
    let mut line = String::new();
    BufReader::new(program.0.stderr.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let addr = line
        .split_once("http://")
        .and_then(|(_, rest)| rest.split(' ').next()?.parse().ok());
    (program, addr.unwrap_or_else(|| panic!("{line}")), line)
}

#[tokio::test]
async fn it_says_where_it_listens_and_ends_on_a_signal() {
    let (mut program, addr, line) = start(&[]);
    assert_eq!(
        line,
        format!("azkaban-standin listens on http://{addr} (users: azkaban)\n")
    );
    assert_eq!(Request::get("/status").send(addr).await.status, 200);
    let pid = program.0.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(program.0.wait().unwrap().code(), Some(0));
}

#[test]
fn a_probe_says_whether_a_stand_in_answers() {
    let (mut program, addr, _) = start(&[]);
    let probe = |listen: String| {
        let output = command(&["--probe", "--listen", &listen]).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(probe(addr.to_string()), (Some(0), String::new()));
    // as it stands in an image, where it listens everywhere
    assert_eq!(probe(format!("0.0.0.0:{}", addr.port())).0, Some(0));
    program.0.kill().unwrap();
    program.0.wait().unwrap();
    let (code, said) = probe(addr.to_string());
    assert_eq!(code, Some(1));
    assert!(
        said.starts_with(&format!("azkaban-standin: nobody answers at {addr}: ")),
        "{said}"
    );
}

#[tokio::test]
async fn users_come_from_files() {
    let mut password = tempfile::NamedTempFile::new().unwrap();
    writeln!(password, "ann").unwrap();
    let mut users = tempfile::NamedTempFile::new().unwrap();
    writeln!(users, "# more\nbob:bob").unwrap();
    let (_program, addr, line) = start(&[
        "--user",
        "ann",
        "--password-file",
        password.path().to_str().unwrap(),
        "--users-file",
        users.path().to_str().unwrap(),
    ]);
    assert!(line.ends_with("(users: ann, bob)\n"), "{line}");
    for user in ["ann", "bob"] {
        login(addr, user).await;
    }
}

#[test]
fn wrong_settings_end_it_with_64_and_a_sentence() {
    let output = command(&["--max-threads", "1"]).output().unwrap();
    assert_eq!(output.status.code(), Some(64));
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        text,
        "azkaban-standin: --max-threads must be at least 2: one thread accepts connections\n"
    );
}

#[test]
fn an_address_in_use_is_told() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let output = command(&["--listen", &addr]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        text.starts_with(&format!(
            "azkaban-standin: cannot listen on {addr}: Address already in use"
        )),
        "{text}"
    );
}

#[test]
fn it_says_that_it_runs_commands() {
    let mut program = Program(command(&["--listen", "127.0.0.1:0"]).spawn().unwrap());
    let mut lines = BufReader::new(program.0.stderr.take().unwrap()).lines();
    lines.next();
    assert_eq!(
        lines.next().unwrap().unwrap(),
        "NOTE: it runs the commands of flows on this machine, with your rights, for whoever can log in"
    );
}

#[test]
fn it_warns_when_other_machines_can_reach_it() {
    let mut program = Program(command(&["--listen", "0.0.0.0:0"]).spawn().unwrap());
    let mut lines = BufReader::new(program.0.stderr.take().unwrap()).lines().skip(2);
    let warning = lines.next().unwrap().unwrap();
    assert!(
        warning.starts_with("WARNING: other machines can reach it, log in and run commands here"),
        "{warning}"
    );
}

#[tokio::test]
async fn what_was_answered_outlives_a_kill_without_warning() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("azkaban.redb");
    let args = ["--data", data.to_str().unwrap()];
    let (mut program, addr, _) = start(&args);
    let session = login(addr, "azkaban").await;
    for number in 0..20 {
        let name = format!("project_{number}");
        let form = [
            ("session.id", session.as_str()),
            ("action", "create"),
            ("name", &name),
            ("description", "d"),
        ];
        assert_eq!(Request::form("/manager", &form).send(addr).await.status, 200);
        let zip = jobs(&[("f", ""), ("g", "")]);
        let fields = [
            Part::field("session.id", &session),
            Part::field("ajax", "upload"),
            Part::field("project", &name),
            Part::file("file", "a.zip", Some("application/zip"), &zip),
        ];
        let reply = Request::multipart("/manager", &fields).send(addr).await;
        assert_eq!(reply.status, 200, "{reply:?}");
    }
    program.0.kill().unwrap();
    program.0.wait().unwrap();

    let (_program, addr, _) = start(&args);
    let session = login(addr, "azkaban").await;
    for number in 0..20 {
        let target = format!("/manager?session.id={session}&ajax=fetchprojectflows&project=project_{number}");
        let json = Request::get(target).send(addr).await.json();
        assert_eq!(json["flows"].as_array().unwrap().len(), 2, "{json}");
    }
}

#[test]
fn data_files_that_cannot_be_used_are_told_with_a_code() {
    let folder = tempfile::tempdir().unwrap();
    let foreign = folder.path().join("notes.txt");
    std::fs::write(&foreign, "notes").unwrap();
    let run = |file: &std::path::Path| {
        let output = command(&["--listen", "127.0.0.1:0", "--data", file.to_str().unwrap()])
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, text) = run(&foreign);
    assert_eq!(code, Some(65));
    assert!(
        text.contains("notes.txt\" is no data file of azkaban-standin"),
        "{text}"
    );
    let (code, text) = run(&folder.path().join("none/at/all"));
    assert_eq!((code, text.lines().count()), (Some(74), 1), "{text}");
    let data = folder.path().join("azkaban.redb");
    let (_program, ..) = start(&["--data", data.to_str().unwrap()]);
    let (code, text) = run(&data);
    assert_eq!(code, Some(74));
    assert!(
        text.ends_with("azkaban.redb\" is in use by another program\n"),
        "{text}"
    );
}

#[tokio::test]
async fn faults_can_be_there_from_the_start() {
    let (_program, addr, _) = start(&["--faults", r#"{"fail_persist_after": 3, "html_500": 2}"#]);
    let faults = Request::get("/standin/faults").send(addr).await.json();
    assert_eq!(
        (
            &faults["fail_persist"],
            &faults["fail_persist_after"],
            &faults["html_500"]
        ),
        (&1.into(), &3.into(), &2.into())
    );
    let output = command(&["--listen", "127.0.0.1:0", "--faults", r#"{"nonsense": 1}"#])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(64));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        text.starts_with("azkaban-standin: --faults: unknown field `nonsense`"),
        "{text}"
    );
}
