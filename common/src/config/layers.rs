//! Which layer a value comes from.

use std::fmt;
use std::path::{Path, PathBuf};

use super::file::{File, Target};
use super::password::Password;
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
    /// A credential that systemd hands over, by its name.
    Credential(&'static str),
    /// A settings file.
    File {
        /// The file.
        path: PathBuf,
        /// The target in it, if it stands there.
        target: Option<String>,
    },
}

impl Origin {
    /// What goes before what: the higher one.
    pub(super) fn rank(&self) -> u8 {
        match self {
            Self::Default => 0,
            Self::Credential(_) => 1,
            Self::File { target: None, .. } => 2,
            Self::File { target: Some(_), .. } => 3,
            Self::Environment(_) => 4,
            Self::Flag(_) => 5,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Flag(name) => write!(f, "{name}"),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Credential(name) => write!(f, "systemd credential {name}"),
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

    /// The same for a path. One in a settings file is meant from where that file lies.
    pub(super) fn pick_path(
        &self,
        names: (&'static str, &'static str),
        given: Option<&PathBuf>,
        target: Option<&PathBuf>,
        file: Option<&PathBuf>,
    ) -> Option<(PathBuf, Origin)> {
        let shown = |path: &PathBuf| path.display().to_string();
        let given = given.filter(|path| !path.as_os_str().is_empty());
        let (path, origin) = self.pick(names, given.map(shown), target.map(shown), file.map(shown))?;
        let folder = self.path.as_deref().and_then(Path::parent);
        let path = match (&origin, folder) {
            (Origin::File { .. }, Some(folder)) => folder.join(path),
            _ => path.into(),
        };
        Some((path, origin))
    }

    /// The file of a credential that systemd hands over.
    pub(super) fn credential(&self, name: &'static str) -> Option<(PathBuf, Origin)> {
        let folder = (self.environment)("CREDENTIALS_DIRECTORY").filter(|folder| !folder.is_empty())?;
        let path = Path::new(&folder).join(name);
        path.is_file().then_some((path, Origin::Credential(name)))
    }

    /// A password. A flag goes before the variable with the password, and that before everything that only names a file.
    pub(super) fn password(
        &self,
        variable: &'static str,
        file: Option<(PathBuf, Origin)>,
        credential: &'static str,
    ) -> (Password, Origin) {
        let secret = (self.environment)(variable).filter(|secret| !secret.is_empty());
        match (file, secret) {
            (Some((path, origin @ Origin::Flag(_))), _) => (Password::InFile(path), origin),
            (_, Some(secret)) => (Password::Given(secret.into()), Origin::Environment(variable)),
            (Some((path, origin)), None) => (Password::InFile(path), origin),
            (None, None) => match self.credential(credential) {
                Some((path, origin)) => (Password::InFile(path), origin),
                None => (Password::Missing, Origin::Default),
            },
        }
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
