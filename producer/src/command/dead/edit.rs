//! `flowlift dead edit`.

use std::io::{IsTerminal as _, Read as _, Write as _};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use flowlift_azkaban::ProjectName;
use flowlift_common::Change;
use flowlift_common::ledger::DeadLetter;

use super::purge::work;
use super::{Context, Counted, One, Only, counted, only, publish};
use crate::check::Findings;
use crate::cli::dead::DeadEditArgs;
use crate::confirm::confirm;
use crate::dead::desk::Desk;
use crate::dead::document;
use crate::dead::filter::Selection;
use crate::dead::history;
use crate::dead::letter::Entry;
use crate::dead::overtaken::{Scope, Watch};
use crate::dead::picked::Picked;
use crate::dead::take::{Taken, take};
use crate::exit::Failure;
use crate::publish::{Feed, Job};
use crate::source::{Item, Source};

/// Runs it.
pub(super) async fn run(context: &Context, args: &DeadEditArgs) -> Result<(), Failure> {
    let reporter = &context.reporter;
    if args.set.is_none() && !std::io::stdin().is_terminal() {
        return Err(Failure::Usage(
            "an editor needs a terminal; without one, --set FILE (or --set -) has the change".into(),
        ));
    }
    let desk = Desk::open(&context.settings, reporter).await?;
    let found = only(&desk, args.id).await?;
    let Only::Change(one) = found else {
        return Err(Failure::BadInput(mistake(
            &args.id.to_string(),
            "it cannot be read, only shown and purged",
        )));
    };
    desk.stand_up().await?;
    let items = edited(args, &one)?;
    // the person may have taken hours: what was newer then is not asked, but what is newer now
    let mut watch = Watch::new(Scope::AllRuns);
    let picked = watched(&one, &items, &mut watch);
    history::read(&desk.link, &picked, &mut watch).await?;
    agree(args, &one, &items, &watch)?;
    desk.sit_down(reporter).await?;
    let selection = Selection::Ids(vec![args.id]);
    let still = counted(&desk, &selection, None, reporter).await?;
    let shutdown = context.watch_signals()?;
    let envelope = &one.letter.envelope;
    let job = Job {
        owner: args.owner.clone().unwrap_or_else(|| envelope.owner.clone()),
        rules: envelope.rules,
        format: envelope.rules.format,
        total: Some(items.len() as u64),
        describe: format!("dead letter {} edited", args.id),
        unchecked: false,
        deadline_ms: None,
    };
    let feed = Feed::of(Arc::new(Source::Acts(items)), Vec::new());
    let published = publish::queued(context, &job, feed, &shutdown).await?;
    if !published.partial {
        remove(&desk, &still, &shutdown).await?;
    }
    desk.close().await;
    publish::followed(context, &published, args.then.wanted().map(Into::into), &shutdown).await
}

/// The change is queued: now its letter may go.
async fn remove(
    desk: &Desk,
    still: &Counted,
    shutdown: &flowlift_common::shutdown::Shutdown,
) -> Result<(), Failure> {
    let (mut taken, mut gone) = (Taken::default(), Picked::default());
    let decide = async |letter| Ok(work(&letter, &still.picked, &mut gone));
    take(desk, shutdown, &mut taken, decide, |_| {}).await
}

