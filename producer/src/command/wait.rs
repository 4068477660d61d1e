//! `flowlift wait`.

use super::Context;
use crate::cli::WaitArgs;
use crate::exit::Failure;
use crate::wait::{Wanted, wait};

/// Runs it.
pub(super) async fn run(context: &Context, args: &WaitArgs) -> Result<(), Failure> {
    let shutdown = context.watch_signals()?;
    let wanted = Wanted {
        run: args.run,
        timeout: args.timeout,
        known: false,
    };
    let summary = wait(&context.settings, wanted, &context.reporter, &shutdown).await?;
    context.totals.queued(summary.total());
    context.totals.settled(summary.outcomes());
    if summary.is_good() {
        context.print(|| summary.to_json(), || summary.lines().join("\n"))?;
        return Ok(());
    }
    if context.json {
        context.print(|| summary.to_json(), String::new)?;
    } else {
        summary
            .lines()
            .iter()
            .for_each(|line| context.reporter.warn(line));
    }
    Err(Failure::No)
}
