//! `flowlift verify`.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use flowlift_azkaban::ProjectName;
use flowlift_azkaban::client::Client;
use flowlift_common::amqp::{Link, declare};
use flowlift_common::fold::RunState;
use flowlift_common::order::RunId;
use flowlift_common::topology::Retention;
use serde_json::{Value, json};

use super::Context;
use super::publish::looked_at;
use crate::cli::VerifyArgs;
use crate::exit::Failure;
use crate::prepare;
use crate::readback::{self, Project};
use crate::source::Source;
use crate::verify::run::Touched;
use crate::verify::source::compare;
use crate::verify::{Difference, Schedules};
use crate::wait::follow::{Follow, Heard};
use crate::words::count;

/// Differences that are shown one by one.
const SHOWN: usize = 50;
/// A run whose records stop coming for this long, unsettled, is not settled.
const QUIET_AFTER: Duration = Duration::from_secs(3);

/// Runs it.
pub(super) async fn run(context: &Context, args: &VerifyArgs) -> Result<(), Failure> {
    let client = context.azkaban()?;
    if let Some(run) = args.run {
        let touched = touched(context, run).await?;
        return of_run(context, &client, run, &touched).await;
    }
    let source = prepare::source(&args.source)?;
    let checked = looked_at(context, &source, args.source.format, false)?;
    of_source(context, &client, &source, &checked.projects).await
}

async fn of_source(
    context: &Context,
    client: &Client,
    source: &Source,
    wanted: &BTreeMap<ProjectName, u64>,
) -> Result<(), Failure> {
    let schedules = Schedules::of(client.schedules().await?);
    let stage = context
        .reporter
        .stage("compared", "changes", Some(wanted.values().sum()));
    let mut projects: HashMap<ProjectName, Option<Project>> = HashMap::new();
    let mut found = Vec::new();
    for item in source.items()? {
        let Ok(item) = item else { continue };
        if !projects.contains_key(&item.project) {
            let read = readback::read(client, &item.project).await?;
            if read.is_none() {
                found.push(missing(&item.project));
            }
            projects.insert(item.project.clone(), read);
        }
        if let Some(Some(project)) = projects.get(&item.project) {
            found.extend(compare(&item.project, &item.act, project, &schedules));
        }
        stage.add(1);
    }
    stage.finish();
    let what = match source {
        Source::Generated(_) => source.describe(),
        _ => format!(
            "{} ({})",
            source.describe(),
            count(wanted.values().sum(), "change")
        ),
    };
    tell(context, &what, projects.len(), &found)
}

async fn of_run(context: &Context, client: &Client, run: RunId, touched: &Touched) -> Result<(), Failure> {
    let schedules = Schedules::of(client.schedules().await?);
    let stage = context
        .reporter
        .stage("compared", "projects", Some(touched.projects().count() as u64));
    let mut found = Vec::new();
    for name in touched.projects() {
        match readback::read(client, name).await? {
            None => found.push(missing(name)),
            Some(project) => found.extend(touched.compare(name, &project, &schedules)),
        }
        stage.add(1);
    }
    stage.finish();
    let what = format!("{} of run {run}", count(touched.len(), "flow"));
    tell(context, &what, touched.projects().count(), &found)
}

fn missing(project: &ProjectName) -> Difference {
    Difference {
        project: project.clone(),
        what: String::new(),
        text: "there is no such project in Azkaban".into(),
    }
}

/// Reads a settled run from the streams.
async fn touched(context: &Context, run: RunId) -> Result<Touched, Failure> {
    let settings = &context.settings;
    let link = Link::connect(settings.amqp_url(), "flowlift verify").await?;
    declare(&link, settings.shards, &Retention::default()).await?;
    let mut follow = Follow::open(&link, run).await?;
    let (mut state, mut touched) = (RunState::new(run), Touched::default());
    while !state.is_settled() {
        match tokio::time::timeout(QUIET_AFTER, follow.next()).await {
            Ok(heard) => match heard? {
                Heard::Run(event) => state.run_event(&event),
                Heard::Settled(settled) => {
                    state.settled(&settled);
                    touched.settled(run, &settled);
                }
            },
            Err(_) if !state.is_open_or_closed() => {
                return Err(Failure::NoInput(format!(
                    "there is no run {run} in this RabbitMQ (runs are kept for 90 days)"
                )));
            }
            Err(_) => {
                let done = state.done();
                let of = state
                    .total()
                    .map_or_else(String::new, |total| format!(" of {}", count(total, "change")));
                return Err(Failure::Answer(format!(
                    "run {run} is not settled yet ({done}{of}); `flowlift wait {run}` follows it"
                )));
            }
        }
    }
    drop(follow);
    link.close().await;
    Ok(touched)
}

fn tell(context: &Context, what: &str, projects: usize, found: &[Difference]) -> Result<(), Failure> {
    let json = || {
        let differences: Vec<Value> = found
            .iter()
            .map(|one| json!({"project": one.project, "what": one.what, "difference": one.text}))
            .collect();
        json!({"compared": what, "projects": projects, "differences": differences})
    };
    let people = || {
        let mut text: String = found.iter().take(SHOWN).map(|one| format!("{one}\n")).collect();
        if found.len() > SHOWN {
            text += &format!("and {} more\n", found.len() - SHOWN);
        }
        let of = count(projects as u64, "project");
        text + &match found.len() {
            0 => format!("{what} in {of}: all there"),
            n => format!("{what} in {of}: {}", count(n as u64, "difference")),
        }
    };
    context.print(json, people)?;
    if found.is_empty() {
        Ok(())
    } else {
        Err(Failure::No)
    }
}
