//! The settings all programs share, in layers: flag, environment, settings file (its target first), default.
//!
//! Everything is checked before any connection is made. Secrets come from the environment or a file, never from a flag,
//! and never appear in what this module prints.

mod address;
mod args;
mod check;
mod error;
mod file;
mod layers;

use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};

use crate::topology::{Retention, SHARDS};
pub use args::SettingsArgs;
pub use error::SettingsError;
use file::{File, Target};
use layers::Layers;
pub use layers::{InForce, Origin};

/// Where RabbitMQ is looked for when nothing is said.
pub const DEFAULT_AMQP_URL: &str = "amqp://127.0.0.1:5672/%2f";
/// Where Azkaban is looked for when nothing is said.
pub const DEFAULT_AZKABAN_URL: &str = "http://127.0.0.1:8081";
/// The user a fresh Azkaban has.
pub const DEFAULT_AZKABAN_USER: &str = "azkaban";
/// The only way to hand over Azkaban's password apart from a file.
pub const PASSWORD_VARIABLE: &str = "FLOWLIFT_AZKABAN_PASSWORD";

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
    /// How long and how much of the outcomes RabbitMQ keeps.
    pub retention: Retention,
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
        let target = layers::target(args, &file, path.as_deref(), places)?;
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
        check::amqp_url(&amqp_url, &amqp_from)?;

        let azkaban = layers.pick(
            ("--azkaban-url", "FLOWLIFT_AZKABAN_URL"),
            args.azkaban_url.clone().filter(|text| !text.is_empty()),
            target.azkaban_url.clone(),
            file.azkaban_url.clone(),
        );
        let azkaban_given = azkaban.is_some();
        let (azkaban, azkaban_from) = azkaban.unwrap_or((DEFAULT_AZKABAN_URL.into(), Origin::Default));
        let azkaban_url = check::azkaban_url(&azkaban, &azkaban_from)?;

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
        check::shards(shards, &shards_from)?;
        let age = layers.pick(
            ("--outcomes-age", "FLOWLIFT_OUTCOMES_AGE"),
            args.outcomes_age.clone().filter(|text| !text.is_empty()),
            target.outcomes_age.clone(),
            file.outcomes_age.clone(),
        );
        let bytes = layers.pick(
            ("--outcomes-bytes", "FLOWLIFT_OUTCOMES_BYTES"),
            args.outcomes_bytes.clone().filter(|text| !text.is_empty()),
            target.outcomes_bytes.clone(),
            file.outcomes_bytes.clone(),
        );
        let (retention, age_from, bytes_from) = retention(age, bytes)?;
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
            row("outcomes_age", retention.outcomes_age.clone(), &age_from),
            row(
                "outcomes_bytes",
                check::size(retention.outcomes_bytes),
                &bytes_from,
            ),
        ];
        Ok(Self {
            amqp_url: amqp_url.into(),
            azkaban_url,
            azkaban_given,
            azkaban_user,
            shards,
            retention,
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

/// How long outcomes are kept; what nobody says is as it stands in RabbitMQ.
fn retention(
    age: Option<(String, Origin)>,
    bytes: Option<(String, Origin)>,
) -> Result<(Retention, Origin, Origin), SettingsError> {
    let mut retention = Retention {
        told: age.is_some() || bytes.is_some(),
        ..Retention::default()
    };
    let mut from = (Origin::Default, Origin::Default);
    if let Some((text, origin)) = age {
        retention.outcomes_age = check::age(&text, &origin)?;
        from.0 = origin;
    }
    if let Some((text, origin)) = bytes {
        retention.outcomes_bytes = check::bytes(&text, &origin)?;
        from.1 = origin;
    }
    Ok((retention, from.0, from.1))
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
#[cfg(test)]
mod tests;
