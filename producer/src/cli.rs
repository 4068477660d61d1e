//! The command line, as clap reads it.

pub mod dead;
pub mod runs;
pub mod setting;
pub mod steer;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use flowlift_azkaban::{FlowName, Format, ProjectName};
use flowlift_common::config::SettingsArgs;
use flowlift_common::order::RunId;
use flowlift_common::telemetry::Log;

use self::setting::{ConfigArgs, DemoArgs, DoctorArgs};
use crate::report::Thresholds;
use crate::source::generate::Shape;
use crate::when::When;

/// Brings Azkaban flows up in bulk: checks them, queues them in RabbitMQ, says what became of them.
#[derive(Debug, Parser)]
#[command(name = "flowlift", version, max_term_width = 110, after_help = EXAMPLES)]
pub struct Cli {
    /// The command.
    #[command(subcommand)]
    pub command: Command,
    /// What every command knows.
    #[command(flatten)]
    pub common: Common,
}

const EXAMPLES: &str = "\
Examples:
  flowlift publish --project night --flows 10000 --wait    ten thousand flows, followed to the end
  flowlift publish ./project --project night --wait        a project folder, .zip or .ndjson
  flowlift list night                                      what is there, whose, and when it runs

Exit codes:
   0 done                         69 RabbitMQ or Azkaban cannot be reached
   1 finished, but not all is as  70 a bug of flowlift
     it should be                 74 reading or writing a file failed
  64 command line                 75 time is over, the run goes on
  65 mistakes in the input        77 login or rights
  66 no such input                78 settings, or the RabbitMQ does not fit
                                 130 interrupted

`flowlift COMMAND --help` has examples for each command.";

/// What every command knows.
#[derive(Debug, Args)]
pub struct Common {
    /// Results as JSON on standard output, progress as JSON lines on standard error
    #[arg(long, global = true, help_heading = "Output")]
    pub json: bool,
    /// No progress and no remarks, only results and problems
    #[arg(long, short, global = true, help_heading = "Output")]
    pub quiet: bool,
    /// Form of log lines on standard error; FLOWLIFT_LOG_LEVEL=debug shows more of them [default: human]
    #[arg(
        long,
        global = true,
        value_enum,
        env = "FLOWLIFT_LOG",
        hide_env_values = true,
        value_name = "FORM",
        help_heading = "Output"
    )]
    pub log: Option<Log>,
    /// Agree to change a target that is protected, by its name; said anew each time
    #[arg(long, global = true, value_name = "NAME", help_heading = "Settings")]
    pub confirm_target: Option<String>,
    /// The settings all programs share.
    #[command(flatten)]
    pub settings: SettingsArgs,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check everything, queue it, print the run's id
    Publish(Box<PublishArgs>),
    /// Queue deletions of your owner's flows
    Delete(DeleteArgs),
    /// Follow a run until all its changes have their outcome
    Wait(WaitArgs),
    /// How the work is now: backlog, rate, consumers, what they have in hand
    Status(StatusArgs),
    /// Settle what has not begun of a run as cancelled
    Cancel(steer::CancelArgs),
    /// Begin nothing new, in a project or at all
    Pause(steer::HoldArgs),
    /// End a pause
    Resume(steer::HoldArgs),
    /// Past runs, the newest last
    Runs(runs::RunsArgs),
    /// What became of a project's, a flow's or a run's changes
    Show(runs::ShowArgs),
    /// The page of a run: outcomes, speed, latency, uploads, dead letters
    Report(runs::ReportArgs),
    /// Read Azkaban back and compare it with a source or a run
    Verify(Box<VerifyArgs>),
    /// Projects, or the flows of one with owner, run and schedule
    List(ListArgs),
    /// Write a project's current zip to a file
    Export(ExportArgs),
    /// What could not be applied, and why: look, correct, queue again, delete
    #[command(subcommand)]
    Dead(dead::Dead),
    /// The settings in force and where each came from, secrets masked
    Config(ConfigArgs),
    /// Look at everything a night's run needs, and say what to do about what is not right
    Doctor(DoctorArgs),
    /// What stands in RabbitMQ
    #[command(subcommand)]
    Topology(Topology),
    /// Bring up made-up flows in 31 projects, to see everything work
    Demo(DemoArgs),
}

