//! The program: its command line, what it says, how it ends.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use crate::support::azkaban::login;
use crate::support::http::Request;

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
