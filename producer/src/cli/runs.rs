//! `flowlift runs`, `show` and `report`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use flowlift_azkaban::ProjectName;

use crate::dead::id::RunRef;
use crate::report::Thresholds;

/// `flowlift runs`.
#[derive(Debug, Args)]
#[command(after_help = "\
States: open (being published), open, producer gone (never closed, and not heard for a minute),
closed (all is queued), settled (every change has its outcome), cancelled, and partial where
publishing was interrupted. --json prints one object a line. Needs RabbitMQ alone.

Examples:
  flowlift runs
  flowlift runs --since 2d --limit 100
  flowlift runs --json | jq -r 'select(.dead > 0) | .run'")]
pub struct RunsArgs {
    /// At most so many, the newest
    #[arg(long, value_name = "N", default_value = "20", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,
    /// Opened so long ago at most, like 2h or 7d, or since a day, like 2026-11-26
    #[arg(long, value_name = "TIME", value_parser = since)]
    pub since: Option<u64>,
}

/// `flowlift show`.
#[derive(Debug, Args)]
#[command(after_help = "\
Reads the outcomes that RabbitMQ keeps (30 days, unless it was set up otherwise) and prints a line
for each change: what became of it, when, by which run (the end of its id and the change's place in
it), by which consumer, in which version of the project, and why. --json prints one object a line.
What is still queued has no outcome yet. Needs RabbitMQ alone.

Examples:
  flowlift show night/load
  flowlift show night --since 1d
  flowlift show --run 0c6bfa0d
  flowlift show night --json | jq -r 'select(.outcome == \"dead\") | .note'")]
pub struct ShowArgs {
    /// A project, or one of its flows or files
    #[arg(value_name = "PROJECT[/FLOW]", required_unless_present = "run")]
    pub what: Option<What>,
    /// Of this run: its id, or its last 8 digits
    #[arg(long, value_name = "RUN")]
    pub run: Option<RunRef>,
    /// Settled so long ago at most, like 2h or 7d, or since a day, like 2026-11-26
    #[arg(long, value_name = "TIME", value_parser = since)]
    pub since: Option<u64>,
}

/// A project, or something in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct What {
    /// The project.
    pub project: ProjectName,
    /// A flow's id or a file's path.
    pub flow: Option<String>,
}

impl FromStr for What {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (project, flow) = match text.split_once('/') {
            Some((project, flow)) => (project, Some(flow.to_owned()).filter(|flow| !flow.is_empty())),
            None => (text, None),
        };
        let project = ProjectName::new(project).map_err(|error| error.to_string())?;
        Ok(Self { project, flow })
    }
}

/// `flowlift report`.
#[derive(Debug, Args)]
#[command(after_help = "\
Writes one HTML file that needs no network: outcomes, throughput, latency (published to applied),
uploads, the slowest projects, failed calls, dead letters with reasons, versions and settings.
--json and --csv are for programs; with one of them the page is written only where --html says so.
A CSV line is one outcome of one settlement. Needs RabbitMQ alone.

Thresholds: p50 p90 p95 p99 max (latency) and duration with ms, s, m or h; dead applied unchanged
superseded cancelled restored uploads rate (changes a second). < <= = >= >. Broken: exit 1.

Examples:
  flowlift report 019e0a5c-7c30-7d10-a3c5-2f6f0c6bfa0d
  flowlift report 0c6bfa0d --html night.html --against 5b1e77aa
  flowlift report 0c6bfa0d --threshold 'p99<60s,dead=0'
  flowlift report 0c6bfa0d --json | jq .latency")]
pub struct ReportArgs {
    /// The run's id, or its last 8 digits
    #[arg(value_name = "RUN")]
    pub run: RunRef,
    /// Write the page here [default: flowlift-report-RUN.html in this folder, RUN being 8 digits]
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Write the figures of each settlement here, as CSV
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
    /// Compare it with this run
    #[arg(long, value_name = "RUN")]
    pub against: Option<RunRef>,
    /// What must hold, else the exit code is 1
    #[arg(long, value_name = "CONDITIONS")]
    pub threshold: Option<Thresholds>,
}

fn since(text: &str) -> Result<u64, String> {
    crate::when::since(text, &jiff::Zoned::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_may_be_followed_by_a_flow_or_a_path() {
        let parts = |text: &str| {
            text.parse::<What>()
                .map(|what| (what.project.to_string(), what.flow))
        };
        assert_eq!(parts("night"), Ok(("night".into(), None)));
        assert_eq!(parts("night/"), Ok(("night".into(), None)));
        assert_eq!(parts("night/load"), Ok(("night".into(), Some("load".into()))));
        assert_eq!(
            parts("night/sql/a.sql"),
            Ok(("night".into(), Some("sql/a.sql".into())))
        );
        assert!(parts("/load").is_err());
    }
}
