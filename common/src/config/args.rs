//! The settings as flags and variables.

use std::path::PathBuf;

/// The settings as flags; all may be left out.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Settings")]
pub struct SettingsArgs {
    /// RabbitMQ (4.0 or newer): amqp(s)://user:password@host:port/vhost, of a cluster host,host,host [default: amqp://127.0.0.1:5672/%2f]
    #[arg(
        long,
        env = "FLOWLIFT_AMQP_URL",
        hide_env_values = true,
        value_name = "URL",
        global = true
    )]
    pub amqp_url: Option<String>,
    /// File whose first line is the password in RabbitMQ; or set FLOWLIFT_AMQP_PASSWORD
    #[arg(
        long,
        env = "FLOWLIFT_AMQP_PASSWORD_FILE",
        hide_env_values = true,
        value_name = "FILE",
        global = true
    )]
    pub amqp_password_file: Option<PathBuf>,
    /// Certificates (PEM) that count for amqps://, in place of those this machine knows
    #[arg(
        long,
        env = "FLOWLIFT_AMQP_CA_FILE",
        hide_env_values = true,
        value_name = "FILE",
        global = true
    )]
    pub amqp_ca_file: Option<PathBuf>,
    /// Client certificate (PEM) for amqps://
    #[arg(
        long,
        env = "FLOWLIFT_AMQP_CERT_FILE",
        hide_env_values = true,
        value_name = "FILE",
        global = true
    )]
    pub amqp_cert_file: Option<PathBuf>,
    /// Key of the client certificate (PEM)
    #[arg(
        long,
        env = "FLOWLIFT_AMQP_KEY_FILE",
        hide_env_values = true,
        value_name = "FILE",
        global = true
    )]
    pub amqp_key_file: Option<PathBuf>,
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
    /// Certificates (PEM) that count for https://, in place of those this machine knows
    #[arg(
        long,
        env = "FLOWLIFT_AZKABAN_CA_FILE",
        hide_env_values = true,
        value_name = "FILE",
        global = true
    )]
    pub azkaban_ca_file: Option<PathBuf>,
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
    /// How long RabbitMQ keeps outcomes, like 30D or 12h; counts when the vhost is set up [default: 30D]
    #[arg(
        long,
        env = "FLOWLIFT_OUTCOMES_AGE",
        hide_env_values = true,
        value_name = "AGE",
        global = true
    )]
    pub outcomes_age: Option<String>,
    /// How much of the outcomes RabbitMQ keeps, like 500MB or 10GB, at most [default: 10GB]
    #[arg(
        long,
        env = "FLOWLIFT_OUTCOMES_BYTES",
        hide_env_values = true,
        value_name = "SIZE",
        global = true
    )]
    pub outcomes_bytes: Option<String>,
    /// Send traces to the OpenTelemetry collector there, by OTLP over HTTP: http(s)://host:4318 [default: no traces]
    #[arg(
        long,
        env = "FLOWLIFT_TRACES",
        hide_env_values = true,
        value_name = "URL",
        global = true
    )]
    pub traces: Option<String>,
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
