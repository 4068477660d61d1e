//! `flowlift dead`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use flowlift_azkaban::ProjectName;

use crate::dead::id::{Id, RunRef};

/// What is done with dead letters.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
A dead letter is a change that could not be applied. It lies in RabbitMQ with its reason until
somebody edits, requeues or purges it. Nothing here needs Azkaban or its password.

Examples:
  flowlift dead list --project night
  flowlift dead show 0c6bfa0d.17
  flowlift dead edit 0c6bfa0d.17
  flowlift dead requeue --run 019e0a5c-7c30-7d10-a3c5-2f6f0c6bfa0d --yes
  flowlift dead purge --older-than 30d")]
pub enum Dead {
    /// What could not be applied, and why; each change has an id
    List(DeadListArgs),
    /// All of one: project, flow, run, owner, when, Azkaban's reason, the change itself
    Show(DeadShowArgs),
    /// Correct one in your editor and queue it as a new change
    Edit(DeadEditArgs),
    /// Queue them once more, as a new run; prints the run's id
    Requeue(DeadRequeueArgs),
    /// Delete them for good
    Purge(DeadPurgeArgs),
}

/// Which dead letters; all conditions have to hold.
#[derive(Debug, Args)]
pub struct FilterArgs {
    /// Of this run: its id, or the 8 digits that ids of `list` begin with
    #[arg(long, value_name = "RUN", help_heading = "Which")]
    pub run: Option<RunRef>,
    /// Of this project
    #[arg(long, short, value_name = "NAME", help_heading = "Which")]
    pub project: Option<ProjectName>,
    /// With this in the reason; case does not count
    #[arg(long, value_name = "TEXT", help_heading = "Which")]
    pub reason: Option<String>,
    /// Died at least this long ago, for example 2h, 30d
    #[arg(long, value_name = "TIME", value_parser = age, help_heading = "Which")]
    pub older_than: Option<Duration>,
    /// Died at most this long ago, for example 30m, 1d
    #[arg(long, value_name = "TIME", value_parser = age, help_heading = "Which")]
    pub newer_than: Option<Duration>,
}

impl FilterArgs {
    /// Whether no condition is given.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let ages = self.older_than.is_none() && self.newer_than.is_none();
        self.run.is_none() && self.project.is_none() && self.reason.is_none() && ages
    }
}

/// These, or all that fulfil conditions.
#[derive(Debug, Args)]
pub struct ChoiceArgs {
    /// Ids as `flowlift dead list` prints them
    #[arg(value_name = "ID", conflicts_with_all = ["run", "project", "reason", "older_than", "newer_than", "all"])]
    pub ids: Vec<Id>,
    /// The conditions.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// All of them
    #[arg(long, conflicts_with_all = ["run", "project", "reason", "older_than", "newer_than"], help_heading = "Which")]
    pub all: bool,
}

/// `flowlift dead list`.
#[derive(Debug, Args)]
#[command(after_help = "\
--json prints one object a line. A letter that RabbitMQ keeps twice is shown once. Looking takes
nothing away; one person looks at a time, others wait for a moment.

Examples:
  flowlift dead list
  flowlift dead list --run 019e0a5c-7c30-7d10-a3c5-2f6f0c6bfa0d
  flowlift dead list --project night --reason 'no type' --newer-than 1d
  flowlift dead list --json | jq -r .reason | sort | uniq -c")]
pub struct DeadListArgs {
    /// The conditions.
    #[command(flatten)]
    pub filter: FilterArgs,
}

/// `flowlift dead show`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  flowlift dead show 0c6bfa0d.17
  flowlift dead show 0c6bfa0d.17 --json | jq .change")]
pub struct DeadShowArgs {
    /// An id as `flowlift dead list` prints it
    pub id: Id,
}

/// `flowlift dead edit`.
#[derive(Debug, Args)]
#[command(after_help = "\
The change opens as JSON in $VISUAL or $EDITOR. What you save is checked as `publish` checks it and
queued as a new change, in a new run; then the dead letter goes. Closing the editor without a
change, or emptying the file, leaves everything as it is.

