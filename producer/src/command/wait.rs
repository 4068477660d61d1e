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
    let mut ended = watched(context, wanted, judged, args.notify.as_deref(), &shutdown).await;
    context.totals.queued(ended.summary.total());
    if let Some(failure) = ended.failure.take() {
        return Err(failure);
    }
    context.totals.settled(ended.summary.outcomes());
    let lines = ended.lines();
    if context.json {
        context.print(|| ended.to_json(), String::new)?;
    } else if ended.is_good() {
        context.print(|| json!(null), || lines.join("\n"))?;
    }
    if ended.is_good() {
        return Ok(());
    }
    let told = if context.json { &ended.broken } else { &lines };
    told.iter().for_each(|line| context.reporter.warn(line));
    Err(Failure::No)
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