impl Command {
    /// Whether it changes something in RabbitMQ or Azkaban, so that a protected target wants to be confirmed.
    #[must_use]
    pub fn writes(&self) -> bool {
        match self {
            Self::Publish(args) => !args.dry_run,
            Self::Verify(args) => args.repair,
            Self::Dead(command) => match command {
                dead::Dead::List(_) | dead::Dead::Show(_) => false,
                dead::Dead::Edit(_) | dead::Dead::Requeue(_) | dead::Dead::Purge(_) => true,
            },
            Self::Delete(_) | Self::Cancel(_) | Self::Pause(_) | Self::Resume(_) | Self::Demo(_) => true,
            // its trial is left away there
            Self::Doctor(_) => false,
            Self::Wait(_)
            | Self::Status(_)
            | Self::Runs(_)
            | Self::Show(_)
            | Self::Report(_)
            | Self::List(_)
            | Self::Export(_)
            | Self::Config(_)
            | Self::Topology(_) => false,
        }
    }
}

/// What of RabbitMQ is looked at.
#[derive(Debug, Subcommand)]
pub enum Topology {
    /// The record all programs of this vhost agree on, and how full the queues are
    #[command(after_help = "Examples:\n  flowlift topology show\n  flowlift topology show --json")]
    Show,
}

/// Where flows come from; shared by `publish` and `verify`.
#[derive(Debug, Args)]
pub struct SourceArgs {
    /// A project folder, a project .zip, flows as .ndjson, or - for NDJSON on standard input
    #[arg(value_name = "DIR|ZIP|FILE.ndjson|-", conflicts_with = "flows")]
    pub source: Option<PathBuf>,
    /// The project; with --flows it may hold {n%30} to spread flows over projects
    #[arg(long, short, value_name = "NAME")]
    pub project: Option<String>,
    /// Generate this many flows: flow_000001, flow_000002, ...
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub flows: Option<u64>,
    /// A template for generated flows: name=TEXT [default: flow_{n:06}] or command=TEXT [default: echo {n:06}]
    #[arg(long, value_name = "WHAT=TEXT", requires = "flows")]
    pub template: Vec<String>,
    /// Quartz schedule of each flow (6 or 7 fields), with {n%60} for generated ones; `none` removes it; left out: kept
    #[arg(long, value_name = "CRON")]
    pub cron: Option<String>,
    /// Jobs of each generated flow [default: 1; 3 for chain and fan-out]
    #[arg(long, value_name = "N", requires = "flows", value_parser = clap::value_parser!(u16).range(1..=500))]
    pub jobs: Option<u16>,
    /// How jobs of a generated flow depend on each other
    #[arg(long, value_enum, requires = "flows")]
    pub shape: Option<Shape>,
    /// Put the folder or zip below this folder of the project
    #[arg(long, value_name = "DIR")]
    pub into: Option<String>,
    /// Format of a project that is made, and the one flows are checked for
    #[arg(long, value_parser = format, default_value = "1.0", value_name = "1.0|2.0")]
    pub format: Format,
}

/// Where a run's totals go, for programs that end before anybody scrapes them; shared by `publish` and `wait`.
#[derive(Debug, Args)]
pub struct MetricsArgs {
    /// At the end write the run's totals to this file, for node_exporter's textfile collector (it reads *.prom)
    #[arg(
        long,
        value_name = "FILE",
        env = "FLOWLIFT_METRICS_TEXTFILE",
        hide_env_values = true,
        help_heading = "Metrics"
    )]
    pub metrics_textfile: Option<PathBuf>,
    /// At the end send them to this Pushgateway, as job flowlift; a longer path such as
    /// http://gateway:9091/metrics/job/flowlift/team/a is taken as it is
    #[arg(
        long,
        value_name = "URL",
        env = "FLOWLIFT_METRICS_PUSH",
        hide_env_values = true,
        help_heading = "Metrics"
    )]
    pub metrics_push: Option<String>,
}

