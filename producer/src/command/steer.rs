//! `flowlift cancel`, `flowlift pause`, `flowlift resume`.

use flowlift_azkaban::ProjectName;
use flowlift_common::amqp::{Link, cancel_run};
use flowlift_common::ledger::Outcome;
use jiff::tz::TimeZone;
use serde_json::json;

use super::Context;
use crate::cli::steer::{CancelArgs, HoldArgs};
use crate::exit::Failure;
use crate::publish::{now_ms, set_up, who};
use crate::steer::{self, by};
use crate::wait::{Wanted, wait};

/// Cancels a run, and follows it until it is known what became of each change.
pub(super) async fn cancel(context: &Context, args: &CancelArgs) -> Result<(), Failure> {
    let (settings, reporter, run) = (&context.settings, &context.reporter, args.run);
    let link = open(context).await?;
    let state = steer::run_so_far(&link, run).await?;
    if !state.is_open_or_closed() {
        return Err(Failure::NoInput(format!(
            "there is no run {run} in this RabbitMQ (runs are kept for 90 days)"
        )));
    }
    cancel_run(&link, run, &who(), now_ms()).await?;
    let steering = steer::steering(&link).await?;
    link.close().await;
    if steering.all().is_some() {
        reporter
            .warn("everything is paused: what is cancelled is settled once work goes on (flowlift resume)");
    }
    let closed = state.closing().is_some();
    if !closed {
        reporter.warn(
            "this run is not closed: its producer is still publishing, or was killed; whatever is queued of it is settled as cancelled",
        );
    }
    if args.no_wait || !closed {
        return context.print(
            || json!({"run": run, "cancelled": true, "closed": closed}),
            || "cancelled: nothing more of it is begun; what is being uploaded ends as it ends".to_owned(),
        );
    }
    let wanted = Wanted {
        run,
        timeout: args.timeout,
        known: true,
    };
    let shutdown = context.watch_signals()?;
    let summary = wait(settings, wanted, reporter, &shutdown).await?;
    context.print(|| summary.to_json(), || summary.lines().join("\n"))?;
    if summary.count(Outcome::Cancelled) == 0 {
        reporter.warn("nothing was left to be cancelled: all had its outcome, or was being uploaded");
    }
    Ok(())
}

/// Pauses a project, or everything.
pub(super) async fn pause(context: &Context, args: &HoldArgs) -> Result<(), Failure> {
    let link = open(context).await?;
    let project = args.project.as_ref();
    let before = steer::pause(&link, project).await?;
    link.close().await;
    if let Some(before) = &before {
        context
            .reporter
            .warn(&format!("it was paused already, {}", by(before, &zone())));
    }
    let resume = project.map_or_else(
        || "flowlift resume".to_owned(),
        |name| format!("flowlift resume {name}"),
    );
    context.print(
        || json!({"paused": true, "project": project, "before": before}),
        || {
            format!(
                "{} paused: nothing new is begun, uploads under way come to their end; `{resume}` has it go on",
                what(project)
            )
        },
    )
}

/// Ends a pause.
pub(super) async fn resume(context: &Context, args: &HoldArgs) -> Result<(), Failure> {
    let link = open(context).await?;
    let project = args.project.as_ref();
    let resumed = steer::resume(&link, project).await?;
    link.close().await;
    for pause in &resumed.left {
        let (name, command) = match &pause.project {
            Some(name) => (format!("project {name} is"), format!("flowlift resume {name}")),
            None => ("everything is".to_owned(), "flowlift resume".to_owned()),
        };
        context.reporter.warn(&format!(
            "{name} still paused, {}; `{command}` ends that",
            by(pause, &zone())
        ));
    }
    context.print(
        || json!({"paused": false, "project": project, "before": resumed.ended, "left": resumed.left}),
        || match &resumed.ended {
            Some(pause) => format!("work goes on; {} paused {}", was(project), by(pause, &zone())),
            None => format!("{} not paused", was(project)),
        },
    )
}

async fn open(context: &Context) -> Result<Link, Failure> {
    let settings = &context.settings;
    let link = Link::connect(settings.amqp_url(), "flowlift steer").await?;
    set_up(&link, settings, &context.reporter).await?;
    Ok(link)
}

fn what(project: Option<&ProjectName>) -> String {
    project.map_or_else(|| "everything is".to_owned(), |name| format!("project {name} is"))
}

fn was(project: Option<&ProjectName>) -> String {
    project.map_or_else(
        || "everything was".to_owned(),
        |name| format!("project {name} was"),
    )
}

fn zone() -> TimeZone {
    TimeZone::system()
}