/// The change as the person wants it, checked.
fn edited(args: &DeadEditArgs, one: &One) -> Result<Vec<Item>, Failure> {
    let envelope = &one.letter.envelope;
    let (project, format) = (&envelope.project, envelope.rules.format);
    let parse = |name: &str, text: &str| document::parse(name, text, project, format);
    if let Some(path) = &args.set {
        let (name, text) = given(path)?;
        return parse(&name, &text).map_err(Failure::BadInput);
    }
    if one.letter.parts.is_some() {
        return Err(Failure::BadInput(mistake(
            &args.id.to_string(),
            "its content is too large for an editor; --set FILE has the change, or publish it again",
        )));
    }
    let before = document::text(project, &one.change.act);
    let failed = |source| Failure::Io {
        path: "the text to edit".into(),
        source,
    };
    let mut file = tempfile::Builder::new()
        .prefix("flowlift-")
        .suffix(".json")
        .tempfile()
        .map_err(failed)?;
    file.write_all(before.as_bytes()).map_err(failed)?;
    loop {
        open_editor(file.path())?;
        let text = std::fs::read_to_string(file.path()).map_err(failed)?;
        if text.trim().is_empty() || text == before {
            return Err(Failure::NotAgreed(
                "the change is as it was; nothing was queued".into(),
            ));
        }
        let findings = match parse("your text", &text) {
            Ok(items) => return Ok(items),
            Err(findings) => findings,
        };
        if confirm(&format!("{findings}\nEdit it again?"), false).is_err() {
            let (_, path) = file.keep().map_err(|error| failed(error.error))?;
            let (id, path) = (args.id, path.display());
            return Err(Failure::Left(format!(
                "your text is kept: `flowlift dead edit {id} --set {path}` takes it once it is right"
            )));
        }
    }
}

fn given(path: &Path) -> Result<(String, String), Failure> {
    let mut text = String::new();
    let (name, read) = if path.as_os_str() == "-" {
        let read = std::io::stdin().lock().read_to_string(&mut text);
        ("standard input".to_owned(), read)
    } else {
        let read = std::fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text));
        (path.display().to_string(), read)
    };
    match read {
        Ok(_) => Ok((name, text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(Failure::NoInput(format!("{name}: there is no such file")))
        }
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            Err(Failure::BadInput(mistake(&name, "it is not UTF-8 text")))
        }
        Err(source) => Err(Failure::Io {
            path: name.into(),
            source,
        }),
    }
}

/// `$VISUAL`, else `$EDITOR`, else `vi`, with arguments as a shell reads them.
fn open_editor(path: &Path) -> Result<(), Failure> {
    let set = |name: &str| std::env::var(name).ok().filter(|text| !text.trim().is_empty());
    let editor = set("VISUAL")
        .or_else(|| set("EDITOR"))
        .unwrap_or_else(|| "vi".into());
    let status = Command::new("sh")
        .arg("-c")
        .arg(format!("{editor} \"$1\""))
        .arg("sh")
        .arg(path)
        .status()
        .map_err(|source| Failure::Io {
            path: editor.clone().into(),
            source,
        })?;
    if status.success() {
        Ok(())
    } else {
        Err(Failure::NotAgreed(format!(
            "the editor ({editor}) ended with {status}; nothing was queued"
        )))
    }
}

/// The letter as it would be with the new content: what is newer than that is overwritten.
fn becomes(one: &One, item: &Item) -> DeadLetter {
    let mut letter = one.letter.clone();
    letter.envelope.project = item.project.clone();
    letter.envelope.changes = vec![Change {
        seq: one.change.seq,
        act: item.act.clone(),
    }];
    letter
}

fn watched(one: &One, items: &[Item], watch: &mut Watch) -> Picked {
    let mut picked = Picked::default();
    for item in items {
        let letter = becomes(one, item);
        for change in &letter.envelope.changes {
            let entry = Entry {
                letter: &letter,
                change,
            };
            picked.add(entry.order());
            watch.add(&entry);
        }
    }
    picked
}

fn agree(args: &DeadEditArgs, one: &One, items: &[Item], watch: &Watch) -> Result<(), Failure> {
    for item in items {
        let letter = becomes(one, item);
        for change in &letter.envelope.changes {
            let entry = Entry {
                letter: &letter,
                change,
            };
            if let Some(landed) = watch.over(&entry) {
                let (run, project): (_, &ProjectName) = (landed.order.run, &item.project);
                let text = format!(
                    "1 applied change is newer: {} in {project} by run {run}. Overwrite that?",
                    landed.what
                );
                confirm(&text, args.then.yes)?;
            }
        }
    }
    Ok(())
}

fn mistake(name: &str, message: &str) -> Findings {
    Findings::one(flowlift_azkaban::rules::Finding {
        path: Some(name.to_owned()),
        line: None,
        field: None,
        message: message.to_owned(),
    })
}