/// `flowlift publish`.
#[derive(Debug, Args)]
#[command(after_help = PUBLISH_EXAMPLES)]
pub struct PublishArgs {
    /// Where flows come from.
    #[command(flatten)]
    pub source: SourceArgs,
    /// Kept with each flow: only the same owner changes or deletes it later
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    pub owner: String,
    /// Refuse flows that are there already and that nobody owns
    #[arg(long)]
    pub no_adopt: bool,
    /// Refuse a project that is missing, in place of making it (against mistyped names)
    #[arg(long)]
    pub no_create: bool,
    /// Delete all other flows of this owner in the project
    #[arg(long, conflicts_with = "stream")]
    pub prune: bool,
    /// Check everything and say what would be queued; needs no RabbitMQ
    #[arg(long, conflicts_with_all = ["wait", "stream"])]
    pub dry_run: bool,
    /// Endless standard input: line by line; bad lines are told by number and left out (exit 65 at the end)
    #[arg(long)]
    pub stream: bool,
    /// Follow the run until all its changes have their outcome
    #[arg(long)]
    pub wait: bool,
    /// With --wait: at most this long, for example 90s, 10m, 2h (then exit 75, the run goes on)
    #[arg(long, value_parser = duration, value_name = "TIME", requires = "wait")]
    pub timeout: Option<Duration>,
    /// With --wait: run this command at the end, see `flowlift wait --help`
    #[arg(long, value_name = "CMD", requires = "wait")]
    pub notify: Option<String>,
    /// With --wait: what must hold at the end, else the exit code is 1
    #[arg(long, value_name = "CONDITIONS", requires = "wait")]
    pub threshold: Option<Thresholds>,
    /// With --wait: end as soon as a threshold cannot hold any more, and cancel the run
    #[arg(long, requires = "threshold")]
    pub abort_on_fail: bool,
    /// When all should be settled: the next 07:00, or 2026-11-27 07:00, or RFC 3339
    #[arg(long, value_name = "TIME", value_parser = crate::when::deadline)]
    pub deadline: Option<When>,
    /// Where its totals go.
    #[command(flatten)]
    pub metrics: MetricsArgs,
}

const PUBLISH_EXAMPLES: &str = "\
Templates:
  {n:06} is the flow's number from 1 with at least 6 digits (without :06 as it is), {n%60} the
  remainder of a division, {n%60:02} both. Other braces, and those after a $, stay as they are.

