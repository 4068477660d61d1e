//! What an error of Azkaban means for a project's road (azkaban-api.md, 7.1). Pure.

use flowlift_azkaban::client::{ClientError, Doubt, ErrorClass, InstallCause};
use flowlift_azkaban::name::fold;
use flowlift_common::Envelope;

use crate::plan::ChangeId;
use crate::project::{Refusal, Trouble, UploadTrouble};

/// What an error of any call but an upload means.
#[must_use]
pub fn trouble(error: &ClientError) -> Trouble {
    let text = error.to_string();
    match error {
        ClientError::ProjectMissing { .. } => Trouble::ProjectMissing,
        ClientError::Denied { .. } | ClientError::Lockdown { .. } | ClientError::TooLarge { .. } => {
            Trouble::Own(text)
        }
        ClientError::Unreachable { .. }
        | ClientError::TimedOut { .. }
        | ClientError::Broken { .. }
        | ClientError::ServerError { .. }
        | ClientError::SessionLimit { .. }
        | ClientError::LoginRefused { .. }
        | ClientError::SessionLost { .. } => Trouble::Away(text),
        _ => Trouble::Later(text),
    }
}

/// What the answer to an upload means. `highest` is the highest version before it; `named` finds the changes that
/// Azkaban's words are about.
#[must_use]
pub fn upload(
    error: &ClientError,
    highest: u32,
    named: impl FnOnce(&[String]) -> (Vec<(ChangeId, String)>, Vec<ChangeId>),
) -> UploadTrouble {
    match error {
        ClientError::InDoubt { .. } if may_still_land(error) => UploadTrouble::InDoubt(error.to_string()),
        // a page of Azkaban's own: it is through with the upload
        ClientError::InDoubt { .. } => UploadTrouble::Stumbled(Refusal {
            text: error.to_string(),
            ..Refusal::default()
        }),
        ClientError::Refused { problems, .. } => {
            UploadTrouble::Refused(refusal(error, problems, true, named))
        }
        ClientError::StackOverflow => UploadTrouble::Refused(refusal(error, &[], true, named)),
        ClientError::InstallFailed {
            problems,
            cause: InstallCause::Loading,
            ..
        } if !error.may_have_installed(Some(highest)) => {
            UploadTrouble::Refused(refusal(error, problems, true, named))
        }
        ClientError::InstallFailed { problems, cause, .. } => {
            let mut refusal = refusal(error, problems, false, named);
            // words about a flow that is not in the batch are about the database
            let someone = !refusal.named.is_empty() || !refusal.suspects.is_empty();
            let nameless = problems.iter().any(|problem| problem.contains("length exceeds"));
            refusal.about_content = cause.class() == ErrorClass::Content && (someone || nameless);
            UploadTrouble::Stumbled(refusal)
        }
        ClientError::BadRequest { .. } => UploadTrouble::Not(Trouble::Own(error.to_string())),
        error => UploadTrouble::Not(trouble(error)),
    }
}

/// Whether Azkaban may still be at an upload: not when it answered itself; a gateway's answer says nothing.
fn may_still_land(error: &ClientError) -> bool {
    match error {
        ClientError::InDoubt {
            doubt: Doubt::Page { status, .. },
            ..
        } => *status != 500,
        _ => true,
    }
}

fn refusal(
    error: &ClientError,
    problems: &[String],
    about_content: bool,
    named: impl FnOnce(&[String]) -> (Vec<(ChangeId, String)>, Vec<ChangeId>),
) -> Refusal {
    let text = if problems.is_empty() {
        error.to_string()
    } else {
        problems.join("; ")
    };
    let (named, suspects) = named(problems);
    Refusal {
        text,
        named,
        suspects,
        about_content,
    }
}

