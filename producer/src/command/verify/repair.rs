//! `flowlift verify --repair`: what differs is queued, or checked by a consumer, and compared once more.

use std::sync::Arc;

use flowlift_azkaban::Format;
use flowlift_azkaban::client::Client;
use flowlift_common::Act;
use flowlift_common::envelope::Rules;
use serde_json::json;

use super::compared::Compared;
use super::{Context, Wanted};
use crate::cli::VerifyArgs;
use crate::exit::Failure;
use crate::publish::{Feed, Job, Published, Traced, publish};
use crate::source::{Item, Place, Source};
use crate::wait::{self, Summary, wait};
use crate::words::{count, count_are};

/// Repairs what a comparison found.
pub(super) async fn run(
    context: &Context,
    args: &VerifyArgs,
    client: &Client,
    wanted: &Wanted,
    before: Compared,
) -> Result<(), Failure> {
    let reporter = &context.reporter;
    let Some((job, feed)) = work(args, wanted, &before) else {
        context.print(|| before.json(), || before.text())?;
        reporter.warn(&hint(wanted));
        return Err(Failure::No);
    };
    before.lines().iter().for_each(|line| reporter.say(line));
    let shutdown = context.watch_signals()?;
    let traced = Traced::begin(&context.traces, "repair");
    let opened = |run| {
        traced.opened(run);
        reporter.say(&format!("{} is queued as run {run}", job.describe));
        Ok(())
    };
    let (settings, trace) = (&context.settings, traced.context());
    let published = publish(settings, &job, feed, trace, reporter, &shutdown, opened).await;
    traced.end(settings, &published);
    let published = published?;
    let run = published.run;
    if published.partial {
        return Err(Failure::Interrupted(format!(
            "interrupted: {} queued as run {run} and will be applied; nothing was compared again",
            count_are(published.changes(), "change")
        )));
    }
    let follow = wait::Wanted {
        run,
        timeout: args.timeout,
        known: true,
    };
    let summary = wait(&context.settings, follow, reporter, &shutdown).await?;
    let after = tokio::select! {
        biased;
        () = shutdown.stop.cancelled() => {
            return Err(Failure::Interrupted(format!(
                "interrupted: run {run} is settled, but nothing was compared again"
            )));
        }
        after = wanted.compare(context, client) => after?,
    };
    tell(context, &before, &published, &summary, &after)?;
    if after.found.is_empty() && summary.is_good() {
        return Ok(());
    }
    if !after.found.is_empty() {
        reporter.warn(&hint(wanted));
    }
    Err(Failure::No)
}

/// What is published: a check of each project, or the changes that differ. None where nothing of it can help.
fn work(args: &VerifyArgs, wanted: &Wanted, before: &Compared) -> Option<(Job, Feed)> {
    let rules = Rules {
        format: args.source.format,
        ..Rules::default()
    };
    let job = |describe: String, rules, total| Job {
        owner: args.owner.clone(),
        rules,
        format: args.source.format,
        total: Some(total),
        describe,
        unchecked: false,
        deadline_ms: None,
    };
    match wanted {
        Wanted::Source { source, .. } => {
            let (total, places) = (before.places.len(), before.places.clone());
            let describe = format!("a repair of {} of {}", count(total, "change"), source.describe());
            Some((
                job(describe, rules, total),
                Feed::picked(Arc::clone(source), places),
            ))
        }
        Wanted::Run { .. } => {
            let damaged = before.damaged();
            let total = damaged.len() as u64;
            let checks = damaged.into_iter().map(|project| Item {
                project: project.clone(),
                place: Place::default(),
                act: Act::Check,
            });
            let rules = Rules {
                create: false,
                format: Format::V1,
                ..rules
            };
            let describe = format!("a check of {}", count(total, "project"));
            let source = Source::Acts(checks.collect());
            (total > 0).then(|| {
                (
                    job(describe, rules, total),
                    Feed::of(Arc::new(source), Vec::new()),
                )
            })
        }
    }
}

/// What is left to a person.
fn hint(wanted: &Wanted) -> String {
    match wanted {
        Wanted::Source { .. } => {
            "what still differs could not be applied, or somebody else changed it meanwhile".into()
        }
        Wanted::Run { .. } => {
            "a check brings back what got lost; what somebody removed on purpose, a whole project for example, stays away until \
             it is published again"
                .into()
        }
    }
}

/// The run and the comparison after it.
fn tell(
    context: &Context,
    before: &Compared,
    published: &Published,
    summary: &Summary,
    after: &Compared,
) -> Result<(), Failure> {
    let json = || {
        let mut json = after.json();
        json["repair"] =
            json!({"run": published.run, "differences": before.differences(), "outcome": summary.to_json()});
        json
    };
    let people = || {
        let mut lines = summary.lines();
        lines.push(after.text());
        lines.join("\n")
    };
    context.print(json, people)
}