NDJSON, one object a line:
  {\"flow\": \"load\", \"command\": \"echo hi\", \"cron\": \"0 30 2 ? * *\"}
  {\"flow\": \"etl\", \"jobs\": [{\"name\": \"a\", \"type\": \"noop\"}], \"props\": {\"retries\": 3}}
  {\"flow\": \"old\", \"project\": \"night\", \"delete\": true}
  A job has name and type, and maybe command, props and dependsOn (a list). \"cron\": null removes
  the schedule, no cron keeps it. Unknown fields are mistakes.

Examples:
  flowlift publish --project night --flows 10000 --wait
  flowlift publish --project 'team_{n%30:02}' --flows 3000 --jobs 4 --shape fan-out
  flowlift publish --project night --flows 5000 --cron '0 {n%60} * ? * *'
  flowlift publish ./project --project night --wait --timeout 10m
  flowlift publish ./project.zip --project night --into team-a --owner team-a --no-create
  flowlift publish ./project --project night --prune --dry-run
  flowlift publish ./project --project night --deadline 07:00
  flowlift publish ./project --project night --wait --metrics-textfile /var/lib/node_exporter/flowlift.prom
  generate | flowlift publish - --project night --stream";

/// `flowlift delete`.
#[derive(Debug, Args)]
#[command(after_help = "\
A pattern is looked at when a consumer plans it, so flows that are still queued count too.

Examples:
  flowlift delete --project night flow_000001 flow_000002
  flowlift delete --project night --match 'flow_0001*' --yes --wait
  flowlift delete --project night --all --owner team-a")]
pub struct DeleteArgs {
    /// The project
    #[arg(long, short, value_name = "NAME")]
    pub project: ProjectName,
    /// Flows to delete
    #[arg(value_name = "FLOW", required_unless_present_any = ["pattern", "all"], conflicts_with_all = ["pattern", "all"])]
    pub flows: Vec<FlowName>,
    /// All flows of this owner whose id matches: *, ?, [a-z], {a,b}; case does not count
    #[arg(long = "match", value_name = "GLOB", conflicts_with = "all")]
    pub pattern: Option<String>,
    /// All flows of this owner
    #[arg(long)]
    pub all: bool,
    /// Whose flows; another owner's are never deleted
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    pub owner: String,
    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
    /// Follow the run until all its changes have their outcome
    #[arg(long)]
    pub wait: bool,
    /// With --wait: at most this long, for example 90s, 10m, 2h (then exit 75, the run goes on)
    #[arg(long, value_parser = duration, value_name = "TIME", requires = "wait")]
    pub timeout: Option<Duration>,
}

/// `flowlift wait`.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit 0: every change is applied, unchanged, or superseded by a newer one. Exit 1: some could not be
applied, or a threshold is broken. Exit 75: the time is over, the run goes on.

--notify runs a command by `sh -c` at the end, with these in its environment: FLOWLIFT_RUN,
FLOWLIFT_STATE (done, dead, failed-threshold, timed-out, interrupted), FLOWLIFT_CHANGES,
FLOWLIFT_SETTLED, FLOWLIFT_APPLIED, _UNCHANGED, _SUPERSEDED, _CANCELLED, _RESTORED, _DEAD,
FLOWLIFT_UPLOADS, FLOWLIFT_SECONDS, FLOWLIFT_SUMMARY (what would be printed) and, of a run with one,
FLOWLIFT_DEADLINE (kept or missed by how much). FLOWLIFT_AMQP_URL and passwords are taken out. A
command that fails is told and changes no exit code.

Thresholds: p50 p90 p95 p99 max (latency) and duration with ms, s, m or h; dead applied unchanged
superseded cancelled restored uploads rate (changes a second). < <= = >= >.

Examples:
  flowlift wait 019e0a5c-7c30-7d10-a3c5-2f6f0c6bfa0d
  RUN=$(flowlift publish ./project --project night) && flowlift wait \"$RUN\" --timeout 10m
  flowlift wait \"$RUN\" --threshold 'p99<60s,dead=0'
  flowlift wait \"$RUN\" --notify 'echo \"$FLOWLIFT_SUMMARY\" | mail -s \"$FLOWLIFT_STATE\" me'")]
pub struct WaitArgs {
    /// The run's id, as `publish` prints it
    pub run: RunId,
    /// At most this long, for example 90s, 10m, 2h (then exit 75, the run goes on)
    #[arg(long, value_parser = duration, value_name = "TIME")]
    pub timeout: Option<Duration>,
    /// Run this command at the end
    #[arg(long, value_name = "CMD")]
    pub notify: Option<String>,
    /// What must hold at the end, else the exit code is 1
    #[arg(long, value_name = "CONDITIONS")]
    pub threshold: Option<Thresholds>,
    /// End as soon as a threshold cannot hold any more, and cancel the run
    #[arg(long, requires = "threshold")]
    pub abort_on_fail: bool,
    /// Where its totals go.
    #[command(flatten)]
    pub metrics: MetricsArgs,
}

/// `flowlift status`.
#[derive(Debug, Args)]
#[command(after_help = "\
It needs RabbitMQ alone: queues are counted there, consumers answer over it. Rates are those of the
last minute, and the time that is left follows from them. Changes left are those that runs of the
last 7 days queued, without those that have their outcome.

Examples:
  flowlift status
  flowlift status --watch
  flowlift status --json | jq .backlog.waiting
  flowlift status --watch --every 10s >> night.log")]
pub struct StatusArgs {
    /// Look again and again, on a screen of its own; a line each where there is no terminal
    #[arg(long)]
    pub watch: bool,
    /// With --watch: the time between two looks
    #[arg(long, value_parser = duration, value_name = "TIME", default_value = "1s", requires = "watch")]
    pub every: Duration,
}

/// `flowlift verify`.
#[derive(Debug, Args)]
#[command(after_help = "\
A source is compared flow by flow: its name in Azkaban's list, its content in the current zip, its
schedule where --cron or a line says one. A run is compared by what its consumers wrote: every flow
that it applied must be listed, on its schedule.

--repair queues again exactly those changes of a source that differ. For a run it has each project
that differs checked by a consumer: what was applied and got lost (somebody uploaded an old zip)
comes back; what somebody took out of the newest zip on purpose stays out. Then all is compared once
more. It needs RabbitMQ and a consumer too.

Examples:
  flowlift verify --project night --flows 10000
  flowlift verify ./project --project night
  flowlift verify --run 019e0a5c-7c30-7d10-a3c5-2f6f0c6bfa0d
  flowlift verify --run 019e0a5c-7c30-7d10-a3c5-2f6f0c6bfa0d --repair
  flowlift verify ./project --project night --owner team-a --repair --timeout 10m")]
pub struct VerifyArgs {
    /// What should be there.
    #[command(flatten)]
    pub source: SourceArgs,
    /// A run: all its projects
    #[arg(long, value_name = "RUN", conflicts_with_all = ["source", "flows", "project", "cron", "into"])]
    pub run: Option<RunId>,
    /// Bring back what differs, wait for it, and compare once more
    #[arg(long)]
    pub repair: bool,
    /// With --repair: whose flows the source's are
    #[arg(
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true,
        requires = "repair",
        conflicts_with = "run"
    )]
    pub owner: String,
    /// With --repair: wait at most this long, for example 90s, 10m, 2h (then exit 75, the run goes on)
    #[arg(long, value_parser = duration, value_name = "TIME", requires = "repair")]
    pub timeout: Option<Duration>,
}

