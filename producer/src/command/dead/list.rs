//! `flowlift dead list`.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use jiff::tz::TimeZone;

use super::{Context, filter, say_none};
use crate::cli::dead::DeadListArgs;
use crate::dead::desk::Desk;
use crate::dead::filter::Selection;
use crate::dead::letter::{Letter, entries};
use crate::dead::picked::Picked;
use crate::dead::words::{self, HEADING};
use crate::exit::{Failure, printed};
use crate::reporter::Reporter;
use crate::table::table;
use crate::words::count;

/// Lines that are aligned with each other and printed together.
const BLOCK: usize = 1_000;
/// Lines that wait for a reader who is slower than RabbitMQ; so far a pager keeps nobody else from the letters.
const AHEAD: usize = 20_000;

/// A line on its way to standard output.
enum Line {
    Row(Vec<String>),
    Json(String),
}

/// Runs it.
pub(super) async fn run(context: &Context, args: &DeadListArgs) -> Result<(), Failure> {
    let selection = filter(&args.filter);
    let desk = Desk::open(&context.settings, &context.reporter).await?;
    let (sender, receiver) = sync_channel(AHEAD);
    let reporter = context.reporter.clone();
    // not on a thread of the runtime: a pager may keep it waiting for hours
    let printer = std::thread::spawn(move || print(&reporter, &receiver));
    let looked = look(&desk, &selection, context.json, &sender).await;
    desk.close().await;
    drop(sender);
    let written = tokio::task::spawn_blocking(move || printer.join())
        .await
        .map_err(|error| Failure::Bug(error.to_string()))?
        .map_err(|_| Failure::Bug("printing ended early".into()))?;
    printed(written)?;
    let seen = looked?;
    if seen.changes() + seen.unread() == 0 {
        say_none(context, &selection);
        return Ok(());
    }
    let unread = match seen.unread() {
        0 => String::new(),
        n => format!("; {} cannot be read", count(n, "message")),
    };
    context.reporter.say(&format!(
        "{}{}{unread}",
        count(seen.changes(), "dead letter"),
        selection.describe()
    ));
    Ok(())
}

async fn look(
    desk: &Desk,
    selection: &Selection,
    json: bool,
    sender: &SyncSender<Line>,
) -> Result<Picked, Failure> {
    let zone = TimeZone::system();
    let mut seen = Picked::default();
    let mut gone = false;
    desk.look(async |letter, _| {
        let mut lines = Vec::new();
        match &letter {
            Letter::Changes(letter) => {
                for entry in entries(letter).filter(|entry| selection.takes(entry)) {
                    if seen.add(entry.order()) {
                        lines.push(if json {
                            Line::Json(words::json(&entry).to_string())
                        } else {
                            Line::Row(words::row(&entry, &zone))
                        });
                    }
                }
            }
            Letter::Unread(unread) if selection.takes_unread(unread) && seen.add_unread(unread.hash) => {
                lines.push(if json {
                    Line::Json(words::json_unread(unread).to_string())
                } else {
                    Line::Row(words::row_unread(unread, &zone))
                });
            }
            Letter::Unread(_) => {}
        }
        for line in lines {
            // whoever reads no further has seen enough; the walk goes on to its end, which keeps the queue's order
            gone = gone || tokio::task::block_in_place(|| sender.send(line)).is_err();
        }
        Ok(())
    })
    .await?;
    Ok(seen)
}

fn print(reporter: &Reporter, lines: &Receiver<Line>) -> std::io::Result<()> {
    let mut first = true;
    let mut rows = Vec::new();
    loop {
        let line = lines.recv();
        let ended = line.is_err();
        match line {
            Ok(Line::Json(text)) => reporter.result(&text)?,
            Ok(Line::Row(row)) => rows.push(row),
            Err(_) => {}
        }
        if rows.len() == BLOCK || (ended && !rows.is_empty()) {
            let text = table(&HEADING, std::mem::take(&mut rows));
            let (heading, body) = text.split_once('\n').unwrap_or_default();
            if std::mem::take(&mut first) {
                reporter.result(heading)?;
            }
            reporter.result(body.trim_end())?;
        }
        if ended {
            return Ok(());
        }
    }
}
