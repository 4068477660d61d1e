//! `flowlift dead requeue`.

use std::collections::BTreeSet;

use super::{Context, Counted, counted, publish, say_none, selection};
use crate::cli::dead::DeadRequeueArgs;
use crate::confirm::confirm;
use crate::dead::again::Again;
use crate::dead::desk::Desk;
use crate::dead::filter::Selection;
use crate::dead::history;
use crate::dead::letter::{Letter, entries};
use crate::dead::overtaken::{Scope, Watch};
use crate::exit::Failure;
use crate::publish::Traced;
use crate::words::{count, count_are, some};

/// Newer changes named in a question.
const NAMED: usize = 5;

/// Runs it.
pub(super) async fn run(context: &Context, args: &DeadRequeueArgs) -> Result<(), Failure> {
    let selection = selection(&args.choice, "requeue")?;
    let reporter = &context.reporter;
    let desk = Desk::open(&context.settings, reporter).await?;
    let mut watch = Watch::new(if args.as_new {
        Scope::AllRuns
    } else {
        Scope::OwnRun
    });
    let counted = counted(&desk, &selection, Some(&mut watch), reporter).await?;
    if counted.picked.unread() > 0 {
        unreadable(context, &selection, counted.picked.unread())?;
    }
    if counted.picked.changes() == 0 {
        desk.close().await;
        say_none(context, &selection);
        return Ok(());
    }
    history::read(&desk.link, &counted.picked, &mut watch).await?;
    let over = if watch.has_found() {
        overtaken(&desk, &counted, &watch).await?
    } else {
        Vec::new()
    };
    let stays = if args.as_new { 0 } else { over.len() as u64 };
    if stays > 0 {
        reporter.warn(&format!(
            "{} left: a later change of the same run is applied already ({}); --as-new queues such a change all the same",
            count_are(stays, "dead letter"),
            some(&over, NAMED)
        ));
    }
    let total = counted.picked.changes() - stays;
    if total == 0 {
        desk.close().await;
        return Err(Failure::Answer("nothing was queued".into()));
    }
    if let Some(question) = question(args, &selection, &counted, total, &over) {
        if args.then.yes {
            reporter.say(&question.remark);
        } else {
            desk.stand_up().await?;
            confirm(&question.text, false)?;
            desk.sit_down(reporter).await?;
        }
    }
    let shutdown = context.watch_signals()?;
    let traced = Traced::begin(&context.traces, "requeue");
    let again = Again {
        settings: &context.settings,
        picked: &counted.picked,
        stays: (!args.as_new).then_some(&watch),
        as_new: args.as_new,
        owner: counted.owner(),
        total,
        trace: traced.context(),
    };
    let opened = |run| {
        traced.opened(run);
        publish::say_run(context, run)
    };
    let published = again.run(&desk, reporter, &shutdown, opened).await;
    traced.end(&context.settings, &published);
    desk.close().await;
    publish::followed(
        context,
        &published?,
        args.then.wanted().map(Into::into),
        &shutdown,
    )
    .await
}

/// What cannot be read cannot be queued: an error where it was meant by its id, a remark else.
fn unreadable(context: &Context, selection: &Selection, unread: u64) -> Result<(), Failure> {
    let text = format!(
        "{} cannot be read, only shown and purged",
        count(unread, "of these dead letter")
    );
    if matches!(selection, Selection::Ids(_)) {
        return Err(Failure::BadInput(crate::check::Findings::one(
            flowlift_azkaban::rules::Finding {
                path: None,
                line: None,
                field: None,
                message: text,
            },
        )));
    }
    context.reporter.warn(&format!("{text}; left where they are"));
    Ok(())
}

/// What newer changes are there, `f by run R`, each dead letter once.
async fn overtaken(desk: &Desk, counted: &Counted, watch: &Watch) -> Result<Vec<String>, Failure> {
    let mut seen = BTreeSet::new();
    let mut over = Vec::new();
    desk.look(async |letter, _| {
        if let Letter::Changes(letter) = &letter {
            for entry in entries(letter).filter(|entry| counted.picked.has(entry.order())) {
                if let Some(landed) = watch.over(&entry)
                    && seen.insert(entry.order())
                {
                    let (run, project) = (landed.order.run, &letter.envelope.project);
                    over.push(format!("{} in {project} by run {run}", landed.what));
                }
            }
        }
        Ok(())
    })
    .await?;
    Ok(over)
}

struct Question {
    text: String,
    remark: String,
}

fn question(
    args: &DeadRequeueArgs,
    selection: &Selection,
    counted: &Counted,
    total: u64,
    over: &[String],
) -> Option<Question> {
    let letters = count(total, "dead letter");
    let places = counted.places();
    if args.as_new && !over.is_empty() {
        let newer = format!(
            "{} newer: {}",
            count_are(over.len() as u64, "applied change"),
            some(over, NAMED)
        );
        return Some(Question {
            text: format!("{newer}. Requeue {letters}{places} as new and overwrite that?"),
            remark: format!("{newer}; overwritten (--yes)"),
        });
    }
    let as_new = if args.as_new { " as new" } else { "" };
    matches!(selection, Selection::Filter(_)).then(|| Question {
        text: format!("Requeue {letters}{places}{as_new}?"),
        remark: format!("requeueing {letters}{places}{as_new}"),
    })
}
