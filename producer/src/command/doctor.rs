//! `flowlift doctor`.

use super::Context;
use crate::cli::setting::DoctorArgs;
use crate::doctor::azkaban::{self, Depth};
use crate::doctor::{Chapter, Finding, Verdict, broker, json, words, worst};
use crate::exit::Failure;
use crate::publish::now_ms;

/// Runs it.
pub(super) async fn run(context: &Context, args: &DoctorArgs) -> Result<(), Failure> {
    let settings = &context.settings;
    let (of_broker, known) = broker::examine(settings).await;
    let (password, depth, missing) = match settings.password() {
        Ok(password) if args.no_trial || settings.protected => (password, Depth::Inside, None),
        Ok(password) => (password, Depth::Trial, None),
        Err(error) => {
            let advice = "publishing, waiting, steering and looking need none; verify, list and export do, and so does looking further here";
            let missing = Finding::hint("login", error.to_string(), advice);
            (String::new().into(), Depth::Outside, Some(missing))
        }
    };
    let client = context.azkaban_with(password)?;
    let mut of_azkaban = azkaban::examine(&client, known.record.as_ref(), depth, now_ms()).await;
    of_azkaban.extend(missing);
    let chapters = [
        Chapter {
            about: "RabbitMQ",
            findings: of_broker,
        },
        Chapter {
            about: "Azkaban",
            findings: of_azkaban,
        },
    ];
    context.print(|| json(&chapters), || words(&chapters))?;
    match worst(&chapters) {
        Verdict::Bad => Err(Failure::No),
        Verdict::Good | Verdict::Hint => Ok(()),
    }
}
