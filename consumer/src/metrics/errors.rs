//! The closed set of labels for errors of calls to Azkaban: each code with its class.

/// (class, code) of every error a call can end with.
pub(super) const ALL: [(&str, &str); 27] = [
    ("permanent", "setup"),
    ("transient", "unreachable"),
    ("transient", "timed_out"),
    ("transient", "broken"),
    ("unknown", "in_doubt"),
    ("login", "login_refused"),
    ("transient", "session_limit"),
    ("login", "session_lost"),
    ("permanent", "project_missing"),
    ("permanent", "flow_missing"),
    ("permanent", "job_missing"),
    ("permanent", "denied"),
    ("permanent", "lockdown"),
    ("permanent", "bad_request"),
    ("permanent", "rejected"),
    ("content", "refused"),
    ("content", "stack_overflow"),
    ("content", "install_loading"),
    ("content", "install_storing"),
    ("transient", "install_infrastructure"),
    ("permanent", "install_unzip"),
    ("unknown", "install_unrecognised"),
    ("permanent", "version_purged"),
    ("permanent", "too_large"),
    ("transient", "server_error"),
    ("transient", "schedule_lost"),
    ("transient", "bad_answer"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use flowlift_azkaban::client::{ClientError, Doubt, InstallCause};
    use std::collections::BTreeSet;
    use std::time::Duration;

    fn failed(cause: InstallCause) -> ClientError {
        ClientError::InstallFailed {
            text: String::new(),
            problems: vec![],
            cut: false,
            cause,
            version_in_answer: None,
        }
    }

    fn samples() -> Vec<ClientError> {
        let (text, project, flow, job) = (String::new, String::new, String::new, String::new);
        let (call, reason, limit) = ("call", String::new, 1);
        vec![
            ClientError::Setup(text()),
            ClientError::Unreachable {
                url: text(),
                reason: reason(),
            },
            ClientError::TimedOut {
                call,
                after: Duration::ZERO,
            },
            ClientError::Broken {
                call,
                reason: reason(),
            },
            ClientError::InDoubt {
                project: project(),
                doubt: Doubt::Broken(reason()),
            },
            ClientError::LoginRefused {
                user: text(),
                text: text(),
            },
            ClientError::SessionLimit { text: text() },
            ClientError::SessionLost { call },
            ClientError::ProjectMissing { project: project() },
            ClientError::FlowMissing {
                project: project(),
                flow: flow(),
            },
            ClientError::JobMissing {
                project: project(),
                flow: flow(),
                job: job(),
            },
            ClientError::Denied { call, text: text() },
            ClientError::Lockdown { call, text: text() },
            ClientError::BadRequest {
                call,
                status: 400,
                text: text(),
            },
            ClientError::Rejected { call, text: text() },
            ClientError::Refused {
                text: text(),
                problems: vec![],
                cut: false,
            },
            ClientError::StackOverflow,
            failed(InstallCause::Loading),
            failed(InstallCause::Storing),
            failed(InstallCause::Infrastructure),
            failed(InstallCause::Unzip),
            failed(InstallCause::Unrecognised),
            ClientError::VersionPurged {
                project: project(),
                version: 1,
            },
            ClientError::TooLarge { call, limit },
            ClientError::ServerError {
                call,
                status: 500,
                title: text(),
            },
            ClientError::ScheduleLost {
                project: project(),
                flow: flow(),
            },
            ClientError::BadAnswer {
                call,
                reason: reason(),
            },
        ]
    }

    /// Does not compile when a variant is added: it then belongs into [`ALL`] and [`samples`].
    fn place(error: &ClientError) -> usize {
        match error {
            ClientError::Setup(_) => 0,
            ClientError::Unreachable { .. } => 1,
            ClientError::TimedOut { .. } => 2,
            ClientError::Broken { .. } => 3,
            ClientError::InDoubt { .. } => 4,
            ClientError::LoginRefused { .. } => 5,
            ClientError::SessionLimit { .. } => 6,
            ClientError::SessionLost { .. } => 7,
            ClientError::ProjectMissing { .. } => 8,
            ClientError::FlowMissing { .. } => 9,
            ClientError::JobMissing { .. } => 10,
            ClientError::Denied { .. } => 11,
            ClientError::Lockdown { .. } => 12,
            ClientError::BadRequest { .. } => 13,
            ClientError::Rejected { .. } => 14,
            ClientError::Refused { .. } => 15,
            ClientError::StackOverflow => 16,
            ClientError::InstallFailed { cause, .. } => match cause {
                InstallCause::Loading => 17,
                InstallCause::Storing => 18,
                InstallCause::Infrastructure => 19,
                InstallCause::Unzip => 20,
                InstallCause::Unrecognised => 21,
            },
            ClientError::VersionPurged { .. } => 22,
            ClientError::TooLarge { .. } => 23,
            ClientError::ServerError { .. } => 24,
            ClientError::ScheduleLost { .. } => 25,
            ClientError::BadAnswer { .. } => 26,
        }
    }

    #[test]
    fn every_error_has_its_labels_in_the_closed_set() {
        let samples = samples();
        let seen: BTreeSet<usize> = samples.iter().map(place).collect();
        assert_eq!(seen.len(), ALL.len());
        for error in &samples {
            assert_eq!(ALL[place(error)], (error.class().as_str(), error.code()));
        }
    }
}
