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
mod password;

use std::path::PathBuf;

use secrecy::{ExposeSecret as _, SecretString};

use crate::amqp::address::{Additions, complete, holds_password};
use crate::amqp::tls::Files;
use crate::topology::{Retention, SHARDS};
use crate::trace;
pub use args::SettingsArgs;
pub use error::SettingsError;
use file::{File, Target};
use layers::Layers;
pub use layers::{InForce, Origin};
use password::Password;

/// Where RabbitMQ is looked for when nothing is said.
pub const DEFAULT_AMQP_URL: &str = "amqp://127.0.0.1:5672/%2f";
/// Where Azkaban is looked for when nothing is said.
pub const DEFAULT_AZKABAN_URL: &str = "http://127.0.0.1:8081";
/// The user a fresh Azkaban has.
pub const DEFAULT_AZKABAN_USER: &str = "azkaban";
/// The only way to hand over Azkaban's password apart from a file.
pub const PASSWORD_VARIABLE: &str = "FLOWLIFT_AZKABAN_PASSWORD";
/// The password for RabbitMQ, in place of the one in its address.
pub const AMQP_PASSWORD_VARIABLE: &str = "FLOWLIFT_AMQP_PASSWORD";

/// The settings in force.
#[derive(Debug, Clone)]
pub struct Settings {
    /// RabbitMQ, with user and password.
    pub amqp_url: SecretString,
    /// Azkaban, in the one spelling all programs compare: no slash at the end, host in lower case, no credentials.
    pub azkaban_url: String,
    /// Whether somebody said which Azkaban, or it is the default.
    pub azkaban_given: bool,
    /// The certificates that count for it, in place of those this machine knows.
    pub azkaban_ca_file: Option<PathBuf>,
    /// User in Azkaban.
    pub azkaban_user: String,
    /// K.
    pub shards: u16,
    /// How long and how much of the outcomes RabbitMQ keeps.
    pub retention: Retention,
    /// The collector that gets traces; none unless somebody said so.
    pub traces: Option<String>,
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

        let amqp = amqp(args, &layers, &target, &file)?;
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
        let in_file = layers.pick_path(
            ("--azkaban-password-file", "FLOWLIFT_AZKABAN_PASSWORD_FILE"),
            args.azkaban_password_file.as_ref(),
            target.password_file.as_ref(),
            file.password_file.as_ref(),
        );
        let (password, password_from) = layers.password(PASSWORD_VARIABLE, in_file, "azkaban-password");
        let ca_file = layers.pick_path(
            ("--azkaban-ca-file", "FLOWLIFT_AZKABAN_CA_FILE"),
            args.azkaban_ca_file.as_ref(),
            target.azkaban_ca_file.as_ref(),
            file.azkaban_ca_file.as_ref(),
        );

        let traces = layers.pick(
            ("--traces", "FLOWLIFT_TRACES"),
            args.traces.clone().filter(|text| !text.is_empty()),
            target.traces.clone(),
            file.traces.clone(),
        );
        let traces = traces
            .filter(|(url, _)| !url.is_empty())
            .map(|(url, origin)| Ok((check::traces(&url, &origin, trace::BUILT)?, origin)))
            .transpose()?;

        let mut in_force = amqp.rows;
        in_force.push(row("azkaban_url", azkaban_url.clone(), &azkaban_from));
        in_force.extend(
            ca_file
                .iter()
                .map(|(path, origin)| row("azkaban_ca_file", path.display().to_string(), origin)),
        );
        in_force.extend([
            row("user", azkaban_user.clone(), &user_from),
            row("password", password.for_people(), &password_from),
            row("shards", shards.to_string(), &shards_from),
            row("outcomes_age", retention.outcomes_age.clone(), &age_from),
            row(
                "outcomes_bytes",
                check::size(retention.outcomes_bytes),
                &bytes_from,
            ),
        ]);
        in_force.extend(
            traces
                .iter()
                .map(|(url, origin)| row("traces", url.clone(), origin)),
        );
        Ok(Self {
            amqp_url: amqp.complete.into(),
            azkaban_url,
            azkaban_given,
            azkaban_ca_file: ca_file.map(|(path, _)| path),
            azkaban_user,
            shards,
            retention,
            traces: traces.map(|(url, _)| url),
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
        self.password.read()?.ok_or(SettingsError::NoPassword)
    }

    /// RabbitMQ's address with its password, for connecting only.
    #[must_use]
    pub fn amqp_url(&self) -> &str {
        self.amqp_url.expose_secret()
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

/// RabbitMQ's address and what its own settings add to it.
struct Amqp {
    complete: String,
    rows: Vec<InForce>,
}

fn amqp(
    args: &SettingsArgs,
    layers: &Layers<'_>,
    target: &Target,
    file: &File,
) -> Result<Amqp, SettingsError> {
    let picked = layers.pick(
        ("--amqp-url", "FLOWLIFT_AMQP_URL"),
        args.amqp_url.clone().filter(|text| !text.is_empty()),
        target.amqp_url.clone(),
        file.amqp_url.clone(),
    );
    let (url, url_from) = match (picked, layers.credential("amqp-url")) {
        (Some(picked), _) => picked,
        (None, Some((path, origin))) => (password::first_line(&path)?, origin),
        (None, None) => (DEFAULT_AMQP_URL.into(), Origin::Default),
    };
    check::amqp_url(&url, &url_from)?;
    let mut rows = vec![row("amqp_url", address::mask(&url), &url_from)];

    let in_file = layers.pick_path(
        ("--amqp-password-file", "FLOWLIFT_AMQP_PASSWORD_FILE"),
        args.amqp_password_file.as_ref(),
        target.amqp_password_file.as_ref(),
        file.amqp_password_file.as_ref(),
    );
    let (password, password_from) = layers.password(AMQP_PASSWORD_VARIABLE, in_file, "amqp-password");
    // an address that was said nearer to the person brings its own password
    let own = holds_password(&url) && url_from.rank() > password_from.rank();
    let secret = if own { None } else { password.read()? };
    if secret.is_some() {
        rows.push(row("amqp_password", password.for_people(), &password_from));
    }

    let mut files = Files::default();
    for (place, name, names, given, in_target, in_file) in [
        (
            &mut files.ca,
            "amqp_ca_file",
            ("--amqp-ca-file", "FLOWLIFT_AMQP_CA_FILE"),
            &args.amqp_ca_file,
            &target.amqp_ca_file,
            &file.amqp_ca_file,
        ),
        (
            &mut files.cert,
            "amqp_cert_file",
            ("--amqp-cert-file", "FLOWLIFT_AMQP_CERT_FILE"),
            &args.amqp_cert_file,
            &target.amqp_cert_file,
            &file.amqp_cert_file,
        ),
        (
            &mut files.key,
            "amqp_key_file",
            ("--amqp-key-file", "FLOWLIFT_AMQP_KEY_FILE"),
            &args.amqp_key_file,
            &target.amqp_key_file,
            &file.amqp_key_file,
        ),
    ] {
        if let Some((path, origin)) =
            layers.pick_path(names, given.as_ref(), in_target.as_ref(), in_file.as_ref())
        {
            rows.push(row(name, path.display().to_string(), &origin));
            *place = Some(path);
        }
    }
    let additions = Additions {
        password: secret.as_ref().map(|secret| secret.expose_secret()),
        files,
    };
    Ok(Amqp {
        complete: complete(&url, &additions),
        rows,
    })
}

fn row(name: &'static str, value: String, origin: &Origin) -> InForce {
    InForce {
        name,
        value,
        origin: origin.clone(),
    }
}

#[cfg(test)]
mod tests;
