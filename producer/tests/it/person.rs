//! Somebody at a prompt: a folder of their own, no settings but those given.

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;

use crate::patience::PATIENCE;

/// A folder to work in.
pub(crate) struct Person {
    folder: tempfile::TempDir,
    variables: Vec<(String, String)>,
}

/// How a command ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Said {
    /// The exit code.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Person {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            folder,
            variables: Vec::new(),
        }
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file, with the folders above it.
    pub(crate) fn has(&self, path: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// The command, with nothing of this machine's settings in it.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flowlift"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("FLOWLIFT_")) {
            command.env_remove(name);
        }
        command
            .current_dir(self.path())
            .env("HOME", self.path())
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("RUST_LOG");
        command
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .args(args);
        command
    }

    pub(crate) fn calls(&self, args: &[&str]) -> Said {
        self.calls_with(args, b"")
    }

    pub(crate) fn calls_with(&self, args: &[&str], input: &[u8]) -> Said {
        let mut command = self.command(args);
        let output = command.write_stdin(input).timeout(PATIENCE).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Said {
            code: output.status.code().unwrap_or(-1),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }

    /// Calls `flowlift publish` with arguments in one text, and expects a refusal in these words.
    #[track_caller]
    pub(crate) fn is_refused(&self, args: &str, code: i32, sentence: &str) {
        let args: Vec<&str> = args.split_whitespace().collect();
        let said = self.calls(&args);
        assert_eq!((said.code, said.err.trim_end()), (code, sentence), "{args:?}");
        assert_eq!(said.out, "", "a refusal leaves standard output empty");
    }
}
