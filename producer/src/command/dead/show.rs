//! `flowlift dead show`.

use jiff::tz::TimeZone;

use super::{Context, Only, only};
use crate::cli::dead::DeadShowArgs;
use crate::dead::desk::Desk;
use crate::dead::letter::Entry;
use crate::dead::words;
use crate::exit::Failure;

/// Runs it.
pub(super) async fn run(context: &Context, args: &DeadShowArgs) -> Result<(), Failure> {
    let desk = Desk::open(&context.settings, &context.reporter).await?;
    let found = only(&desk, args.id).await;
    desk.close().await;
    let zone = TimeZone::system();
    match found? {
        Only::Change(one) => {
            let entry = Entry {
                letter: &one.letter,
                change: &one.change,
            };
            let publisher = one.publisher.as_deref();
            context.print(
                || words::page_json(&entry, publisher),
                || words::page(&entry, publisher, &zone),
            )
        }
        Only::Unread(unread) => context.print(
            || words::page_json_unread(&unread),
            || words::page_unread(&unread, &zone),
        ),
    }
}
