//! `flowlift wait`.

use flowlift_common::shutdown::Shutdown;
use serde_json::json;

use super::Context;
use crate::cli::WaitArgs;
use crate::exit::Failure;
use crate::wait::notify::notify;
use crate::wait::{Ended, Judged, Wanted, watch};

/// Runs it.
pub(super) async fn run(context: &Context, args: &WaitArgs) -> Result<(), Failure> {
    let shutdown = context.watch_signals()?;
    let wanted = Wanted {
        run: args.run,
        timeout: args.timeout,
        known: false,
    };
    let judged = Judged {
        thresholds: args.threshold.as_ref(),
        abort_on_fail: args.abort_on_fail,
    };
    let ended = watched(context, wanted, judged, args.notify.as_deref(), &shutdown).await;
    context.totals.queued(ended.summary.total());
    if let Some(failure) = ended.failure {
        return Err(failure);
    }
    context.totals.settled(ended.summary.outcomes());
    let good = ended.summary.is_good() && ended.broken.is_empty();
    if context.json {
        let mut json = ended.summary.to_json();
        json["broken_thresholds"] = json!(ended.broken);
        context.print(|| json, String::new)?;
    } else if good {
        context.print(|| json!(null), || ended.summary.lines().join("\n"))?;
    } else {
        let lines = ended.summary.lines();
        lines.iter().for_each(|line| context.reporter.warn(line));
    }
    ended
        .broken
        .iter()
        .for_each(|sentence| context.reporter.warn(sentence));
    if good { Ok(()) } else { Err(Failure::No) }
}

/// Waits and tells the person's command how that ended; used by `publish --wait` too.
pub(super) async fn watched(
    context: &Context,
    wanted: Wanted,
    judged: Judged<'_>,
    command: Option<&str>,
    shutdown: &Shutdown,
) -> Ended {
    let ended = watch(&context.settings, wanted, judged, &context.reporter, shutdown).await;
    if let Some(command) = command {
        notify(command, &ended, &context.reporter, shutdown).await;
    }
    ended
}
