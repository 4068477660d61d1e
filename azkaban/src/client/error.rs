//! What can go wrong between us and Azkaban, sorted by what a caller can do about it.
//!
//! No variant holds an error of the HTTP library: its `Debug` and `Display` may show an address with a session id in it.
//! The reason is kept as text instead, which also makes errors cheap to share between callers that wait for one login.

use std::time::Duration;

use super::answer::text;
use super::verdict::{Doubt, InstallCause};

/// The result of a call to Azkaban.
pub type Result<T, E = ClientError> = std::result::Result<T, E>;

/// What a caller can do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// Wait in place with back-off, then repeat.
    Transient,
    /// The login does not work: stop and tell a person (a lost session has already been renewed once).
    Login,
    /// The upload may have been installed, or still may be: fence, read back, decide.
    Unknown,
    /// Azkaban refused something inside the zip: find the culprit.
    Content,
    /// Repeating changes nothing.
    Permanent,
}

impl ErrorClass {
    /// A short stable word, used as a metric label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::Login => "login",
            Self::Unknown => "unknown",
            Self::Content => "content",
            Self::Permanent => "permanent",
        }
    }
}

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// The settings make no usable client.
    #[error("{0}")]
    Setup(String),
    /// No connection came about: nothing was sent.
    #[error("cannot reach Azkaban at {url}: {reason}")]
    Unreachable {
        /// The server's address from the settings.
        url: String,
        /// The innermost cause, for example `Connection refused (os error 111)`.
        reason: String,
    },
    /// The call was not answered in time. An upload ends here only if its body had not all left.
    #[error("Azkaban did not answer {call} within {after:?}")]
    TimedOut {
        /// The call, for example `fetchprojectflows`.
        call: &'static str,
        /// The limit that passed.
        after: Duration,
    },
    /// The connection broke. An upload ends here only if its body had not all left.
    #[error("the connection to Azkaban broke during {call}: {reason}")]
    Broken {
        /// The call.
        call: &'static str,
        /// The innermost cause.
        reason: String,
    },
    /// The whole body of an upload had left, but no answer says what came of it.
    #[error("it is unknown whether the upload to project {project} was installed: {doubt}")]
    InDoubt {
        /// The project.
        project: String,
        /// What was seen in place of an answer.
        doubt: Doubt,
    },
    /// User or password is wrong.
    #[error("Azkaban refuses the login of user {user}: {text}")]
    LoginRefused {
        /// The user from the settings.
        user: String,
        /// Azkaban's words.
        text: String,
    },
    /// The user has too many open sessions (`azkaban.session.max_number_per_ip_per_user`).
    #[error("Azkaban gives no more sessions: {text}")]
    SessionLimit {
        /// Azkaban's words.
        text: String,
    },
    /// A session that had just been made anew was not accepted either.
    #[error("Azkaban took the login but not the session it gave for {call}")]
    SessionLost {
        /// The call.
        call: &'static str,
    },
    /// There is no such project (any more).
    #[error("project {project} does not exist")]
    ProjectMissing {
        /// The project.
        project: String,
    },
    /// The project has no such flow.
    #[error("flow {flow} is not in project {project}")]
    FlowMissing {
        /// The project.
        project: String,
        /// The flow.
        flow: String,
    },
    /// The flow has no such job.
    #[error("job {job} is not in flow {flow} of project {project}")]
    JobMissing {
        /// The project.
        project: String,
        /// The flow.
        flow: String,
        /// The job.
        job: String,
    },
    /// The user lacks a right.
    #[error("Azkaban denies {call}: {text}")]
    Denied {
        /// The call.
        call: &'static str,
        /// Azkaban's words.
        text: String,
    },
    /// Uploads or new projects are locked for this user, or the project has an upload lock.
    #[error("Azkaban is locked for {call}: {text}")]
    Lockdown {
        /// The call.
        call: &'static str,
        /// Azkaban's words.
        text: String,
    },
    /// A status that says our request is wrong or meets something that is no Azkaban (3xx, 4xx).
    #[error("Azkaban answers {call} with status {status}: {text}")]
    BadRequest {
        /// The call.
        call: &'static str,
        /// The HTTP status.
        status: u16,
        /// The error text, or where it redirects to.
        text: String,
    },
    /// A call was refused for what it asks, in Azkaban's words (a bad name, a bad cron expression, a locked flow).
    #[error("Azkaban refuses {call}: {text}")]
    Rejected {
        /// The call.
        call: &'static str,
        /// Azkaban's words.
        text: String,
    },
    /// The validator found mistakes; nothing was stored and no version number was used.
    #[error("Azkaban refuses the upload: {}", text::some_of(problems))]
    Refused {
        /// The whole text as it came.
        text: String,
        /// Its messages, one per mistake, maybe of several lines; the last one may be incomplete when `cut`.
        problems: Vec<String>,
        /// Azkaban cut the text (4,000 characters): there are more mistakes than named.
        cut: bool,
    },
    /// Azkaban failed while it unpacked, loaded or stored the zip.
    ///
    /// What was stored before the failure stays: the version number is used up, `download` may hand out this zip, and in
    /// 4.0 the project's flows may already be replaced; [`ClientError::may_have_installed`] tells when.
    #[error("Azkaban failed to install the upload: {}", text::some_of(problems))]
    InstallFailed {
        /// The whole text as it came.
        text: String,
        /// Its messages after `Installation Failed.`.
        problems: Vec<String>,
        /// Azkaban cut the text (512 characters).
        cut: bool,
        /// What the text points to.
        cause: InstallCause,
        /// The project's version in the answer: higher than the base's means the flows were replaced all the same.
        version_in_answer: Option<u32>,
    },
    /// The server overflowed its stack while it loaded the flows: one of them has a cycle that can be entered.
    #[error("a flow in the upload has a cycle that overflows Azkaban's stack")]
    StackOverflow,
    /// The zip of this version was removed by Azkaban's retention.
    #[error("version {version} of project {project} is no longer kept by Azkaban")]
    VersionPurged {
        /// The project.
        project: String,
        /// The version.
        version: u32,
    },
    /// An answer larger than the client is set to take.
    #[error("the answer to {call} is larger than the limit of {limit} bytes")]
    TooLarge {
        /// The call.
        call: &'static str,
        /// The limit.
        limit: usize,
    },
    /// An error page (5xx) from Azkaban or something before it.
    #[error("Azkaban answers {call} with status {status}: {title}")]
    ServerError {
        /// The call.
        call: &'static str,
        /// The HTTP status.
        status: u16,
        /// The title of the page, or the start of the text.
        title: String,
    },
    /// Azkaban said success but stored nothing (a schedule with id -1: a database error it only logs).
    #[error("Azkaban did not store the schedule of flow {flow} in project {project}")]
    ScheduleLost {
        /// The project.
        project: String,
        /// The flow.
        flow: String,
    },
    /// An answer that cannot be read.
    #[error("cannot read Azkaban's answer to {call}: {reason}")]
    BadAnswer {
        /// The call.
        call: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

impl ClientError {
    /// What a caller can do about it.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Unreachable { .. }
            | Self::TimedOut { .. }
            | Self::Broken { .. }
            | Self::SessionLimit { .. }
            | Self::ServerError { .. }
            | Self::ScheduleLost { .. }
            | Self::BadAnswer { .. } => ErrorClass::Transient,
            Self::LoginRefused { .. } | Self::SessionLost { .. } => ErrorClass::Login,
            Self::InDoubt { .. } => ErrorClass::Unknown,
            Self::Refused { .. } | Self::StackOverflow => ErrorClass::Content,
            Self::InstallFailed { cause, .. } => cause.class(),
            Self::Setup(_)
            | Self::ProjectMissing { .. }
            | Self::FlowMissing { .. }
            | Self::JobMissing { .. }
            | Self::Denied { .. }
            | Self::Lockdown { .. }
            | Self::BadRequest { .. }
            | Self::Rejected { .. }
            | Self::VersionPurged { .. }
            | Self::TooLarge { .. } => ErrorClass::Permanent,
        }
    }

    /// A short stable word, used as a metric label.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Setup(_) => "setup",
            Self::Unreachable { .. } => "unreachable",
            Self::TimedOut { .. } => "timed_out",
            Self::Broken { .. } => "broken",
            Self::InDoubt { .. } => "in_doubt",
            Self::LoginRefused { .. } => "login_refused",
            Self::SessionLimit { .. } => "session_limit",
            Self::SessionLost { .. } => "session_lost",
            Self::ProjectMissing { .. } => "project_missing",
            Self::FlowMissing { .. } => "flow_missing",
            Self::JobMissing { .. } => "job_missing",
            Self::Denied { .. } => "denied",
            Self::Lockdown { .. } => "lockdown",
            Self::BadRequest { .. } => "bad_request",
            Self::Rejected { .. } => "rejected",
            Self::Refused { .. } => "refused",
            Self::InstallFailed { cause, .. } => cause.code(),
            Self::StackOverflow => "stack_overflow",
            Self::VersionPurged { .. } => "version_purged",
            Self::TooLarge { .. } => "too_large",
            Self::ServerError { .. } => "server_error",
            Self::ScheduleLost { .. } => "schedule_lost",
            Self::BadAnswer { .. } => "bad_answer",
        }
    }

    /// Whether this answer to an upload leaves open that the project's flows were replaced, now or later.
    ///
    /// `base` is the active version before the upload, if known. The caller then reads the flows back before it decides.
    #[must_use]
    pub fn may_have_installed(&self, base: Option<u32>) -> bool {
        match self {
            Self::InDoubt { .. } => true,
            Self::InstallFailed {
                cause,
                version_in_answer,
                ..
            } => match (version_in_answer, base) {
                (Some(now), Some(base)) if *now != base => true,
                _ => cause.may_have_installed(),
            },
            _ => false,
        }
    }

    /// Whether this answer to an upload may have used up a version number, so that `download` without a version may hand
    /// out a zip whose flows are not active.
    #[must_use]
    pub fn may_have_burnt_a_version(&self) -> bool {
        match self {
            Self::InDoubt { .. } => true,
            Self::InstallFailed { cause, .. } => cause.may_have_installed(),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(cause: InstallCause, version: u32) -> ClientError {
        ClientError::InstallFailed {
            text: String::new(),
            problems: Vec::new(),
            cut: false,
            cause,
            version_in_answer: Some(version),
        }
    }

    #[test]
    fn a_failed_install_may_have_replaced_the_project_once_it_was_being_stored() {
        assert!(failed(InstallCause::Storing, 4).may_have_installed(Some(4)));
        assert!(failed(InstallCause::Infrastructure, 4).may_have_installed(None));
        assert!(!failed(InstallCause::Loading, 4).may_have_installed(Some(4)));
        assert!(!failed(InstallCause::Unzip, 4).may_have_installed(None));
    }

    #[test]
    fn a_bumped_version_in_a_failed_answer_tells_that_the_flows_were_replaced() {
        assert!(failed(InstallCause::Loading, 5).may_have_installed(Some(4)));
    }

    #[test]
    fn a_refusal_by_the_validator_leaves_the_project_alone() {
        let refused = ClientError::Refused {
            text: String::new(),
            problems: Vec::new(),
            cut: false,
        };
        assert!(!refused.may_have_installed(Some(1)) && !refused.may_have_burnt_a_version());
        assert_eq!(refused.class(), ErrorClass::Content);
    }
}
