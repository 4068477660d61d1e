//! A password: where it is, and reading it.

use std::path::{Path, PathBuf};

use secrecy::SecretString;

use super::SettingsError;

/// Where a password is.
#[derive(Debug, Clone)]
pub(super) enum Password {
    /// Nobody said.
    Missing,
    /// Here.
    Given(SecretString),
    /// In the first line of this file.
    InFile(PathBuf),
}

impl Password {
    /// The password; a file is read now.
    pub(super) fn read(&self) -> Result<Option<SecretString>, SettingsError> {
        match self {
            Self::Missing => Ok(None),
            Self::Given(secret) => Ok(Some(secret.clone())),
            Self::InFile(path) => Ok(Some(first_line(path)?.into())),
        }
    }

    /// Where it is, without saying it.
    pub(super) fn for_people(&self) -> String {
        match self {
            Self::Missing => "not set".into(),
            Self::Given(_) => "***".into(),
            Self::InFile(path) => format!("*** (file {})", path.display()),
        }
    }
}

/// The first line of a file with a secret in it.
pub(super) fn first_line(path: &Path) -> Result<String, SettingsError> {
    let text = std::fs::read_to_string(path).map_err(|source| SettingsError::PasswordFile {
        path: path.to_owned(),
        source,
    })?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}
