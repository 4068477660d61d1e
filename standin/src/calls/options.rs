//! Execution options as a request carries them and a schedule shows them.

use crate::wire::failure::Failure;
use crate::wire::json::{HashMapJson, Json};
use crate::wire::request::Request;

/// Options of one execution or schedule.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct ExecutionOptions {
    notify_first: bool,
    notify_last: bool,
    failure_emails: Vec<String>,
    success_emails: Vec<String>,
    failure_emails_overridden: bool,
    success_emails_overridden: bool,
    pipeline_level: Option<i32>,
    concurrent: String,
    mail_creator: String,
    parameters: Vec<(String, String)>,
    failure_action: &'static str,
    disabled: Vec<String>,
}

impl ExecutionOptions {
    /// Reads them; `pipeline` without a level is an error, and so are disabled jobs that are no JSON list.
    pub(super) fn read(request: &Request) -> Result<Self, Failure> {
        let flag = |name: &str, default| {
            request
                .param(name)
                .map_or(default, |value| value.eq_ignore_ascii_case("true"))
        };
        let concurrent = request.param("concurrentOption").unwrap_or("skip").to_owned();
        let pipeline_level = match concurrent.as_str() {
            "pipeline" => Some(request.need_int("pipelineLevel")?),
            "queue" => Some(request.int_or("queueLevel", 1)),
            _ => None,
        };
        Ok(Self {
            notify_first: flag("notifyFailureFirst", true),
            notify_last: flag("notifyFailureLast", false),
            failure_emails: emails(request.param("failureEmails")),
            success_emails: emails(request.param("successEmails")),
            failure_emails_overridden: flag("failureEmailsOverride", false),
            success_emails_overridden: flag("successEmailsOverride", false),
            pipeline_level,
            concurrent,
            mail_creator: request.param("mailCreator").unwrap_or("default").to_owned(),
            parameters: request.group("flowOverride"),
            failure_action: match request.param("failureAction") {
                Some("cancelImmediately") => "CANCEL_ALL",
                Some("finishPossible") => "FINISH_ALL_POSSIBLE",
                _ => "FINISH_CURRENTLY_RUNNING",
            },
            disabled: disabled(request)?,
        })
    }

    /// The bean that `fetchSchedule` shows.
    pub(super) fn json(&self) -> Json {
        let disabled = |name: &String| {
            Json::bean([
                ("name", name.clone().into()),
                ("children", Json::Null),
                ("embeddedFlow", false.into()),
            ])
        };
        let parameters: HashMapJson = self.parameters.iter().cloned().collect();
        Json::bean([
            ("notifyOnFirstFailure", self.notify_first.into()),
            ("notifyOnLastFailure", self.notify_last.into()),
            ("failureEmails", Json::texts(self.failure_emails.iter().cloned())),
            ("successEmails", Json::texts(self.success_emails.iter().cloned())),
            (
                "pipelineLevel",
                self.pipeline_level.map_or(Json::Null, Into::into),
            ),
            ("queueLevel", 0.into()),
            ("concurrentOption", self.concurrent.clone().into()),
            ("mailCreator", self.mail_creator.clone().into()),
            ("memoryCheck", true.into()),
            ("flowParameters", parameters.into()),
            ("failureAction", self.failure_action.into()),
            ("slaOptions", Json::List(Vec::new())),
            (
                "disabledJobs",
                Json::List(self.disabled.iter().map(disabled).collect()),
            ),
            ("pipelineExecutionId", Json::Null),
            ("successEmailsOverridden", self.success_emails_overridden.into()),
            ("failureEmailsOverridden", self.failure_emails_overridden.into()),
        ])
    }
}

/// Names of disabled jobs.
fn disabled(request: &Request) -> Result<Vec<String>, Failure> {
    let list = request
        .param("disabled")
        .filter(|list| !list.is_empty())
        .unwrap_or("[]");
    serde_json::from_str(list).map_err(|_| Failure::null("java.util.List.stream()", "<parameter1>"))
}

/// Parameters only an administrator may set, and only to numbers.
pub(super) fn admin_parameters(request: &Request) -> Result<(), String> {
    let numeric = |value: &str| value.chars().all(char::is_numeric);
    let mut parameters = request.group("flowOverride").into_iter();
    let wrong = parameters
        .find(|(name, value)| matches!(name.as_str(), "flowPriority" | "useExecutor") && !numeric(value));
    wrong.map_or(Ok(()), |(name, _)| Err(format!("{name} should be an integer")))
}

/// Addresses between commas, semicolons or blanks.
fn emails(list: Option<&str>) -> Vec<String> {
    let parts = list
        .unwrap_or_default()
        .split(|char: char| char == ',' || char == ';' || char.is_whitespace());
    parts
        .filter(|address| !address.is_empty())
        .map(str::to_owned)
        .collect()
}
