//! `flowlift show`.

use std::io::Write as _;

use flowlift_common::amqp::Link;
use flowlift_common::order::RunId;
use jiff::tz::TimeZone;

use super::Context;
use crate::cli::runs::ShowArgs;
use crate::dead::id::RunRef;
use crate::exit::{Failure, printed};
use crate::publish::set_up;
use crate::runs::read::{begin, each_settled, runs};
use crate::show::words::{HEADING, Times, aligned, row, to_json};
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
    let (mut told, mut out) = (Told::default(), Printer::new(context));
    let earliest = args.since.unwrap_or_default();
    each_settled(
        &link,
        begin(since),
        |glance| asked.matters(glance),
        |record| {
            if record.at_ms >= earliest && !out.is_over() {
                fates(&record, &asked, &mut told, |fate| out.add(fate));
            }
        },
    )
    .await?;
    link.close().await;
    let found = out.finish()?;
    let describe = asked.describe();
    if found == 0 {
        let kept = "what is still queued has none yet, and RabbitMQ keeps them for a time only";
        return Err(Failure::NoInput(format!(
            "there are no outcomes{describe}: {kept}"
        )));
    }
    context
        .reporter
        .say(&format!("{}{describe}", count(found, "outcome")));
    Ok(())
}

/// The run that is named; an id in full need not be looked for.
async fn the_run(link: &Link, name: RunRef) -> Result<RunId, Failure> {
    match name {
        RunRef::Full(run) => Ok(run),
        RunRef::Short(_) => runs(link).await?.named(name).map_err(Failure::NoInput),
    }
}

/// Prints lines in blocks as they are found: a million of them are not kept.
struct Printer<'a> {
    context: &'a Context,
    times: Times,
    block: Vec<Fate>,
    found: u64,
    /// What was printed so far came to.
    written: std::io::Result<()>,
}

impl<'a> Printer<'a> {
    fn new(context: &'a Context) -> Self {
        Self {
            context,
            times: Times::of(TimeZone::system()),
            block: Vec::new(),
            found: 0,
            written: Ok(()),
        }
    }

    /// Whether nobody reads any more.
    fn is_over(&self) -> bool {
        self.written.is_err()
    }

    fn add(&mut self, fate: Fate) {
        self.found += 1;
        self.block.push(fate);
        if self.block.len() == BLOCK {
            self.flush();
        }
    }

    fn flush(&mut self) {
        let block = std::mem::take(&mut self.block);
        if block.is_empty() || self.is_over() {
            return;
        }
        let first = self.found == block.len() as u64;
        let text: String = if self.context.json {
            block
                .iter()
                .map(|fate| to_json(fate).to_string() + "\n")
                .collect()
        } else {
            let heading = first.then(|| HEADING.map(str::to_owned));
            let rows = heading
                .into_iter()
                .chain(block.iter().map(|fate| row(fate, &mut self.times)));
            aligned(&rows.collect::<Vec<_>>())
        };
        // a pager may keep it waiting for hours, and RabbitMQ wants signs of life meanwhile
        self.written = tokio::task::block_in_place(|| {
            let mut out = std::io::stdout().lock();
            out.write_all(text.as_bytes())?;
            out.flush()
        });
    }

    /// How many there were.
    fn finish(mut self) -> Result<u64, Failure> {
        self.flush();
        printed(self.written)?;
        Ok(self.found)
    }
}
