//! What a person can set, checked once into plain values before any connection is made.

use std::ffi::OsString;
use std::time::Duration;

use clap::Parser;
use flowlift_common::config::{Settings, SettingsArgs, SettingsError};
use flowlift_common::telemetry::Log;

use crate::http::Listen;
use crate::names::{self, NameError};

/// How long an upload may take to its end after a first signal, where nobody says otherwise: three times what Azkaban needs
/// for 10,000 flows in Flow 2.0.
const GRACE: Duration = Duration::from_secs(60);
/// Longer is a mistyped unit.
const LONGEST_GRACE: Duration = Duration::from_secs(24 * 3_600);
/// More connections than any Azkaban has threads.
const MOST_CONNECTIONS: u16 = 1_000;
/// More series than that are a burden for Prometheus.
const MOST_PROJECTS: usize = 1_000;
/// clap's own mistakes are usage mistakes too.
const USAGE: u8 = 64;

/// Takes queued changes of Azkaban flows from RabbitMQ and brings them up: all that wait for a project in one upload.
///
/// Start as many as you like, on as many machines as you like: RabbitMQ spreads the projects over them, and exactly one at a
/// time writes a project. A consumer waits for a RabbitMQ or an Azkaban that is not there yet.
#[derive(Debug, Clone, Parser)]
#[command(name = "flowlift-consumer", version, after_help = EXAMPLES, max_term_width = 100)]
pub struct Cli {
    /// The name this consumer's shards hang on; under the same name a restart gets the same shards back.
    /// Only one live consumer of a vhost can have it [default: the host name and the next free number, like rack-7-1]
    #[arg(long, env = "FLOWLIFT_NAME", hide_env_values = true, value_name = "NAME")]
    pub name: Option<String>,
    /// Where /metrics, /healthz and /readyz are answered [default: 127.0.0.1:9464, or the next free port up to 9499]
    #[arg(
        long,
        env = "FLOWLIFT_METRICS_LISTEN",
        hide_env_values = true,
        value_name = "HOST:PORT"
    )]
    pub metrics_listen: Option<String>,
    /// Count changes by project too, for the first N projects that come (all others together are "other"); every
    /// project is a series more in Prometheus, so at most 1000 [default: 0, no project is a label]
    #[arg(
        long,
        env = "FLOWLIFT_METRICS_PROJECTS",
        hide_env_values = true,
        value_name = "N"
    )]
    pub metrics_projects: Option<String>,
    /// How long begun uploads may take to finish after the first SIGTERM or Ctrl-C, like 60s or 2m; what is not finished
    /// then stays queued [default: 60s]
    #[arg(long, env = "FLOWLIFT_GRACE", hide_env_values = true, value_name = "TIME")]
    pub grace: Option<String>,
    /// How many connections to Azkaban all consumers of this vhost together open; said once, it is kept in RabbitMQ for
    /// all of them [default: what was said last, at first 8]
    #[arg(
        long,
        env = "FLOWLIFT_AZKABAN_CONNECTIONS",
        hide_env_values = true,
        value_name = "N"
    )]
    pub azkaban_connections: Option<String>,
    /// How logs are written: human or json; FLOWLIFT_LOG_LEVEL=debug shows more [default: human]
    #[arg(long, env = "FLOWLIFT_LOG", hide_env_values = true, value_name = "FORM")]
    pub log: Option<String>,
    /// Only ask the consumer that runs at --metrics-listen whether it is ready: ends with 0, or with 1 and the reason. For
    /// health checks
    #[arg(long)]
    pub probe: bool,
    /// The settings all programs share.
    #[command(flatten)]
    pub settings: SettingsArgs,
}

const EXAMPLES: &str = "\
Examples:
  flowlift-consumer
      RabbitMQ and Azkaban on this machine; the password comes from FLOWLIFT_AZKABAN_PASSWORD
  flowlift-consumer --name night-1 --log json --metrics-listen 0.0.0.0:9464
      a service with a fixed name, whose metrics other machines read
  flowlift-consumer --target test --azkaban-connections 4
      the servers under [target.test] of the settings file; all consumers together open 4 connections to that Azkaban
  flowlift-consumer --grace 5m
      lets large uploads finish when it is stopped
  flowlift-consumer --probe --metrics-listen 0.0.0.0:9464
      is the consumer ready that listens there?

It ends with 0 when all begun work was finished, with 75 when the grace time ended first; nothing is lost either way.";

impl Cli {
    /// Reads the command line and the environment.
    ///
    /// # Errors
    /// The exit code, after help or the mistake was printed: 0 for help and version, 64 for a mistake.
    pub fn read<I, T>(arguments: I) -> Result<Self, u8>
    where
        I: IntoIterator<Item = T>,
        T: Into<OsString> + Clone,
    {
        Self::try_parse_from(arguments).map_err(|error| {
            // with its terminal gone there is nobody to tell
            let _ = error.print();
            if error.use_stderr() { USAGE } else { 0 }
        })
    }

