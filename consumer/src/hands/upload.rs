//! Sends the zip, and says whether it can have landed when the answer is bad.

use std::time::{Duration, Instant};

use flowlift_azkaban::client::{BodyState, ClientError, Doubt, ErrorClass};
use flowlift_azkaban::name::fold;
use flowlift_common::ledger::UploadFacts;

use super::Hands;
use crate::plan::ChangeId;
use crate::project::{Event, UploadTrouble, Uploaded};
use crate::work::Prepared;

/// An announced upload must begin within this time; a process that was frozen in between announces anew, so that the fence
/// a successor waits for is long enough.
const BEGIN_WITHIN: Duration = Duration::from_secs(10);

impl Hands {
    /// Uploads what is prepared.
    pub async fn upload(&self) -> Event {
        let (prepared, announced, limit) = {
            let work = self.work();
            (work.prepared.clone(), work.announced, work.upload_limit())
        };
        let (Some(prepared), Some(announced)) = (prepared, announced) else {
            return Event::Uploaded(Err(UploadTrouble::Later("nothing is prepared".into())));
        };
        if announced.elapsed() > BEGIN_WITHIN {
            return Event::Uploaded(Err(UploadTrouble::Later("it was announced too long ago".into())));
        }
        let highest = prepared.highest;
        let (begun, body) = (Instant::now(), BodyState::new());
        let sent = self.client.upload_tracked(
            &self.project,
            &prepared.attempt,
            prepared.zip.clone(),
            limit,
            &body,
        );
        match sent.await {
            Ok(answer) => {
                let took = begun.elapsed();
                self.metrics
                    .upload_landed(took, prepared.zip.len() as u64, prepared.carried as u64);
                if answer.version != highest + 1 && highest > 0 {
                    self.metrics.foreign_upload();
                    let (version, base) = (answer.version, highest);
                    tracing::warn!(project = %self.project, version, base, "somebody else uploaded, or a version was burnt, in between");
                }
                self.work().upload = Some(UploadFacts {
                    attempt: prepared.attempt.clone(),
                    version: answer.version,
                    zip_bytes: prepared.zip.len() as u64,
                    flows: prepared.expected.len() as u64,
                    upload_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
                });
                Event::Uploaded(Ok(Uploaded { took }))
            }
            Err(error) => Event::Uploaded(Err(self.judge(&error, highest, &prepared))),
        }
    }

    fn judge(&self, error: &ClientError, highest: u32, prepared: &Prepared) -> UploadTrouble {
        self.metrics.azkaban_error(error.class().as_str(), error.code());
        let (trouble, result) = match error {
            ClientError::ProjectMissing { .. } => (UploadTrouble::ProjectMissing, "failed"),
            error if error.may_have_installed(Some(highest)) => (
                UploadTrouble::InDoubt {
                    text: error.to_string(),
                    may_still_land: may_still_land(error),
                },
                "doubtful",
            ),
            error if error.class() == ErrorClass::Content => {
                let (text, problems) = words(error);
                (
                    UploadTrouble::Refused {
                        named: named(prepared, &problems),
                        text,
                    },
                    "refused",
                )
            }
            error => (UploadTrouble::Later(error.to_string()), "failed"),
        };
        self.metrics.upload_failed(result);
        trouble
    }
}

/// Whether Azkaban may still be at an upload: not when it answered itself, a gateway's answer says nothing.
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

/// The changes that Azkaban's messages name. A message that names a job names the flow whose prefix it has.
fn named(prepared: &Prepared, problems: &[String]) -> Vec<(ChangeId, String)> {
    let mut found: Vec<(ChangeId, String)> = Vec::new();
    for problem in problems {
        let words: Vec<String> = problem
            .split(|c: char| c.is_whitespace() || matches!(c, '\'' | ':' | ',' | '>' | '[' | ']'))
            .map(|word| fold(word.trim_end_matches(['.', ';'])))
            .collect();
        for (receipt, envelope) in prepared.envelopes.iter() {
            for change in &envelope.changes {
                let id = ChangeId {
                    receipt: *receipt,
                    seq: change.seq,
                };
                let names = |key: &str| {
                    let (job, flow) = (format!("{key}~"), format!("{key}.flow"));
                    words
                        .iter()
                        .any(|word| word == key || word == &flow || word.starts_with(&job))
                };
                if change.flows().iter().any(|flow| names(&flow.key()))
                    && !found.iter().any(|(known, _)| *known == id)
                {
                    found.push((id, problem.clone()));
                }
            }
        }
    }
    // a text that names everybody names nobody
    let all: usize = prepared
        .envelopes
        .iter()
        .map(|(_, envelope)| envelope.changes.len())
        .sum();
    if found.len() == all && all > 1 {
        Vec::new()
    } else {
        found
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::Arc;

    use flowlift_azkaban::{Flow, FlowName, Job, ProjectName};
    use flowlift_common::envelope::Rules;
    use flowlift_common::{Act, Body, Change, Envelope, RunId, Schedule, Upsert};
    use uuid::Uuid;

    use super::*;

    fn prepared(flows: &[&str]) -> Prepared {
        let change = |(place, name): (usize, &&str)| {
            let job = Job {
                name: "j".into(),
                kind: "noop".into(),
                props: BTreeMap::new(),
                depends_on: vec![],
            };
            let flow = Flow {
                name: FlowName::new(*name).unwrap(),
                jobs: vec![job],
                props: BTreeMap::new(),
            };
            let upsert = Upsert {
                body: Body::Flow(flow),
                schedule: Schedule::Keep,
            };
            Change {
                seq: place as u64 + 1,
                act: Act::Upsert(upsert),
            }
        };
        let envelope = Envelope {
            v: 1,
            project: ProjectName::new("p").unwrap(),
            run: RunId(Uuid::nil()),
            rank: 1,
            owner: String::new(),
            published_ms: 0,
            rules: Rules::default(),
            changes: flows.iter().enumerate().map(change).collect(),
        };
        Prepared {
            envelopes: Arc::new(vec![(1, envelope)]),
            attempt: String::new(),
            generation: 1,
            zip: bytes::Bytes::new(),
            expected: Arc::new(BTreeSet::new()),
            schedules: Arc::new(vec![]),
            highest: 0,
            carried: 0,
            seen: BTreeMap::new(),
        }
    }

    #[test]
    fn azkabans_messages_name_the_flow() {
        let batch = prepared(&["f1", "f10", "good"]);
        for (text, seq) in [
            ("f1 cannot find dependency nope", 1),
            ("Job doesn't have type set 'f10'.", 2),
            ("Error inserting flow F1", 1),
            (
                "Failed to validate nodeBean for f10.flow. Duplicate nodes found or dependency undefined.",
                2,
            ),
            ("Error loading flow yaml file f1.flow:Unable to find property", 1),
        ] {
            let found: Vec<u64> = named(&batch, &[text.to_owned()])
                .iter()
                .map(|(id, _)| id.seq)
                .collect();
            assert_eq!(found, [seq], "{text}");
        }
        assert!(named(&batch, &["Cycles found at a>>b".to_owned()]).is_empty());
    }
}
