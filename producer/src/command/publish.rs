//! `flowlift publish`.

use std::sync::Arc;
use std::time::Duration;

use flowlift_azkaban::{FlowName, Format, ProjectName};
use flowlift_common::envelope::Rules;
use flowlift_common::shutdown::Shutdown;
use flowlift_common::{Act, Pattern, RunId};
use serde_json::json;

use super::Context;
use super::wait::watched;
use crate::check::{Checked, Findings, alone, check};
use crate::cli::PublishArgs;
use crate::exit::Failure;
use crate::prepare;
use crate::publish::{Feed, Job, Published, Traced, publish};
use crate::source::{Item, Place, Source};
use crate::wait::{Ended, Judged, Wanted};
use crate::words::{count, count_are, some, span};

impl From<Option<Duration>> for After<'_> {
    fn from(timeout: Option<Duration>) -> Self {
        Self {
            timeout,
            ..Self::default()
        }
    }
}

/// Runs it.
pub(super) async fn run(context: &Context, args: &PublishArgs) -> Result<(), Failure> {
    if args.stream {
        return stream(context, args).await;
    }
    // before a million flows are checked
    let deadline_ms = deadline(args)?;
    let source = prepare::source(&args.source)?;
    let checked = looked_at(context, &source, args.source.format, args.prune)?;
    if checked.changes() == 0 {
        return Err(Failure::BadInput(Findings::one(
            flowlift_azkaban::rules::Finding {
                path: Some(source.describe()),
                line: None,
                field: None,
                message: "there are no flows in it".into(),
            },
        )));
    }
    let tail = if args.prune {
        prunings(&checked.names)
    } else {
        Vec::new()
    };
    for item in &tail {
        let mut findings = Findings::default();
        alone(item, args.source.format)
            .into_iter()
            .for_each(|finding| findings.add(finding));
        if !findings.is_empty() {
            return Err(Failure::BadInput(findings));
        }
    }
    if args.dry_run {
        return dry_run(context, args, &checked, &source);
    }
    let job = Job {
        deadline_ms,
        total: Some(checked.changes() + tail.len() as u64),
        ..job(args, source.describe())
    };
    send(context, &job, Feed::of(Arc::new(source), tail), wanted(args)).await
}

/// Checks a source, with progress: a million flows take a while.
pub(super) fn looked_at(
    context: &Context,
    source: &Source,
    format: Format,
    keep_names: bool,
) -> Result<Checked, Failure> {
    let total = match source {
        Source::Generated(generate) => Some(generate.count),
        _ => None,
    };
    let stage = context.reporter.stage("checked", "changes", total);
    let checked = check(source, format, keep_names, |n| stage.set(n, total));
    stage.finish();
    checked
}

async fn stream(context: &Context, args: &PublishArgs) -> Result<(), Failure> {
    let deadline_ms = deadline(args)?;
    let parser = prepare::stream(&args.source)?;
    let job = Job {
        deadline_ms,
        unchecked: true,
        ..job(args, "standard input".into())
    };
    send(context, &job, Feed::of_stdin(parser), wanted(args)).await
}

fn job(args: &PublishArgs, describe: String) -> Job {
    Job {
        owner: args.owner.clone(),
        rules: Rules {
            create: !args.no_create,
            adopt: !args.no_adopt,
            format: args.source.format,
        },
        format: args.source.format,
        total: None,
        describe,
        unchecked: false,
        deadline_ms: None,
    }
}

/// When all should be settled, in ms since 1970.
fn deadline(args: &PublishArgs) -> Result<Option<u64>, Failure> {
    let at = args.deadline.map(|when| when.ms(&jiff::Zoned::now())).transpose();
    at.map_err(|reason| Failure::Usage(format!("--deadline: {reason}")))
}

fn wanted(args: &PublishArgs) -> Option<After<'_>> {
    args.wait.then_some(After {
        timeout: args.timeout,
        notify: args.notify.as_deref(),
        judged: Judged {
            thresholds: args.threshold.as_ref(),
            abort_on_fail: args.abort_on_fail,
        },
    })
}

/// What follows a publishing that is waited for.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct After<'a> {
    /// At most so long.
    pub(super) timeout: Option<Duration>,
    /// A person's command for the end.
    pub(super) notify: Option<&'a str>,
    /// What must hold.
    pub(super) judged: Judged<'a>,
}

/// Publishes and, if wanted, waits; used by `delete` too.
pub(super) async fn send(
    context: &Context,
    job: &Job,
    feed: Feed,
    wanted: Option<After<'_>>,
) -> Result<(), Failure> {
    let shutdown = context.watch_signals()?;
    let published = queued(context, job, feed, &shutdown).await?;
    followed(context, &published, wanted, &shutdown).await
}

