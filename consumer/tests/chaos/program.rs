//! Our programs as processes: started with a log of their own, signalled by their id, killed when dropped.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::process::{Child, Command};

use crate::patience::until;

/// A running program; killed when dropped.
pub(crate) struct Program {
    name: String,
    log: PathBuf,
    child: Child,
}

impl Program {
    /// Starts it; both outputs go to `log`.
    pub(crate) fn start(name: &str, command: &mut Command, log: &Path) -> Self {
        let file = std::fs::File::create(log).expect("a log can be written");
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a second handle"))
            .stderr(file)
            .kill_on_drop(true)
            .spawn()
            .expect("the program starts");
        Self {
            name: name.to_owned(),
            log: log.to_owned(),
            child,
        }
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits for a line with this text.
    pub(crate) async fn says(&mut self, text: &str) -> String {
        let what = format!("{} says {text:?}", self.name);
        until(&what, Duration::from_secs(120), async || {
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("{} ended with {status}: {}", self.name, last_lines(&self.log()));
            }
            self.log()
                .lines()
                .find(|line| line.contains(text))
                .map(str::to_owned)
        })
        .await
    }

    /// Sends a signal by its short name.
    pub(crate) fn signal(&self, signal: &str) {
        let Some(id) = self.child.id() else { return };
        let sent = std::process::Command::new("kill")
            .args(["-s", signal, &id.to_string()])
            .status();
        assert!(sent.expect("kill runs").success(), "{signal} to {}", self.name);
    }

    /// Whether it has ended by itself.
    pub(crate) fn ended_early(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let ended = tokio::time::timeout(Duration::from_secs(180), self.child.wait()).await;
        ended
            .unwrap_or_else(|_| panic!("{} does not end", self.name))
            .expect("a status")
    }
}

fn last_lines(log: &str) -> String {
    let lines: Vec<&str> = log.lines().rev().take(3).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
}
