//! Names that Azkaban accepts, checked when a value is made. Rules: 4.0.0 `ProjectManager.createProject` and the widths of
//! its tables; Azkaban compares both kinds of name ignoring case.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The longest project name, in characters (column `projects.name`).
pub const PROJECT_MAX: usize = 64;
/// The longest flow id in Flow 1.0, in characters (column `project_flows.flow_id`).
pub const FLOW_MAX_V1: usize = 128;
/// The longest flow id in Flow 2.0, in characters: its file name with `.flow` must fit 128.
pub const FLOW_MAX_V2: usize = 123;

/// Why a name is refused; the text is a full clause that fits after the name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing was given.
    #[error("{what} name is empty")]
    Empty {
        /// `project` or `flow`.
        what: &'static str,
    },
    /// More characters than the column holds.
    #[error("{what} name has {got} characters, at most {max} are allowed")]
    TooLong {
        /// `project` or `flow`.
        what: &'static str,
        /// Its length in characters.
        got: usize,
        /// The limit.
        max: usize,
    },
    /// A project name outside Azkaban's pattern.
    #[error("project name {name:?} must start with a letter, followed by letters, digits, '-' or '_'")]
    Project {
        /// The refused name.
        name: String,
    },
    /// A flow name with a character that cannot be in one.
    #[error("flow name {name:?} must not {rule}")]
    Flow {
        /// The refused name.
        name: String,
        /// What it must not do, for example `contain a comma`.
        rule: &'static str,
    },
}

/// A project's name: a letter, then letters, digits, `-`, `_` (Azkaban's pattern also lets `|` pass), at most 64.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProjectName(String);

impl ProjectName {
    /// Checks and takes a name.
    pub fn new(name: impl Into<String>) -> Result<Self, NameError> {
        let name = name.into();
        let Some(first) = name.chars().next() else {
            return Err(NameError::Empty { what: "project" });
        };
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '|');
        if !first.is_ascii_alphabetic() || !name.chars().all(allowed) {
            return Err(NameError::Project { name });
        }
        within("project", &name, PROJECT_MAX)?;
        Ok(Self(name))
    }

    /// The name as given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What Azkaban compares: the name in lower case. Shards and maps go by it.
    #[must_use]
    pub fn key(&self) -> String {
        fold(&self.0)
    }
}

/// A flow's id, also usable as a file name in a zip.
///
/// Refused: empty, `/` and `\`, control characters, a comma (Flow 1.0 splits dependencies there), `:` (Azkaban's path
/// delimiter), a leading dot (hidden files are skipped), blanks at the ends, more than 128 characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FlowName(String);

impl FlowName {
    /// Checks and takes a name.
    pub fn new(name: impl Into<String>) -> Result<Self, NameError> {
        let name = name.into();
        if name.is_empty() {
            return Err(NameError::Empty { what: "flow" });
        }
        let rule = if name.starts_with('.') {
            Some("start with a dot")
        } else if name.contains(['/', '\\']) {
            Some("contain a slash")
        } else if name.contains(',') {
            Some("contain a comma")
        } else if name.contains(':') {
            Some("contain a colon")
        } else if name.chars().any(char::is_control) {
            Some("contain a control character")
        } else if name.trim() != name {
            Some("start or end with a blank")
        } else {
            None
        };
        if let Some(rule) = rule {
            return Err(NameError::Flow { name, rule });
        }
        within("flow", &name, FLOW_MAX_V1)?;
        Ok(Self(name))
    }

    /// The name as given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What Azkaban compares: the name in lower case.
    #[must_use]
    pub fn key(&self) -> String {
        fold(&self.0)
    }
}

/// Folds case the way Azkaban's databases compare names.
#[must_use]
pub fn fold(name: &str) -> String {
    name.to_lowercase()
}

fn within(what: &'static str, name: &str, max: usize) -> Result<(), NameError> {
    match name.chars().count() {
        got if got > max => Err(NameError::TooLong { what, got, max }),
        _ => Ok(()),
    }
}

macro_rules! text {
    ($name:ident) => {
        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(name: String) -> Result<Self, NameError> {
                Self::new(name)
            }
        }
        impl std::str::FromStr for $name {
            type Err = NameError;
            fn from_str(name: &str) -> Result<Self, NameError> {
                Self::new(name)
            }
        }
        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}
text!(ProjectName);
text!(FlowName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn project_names_follow_azkabans_pattern() {
        for good in ["p", "Team-a_1", "a|b", &"x".repeat(64)] {
            assert!(ProjectName::new(good).is_ok(), "{good}");
        }
        for bad in ["", "1a", "-a", "a b", "ä", "a/b", &"x".repeat(65)] {
            assert!(ProjectName::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn flow_names_are_usable_as_file_names_and_dependencies() {
        for good in ["f", "a b", "ä", "a.b", "A(1)", &"x".repeat(128)] {
            assert!(FlowName::new(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            ".hidden",
            "a,b",
            "a/b",
            "a\\b",
            "a:b",
            "a\n",
            " a",
            "a ",
            &"x".repeat(129),
        ] {
            assert!(FlowName::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_are_compared_ignoring_case() {
        assert_eq!(ProjectName::new("Team").unwrap().key(), "team");
        assert_eq!(
            FlowName::new("FA").unwrap().key(),
            FlowName::new("fa").unwrap().key()
        );
    }
}
