//! `flowlift runs`.

use std::collections::HashSet;

use flowlift_common::amqp::Link;
use flowlift_common::order::RunId;
use jiff::tz::TimeZone;

use super::Context;
use crate::cli::runs::RunsArgs;
use crate::exit::{Failure, printed};
use crate::publish::{now_ms, set_up};
use crate::runs::opened_ms;
use crate::runs::read::{Glance, begin, each_settled, runs};
use crate::runs::table::{HEADING, row, to_json};
use crate::table::table;
use crate::words::count;

/// Runs it.
pub(super) async fn run(context: &Context, args: &RunsArgs) -> Result<(), Failure> {
    let settings = &context.settings;
    let link = Link::connect(settings.amqp_url(), "flowlift runs").await?;
    set_up(&link, settings, &context.reporter).await?;
    let mut runs = runs(&link).await?;
    runs.keep(usize::try_from(args.limit).unwrap_or(usize::MAX), args.since);
    let oldest = runs.iter().map(|(_, state)| opened_ms(state)).min();
    if let Some(oldest) = oldest {
        // what was settled before the oldest of them was opened is none of theirs
        let ids: HashSet<RunId> = runs.iter().map(|(run, _)| run).collect();
        let matters = |glance: &Glance| glance.results.iter().any(|at| ids.contains(&at.run));
        each_settled(&link, begin(Some(oldest)), matters, |record| {
            runs.settled(&record);
        })
        .await?;
    }
    link.close().await;
    let (now, zone) = (now_ms(), TimeZone::system());
    if context.json {
        for (run, state) in runs.iter() {
            printed(context.reporter.result(&to_json(run, state, now).to_string()))?;
        }
    } else if oldest.is_some() {
        let rows = runs.iter().map(|(run, state)| row(run, state, now, &zone));
        let text = table(&HEADING, rows);
        printed(context.reporter.result(text.trim_end()))?;
    }
    let all = runs.iter().count() as u64;
    context.reporter.say(&match all {
        0 => "there is no such run".to_owned(),
        _ => count(all, "run"),
    });
    Ok(())
}