/// `flowlift list`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  flowlift list\n  flowlift list night\n  flowlift list night --json | jq -r '.flows[].flow'"
)]
pub struct ListArgs {
    /// The project; left out: all projects
    pub project: Option<ProjectName>,
}

/// `flowlift export`.
#[derive(Debug, Args)]
#[command(after_help = "\
The newest zip is not always the active one: it is compared with the list of flows, and an older
one is taken where that fits.

Examples:
  flowlift export night night.zip")]
pub struct ExportArgs {
    /// The project
    pub project: ProjectName,
    /// The file to write; an existing one is replaced
    pub file: PathBuf,
}

fn format(text: &str) -> Result<Format, String> {
    match text {
        "1.0" | "1" => Ok(Format::V1),
        "2.0" | "2" => Ok(Format::V2),
        _ => Err("expected 1.0 or 2.0".into()),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let parsed: jiff::SignedDuration = text
        .parse()
        .map_err(|_| "expected a time such as 90s, 10m or 2h".to_owned())?;
    let time = Duration::try_from(parsed).map_err(|_| "expected a time that is not negative".to_owned())?;
    if time.is_zero() {
        Err("expected a time above 0".into())
    } else {
        Ok(time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn times_have_units() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("1h 30m"), Ok(Duration::from_secs(5_400)));
        for bad in ["", "90", "0s", "-5m", "soon"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
