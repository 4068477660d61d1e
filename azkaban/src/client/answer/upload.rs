//! The answers to an upload.

use super::super::error::{ClientError, Result};
use super::super::types::Uploaded;
use super::super::verdict::{Doubt, InstallCause};
use super::{Answer, project, project_error, text};
use crate::name::ProjectName;

const UPLOAD: &str = "upload";

/// Where Azkaban cuts a validator's text and an exception's, in UTF-16 units.
const VALIDATOR_CUT: usize = 4000;
const TOO_MANY: &str = "Too many errors to display.";

/// What became of an upload. `all_sent`: the whole body had left when this answer came; if not, nothing was installed.
pub(crate) fn upload(answer: &Answer, project: &ProjectName, all_sent: bool) -> Result<Uploaded> {
    if answer.overflowed() {
        return Err(ClientError::StackOverflow);
    }
    let value = serde_json::from_slice::<serde_json::Value>(&answer.body).ok();
    let error = value.as_ref().and_then(|value| text::field(value, "error"));
    match (answer.status, &value, error) {
        (200, Some(value), None) => match text::number(&value["version"]).map(u32::try_from) {
            Some(Ok(version)) => Ok(Uploaded {
                version,
                project_id: project::project_id(UPLOAD, value)?,
                warn: text::field(value, "warn"),
            }),
            _ => Err(unreadable(answer, project, all_sent)),
        },
        // old versions refuse with 200, newer ones with 500: the words decide, never the status
        (200 | 500, Some(value), Some(said)) => Err(failed(
            project,
            said,
            text::number(&value["version"]).and_then(|n| u32::try_from(n).ok()),
        )),
        (410, ..) => Err(ClientError::ProjectMissing {
            project: project.to_string(),
        }),
        (403, Some(_), Some(text)) => Err(ClientError::Lockdown { call: UPLOAD, text }),
        (_, _, Some(text)) if text.contains("does not have write access") => {
            Err(ClientError::Denied { call: UPLOAD, text })
        }
        (500.., ..) if all_sent => Err(ClientError::InDoubt {
            project: project.to_string(),
            doubt: Doubt::Page {
                status: answer.status,
                title: answer.said(),
            },
        }),
        (200, ..) => Err(unreadable(answer, project, all_sent)),
        _ => Err(match answer.refuse_status(UPLOAD) {
            Err(error) => error,
            Ok(()) => unreadable(answer, project, all_sent),
        }),
    }
}

fn unreadable(answer: &Answer, project: &ProjectName, all_sent: bool) -> ClientError {
    let reason = match answer.body.is_empty() {
        true => "an empty answer".to_owned(),
        false => answer.title(),
    };
    match all_sent {
        true => ClientError::InDoubt {
            project: project.to_string(),
            doubt: Doubt::Unreadable(reason),
        },
        false => ClientError::BadAnswer { call: UPLOAD, reason },
    }
}

/// Sorts the words of a failed upload.
fn failed(project: &ProjectName, text: String, version_in_answer: Option<u32>) -> ClientError {
    if let Some(rest) = text.strip_prefix("Installation Failed.") {
        // without `<br>` these are checks made before anything is read
        if rest.contains("does not have write access") {
            return ClientError::Denied { call: UPLOAD, text };
        }
        if rest.contains("doesn't exist.") || rest.contains("was already removed.") {
            return ClientError::ProjectMissing {
                project: project.to_string(),
            };
        }
        let mut problems = text::messages(rest);
        let cut = problems.last().is_some_and(|last| last == TOO_MANY);
        if cut {
            problems.pop();
        }
        let cause = InstallCause::of(rest);
        return ClientError::InstallFailed {
            problems,
            cut,
            cause,
            version_in_answer,
            text,
        };
    }
    if text.starts_with("Validator ") || text.contains("reports errors") {
        let cut = text.encode_utf16().count() >= VALIDATOR_CUT;
        let problems = problems(&text);
        return ClientError::Refused { text, problems, cut };
    }
    match project_error(UPLOAD, project.as_str(), text) {
        ClientError::Rejected { text, .. } => ClientError::InstallFailed {
            problems: text::messages(&text),
            cut: false,
            cause: InstallCause::of(&text),
            version_in_answer,
            text,
        },
        known => known,
    }
}

