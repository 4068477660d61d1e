//! The settings all programs share, in layers: flag, environment, settings file (its target first), default.
//!
//! Everything is checked before any connection is made. Secrets come from the environment or a file, never from a flag,
//! and never appear in what this module prints.

mod address;
mod file;

use std::fmt;
use std::path::{Path, PathBuf};

use lapin::uri::AMQPUri;
use secrecy::{ExposeSecret as _, SecretString};

use crate::topology::SHARDS;
use file::{File, Target};

/// Where RabbitMQ is looked for when nothing is said.
pub const DEFAULT_AMQP_URL: &str = "amqp://127.0.0.1:5672/%2f";
/// Where Azkaban is looked for when nothing is said.
pub const DEFAULT_AZKABAN_URL: &str = "http://127.0.0.1:8081";
/// The user a fresh Azkaban has.
pub const DEFAULT_AZKABAN_USER: &str = "azkaban";
/// The only way to hand over Azkaban's password apart from a file.
pub const PASSWORD_VARIABLE: &str = "FLOWLIFT_AZKABAN_PASSWORD";

/// The settings as flags; all may be left out.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Settings")]
pub struct SettingsArgs {
    /// RabbitMQ (4.0 or newer): amqp://user:password@host:port/vhost [default: amqp://127.0.0.1:5672/%2f]
    #[arg(
        long,
        env = "FLOWLIFT_AMQP_URL",
        hide_env_values = true,
        value_name = "URL",
        global = true
    )]
    pub amqp_url: Option<String>,
    /// Azkaban: http(s)://host:port[/path] [default: http://127.0.0.1:8081]
    #[arg(
        long,
        env = "FLOWLIFT_AZKABAN_URL",
        hide_env_values = true,
        value_name = "URL",
        global = true
    )]
    pub azkaban_url: Option<String>,
    /// User in Azkaban [default: azkaban]
    #[arg(
        long,
        env = "FLOWLIFT_AZKABAN_USER",
        hide_env_values = true,
        value_name = "NAME",
        global = true
    )]
    pub azkaban_user: Option<String>,
    /// File whose first line is the password in Azkaban; or set FLOWLIFT_AZKABAN_PASSWORD
    #[arg(
        long,
        env = "FLOWLIFT_AZKABAN_PASSWORD_FILE",
        hide_env_values = true,
        value_name = "FILE",
        global = true
    )]
    pub azkaban_password_file: Option<PathBuf>,
    /// Number of shards, the same for all programs of a vhost [default: 256]
    #[arg(
        long,
        env = "FLOWLIFT_SHARDS",
        hide_env_values = true,
        value_name = "N",
        global = true,
        value_parser = clap::value_parser!(u16).range(1..=1024)
    )]
    pub shards: Option<u16>,
    /// Use [target.NAME] of the settings file
    #[arg(
        long,
        env = "FLOWLIFT_TARGET",
        hide_env_values = true,
        value_name = "NAME",
        global = true
    )]
    pub target: Option<String>,
    /// Settings file [default: the first of ./flowlift.toml, ~/.config/flowlift/config.toml, /etc/flowlift/flowlift.toml]
    #[arg(
        long,
        env = "FLOWLIFT_CONFIG",
        hide_env_values = true,
        value_name = "FILE",
        global = true
    )]
    pub config: Option<PathBuf>,
}

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

#[derive(Debug, Clone)]
enum Password {
    Missing,
    Given(SecretString),
    InFile(PathBuf),
}

/// The settings in force.
#[derive(Debug, Clone)]
pub struct Settings {
    /// RabbitMQ, with user and password.
    pub amqp_url: SecretString,
    /// Azkaban, in the one spelling all programs compare: no slash at the end, host in lower case, no credentials.
    pub azkaban_url: String,
    /// Whether somebody said which Azkaban, or it is the default.
    pub azkaban_given: bool,
    /// User in Azkaban.
    pub azkaban_user: String,
    /// K.
    pub shards: u16,
    /// The target chosen.
    pub target: Option<String>,
    /// Whether the target is marked as protected.
    pub protected: bool,
    password: Password,
    in_force: Vec<InForce>,
}

