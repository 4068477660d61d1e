//! `flowlift verify`.

mod compared;
mod repair;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use flowlift_azkaban::ProjectName;
use flowlift_azkaban::client::Client;
use flowlift_common::amqp::Link;
use flowlift_common::fold::RunState;
use flowlift_common::order::RunId;
use flowlift_common::ranges::RangeSet;

use super::Context;
use super::publish::looked_at;
use crate::cli::VerifyArgs;
use crate::exit::Failure;
use crate::prepare;
use crate::publish::set_up;
use crate::readback::{self, Project};
use crate::source::Source;
use crate::verify::run::Touched;
use crate::verify::source::compare;
use crate::verify::{Difference, Schedules};
use crate::wait::follow::{Follow, Heard};
use crate::words::count;
use compared::Compared;

/// A run whose records stop coming for this long, unsettled, is not settled.
const QUIET_AFTER: Duration = Duration::from_secs(3);

/// What should be in Azkaban.
enum Wanted {
    /// These changes.
    Source {
        source: Arc<Source>,
        projects: BTreeMap<ProjectName, u64>,
    },
    /// What a run applied.
    Run { run: RunId, touched: Touched },
}

/// Runs it.
pub(super) async fn run(context: &Context, args: &VerifyArgs) -> Result<(), Failure> {
    let client = context.azkaban()?;
    let wanted = match args.run {
        Some(run) => Wanted::Run {
            run,
            touched: touched(context, run).await?,
        },
        None => {
            let source = prepare::source(&args.source)?;
            let checked = looked_at(context, &source, args.source.format, false)?;
            Wanted::Source {
                source: Arc::new(source),
                projects: checked.projects,
            }
        }
    };
    let compared = wanted.compare(context, &client).await?;
    if args.repair && !compared.found.is_empty() {
        return repair::run(context, args, &client, &wanted, compared).await;
    }
    context.print(|| compared.json(), || compared.text())?;
    if compared.found.is_empty() {
        Ok(())
    } else {
        Err(Failure::No)
    }
}

impl Wanted {
    async fn compare(&self, context: &Context, client: &Client) -> Result<Compared, Failure> {
        match self {
            Self::Source { source, projects } => of_source(context, client, source, projects).await,
            Self::Run { run, touched } => of_run(context, client, *run, touched).await,
        }
    }
}

async fn of_source(
    context: &Context,
    client: &Client,
    source: &Source,
    wanted: &BTreeMap<ProjectName, u64>,
) -> Result<Compared, Failure> {
    let schedules = Schedules::of(client.schedules().await?);
    let stage = context
        .reporter
        .stage("compared", "changes", Some(wanted.values().sum()));
    let mut projects: HashMap<ProjectName, Option<Project>> = HashMap::new();
    let (mut found, mut places) = (Vec::new(), RangeSet::default());
    for (place, item) in (1..).zip(source.items()?) {
        let Ok(item) = item else { continue };
        if !projects.contains_key(&item.project) {
            let read = readback::read(client, &item.project).await?;
            if read.is_none() {
                found.push(missing(&item.project));
            }
            projects.insert(item.project.clone(), read);
        }
        let before = found.len();
        let is_missing = match projects.get(&item.project) {
            Some(Some(project)) => {
                found.extend(compare(&item.project, &item.act, project, &schedules));
                false
            }
            _ => true,
        };
        if is_missing || found.len() > before {
            places.insert(place, place);
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
    Ok(Compared {
        what,
        projects: projects.len(),
        found,
        places,
        gone: BTreeSet::new(),
    })
}

async fn of_run(
    context: &Context,
    client: &Client,
    run: RunId,
    touched: &Touched,
) -> Result<Compared, Failure> {
    let schedules = Schedules::of(client.schedules().await?);
    let stage = context
        .reporter
        .stage("compared", "projects", Some(touched.projects().count() as u64));
    let (mut found, mut gone) = (Vec::new(), BTreeSet::new());
    for name in touched.projects() {
        match readback::read(client, name).await? {
            None => {
                found.push(missing(name));
                gone.insert(name.clone());
            }
            Some(project) => found.extend(touched.compare(name, &project, &schedules)),
        }
        stage.add(1);
    }
    stage.finish();
    Ok(Compared {
        what: format!("{} of run {run}", count(touched.len(), "flow")),
        projects: touched.projects().count(),
        found,
        places: RangeSet::default(),
        gone,
    })
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
    let link = Link::connect(context.settings.amqp_url(), "flowlift verify").await?;
    set_up(&link, &context.settings, &context.reporter).await?;
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
