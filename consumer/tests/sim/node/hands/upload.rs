//! Sends the zip and says whether it can have landed when the answer is bad. Mirrors `src/hands/upload.rs`.

use std::time::Duration;

use flowlift_common::ledger::UploadFacts;
use flowlift_consumer::judge;
use flowlift_consumer::project::{Event, Trouble, UploadTrouble, Uploaded};

use super::super::floor::{Place, What};
use super::USER;
use crate::azkaban::Caller;
use crate::azkaban::install::{Answer, Upload};
use crate::azkaban::upload as server;
use crate::clock::Ms;
use crate::world::{W, tell};

const BEGIN_WITHIN: Ms = 10_000;
/// The time an upload may take, for these few flows.
const LIMIT: Ms = 300_000;

/// Uploads what is prepared.
pub(crate) async fn upload(w: W, here: Place) -> What {
    let kept = here.bench(&w, |bench| (bench.prepared.clone(), bench.announced));
    let (Some(prepared), Some(announced)) = kept.unwrap_or_default() else {
        return not("nothing is prepared");
    };
    if w.now() - announced > BEGIN_WITHIN {
        return not("it was announced too long ago");
    }
    let Some(content) = prepared.zip.clone() else {
        return not("there is no zip");
    };
    let begun = w.now();
    tell!(
        w,
        "night-{}: uploads {} to {}",
        here.node + 1,
        prepared.attempt,
        here.project
    );
    w.watch.upload_begins(&w, &here, &prepared);
    let sent = Upload {
        key: here.key(),
        who: USER.into(),
        file: prepared.attempt.clone(),
        content,
    };
    let answer = server::upload(&w, Caller::Node(here.node), sent, LIMIT).await;
    w.watch.upload_ends(&prepared.attempt);
    tell!(w, "night-{}: is answered {}", here.node + 1, words_of(&answer));
    What::Heard(Event::Uploaded(match answer {
        Ok(answer) => {
            let took = Duration::from_millis(w.now() - begun);
            let facts = UploadFacts {
                attempt: prepared.attempt.clone(),
                version: answer.version,
                zip_bytes: 1,
                flows: prepared.expected.len() as u64,
                upload_ms: w.now() - begun,
            };
            here.bench(&w, |bench| {
                bench.project = Some(answer.project_id);
                bench.upload = Some(facts);
            });
            let follows = prepared.base.active.as_ref().map_or(0, |active| active.version);
            Ok(Uploaded::answered(took, answer.version, follows))
        }
        Err(error) => Err(judge::upload(&error, prepared.highest, |problems| {
            judge::named(
                problems,
                prepared.held.iter().map(|held| (held.receipt, &*held.envelope)),
            )
        })),
    }))
}

fn words_of(answer: &Answer) -> String {
    match answer {
        Ok(uploaded) => format!("version {}", uploaded.version),
        Err(error) => error.to_string(),
    }
}

fn not(text: &str) -> What {
    let trouble = UploadTrouble::Not(Trouble::Later(text.to_owned()));
    What::Heard(Event::Uploaded(Err(trouble)))
}