impl Settings {
    /// Puts the layers together and checks them; a password file is read only when [`Settings::password`] is asked.
    pub fn load(args: &SettingsArgs) -> Result<Self, SettingsError> {
        Self::layered(args, &|name| std::env::var(name).ok(), &file::places())
    }

    fn layered(
        args: &SettingsArgs,
        environment: &dyn Fn(&str) -> Option<String>,
        places: &[PathBuf],
    ) -> Result<Self, SettingsError> {
        let path = match &args.config {
            Some(path) => Some(path.clone()),
            None => places.iter().find(|path| path.is_file()).cloned(),
        };
        let file = path.as_deref().map(File::read).transpose()?.unwrap_or_default();
        let target = target(args, &file, path.as_deref(), places)?;
        let layers = Layers {
            environment,
            path: path.clone(),
            target_name: args.target.clone().filter(|name| !name.is_empty()),
        };

        let amqp = layers.pick(
            ("--amqp-url", "FLOWLIFT_AMQP_URL"),
            args.amqp_url.clone().filter(|text| !text.is_empty()),
            target.amqp_url.clone(),
            file.amqp_url.clone(),
        );
        let (amqp_url, amqp_from) = amqp.unwrap_or((DEFAULT_AMQP_URL.into(), Origin::Default));
        check_amqp(&amqp_url, &amqp_from)?;

        let azkaban = layers.pick(
            ("--azkaban-url", "FLOWLIFT_AZKABAN_URL"),
            args.azkaban_url.clone().filter(|text| !text.is_empty()),
            target.azkaban_url.clone(),
            file.azkaban_url.clone(),
        );
        let azkaban_given = azkaban.is_some();
        let (azkaban, azkaban_from) = azkaban.unwrap_or((DEFAULT_AZKABAN_URL.into(), Origin::Default));
        let azkaban_url = check_azkaban(&azkaban, &azkaban_from)?;

        let (azkaban_user, user_from) = layers
            .pick(
                ("--azkaban-user", "FLOWLIFT_AZKABAN_USER"),
                args.azkaban_user.clone().filter(|text| !text.is_empty()),
                target.user.clone(),
                file.user.clone(),
            )
            .unwrap_or((DEFAULT_AZKABAN_USER.into(), Origin::Default));
        let (shards, shards_from) = layers
            .pick(
                ("--shards", "FLOWLIFT_SHARDS"),
                args.shards,
                target.shards,
                file.shards,
            )
            .unwrap_or((SHARDS, Origin::Default));
        check_shards(shards, &shards_from)?;
        let (password, password_from) = password(args, &layers, &target, &file);

        let row = |name, value: String, origin: &Origin| InForce {
            name,
            value,
            origin: origin.clone(),
        };
        let in_force = vec![
            row("amqp_url", address::mask(&amqp_url), &amqp_from),
            row("azkaban_url", azkaban_url.clone(), &azkaban_from),
            row("user", azkaban_user.clone(), &user_from),
            row("password", password.for_people(), &password_from),
            row("shards", shards.to_string(), &shards_from),
        ];
        Ok(Self {
            amqp_url: amqp_url.into(),
            azkaban_url,
            azkaban_given,
            azkaban_user,
            shards,
            target: layers.target_name,
            protected: target.protected,
            password,
            in_force,
        })
    }

    /// The settings in force and where each came from, secrets masked.
    #[must_use]
    pub fn origins(&self) -> &[InForce] {
        &self.in_force
    }

    /// The Azkaban a program that needs the broker alone compares with the topology record: only one it was told.
    #[must_use]
    pub fn told_azkaban(&self) -> Option<&str> {
        self.azkaban_given.then_some(self.azkaban_url.as_str())
    }

