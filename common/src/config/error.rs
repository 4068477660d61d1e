//! Why settings cannot be used, each with one sentence.

use std::path::PathBuf;

/// Why settings cannot be used (exit code 78).
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A settings file is missing or may not be read.
    #[error("settings file {} cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// A mistake in a settings file.
    #[error("{}:{line}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// A target that is not there.
    #[error("there is no target {name:?}: {known}")]
    Target {
        /// Its name.
        name: String,
        /// What there is instead.
        known: String,
    },
    /// A value that cannot be used.
    #[error("{name} from {origin} is {value:?}, expected {expected}: {reason}")]
    Value {
        /// The setting.
        name: &'static str,
        /// Where it came from.
        origin: String,
        /// The value without secrets.
        value: String,
        /// What it should look like.
        expected: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// Traces are wanted from a program that has none.
    #[error(
        "traces are set by {origin}, but this program was built without them: the released programs and the image have them, an own build needs `--features traces`"
    )]
    TracesNotBuilt {
        /// Where the setting came from.
        origin: String,
    },
    /// Traces are wanted, and the surroundings do not allow them.
    #[error("traces cannot be sent: {reason}")]
    Traces {
        /// Why.
        reason: String,
    },
    /// The password file is missing or may not be read.
    #[error("password file {} cannot be read: {source}", path.display())]
    PasswordFile {
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// Azkaban needs a password and none is set.
    #[error(
        "no password for Azkaban is set: set FLOWLIFT_AZKABAN_PASSWORD, or --azkaban-password-file, or password_file in the settings file"
    )]
    NoPassword,
}
