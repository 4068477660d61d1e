//! The commands: each takes its part of the command line and returns how it ended.

mod config;
mod dead;
mod delete;
mod demo;
mod doctor;
mod export;
mod list;
mod publish;
mod report;
mod runs;
mod show;
mod status;
mod steer;
mod topology;
mod verify;
mod wait;

use std::time::Duration;

use flowlift_azkaban::client::{Client, ClientConfig};
use flowlift_common::config::Settings;
use flowlift_common::shutdown::Shutdown;
use flowlift_common::trace::Traces;
use secrecy::SecretString;

use crate::cli::{Cli, Command, Common, MetricsArgs, Topology};
use crate::confirm;
use crate::exit::{Failure, printed};
use crate::metrics::{Sinks, Totals};
use crate::reporter::Reporter;

/// What every command gets.
pub struct Context {
    /// The settings in force.
    pub settings: Settings,
    /// Standard error.
    pub reporter: Reporter,
    /// Whether results are JSON.
    pub json: bool,
    /// What a run came to so far.
    pub totals: Totals,
    /// Where publishings are told of.
    pub traces: Traces,
}

/// How long a collector may take for the last traces.
const LAST_TRACES: Duration = Duration::from_secs(2);

impl Context {
    /// Of the flags every command knows.
    pub fn new(common: &Common, reporter: Reporter) -> Result<Self, Failure> {
        let settings = Settings::load(&common.settings)?;
        Ok(Self {
            traces: Traces::start(settings.traces.as_deref(), "flowlift")?,
            settings,
            reporter,
            json: common.json,
            totals: Totals::default(),
        })
    }

    /// A client for Azkaban; nothing is sent yet.
    pub fn azkaban(&self) -> Result<Client, Failure> {
        self.azkaban_with(self.settings.password()?)
    }

    /// The same with this password.
    pub fn azkaban_with(&self, password: SecretString) -> Result<Client, Failure> {
        let settings = &self.settings;
        Ok(Client::new(ClientConfig {
            ca_file: settings.azkaban_ca_file.clone(),
            ..ClientConfig::new(&settings.azkaban_url, &settings.azkaban_user, password)
        })?)
    }

    /// Signals are watched from here on: a first one no longer ends the program.
    pub fn watch_signals(&self) -> Result<Shutdown, Failure> {
        Shutdown::listen().map_err(|source| Failure::Io {
            path: "signals".into(),
            source,
        })
    }

    /// A result: for programs if asked, else for people.
    pub fn print(
        &self,
        json: impl FnOnce() -> serde_json::Value,
        people: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        let text = if self.json { json().to_string() } else { people() };
        printed(self.reporter.result(text.trim_end()))
    }
}

/// Runs a command.
pub async fn run(cli: Cli, reporter: Reporter) -> Result<(), Failure> {
    let context = Context::new(&cli.common, reporter)?;
    let ended = command(&context, cli).await;
    context.traces.flush(LAST_TRACES).await;
    ended
}

async fn command(context: &Context, cli: Cli) -> Result<(), Failure> {
    if cli.command.writes() {
        confirm::target(&context.settings, cli.common.confirm_target.as_deref())?;
    }
    match cli.command {
        Command::Publish(args) if args.dry_run => publish::run(context, &args).await,
        Command::Publish(args) => told(context, &args.metrics, publish::run(context, &args)).await,
        Command::Demo(args) => demo::run(context, &args).await,
        Command::Delete(args) => delete::run(context, &args).await,
        Command::Wait(args) => told(context, &args.metrics, wait::run(context, &args)).await,
        Command::Runs(args) => runs::run(context, &args).await,
        Command::Show(args) => show::run(context, &args).await,
        Command::Report(args) => report::run(context, &args).await,
        Command::Status(args) => status::run(context, &args).await,
        Command::Cancel(args) => steer::cancel(context, &args).await,
        Command::Pause(args) => steer::pause(context, &args).await,
        Command::Resume(args) => steer::resume(context, &args).await,
        Command::Verify(args) => verify::run(context, &args).await,
        Command::List(args) => list::run(context, &args).await,
        Command::Export(args) => export::run(context, &args).await,
        Command::Dead(command) => dead::run(context, &command).await,
        Command::Config(args) => config::run(context, &args),
        Command::Doctor(args) => doctor::run(context, &args).await,
        Command::Topology(Topology::Show) => topology::show(context).await,
    }
}

/// Runs a command and tells its totals where they are wanted. How the run ended counts, not whether somebody heard of it.
async fn told(
    context: &Context,
    args: &MetricsArgs,
    run: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    let sinks = Sinks::of(args)?;
    let ended = run.await;
    for trouble in sinks.tell(&context.totals, ended.is_ok()).await {
        context.reporter.warn(&trouble.to_string());
    }
    ended
}