    /// The password for Azkaban; a password file is read now.
    pub fn password(&self) -> Result<SecretString, SettingsError> {
        match &self.password {
            Password::Missing => Err(SettingsError::NoPassword),
            Password::Given(secret) => Ok(secret.clone()),
            Password::InFile(path) => {
                let text = std::fs::read_to_string(path).map_err(|source| SettingsError::PasswordFile {
                    path: path.clone(),
                    source,
                })?;
                Ok(text.lines().next().unwrap_or_default().to_owned().into())
            }
        }
    }

    /// RabbitMQ's address with its password, for connecting only.
    #[must_use]
    pub fn amqp_url(&self) -> &str {
        self.amqp_url.expose_secret()
    }
}

impl Password {
    fn for_people(&self) -> String {
        match self {
            Self::Missing => "not set".into(),
            Self::Given(_) => "***".into(),
            Self::InFile(path) => format!("*** (file {})", path.display()),
        }
    }
}

/// What is needed to say where a value came from.
struct Layers<'a> {
    environment: &'a dyn Fn(&str) -> Option<String>,
    path: Option<PathBuf>,
    target_name: Option<String>,
}

impl Layers<'_> {
    /// The value that counts. clap has merged flag and environment already; what equals the environment came from there.
    fn pick<T: ToString>(
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

fn target(
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

/// A flag goes before the variable with the password, and that before everything that only names a file.
fn password(args: &SettingsArgs, layers: &Layers<'_>, target: &Target, file: &File) -> (Password, Origin) {
    let names = ("--azkaban-password-file", "FLOWLIFT_AZKABAN_PASSWORD_FILE");
    let shown = |path: &PathBuf| path.display().to_string();
    let given = args
        .azkaban_password_file
        .as_ref()
        .filter(|path| !path.as_os_str().is_empty());
    let picked = layers.pick(
        names,
        given.map(shown),
        target.password_file.as_ref().map(shown),
        file.password_file.as_ref().map(shown),
    );
    let secret = (layers.environment)(PASSWORD_VARIABLE).filter(|secret| !secret.is_empty());
    match (picked, secret) {
        (Some((path, origin @ Origin::Flag(_))), _) => (Password::InFile(path.into()), origin),
        (_, Some(secret)) => (
            Password::Given(secret.into()),
            Origin::Environment(PASSWORD_VARIABLE),
        ),
        (Some((path, origin)), None) => {
            let from_file = matches!(origin, Origin::File { .. });
            // a path in a settings file is meant from where that file lies
            let folder = layers
                .path
                .as_deref()
                .and_then(Path::parent)
                .filter(|_| from_file);
            let path = folder.map_or_else(|| PathBuf::from(&path), |folder| folder.join(&path));
            (Password::InFile(path), origin)
        }
        (None, None) => (Password::Missing, Origin::Default),
    }
}

fn check_amqp(url: &str, origin: &Origin) -> Result<(), SettingsError> {
    match url.parse::<AMQPUri>() {
        Ok(_) => Ok(()),
        Err(reason) => Err(SettingsError::Value {
            name: "amqp_url",
            origin: origin.to_string(),
            value: address::without_secret(url),
            expected: "amqp://user:password@host:port/vhost",
            reason,
        }),
    }
}

fn check_azkaban(url: &str, origin: &Origin) -> Result<String, SettingsError> {
    address::normalise(url).map_err(|reason| SettingsError::Value {
        name: "azkaban_url",
        origin: origin.to_string(),
        value: address::without_secret(url),
        expected: "http(s)://host:port[/path]",
        reason,
    })
}

fn check_shards(shards: u16, origin: &Origin) -> Result<(), SettingsError> {
    if (1..=1024).contains(&shards) {
        return Ok(());
    }
    Err(SettingsError::Value {
        name: "shards",
        origin: origin.to_string(),
        value: shards.to_string(),
        expected: "a number from 1 to 1024",
        reason: "it is out of range".into(),
    })
}

#[cfg(test)]
mod tests;
