//! `flowlift dead purge`.

use super::{Context, counted, say_none, selection};
use crate::cli::dead::DeadPurgeArgs;
use crate::confirm::confirm;
use crate::dead::desk::Desk;
use crate::dead::letter::{Letter, split};
use crate::dead::picked::Picked;
use crate::dead::take::{Taken, Work, take};
use crate::exit::Failure;
use crate::words::{count, count_are};

/// Runs it.
pub(super) async fn run(context: &Context, args: &DeadPurgeArgs) -> Result<(), Failure> {
    let selection = selection(&args.choice, "purge")?;
    let reporter = &context.reporter;
    let desk = Desk::open(&context.settings, reporter).await?;
    let counted = counted(&desk, &selection, None, reporter).await?;
    if counted.total() == 0 {
        desk.close().await;
        say_none(context, &selection);
        return context.print(|| serde_json::json!({"purged": 0}), || "0".into());
    }
    if !args.yes {
        desk.stand_up().await?;
        let letters = count(counted.total(), "dead letter");
        confirm(&format!("Delete {letters}{} for good?", counted.places()), false)?;
        desk.sit_down(reporter).await?;
    }
    let shutdown = context.watch_signals()?;
    let mut taken = Taken::default();
    let mut gone = Picked::default();
    let stage = reporter.stage("purged", "dead letters", Some(counted.total()));
    let ended = take(
        &desk,
        &shutdown,
        &mut taken,
        async |letter| Ok(work(&letter, &counted.picked, &mut gone)),
        |done| stage.set(done, Some(counted.total())),
    )
    .await;
    stage.finish();
    desk.close().await;
    let purged = taken.changes() + taken.unread;
    let is_purged = format!("{} purged", count_are(purged, "dead letter"));
    if let Err(failure) = ended {
        reporter.warn(&format!(
            "at most {} purged, all others are there as before",
            count_are(taken.begun, "dead letter")
        ));
        return Err(failure);
    }
    context.print(|| serde_json::json!({"purged": purged}), || purged.to_string())?;
    if taken.partial {
        return Err(Failure::Interrupted(format!(
            "interrupted: {is_purged}, the others are there as before"
        )));
    }
    reporter.say(&format!("purged {}", count(purged, "dead letter")));
    Ok(())
}

/// What was agreed on goes; what stays of a letter is kept.
pub(super) fn work(letter: &Letter, agreed: &Picked, gone: &mut Picked) -> Option<Work> {
    match letter {
        Letter::Changes(letter) => {
            let parts = split(letter, |entry| agreed.has(entry.order()));
            let chosen = parts.chosen?;
            let envelope = &chosen.envelope;
            let fresh = envelope
                .changes
                .iter()
                .filter(|change| gone.add(envelope.order(change)));
            let fresh = fresh.count() as u64;
            Some(Work {
                rest: parts.rest,
                changes: Some((envelope.project.clone(), fresh)),
                ..Work::default()
            })
        }
        Letter::Unread(unread) => agreed.has_unread(unread.hash).then(|| Work {
            unread: u64::from(gone.add_unread(unread.hash)),
            ..Work::default()
        }),
    }
}