/// Publishes; the run's id is a result as soon as it is known.
pub(super) async fn queued(
    context: &Context,
    job: &Job,
    feed: Feed,
    shutdown: &Shutdown,
) -> Result<Published, Failure> {
    let traced = Traced::begin(&context.traces, "publish");
    let opened = |run: RunId| {
        traced.opened(run);
        say_run(context, run)
    };
    let (settings, reporter, trace) = (&context.settings, &context.reporter, traced.context());
    let published = publish(settings, job, feed, trace, reporter, shutdown, opened).await;
    traced.end(settings, &published);
    published
}

/// In JSON the run stands in the one object at the end; for people it is known as soon as it can be waited for.
pub(super) fn say_run(context: &Context, run: RunId) -> Result<(), Failure> {
    if context.json {
        Ok(())
    } else {
        context.print(|| json!(null), || run.to_string())
    }
}

/// Says what is queued and, if wanted, waits.
pub(super) async fn followed(
    context: &Context,
    published: &Published,
    wanted: Option<After<'_>>,
    shutdown: &Shutdown,
) -> Result<(), Failure> {
    let (reporter, run) = (&context.reporter, published.run);
    context.totals.queued(published.changes());
    if published.partial {
        print_json(context, published, None)?;
        return Err(Failure::Interrupted(format!(
            "interrupted: {} queued as run {run} and will be applied, the rest is not sent",
            count_are(published.changes(), "change")
        )));
    }
    reporter.say(&format!(
        "queued {} for {} in {}, {}",
        count(published.changes(), "change"),
        projects(published),
        count(published.messages, "message"),
        span(published.took)
    ));
    let mut ended = None;
    if let Some(after) = wanted {
        let wanted = Wanted {
            run,
            timeout: after.timeout,
            known: true,
        };
        let mut waited = watched(context, wanted, after.judged, after.notify, shutdown).await;
        if let Some(failure) = waited.failure.take() {
            return Err(failure);
        }
        ended = Some(waited);
    }
    print_json(context, published, ended.as_ref())?;
    let mut good = true;
    if let Some(ended) = &ended {
        context.totals.settled(ended.summary.outcomes());
        good = ended.is_good();
        ended.lines().iter().for_each(|line| {
            if good {
                reporter.say(line);
            } else {
                reporter.warn(line);
            }
        });
    }
    if published.left_out > 0 {
        let lines = count(published.left_out, "mistake");
        return Err(Failure::Left(format!(
            "{lines} in standard input; those lines were left out, all others are queued"
        )));
    }
    if good { Ok(()) } else { Err(Failure::No) }
}

fn print_json(context: &Context, published: &Published, ended: Option<&Ended>) -> Result<(), Failure> {
    if !context.json {
        return Ok(());
    }
    let json = json!({"run": published.run, "changes": published.changes(), "messages": published.messages,
        "projects": published.projects, "partial": published.partial, "left_out": published.left_out,
        "seconds": (published.took.as_secs_f64() * 1000.0).round() / 1000.0, "outcome": ended.map(Ended::to_json)});
    context.print(|| json, String::new)
}

fn projects(published: &Published) -> String {
    let names: Vec<String> = published
        .projects
        .keys()
        .take(4)
        .map(ProjectName::to_string)
        .collect();
    match published.projects.len() {
        0 => "no project".into(),
        1 => format!("project {}", names[0]),
        all => format!("{} ({})", count(all as u64, "project"), {
            let more = if all > 3 { ", ..." } else { "" };
            format!("{}{more}", some(&names[..names.len().min(3)], 3))
        }),
    }
}

/// For `--prune`: all flows of the owner that the source does not have, as each project's last change.
fn prunings(names: &std::collections::BTreeMap<ProjectName, Vec<FlowName>>) -> Vec<Item> {
    let pruning = |(project, flows): (&ProjectName, &Vec<FlowName>)| Item {
        project: project.clone(),
        place: Place::default(),
        act: Act::DeleteMatching(Pattern {
            glob: "*".into(),
            except: flows.clone(),
        }),
    };
    names.iter().map(pruning).collect()
}

fn dry_run(context: &Context, args: &PublishArgs, checked: &Checked, source: &Source) -> Result<(), Failure> {
    let json = || {
        json!({"changes": checked.changes(), "flows": checked.upserts, "deletions": checked.deletions,
            "files": checked.files, "projects": checked.projects, "prune": args.prune})
    };
    let people = || {
        let mut parts = vec![count(checked.upserts, "flow")];
        parts.extend((checked.deletions > 0).then(|| count(checked.deletions, "deletion")));
        parts.extend((checked.files > 0).then(|| count(checked.files, "shared file")));
        let mut text = format!(
            "{}: {} in {}\n",
            source.describe(),
            parts.join(", "),
            count(checked.changes(), "change")
        );
        for (project, changes) in &checked.projects {
            text += &format!("  {project}: {}\n", count(*changes, "change"));
        }
        if args.prune {
            text += "  and all other flows of this owner would be deleted there\n";
        }
        text + "all good; nothing was queued (--dry-run)"
    };
    context.print(json, people)
}