/// The changes that Azkaban's messages name: those named alone in a message, and those named together. A message that names a
/// job names the flow whose prefix it has.
#[must_use]
pub fn named<'e>(
    problems: &[String],
    messages: impl IntoIterator<Item = (u64, &'e Envelope)>,
) -> (Vec<(ChangeId, String)>, Vec<ChangeId>) {
    let words: Vec<Vec<String>> = problems.iter().map(|problem| words(problem)).collect();
    let mut by_problem: Vec<Vec<ChangeId>> = vec![Vec::new(); problems.len()];
    for (receipt, envelope) in messages {
        for change in &envelope.changes {
            let keys: Vec<String> = change.flows().iter().map(|flow| flow.key()).collect();
            for (at, words) in words.iter().enumerate() {
                if keys.iter().any(|key| names(words, key)) {
                    by_problem[at].push(ChangeId {
                        receipt,
                        seq: change.seq,
                    });
                }
            }
        }
    }
    let mut alone: Vec<(ChangeId, String)> = Vec::new();
    let mut together: Vec<ChangeId> = Vec::new();
    for (changes, problem) in by_problem.into_iter().zip(problems) {
        match changes[..] {
            [id] if !alone.iter().any(|(known, _)| *known == id) => alone.push((id, problem.clone())),
            [_] => {}
            _ => together.extend(changes),
        }
    }
    together.retain(|id| !alone.iter().any(|(known, _)| known == id));
    (alone, together)
}

fn words(problem: &str) -> Vec<String> {
    problem
        .split(|c: char| c.is_whitespace() || matches!(c, '\'' | ':' | ',' | '>' | '[' | ']'))
        .map(|word| fold(word.trim_end_matches(['.', ';'])))
        .collect()
}

