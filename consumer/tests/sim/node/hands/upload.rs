//! Sends the zip and says whether it can have landed when the answer is bad. Mirrors `src/hands/upload.rs`.

use std::time::Duration;

use flowlift_azkaban::client::{ClientError, Doubt, ErrorClass};
use flowlift_azkaban::name::fold;
use flowlift_common::ledger::UploadFacts;
use flowlift_consumer::plan::ChangeId;
use flowlift_consumer::project::{Event, UploadTrouble, Uploaded};

use super::super::floor::{Place, What};
use super::Prepared;
use crate::azkaban::Caller;
use crate::azkaban::install::Upload;
use crate::azkaban::upload as server;
use crate::clock::Ms;
use crate::world::{W, tell};

const BEGIN_WITHIN: Ms = 10_000;
/// The time an upload may take, for these few flows.
const LIMIT: Ms = 300_000;

/// Uploads what is prepared.
pub(crate) async fn upload(w: W, here: Place) -> What {
    let (prepared, announced) = here
        .bench(&w, |bench| (bench.prepared.clone(), bench.announced))
        .unwrap_or_default();
    let (Some(prepared), Some(announced)) = (prepared, announced) else {
        return later("nothing is prepared");
    };
    if w.now() - announced > BEGIN_WITHIN {
        return later("it was announced too long ago");
    }
    let Some(content) = prepared.zip.clone() else {
        return later("there is no zip");
    };
    let begun = w.now();
    tell!(w, "night-{}: uploads {} to {}", here.node + 1, prepared.attempt, here.project);
    w.watch.upload_begins(&w, &here, &prepared);
    let sent = Upload {
        key: here.key(),
        who: "flowlift".into(),
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
            here.bench(&w, |bench| bench.upload = Some(facts));
            Ok(Uploaded { took })
        }
        Err(error) => Err(judge(&error, &prepared)),
    }))
}

fn words_of(answer: &server_answer::Answer) -> String {
    match answer {
        Ok(uploaded) => format!("version {}", uploaded.version),
        Err(error) => error.to_string(),
    }
}

use crate::azkaban::install as server_answer;

fn later(text: &str) -> What {
    What::Heard(Event::Uploaded(Err(UploadTrouble::Later(text.into()))))
}

fn judge(error: &ClientError, prepared: &Prepared) -> UploadTrouble {
    match error {
        ClientError::ProjectMissing { .. } => UploadTrouble::ProjectMissing,
        error if error.may_have_installed(Some(prepared.highest)) => UploadTrouble::InDoubt {
            text: error.to_string(),
            may_still_land: may_still_land(error),
        },
        error if error.class() == ErrorClass::Content => {
            let (text, problems) = words(error);
            UploadTrouble::Refused {
                named: named(prepared, &problems),
                text,
            }
        }
        error => UploadTrouble::Later(error.to_string()),
    }
}

fn may_still_land(error: &ClientError) -> bool {
    match error {
        ClientError::InDoubt {
            doubt: Doubt::Page { status, .. },
            ..
        } => *status != 500,
        ClientError::InDoubt { .. } => true,
        _ => false,
    }
}

fn words(error: &ClientError) -> (String, Vec<String>) {
    match error {
        ClientError::Refused { problems, .. } | ClientError::InstallFailed { problems, .. } => {
            (problems.join("; "), problems.clone())
        }
        other => (other.to_string(), Vec::new()),
    }
}

fn named(prepared: &Prepared, problems: &[String]) -> Vec<(ChangeId, String)> {
    let mut found: Vec<(ChangeId, String)> = Vec::new();
    let mut all = 0;
    for (receipt, envelope) in prepared.envelopes.iter() {
        all += envelope.changes.len();
        for change in &envelope.changes {
            let id = ChangeId {
                receipt: *receipt,
                seq: change.seq,
            };
            let problem = problems.iter().find(|problem| {
                let words: Vec<String> = problem
                    .split(|c: char| c.is_whitespace() || matches!(c, '\'' | ':' | ',' | '>' | '[' | ']'))
                    .map(|word| fold(word.trim_end_matches(['.', ';'])))
                    .collect();
                change.flows().iter().map(|flow| flow.key()).any(|key| {
                    let (job, flow) = (format!("{key}~"), format!("{key}.flow"));
                    words.iter().any(|word| *word == key || *word == flow || word.starts_with(&job))
                })
            });
            if let Some(problem) = problem {
                found.push((id, problem.clone()));
            }
        }
    }
    if found.len() == all && all > 1 {
        Vec::new()
    } else {
        found
    }
}
