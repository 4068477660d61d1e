//! Which layer a value comes from.

use std::fmt;
use std::path::{Path, PathBuf};

use super::file::{File, Target};
use super::{SettingsArgs, SettingsError};

/// Where a setting came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nothing was said.
    Default,
    /// The command line.
    Flag(&'static str),
    /// The environment.
    Environment(&'static str),
    /// A settings file.
    File {
        /// The file.
        path: PathBuf,
        /// The target in it, if it stands there.
        target: Option<String>,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Flag(name) => write!(f, "{name}"),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::File { path, target: None } => write!(f, "{}", path.display()),
            Self::File {
                path,
                target: Some(name),
            } => write!(f, "{} [target.{name}]", path.display()),
        }
    }
}

/// One setting in force, for people: secrets are masked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InForce {
    /// Its name, as in a settings file.
    pub name: &'static str,
    /// Its value, masked where it is secret.
    pub value: String,
    /// Where it came from.
    pub origin: Origin,
}

/// What is needed to say where a value came from.
pub(super) struct Layers<'a> {
    pub(super) environment: &'a dyn Fn(&str) -> Option<String>,
    pub(super) path: Option<PathBuf>,
    pub(super) target_name: Option<String>,
}

impl Layers<'_> {
    /// The value that counts. clap has merged flag and environment already; what equals the environment came from there.
    pub(super) fn pick<T: ToString>(
        &self,
        (flag, variable): (&'static str, &'static str),
        given: Option<T>,
        target: Option<T>,
        file: Option<T>,
    ) -> Option<(T, Origin)> {
        if let Some(value) = given {
            let same = (self.environment)(variable).is_some_and(|text| text == value.to_string());
            let origin = if same {
                Origin::Environment(variable)
            } else {
                Origin::Flag(flag)
            };
            return Some((value, origin));
        }
        let in_target = target.map(|value| (value, self.file(true)));
        in_target.or_else(|| file.map(|value| (value, self.file(false))))
    }

    fn file(&self, in_target: bool) -> Origin {
        Origin::File {
            path: self.path.clone().unwrap_or_default(),
            target: self.target_name.clone().filter(|_| in_target),
        }
    }
}

/// The target that was asked for.
pub(super) fn target(
    args: &SettingsArgs,
    file: &File,
    path: Option<&Path>,
    places: &[PathBuf],
) -> Result<Target, SettingsError> {
    let Some(name) = args.target.as_ref().filter(|name| !name.is_empty()) else {
        return Ok(Target::default());
    };
    if let Some(target) = file.target.as_ref().and_then(|targets| targets.get(name)) {
        return Ok(target.clone());
    }
    let join = |texts: Vec<String>| texts.join(", ");
    let known = match (path, &file.target) {
        (None, _) => {
            let looked = join(places.iter().map(|place| place.display().to_string()).collect());
            format!("no settings file was found ({looked})")
        }
        (Some(path), Some(targets)) if !targets.is_empty() => {
            format!(
                "{} has {}",
                path.display(),
                join(targets.keys().cloned().collect())
            )
        }
        (Some(path), _) => format!("{} has no targets", path.display()),
    };
    Err(SettingsError::Target {
        name: name.clone(),
        known,
    })
}
