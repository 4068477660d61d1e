//! What an error of Azkaban means for a project's road (azkaban-api.md, 7.1). Pure.

use flowlift_azkaban::client::{ClientError, Doubt, ErrorClass};
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
        ClientError::InstallFailed { problems, .. } if error.may_have_installed(Some(highest)) => {
            UploadTrouble::Stumbled(refusal(error, problems, named))
        }
        ClientError::Refused { problems, .. } | ClientError::InstallFailed { problems, .. }
            if error.class() == ErrorClass::Content =>
        {
            UploadTrouble::Refused(refusal(error, problems, named))
        }
        ClientError::StackOverflow => UploadTrouble::Refused(refusal(error, &[], named)),
        ClientError::InstallFailed { problems, .. } => {
            UploadTrouble::Stumbled(refusal(error, problems, named))
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
