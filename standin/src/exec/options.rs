//! Options of one execution or schedule: what a request asked for and `fetchSchedule` shows.

use serde::{Deserialize, Serialize};

use crate::wire::json::{HashMapJson, Json};

/// What happens to the other jobs when one fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) enum FailureAction {
    /// What runs may end; nothing new is begun.
    #[default]
    FinishCurrent,
    /// What runs is killed.
    CancelAll,
    /// Whatever does not depend on the failed one goes on.
    FinishPossible,
}

impl FailureAction {
    /// As `fetchSchedule` names it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::FinishCurrent => "FINISH_CURRENTLY_RUNNING",
            Self::CancelAll => "CANCEL_ALL",
            Self::FinishPossible => "FINISH_ALL_POSSIBLE",
        }
    }

    /// As requests name it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::FinishCurrent => "finishCurrent",
            Self::CancelAll => "cancelImmediately",
            Self::FinishPossible => "finishPossible",
        }
    }
}

/// A job that is to be skipped, or an embedded flow some of whose jobs are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Disabled {
    pub(crate) name: String,
    /// What cannot be understood is nothing.
    pub(crate) children: Option<Vec<Option<Disabled>>>,
}

/// All options.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct ExecutionOptions {
    pub(crate) notify_first: bool,
    pub(crate) notify_last: bool,
    pub(crate) failure_emails: Vec<String>,
    pub(crate) success_emails: Vec<String>,
    pub(crate) failure_emails_overridden: bool,
    pub(crate) success_emails_overridden: bool,
    pub(crate) pipeline_level: Option<i32>,
    /// The execution whose jobs are waited for.
    pub(crate) pipeline_execution: Option<i32>,
    pub(crate) concurrent: String,
    pub(crate) mail_creator: String,
    pub(crate) parameters: Vec<(String, String)>,
    pub(crate) failure_action: FailureAction,
    /// What cannot be understood is nothing, and keeps the flow from starting.
    pub(crate) disabled: Vec<Option<Disabled>>,
}

impl ExecutionOptions {
    /// The bean that `fetchSchedule` shows.
    pub(crate) fn json(&self) -> Json {
        Json::bean([
            ("notifyOnFirstFailure", self.notify_first.into()),
            ("notifyOnLastFailure", self.notify_last.into()),
            ("failureEmails", Json::texts(self.failure_emails.iter().cloned())),
            ("successEmails", Json::texts(self.success_emails.iter().cloned())),
            ("pipelineLevel", number(self.pipeline_level)),
            ("queueLevel", 0.into()),
            ("concurrentOption", self.concurrent.clone().into()),
            ("mailCreator", self.mail_creator.clone().into()),
            ("memoryCheck", true.into()),
            ("flowParameters", self.parameters_json()),
            ("failureAction", self.failure_action.name().into()),
            ("slaOptions", Json::List(Vec::new())),
            ("disabledJobs", self.disabled_json()),
            ("pipelineExecutionId", number(self.pipeline_execution)),
            ("successEmailsOverridden", self.success_emails_overridden.into()),
            ("failureEmailsOverridden", self.failure_emails_overridden.into()),
        ])
    }

    /// What `flowInfo` tells of an execution.
    pub(crate) fn fill_info(&self, ret: &mut HashMapJson) {
        ret.put("successEmails", Json::texts(self.success_emails.iter().cloned()));
        ret.put("failureEmails", Json::texts(self.failure_emails.iter().cloned()));
        ret.put("flowParam", self.parameters_json());
        ret.put("failureAction", self.failure_action.word());
        ret.put("notifyFailureFirst", self.notify_first);
        ret.put("notifyFailureLast", self.notify_last);
        ret.put("failureEmailsOverride", self.failure_emails_overridden);
        ret.put("successEmailsOverride", self.success_emails_overridden);
        ret.put("concurrentOptions", self.concurrent.clone());
        ret.put("pipelineLevel", number(self.pipeline_level));
        ret.put("pipelineExecution", number(self.pipeline_execution));
        ret.put("queueLevel", 0);
        ret.put("disabled", self.disabled_json());
    }

    fn parameters_json(&self) -> Json {
        self.parameters.iter().cloned().collect::<HashMapJson>().json()
    }

    fn disabled_json(&self) -> Json {
        list(&self.disabled)
    }
}

impl Disabled {
    fn json(&self) -> Json {
        let children = self.children.as_deref().map_or(Json::Null, list);
        Json::bean([
            ("name", self.name.clone().into()),
            ("children", children),
            ("embeddedFlow", self.children.is_some().into()),
        ])
    }
}

fn list(disabled: &[Option<Disabled>]) -> Json {
    let one = |one: &Option<Disabled>| one.as_ref().map_or(Json::Null, Disabled::json);
    Json::List(disabled.iter().map(one).collect())
}

fn number(value: Option<i32>) -> Json {
    value.map_or(Json::Null, Into::into)
}
