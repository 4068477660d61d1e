//! `flowlift show`.

use flowlift_common::amqp::Link;
use flowlift_common::order::RunId;
use jiff::tz::TimeZone;

use super::Context;
use crate::cli::runs::ShowArgs;
use crate::dead::id::RunRef;
use crate::exit::{Failure, printed};
use crate::publish::set_up;
use crate::runs::read::{begin, each_settled, runs};
use crate::show::words::{HEADING, aligned, row, to_json};
use crate::show::{Asked, Fate, Told, fates};
use crate::words::count;

/// Lines that are aligned with each other and printed together.
const BLOCK: usize = 10_000;

/// Runs it.
pub(super) async fn run(context: &Context, args: &ShowArgs) -> Result<(), Failure> {
    let settings = &context.settings;
    let link = Link::connect(settings.amqp_url(), "flowlift show").await?;
    set_up(&link, settings, &context.reporter).await?;
    let mut asked = Asked {
        project: args.what.as_ref().map(|what| what.project.clone()),
        flow: args.what.as_ref().and_then(|what| what.flow.clone()),
        run: args.run,
    };
    let mut since = args.since;
    if let Some(name) = args.run {
        let full = the_run(&link, name).await?;
        asked.run = Some(RunRef::Full(full));
        since = since.max(full.made_at_ms());
    }
    let (mut told, mut found) = (Told::default(), Vec::new());
    let earliest = args.since.unwrap_or_default();
    each_settled(&link, begin(since), |glance| asked.matters(glance), |record| {
        if record.at_ms >= earliest {
            fates(&record, &asked, &mut told, |fate| found.push(fate));
        }
    })
    .await?;
    link.close().await;
    print(context, &found)?;
    let describe = asked.describe();
    if found.is_empty() {
        let kept = "what is still queued has none yet, and RabbitMQ keeps them for a time only";
        return Err(Failure::NoInput(format!("there are no outcomes{describe}: {kept}")));
    }
    context.reporter.say(&format!("{}{describe}", count(found.len() as u64, "outcome")));
    Ok(())
}

/// The run that is named; an id in full need not be looked for.
async fn the_run(link: &Link, name: RunRef) -> Result<RunId, Failure> {
    match name {
        RunRef::Full(run) => Ok(run),
        RunRef::Short(_) => runs(link).await?.named(name).map_err(Failure::NoInput),
    }
}

fn print(context: &Context, found: &[Fate]) -> Result<(), Failure> {
    let zone = TimeZone::system();
    let mut first = true;
    for block in found.chunks(BLOCK) {
        let text = if context.json {
            block.iter().map(|fate| to_json(fate).to_string() + "\n").collect()
        } else {
            let heading = std::mem::take(&mut first).then(|| HEADING.map(str::to_owned));
            let rows: Vec<_> = heading.into_iter().chain(block.iter().map(|fate| row(fate, &zone))).collect();
            aligned(&rows)
        };
        printed(context.reporter.result(text.trim_end()))?;
    }
    Ok(())
}
