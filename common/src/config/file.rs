//! The settings file: TOML, strict, with the place of every mistake.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::SettingsError;

/// A settings file as it is written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub amqp_url: Option<String>,
    pub amqp_password_file: Option<PathBuf>,
    pub amqp_ca_file: Option<PathBuf>,
    pub amqp_cert_file: Option<PathBuf>,
    pub amqp_key_file: Option<PathBuf>,
    pub azkaban_url: Option<String>,
    pub azkaban_ca_file: Option<PathBuf>,
    pub user: Option<String>,
    pub password_file: Option<PathBuf>,
    pub shards: Option<u16>,
    pub outcomes_age: Option<String>,
    pub outcomes_bytes: Option<String>,
    pub traces: Option<String>,
    pub target: Option<BTreeMap<String, Target>>,
}

/// What `[target.NAME]` may say; it goes before what stands above all targets.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Target {
    pub amqp_url: Option<String>,
    pub amqp_password_file: Option<PathBuf>,
    pub amqp_ca_file: Option<PathBuf>,
    pub amqp_cert_file: Option<PathBuf>,
    pub amqp_key_file: Option<PathBuf>,
    pub azkaban_url: Option<String>,
    pub azkaban_ca_file: Option<PathBuf>,
    pub user: Option<String>,
    pub password_file: Option<PathBuf>,
    pub shards: Option<u16>,
    pub outcomes_age: Option<String>,
    pub outcomes_bytes: Option<String>,
    pub traces: Option<String>,
    #[serde(default)]
    pub protected: bool,
}

impl File {
    /// Reads a file.
    pub(super) fn read(path: &Path) -> Result<Self, SettingsError> {
        let text = std::fs::read_to_string(path).map_err(|source| SettingsError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        // the library's own rendering quotes the line, and a line may hold a password
        toml::from_str(&text).map_err(|error| SettingsError::File {
            path: path.to_owned(),
            line: line_of(&text, error.span().map_or(0, |span| span.start)),
            reason: error.message().trim().replace('\n', ", "),
        })
    }
}

fn line_of(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count()
}

/// Where a settings file is looked for when none is named; the first that is there counts.
pub(super) fn places() -> Vec<PathBuf> {
    let home = std::env::var_os("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".config")));
    let mut places = vec![PathBuf::from("flowlift.toml")];
    places.extend(home.map(|home| home.join("flowlift/config.toml")));
    places.push(PathBuf::from("/etc/flowlift/flowlift.toml"));
    places
}