/// Whether some word is the flow, its file, or a job of it.
fn names(words: &[String], key: &str) -> bool {
    words.iter().any(|word| {
        word.strip_prefix(key)
            .is_some_and(|rest| rest.is_empty() || rest == ".flow" || rest.starts_with('~'))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use flowlift_azkaban::{Flow, FlowName, Job, ProjectName};
    use flowlift_common::envelope::Rules;
    use flowlift_common::{Act, Body, Change, RunId, Schedule, Upsert};
    use uuid::Uuid;

    use super::*;

    fn envelope(flows: &[&str]) -> Envelope {
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
        Envelope {
            v: 1,
            project: ProjectName::new("p").unwrap(),
            run: RunId(Uuid::nil()),
            rank: 1,
            owner: String::new(),
            published_ms: 0,
            rules: Rules::default(),
            changes: flows.iter().enumerate().map(change).collect(),
            deadline_ms: None,
        }
    }

    fn seqs(text: &str) -> (Vec<u64>, Vec<u64>) {
        let batch = envelope(&["f1", "f10", "good"]);
        let (alone, together) = named(&[text.to_owned()], [(1, &batch)]);
        (
            alone.iter().map(|(id, _)| id.seq).collect(),
            together.iter().map(|id| id.seq).collect(),
        )
    }

    #[test]
    fn azkabans_messages_name_the_flow() {
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
            assert_eq!(seqs(text), (vec![seq], vec![]), "{text}");
        }
        assert_eq!(seqs("Cycles found at a>>b"), (vec![], vec![]));
    }

    #[test]
    fn a_message_that_names_two_convicts_neither() {
        assert_eq!(seqs("f1 cannot find dependency good"), (vec![], vec![1, 3]));
    }

    /// What is done about an answer, in one word.
    fn action(error: &ClientError) -> &'static str {
        match upload(error, 3, |problems| {
            named(problems, [(1, &envelope(&["f1", "f2"]))])
        }) {
            UploadTrouble::Refused(refusal) if refusal.named.is_empty() => "halve",
            UploadTrouble::Refused(_) => "convict",
            UploadTrouble::Stumbled(refusal) if refusal.about_content => "repeat, then isolate",
            UploadTrouble::Stumbled(_) => "read the base, repeat",
            UploadTrouble::InDoubt(_) => "fence, look, decide",
            UploadTrouble::Not(Trouble::Away(_)) => "wait for Azkaban",
            UploadTrouble::Not(Trouble::Own(_)) => "park",
            UploadTrouble::Not(Trouble::Later(_)) => "repeat",
            UploadTrouble::Not(Trouble::ProjectMissing) => "make the project",
        }
    }

    fn failed(text: &str, version: u32) -> ClientError {
        ClientError::InstallFailed {
            text: text.into(),
            problems: vec![text.into()],
            cut: false,
            cause: InstallCause::of(text),
            version_in_answer: Some(version),
        }
    }

    fn page(status: u16) -> ClientError {
        in_doubt(Doubt::Page {
            status,
            title: "Error".into(),
        })
    }

    fn in_doubt(doubt: Doubt) -> ClientError {
        ClientError::InDoubt {
            project: "p".into(),
            doubt,
        }
    }

    #[test]
    fn every_row_of_the_table_of_answers_has_its_action() {
        let call = "upload";
        let text = String::from("words");
        let validator = |message: &str| ClientError::Refused {
            text: message.into(),
            problems: vec![message.into()],
            cut: false,
        };
        let rows: Vec<(ClientError, &str)> = vec![
            (validator("f1 cannot find dependency nope"), "convict"),
            (validator("Cycles found at a>>b"), "halve"),
            (failed("Malformed \\uxxxx encoding.", 3), "halve"),
            (failed("For input string: \"zz\"", 3), "halve"),
            (failed("Duplicate project YAML files found", 3), "halve"),
            // the version went up all the same: the flows were replaced
            (failed("For input string: \"zz\"", 4), "read the base, repeat"),
            (failed("Error inserting flow f1", 3), "repeat, then isolate"),
            (
                failed("Error uploading flow file f1.flow, version 4.", 4),
                "repeat, then isolate",
            ),
            (
                failed("Flow file length exceeds 10 MB limit.", 3),
                "repeat, then isolate",
            ),
            // a flow that is in no change of the batch
            (failed("Error inserting flow f99", 3), "read the base, repeat"),
            (
                failed("Error initializing project id: 7 version: 9 ", 3),
                "read the base, repeat",
            ),
            (failed("upload project files failed.", 3), "read the base, repeat"),
            (
                failed("Error Chunking during uploading files to db...", 3),
                "read the base, repeat",
            ),
            (
                failed("clean older project transaction failed", 4),
                "read the base, repeat",
            ),
            (
                failed("/tmp/x/a.zip (No such file or directory)", 3),
                "read the base, repeat",
            ),
            (failed("No space left on device", 3), "read the base, repeat"),
            (failed("words nobody knows", 3), "read the base, repeat"),
            (ClientError::StackOverflow, "halve"),
            (page(500), "read the base, repeat"),
            (page(502), "fence, look, decide"),
            (page(504), "fence, look, decide"),
            (
                in_doubt(Doubt::TimedOut(std::time::Duration::from_secs(1))),
                "fence, look, decide",
            ),
            (in_doubt(Doubt::Broken("reset".into())), "fence, look, decide"),
            (
                ClientError::ServerError {
                    call,
                    status: 503,
                    title: text.clone(),
                },
                "wait for Azkaban",
            ),
            (
                ClientError::Unreachable {
                    url: "x".into(),
                    reason: "Connection refused".into(),
                },
                "wait for Azkaban",
            ),
            (
                ClientError::Broken {
                    call,
                    reason: "reset before the body was sent".into(),
                },
                "wait for Azkaban",
            ),
            (ClientError::SessionLost { call }, "wait for Azkaban"),
            (
                ClientError::LoginRefused {
                    user: "u".into(),
                    text: text.clone(),
                },
                "wait for Azkaban",
            ),
            (
                ClientError::ProjectMissing { project: "p".into() },
                "make the project",
            ),
            (
                ClientError::Denied {
                    call,
                    text: text.clone(),
                },
                "park",
            ),
            (
                ClientError::Lockdown {
                    call,
                    text: text.clone(),
                },
                "park",
            ),
            (
                ClientError::BadRequest {
                    call,
                    status: 400,
                    text,
                },
                "park",
            ),
        ];
        for (error, expected) in rows {
            assert_eq!(action(&error), expected, "{error}");
        }
    }

    #[test]
    fn a_missing_right_is_the_projects_own_trouble_and_an_absent_azkaban_everybodys() {
        let denied = ClientError::Denied {
            call: "upload",
            text: "no".into(),
        };
        assert!(matches!(trouble(&denied), Trouble::Own(_)));
        let away = ClientError::Unreachable {
            url: "x".into(),
            reason: "refused".into(),
        };
        assert!(matches!(trouble(&away), Trouble::Away(_)));
        assert!(matches!(
            upload(&away, 1, |_| Default::default()),
            UploadTrouble::Not(Trouble::Away(_))
        ));
    }
}
