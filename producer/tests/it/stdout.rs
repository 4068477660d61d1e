//! Standard output as programs and shells see it.

use std::process::{Command, Stdio};

use crate::patience::ended;
use crate::person::Person;

#[test]
fn who_reads_no_further_has_seen_enough() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_flowlift"))
        .args(["config", "--completions", "zsh"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = ended(child);
    assert_eq!(
        (output.status.code(), output.stderr.as_slice()),
        (Some(0), &b""[..])
    );
}

#[test]
fn completions_come_for_each_shell() {
    let person = Person::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let said = person.calls(&["config", "--completions", shell]);
        assert!(said.code == 0 && said.out.contains("publish"), "{shell}");
    }
}

#[test]
fn help_fits_a_terminal_and_says_no_more_than_is_true_here() {
    let person = Person::new();
    for command in [
        "publish",
        "delete",
        "wait",
        "runs",
        "show",
        "report",
        "verify",
        "list",
        "export",
        "config",
        "status",
        "cancel",
        "pause",
        "resume",
        "topology",
        "dead",
        "dead list",
        "dead show",
        "dead edit",
        "dead requeue",
        "dead purge",
    ] {
        let args: Vec<&str> = command.split(' ').chain(["--help"]).collect();
        let said = person.calls(&args);
        assert_eq!(said.code, 0);
        assert!(
            said.out.lines().all(|line| line.chars().count() <= 100),
            "{command}: {}",
            said.out
        );
        assert!(
            command == "topology" || said.out.contains("Examples:\n  flowlift "),
            "{command}"
        );
    }
}
