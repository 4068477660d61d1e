//! What a failed or doubtful upload points to: the words of Azkaban sorted by cause (pure).

use std::time::Duration;

use super::error::ErrorClass;

/// What an `Installation Failed.` text points to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum InstallCause {
    /// A file of the zip cannot be loaded (bad escape, bad number, bad project YAML). Nothing was stored.
    Loading,
    /// One flow or flow file could not be stored: a name too long or twice in another case, or a database error. If no name
    /// rule is broken, repeat twice before isolating.
    Storing,
    /// Disk, database or temporary files.
    Infrastructure,
    /// Azkaban cannot unpack the zip: a mistake of ours, or its disk is full. Repeat once with a zip made from scratch.
    Unzip,
    /// Words we do not know.
    Unrecognised,
}

impl InstallCause {
    /// Sorts the text that follows `Installation Failed.<br>`.
    #[must_use]
    pub fn of(text: &str) -> Self {
        const LOADING: [&str; 8] = [
            // SnakeYAML's mark in every syntax error; only the project file's comes here
            "in 'reader', line",
            "Malformed ",
            "For input string",
            "azkaban-flow-version",
            "Duplicate project YAML",
            "project YAML",
            "length exceeds",
            "Error reading flow",
        ];
        const STORING: [&str; 3] = [
            "Error inserting flow",
            "Error uploading flow file",
            "Error inserting properties",
        ];
        const INFRASTRUCTURE: [&str; 10] = [
            "Error initializing project id",
            "upload project files failed",
            "Error Chunking",
            "Error chunking",
            "clean older project transaction failed",
            "addProjectVersion failed",
            "(No such file or directory)",
            "No space left",
            "Too many open files",
            "Error marking project",
        ];
        let any = |words: &[&str]| words.iter().any(|word| text.contains(word));
        // infrastructure first: a full disk may carry the name of the file it met
        if any(&INFRASTRUCTURE) {
            Self::Infrastructure
        } else if text.contains("Flow file length exceeds") || any(&STORING) {
            Self::Storing
        } else if any(&LOADING) {
            Self::Loading
        } else if text.contains("Error unzipping file") {
            Self::Unzip
        } else {
            Self::Unrecognised
        }
    }

    /// The class of an error with this cause.
    #[must_use]
    pub fn class(self) -> ErrorClass {
        match self {
            Self::Loading | Self::Storing => ErrorClass::Content,
            Self::Infrastructure => ErrorClass::Transient,
            Self::Unzip => ErrorClass::Permanent,
            // a 500 with JSON may have come from any step, the last one included
            Self::Unrecognised => ErrorClass::Unknown,
        }
    }

    /// A short stable word, used as a metric label.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Loading => "install_loading",
            Self::Storing => "install_storing",
            Self::Infrastructure => "install_infrastructure",
            Self::Unzip => "install_unzip",
            Self::Unrecognised => "install_unrecognised",
        }
    }

    /// Whether Azkaban had begun to store the upload when it failed.
    #[must_use]
    pub fn may_have_installed(self) -> bool {
        !matches!(self, Self::Loading | Self::Unzip)
    }
}

/// What was seen in place of an upload's answer after its whole body had left.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    /// No answer in time.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// The connection ended without an answer.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// An error page in place of Azkaban's JSON.
    #[error("status {status}: {title}")]
    Page {
        /// The HTTP status, 500 or 502-504 and the like.
        status: u16,
        /// The title of the page.
        title: String,
    },
    /// An answer that is neither success nor failure.
    #[error("an answer that cannot be read: {0}")]
    Unreadable(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_known_text_has_its_cause() {
        let rows = [
            ("Malformed \\uxxxx encoding.", InstallCause::Loading),
            ("For input string: \"zz\"", InstallCause::Loading),
            (
                "azkaban-flow-version is not specified in the project YAML file.",
                InstallCause::Loading,
            ),
            (
                "Invalid azkaban-flow-version in the project YAML file.",
                InstallCause::Loading,
            ),
            (
                "Duplicate project YAML files found in the project directory. Only one is allowed.",
                InstallCause::Loading,
            ),
            (
                "while parsing a flow node\n in 'reader', line 2, column 1:\n    \n    ^\n",
                InstallCause::Loading,
            ),
            ("Error inserting flow FA", InstallCause::Storing),
            (
                "Error uploading flow file x.flow, version 3.",
                InstallCause::Storing,
            ),
            ("Flow file length exceeds 10 MB limit.", InstallCause::Storing),
            ("Error unzipping file.", InstallCause::Unzip),
            (
                "Error initializing project id: 7 version: 9 ",
                InstallCause::Infrastructure,
            ),
            ("upload project files failed.", InstallCause::Infrastructure),
            (
                "Error Chunking during uploading files to db...",
                InstallCause::Infrastructure,
            ),
            (
                "clean older project transaction failed",
                InstallCause::Infrastructure,
            ),
            (
                "/tmp/x/a.zip (No such file or directory)",
                InstallCause::Infrastructure,
            ),
            ("No space left on device", InstallCause::Infrastructure),
            ("something new", InstallCause::Unrecognised),
        ];
        for (text, cause) in rows {
            assert_eq!(InstallCause::of(text), cause, "{text}");
        }
    }

    #[test]
    fn words_we_do_not_know_leave_the_outcome_open() {
        assert_eq!(InstallCause::of("?").class(), ErrorClass::Unknown);
        assert!(InstallCause::of("?").may_have_installed());
    }
}
