//! `flowlift cancel`, `pause`, `resume`.

use std::time::Duration;

use clap::Args;
use flowlift_azkaban::ProjectName;
use flowlift_common::order::RunId;

use super::duration;

/// `flowlift cancel`.
#[derive(Debug, Args)]
#[command(after_help = "\
What has not begun is settled as cancelled; what is in an upload that is under way, or was applied
before, stays. The answer comes when each change has its outcome, so whatever it calls cancelled
will not be applied later.

Examples:
  flowlift cancel 019e0a5c-7c30-7d10-a3c5-2f6f0c6bfa0d
  flowlift cancel 019e0a5c-7c30-7d10-a3c5-2f6f0c6bfa0d --no-wait")]
pub struct CancelArgs {
    /// The run's id, as `publish` prints it
    pub run: RunId,
    /// Do not follow the run to its end
    #[arg(long, conflicts_with = "timeout")]
    pub no_wait: bool,
    /// Follow it at most this long, for example 90s, 10m, 2h (then exit 75; it is cancelled all the same)
    #[arg(long, value_parser = duration, value_name = "TIME")]
    pub timeout: Option<Duration>,
}

/// `flowlift pause` and `flowlift resume`.
#[derive(Debug, Args)]
#[command(after_help = "\
A pause lasts until it is ended, whatever is started anew meanwhile. Uploads under way come to
their end; publishing goes on, changes wait in their queues. Pauses of single projects and the pause
of everything end each by itself.

Examples:
  flowlift pause night
  flowlift resume night
  flowlift pause
  flowlift resume")]
pub struct HoldArgs {
    /// The project; left out: everything that this RabbitMQ serves
    pub project: Option<ProjectName>,
}