    /// Where the consumer that `--probe` asks listens.
    ///
    /// # Errors
    /// [`ConfigError`] for an address that cannot be used.
    pub fn probed(&self) -> Result<Listen, ConfigError> {
        let told = said(self.metrics_listen.clone()).map(listen).transpose()?;
        Ok(told.unwrap_or_default())
    }

    /// The form of logs; what cannot be read is told by [`Config::check`], in the human form.
    #[must_use]
    pub fn log(&self) -> Log {
        form(self.log.as_deref()).unwrap_or_default()
    }
}

/// Why the program cannot start as it is told to.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A value that cannot be used.
    #[error("{name} is {value:?}, expected {expected}")]
    Value {
        /// The flag.
        name: &'static str,
        /// What was said.
        value: String,
        /// What it should look like.
        expected: &'static str,
    },
    /// The name is unusable.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Something about the shared settings.
    #[error(transparent)]
    Settings(#[from] SettingsError),
}

impl ConfigError {
    /// The exit code that cli.md gives this.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Value { .. } => USAGE,
            Self::Name(error) => error.exit_code(),
            Self::Settings(_) => 78,
        }
    }
}

/// Everything that is set, usable as it is.
#[derive(Debug, Clone)]
pub struct Config {
    /// The name a person gave.
    pub name: Option<String>,
    /// This machine's name, from which a name is made otherwise.
    pub host: String,
    /// Where metrics and health are answered.
    pub metrics_listen: Listen,
    /// How many projects may be labels of a metric.
    pub metrics_projects: usize,
    /// How long begun uploads may take after the first signal.
    pub grace: Duration,
    /// Connections to Azkaban over all consumers; `None`: as recorded.
    pub azkaban_connections: Option<u16>,
    /// The settings all programs share.
    pub settings: Settings,
}

impl Config {
    /// Checks everything. An empty value counts as not said: environment files have many of them.
    ///
    /// # Errors
    /// [`ConfigError`] for the first one that cannot be used.
    pub fn check(cli: Cli) -> Result<Self, ConfigError> {
        let metrics_listen = cli.probed()?;
        let name = said(cli.name);
        name.as_deref().map(names::check).transpose()?;
        form(cli.log.as_deref())?;
        Ok(Self {
            name,
            host: host(),
            metrics_listen,
            metrics_projects: said(cli.metrics_projects)
                .map(projects)
                .transpose()?
                .unwrap_or_default(),
            grace: said(cli.grace).map(grace).transpose()?.unwrap_or(GRACE),
            azkaban_connections: said(cli.azkaban_connections).map(connections).transpose()?,
            settings: Settings::load(&cli.settings)?,
        })
    }
}

fn said(value: Option<String>) -> Option<String> {
    value.filter(|value| !value.trim().is_empty())
}

fn form(value: Option<&str>) -> Result<Log, ConfigError> {
    match value.map(str::trim) {
        None | Some("" | "human") => Ok(Log::Human),
        Some("json") => Ok(Log::Json),
        Some(value) => Err(wrong("--log", value.to_owned(), "human or json")),
    }
}

fn listen(value: String) -> Result<Listen, ConfigError> {
    let fits = value.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty() && !host.contains(char::is_whitespace) && port.parse::<u16>().is_ok()
    });
    if fits {
        Ok(Listen::At(value))
    } else {
        Err(wrong(
            "--metrics-listen",
            value,
            "host:port, like 127.0.0.1:9464 or [::]:9464",
        ))
    }
}

fn grace(value: String) -> Result<Duration, ConfigError> {
    let time = value
        .trim()
        .parse::<jiff::SignedDuration>()
        .ok()
        .and_then(|time| Duration::try_from(time).ok());
    match time {
        Some(time) if time <= LONGEST_GRACE => Ok(time),
        _ => Err(wrong("--grace", value, "a time from 0s to 24h, like 60s or 2m")),
    }
}

fn connections(value: String) -> Result<u16, ConfigError> {
    match value.trim().parse() {
        Ok(count) if (1..=MOST_CONNECTIONS).contains(&count) => Ok(count),
        _ => Err(wrong("--azkaban-connections", value, "a number from 1 to 1000")),
    }
}

fn projects(value: String) -> Result<usize, ConfigError> {
    match value.trim().parse() {
        Ok(count) if count <= MOST_PROJECTS => Ok(count),
        _ => Err(wrong("--metrics-projects", value, "a number from 0 to 1000")),
    }
}

fn wrong(name: &'static str, value: String, expected: &'static str) -> ConfigError {
    ConfigError::Value {
        name,
        value,
        expected,
    }
}

/// This machine's name; empty where the system does not tell it, and then a name is made without it.
fn host() -> String {
    let told = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let told = told.or_else(|| std::env::var("HOSTNAME").ok()).or_else(|| {
        let output = std::process::Command::new("hostname").output().ok()?;
        String::from_utf8(output.stdout).ok()
    });
    told.unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests;