Examples:
  flowlift dead edit 0c6bfa0d.17
  flowlift dead show 0c6bfa0d.17 --json | jq '.change + {project}' | sed 's/8G/2G/' >fixed.json
  flowlift dead edit 0c6bfa0d.17 --set fixed.json --wait
  flowlift dead edit 0c6bfa0d.17 --set - --owner team-a --yes <fixed.json")]
pub struct DeadEditArgs {
    /// An id as `flowlift dead list` prints it
    pub id: Id,
    /// Take the change from this file, or - for standard input, in place of an editor
    #[arg(long, value_name = "FILE|-")]
    pub set: Option<PathBuf>,
    /// Queue it for this owner [default: the letter's]
    #[arg(long, value_name = "NAME")]
    pub owner: Option<String>,
    /// How it goes on.
    #[command(flatten)]
    pub then: ThenArgs,
}

/// `flowlift dead requeue`.
#[derive(Debug, Args)]
#[command(after_help = "\
Requeued changes keep their old rank: where a newer change of the same flow was applied meanwhile,
it stays, and the requeued one ends as superseded. --as-new makes them the newest; what they would
overwrite is named first. Ids are queued without a question, conditions and --all ask first.

Examples:
  flowlift dead requeue 0c6bfa0d.17 0c6bfa0d.18
  flowlift dead requeue --run 019e0a5c-7c30-7d10-a3c5-2f6f0c6bfa0d --yes
  flowlift dead requeue --project night --reason 'permission' --wait --timeout 10m
  RUN=$(flowlift dead requeue --all --yes) && flowlift wait \"$RUN\"")]
pub struct DeadRequeueArgs {
    /// Which.
    #[command(flatten)]
    pub choice: ChoiceArgs,
    /// Make them the newest changes of their flows
    #[arg(long)]
    pub as_new: bool,
    /// How it goes on.
    #[command(flatten)]
    pub then: ThenArgs,
}

/// `flowlift dead purge`.
#[derive(Debug, Args)]
#[command(after_help = "\
Purged letters are gone for good. What was counted before the question is what goes: a letter that
comes later stays.

Examples:
  flowlift dead purge 0c6bfa0d.17
  flowlift dead purge --project night --older-than 30d --yes
  flowlift dead purge --all")]
pub struct DeadPurgeArgs {
    /// Which.
    #[command(flatten)]
    pub choice: ChoiceArgs,
    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
}

/// What follows the queueing.
#[derive(Debug, Args)]
pub struct ThenArgs {
    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
    /// Follow the new run until all its changes have their outcome
    #[arg(long)]
    pub wait: bool,
    /// With --wait: at most this long, for example 90s, 10m, 2h (then exit 75, the run goes on)
    #[arg(long, value_parser = super::duration, value_name = "TIME", requires = "wait")]
    pub timeout: Option<Duration>,
}

impl ThenArgs {
    /// As [`crate::command`] wants it.
    #[must_use]
    pub fn wanted(&self) -> Option<Option<Duration>> {
        self.wait.then_some(self.timeout)
    }
}

/// An age; a day has 24 hours.
fn age(text: &str) -> Result<Duration, String> {
    let expected = || "expected a time such as 30m, 2h or 7d".to_owned();
    let span: jiff::Span = text.parse().map_err(|_| expected())?;
    let time = span
        .to_duration(jiff::SpanRelativeTo::days_are_24_hours())
        .map_err(|_| expected())?;
    Duration::try_from(time).map_err(|_| expected())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_may_be_days() {
        assert_eq!(age("1d"), Ok(Duration::from_secs(86_400)));
        assert_eq!(age("2h 30m"), Ok(Duration::from_secs(9_000)));
        for bad in ["", "7", "-1d", "1mo", "soon"] {
            assert!(age(bad).is_err(), "{bad}");
        }
    }
}