/// The validators' messages without their headings.
fn problems(text: &str) -> Vec<String> {
    let all = text::messages(text);
    let heading = |message: &&String| {
        !(message.starts_with("Validator ")
            && (message.ends_with("reports errors:") || message.ends_with("reports warnings:")))
    };
    all.iter().filter(heading).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::error::ErrorClass;
    use super::super::super::types::ProjectId;
    use super::super::samples::*;
    use super::*;

    fn refused(status: u16, body: impl AsRef<[u8]>) -> ClientError {
        upload(&answer(status, body), &p1(), true).unwrap_err()
    }

    fn said(status: u16, text: &str) -> ClientError {
        refused(
            status,
            serde_json::json!({"error": text, "projectId": "7", "version": "3"}).to_string(),
        )
    }

    #[test]
    fn a_taken_zip_has_a_version_given_as_a_string() {
        let taken = answer(200, "{\n  \"projectId\" : \"7\",\n  \"version\" : \"2\"\n}");
        let taken = upload(&taken, &p1(), true).unwrap();
        assert_eq!(
            taken,
            Uploaded {
                version: 2,
                project_id: ProjectId(7),
                warn: None
            }
        );
        let warned = answer(200, r#"{"projectId":"7","version":"2","warn":"careful"}"#);
        assert_eq!(
            upload(&warned, &p1(), true).unwrap().warn.as_deref(),
            Some("careful")
        );
    }

    #[test]
    fn a_validators_messages_are_told_one_by_one() {
        let text = "Validator Directory Flow reports errors:<br><br>Job doesn't have type set 'f2'.<br>f1 cannot find dependency nope<br>";
        for status in [500, 200] {
            let ClientError::Refused { problems, cut, .. } = said(status, text) else {
                panic!()
            };
            assert_eq!(
                problems,
                [
                    "Job doesn't have type set 'f2'.",
                    "f1 cannot find dependency nope"
                ]
            );
            assert!(!cut);
        }
        assert_eq!(said(500, text).class(), ErrorClass::Content);
    }

    #[test]
    fn a_text_of_4000_characters_was_cut() {
        let heading = "Validator Directory Flow reports errors:<br><br>";
        let text: String = (heading.chars())
            .chain("x<br>".chars().cycle())
            .take(4000)
            .collect();
        assert!(matches!(said(500, &text), ClientError::Refused { cut: true, .. }));
        assert!(matches!(
            said(500, &text[..3999]),
            ClientError::Refused { cut: false, .. }
        ));
    }

    #[test]
    fn a_text_of_512_characters_and_the_note_after_it_was_cut() {
        let text = "Installation Failed.<br>Malformed x<br>Too many errors to display.<br>";
        let ClientError::InstallFailed {
            problems,
            cut: true,
            version_in_answer,
            ..
        } = said(500, text)
        else {
            panic!()
        };
        assert_eq!(
            (problems, version_in_answer),
            (vec!["Malformed x".to_owned()], Some(3))
        );
    }

    #[test]
    fn each_failed_install_has_its_class() {
        for (text, class) in [
            (
                "Installation Failed.<br>Malformed \\uxxxx encoding.",
                ErrorClass::Content,
            ),
            (
                "Installation Failed.<br>Error inserting flow FA",
                ErrorClass::Content,
            ),
            (
                "Installation Failed.<br>Error unzipping file.",
                ErrorClass::Permanent,
            ),
            (
                "Installation Failed.<br>Error initializing project id: 7 version: 9 ",
                ErrorClass::Transient,
            ),
            (
                "Installation Failed.<br>upload project files failed.",
                ErrorClass::Transient,
            ),
            ("Installation Failed.<br>what is this", ErrorClass::Unknown),
            ("Server Encounter an unknown Error. <br>x", ErrorClass::Unknown),
        ] {
            assert_eq!(said(500, text).class(), class, "{text}");
        }
    }

    #[test]
    fn a_cycle_that_overflows_the_stack_is_content() {
        let error = refused(500, OVERFLOW_PAGE);
        assert_eq!(
            (error.code(), error.class()),
            ("stack_overflow", ErrorClass::Content)
        );
    }

    #[test]
    fn a_page_after_the_whole_body_leaves_the_outcome_open() {
        for (status, body) in [
            (500, ERROR_PAGE),
            (502, "<html></html>"),
            (503, ""),
            (504, "late"),
            (200, ""),
            (200, "{ }"),
        ] {
            let error = refused(status, body);
            assert_eq!(error.class(), ErrorClass::Unknown, "{status} {body}");
            assert!(error.may_have_installed(None));
        }
    }

    #[test]
    fn a_page_before_the_whole_body_left_is_transient() {
        for (status, body) in [
            (500, ERROR_PAGE),
            (502, "<html></html>"),
            (503, ""),
            (504, "late"),
            (200, "{ }"),
        ] {
            let error = upload(&answer(status, body), &p1(), false).unwrap_err();
            assert_eq!(error.class(), ErrorClass::Transient, "{status} {body}");
        }
    }

    #[test]
    fn refusals_before_the_install_each_have_their_code() {
        for (status, text, code) in [
            (
                410,
                "Installation Failed. Project 'p1 doesn't exist.",
                "project_missing",
            ),
            (
                400,
                "Installation Failed. User 'bob' does not have write access.",
                "denied",
            ),
            (
                403,
                "Project uploading is locked out. Only admin users and users with special permissions can upload projects. User bob",
                "lockdown",
            ),
            (
                403,
                "Installation Failed. Project 'p1 has UPLOAD LOCK on. x",
                "lockdown",
            ),
            (400, "No project name found.", "bad_request"),
            (400, "File extension 'tar' unrecognized.", "bad_request"),
            (
                400,
                "Content type 'text/plain' does not match extension 'zip'",
                "bad_request",
            ),
        ] {
            let error = said(status, text);
            assert_eq!(
                (error.code(), error.class()),
                (code, ErrorClass::Permanent),
                "{text}"
            );
        }
    }

    #[test]
    fn what_stands_before_azkaban_may_refuse_too() {
        assert_eq!(
            refused(413, "<html><title>413 Request Entity Too Large</title></html>").code(),
            "bad_request"
        );
        assert_eq!(refused(301, "").code(), "bad_request");
        assert_eq!(refused(429, "slow down").class(), ErrorClass::Transient);
    }
}
