//! `flowlift config`, `doctor`, `demo`: about what is set up rather than about what is published.

use std::time::Duration;

use clap::Args;
use flowlift_azkaban::ProjectName;

use super::duration;

/// `flowlift config`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  flowlift config
  flowlift config --target night --json
  flowlift config --completions bash > /etc/bash_completion.d/flowlift")]
pub struct ConfigArgs {
    /// Print completions for this shell instead
    #[arg(long, value_enum, value_name = "SHELL")]
    pub completions: Option<clap_complete::Shell>,
}

/// `flowlift doctor`.
#[derive(Debug, Args)]
#[command(after_help = "\
RabbitMQ: version, rights, what the vhost agrees on, queues, consumers with their versions, clocks and
shards, dead letters. Azkaban: version, database, clock, connections, login, and a trial: a small
project is made, uploaded to, read back and deleted. Without a password for Azkaban, or with
--no-trial, nothing is made there; a target marked as protected is never tried on.

Ends with 1 when something is bad; hints alone end with 0.

Examples:
  flowlift doctor
  flowlift doctor --no-trial --json | jq '.findings[] | select(.verdict != \"ok\")'")]
pub struct DoctorArgs {
    /// Make no trial project in Azkaban
    #[arg(long)]
    pub no_trial: bool,
}

/// `flowlift demo`.
#[derive(Debug, Args)]
#[command(after_help = "\
Publishes 10,000 flows into the project demo, then 100 into each of demo_00 to demo_29, waits for
both and says how long that took. A consumer has to run. The flows stay: `flowlift delete` removes them.

Examples:
  flowlift demo
  flowlift demo --project try --flows 500 --projects 5 --each 20")]
pub struct DemoArgs {
    /// What the names of its projects begin with
    #[arg(long, short, value_name = "NAME", default_value = "demo")]
    pub project: ProjectName,
    /// Flows of the large project
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub flows: u64,
    /// How many small projects
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    pub projects: u64,
    /// Flows of each small project
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    pub each: u64,
    /// Wait at most this long for each part, for example 90s, 10m (then exit 75, the run goes on)
    #[arg(long, value_parser = duration, value_name = "TIME", default_value = "15m")]
    pub timeout: Duration,
}
