//! `flowlift dead edit` in a terminal, with an editor.

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use flowlift_common::Act;

use crate::dead::{letter, run};
use crate::patience::ended;
use crate::person::Person;
use crate::vhost::{SHARDS, Vhost};

/// Calls flowlift in a terminal (util-linux's `script` makes one); returns the exit code and all that is shown there.
fn in_a_terminal(vhost: &Vhost, person: &Person, editor: &str, args: &str, typed: &str) -> (i32, String) {
    let path = person.has("editor", format!("#!/bin/sh\n{editor}\n"));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let call = format!("{} {args}", env!("CARGO_BIN_EXE_flowlift"));
    let mut child = Command::new("script")
        .args(["--quiet", "--return", "--command", &call, "/dev/null"])
        .current_dir(person.path())
        .env_remove("VISUAL")
        .env("EDITOR", &path)
        .env("TMPDIR", person.path())
        .env("FLOWLIFT_AMQP_URL", &vhost.url)
        .env("FLOWLIFT_SHARDS", SHARDS.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("script (util-linux) makes a terminal");
    let mut keys = child.stdin.take().unwrap();
    std::io::Write::write_all(&mut keys, typed.as_bytes()).unwrap();
    let output = ended(child);
    drop(keys);
    let shown = String::from_utf8_lossy(&output.stdout).replace('\r', "");
    (output.status.code().unwrap_or(-1), shown)
}

#[tokio::test]
async fn what_an_editor_saves_is_queued_as_a_new_change() {
    let Some(vhost) = Vhost::new() else { return };
    vhost.buries(&[letter(run(), 5, [1])]).await;
    let person = vhost.somebody();
    let editor = "sed -i 's/\"delete\": true/\"command\": \"echo 2G\"/' \"$1\"";
    let (code, shown) = in_a_terminal(&vhost, &person, editor, "dead edit 0c6bfa0d.1", "");
    assert_eq!(code, 0, "{shown}");
    let message = vhost.messages("p", 1).await.remove(0);
    assert!(matches!(message.changes[0].act, Act::Upsert(_)) && message.owner == "team");
    assert!(shown.contains(&message.run.to_string()), "{shown}");
    assert!(vhost.ids().is_empty());
}

#[tokio::test]
async fn an_editor_that_changes_nothing_or_fails_queues_nothing() {
    let Some(vhost) = Vhost::new() else { return };
    vhost.buries(&[letter(run(), 5, [1])]).await;
    let person = vhost.somebody();
    for (editor, sentence) in [
        ("exit 0", "the change is as it was; nothing was queued\n"),
        (": >\"$1\"", "the change is as it was; nothing was queued\n"),
        ("exit 3", "ended with exit status: 3; nothing was queued\n"),
    ] {
        let (code, shown) = in_a_terminal(&vhost, &person, editor, "dead edit 0c6bfa0d.1", "");
        assert_eq!(code, 64, "{editor}: {shown}");
        assert!(shown.ends_with(sentence), "{editor}: {shown}");
    }
    assert_eq!(vhost.ids(), ["0c6bfa0d.1"]);
}

#[tokio::test]
async fn a_mistake_in_the_editor_is_told_and_the_text_is_kept_for_later() {
    let Some(vhost) = Vhost::new() else { return };
    vhost.buries(&[letter(run(), 5, [1])]).await;
    let person = vhost.somebody();
    let editor = "sed -i 's/\"delete\": true/\"delete\": 7/' \"$1\"";
    let (code, shown) = in_a_terminal(&vhost, &person, editor, "dead edit 0c6bfa0d.1", "n\n");
    assert_eq!(code, 65, "{shown}");
    assert!(shown.contains("Edit it again? [y/N]"), "{shown}");
    let (_, rest) = shown.split_once("your text is kept: `").expect(&shown);
    let (again, _) = rest.split_once('`').unwrap();
    let (_, kept) = again.rsplit_once(' ').unwrap();
    assert!(std::fs::read_to_string(kept).unwrap().contains("\"delete\": 7"));
    assert_eq!(vhost.ids(), ["0c6bfa0d.1"]);
}
