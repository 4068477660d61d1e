//! Execution options as a request carries them.

use serde_json::Value;

use crate::exec::options::{Disabled, ExecutionOptions, FailureAction};
use crate::options::User;
use crate::wire::failure::Failure;
use crate::wire::request::Request;

/// Options of a request, and the jobs to disable, which may be no list at all.
pub(super) struct Asked {
    pub(super) options: ExecutionOptions,
    pub(super) disabled: Disabling,
}

/// What became of the list of disabled jobs.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Disabling {
    /// They stand in the options.
    Known,
    /// It is no JSON: a null pointer later.
    Null,
}

/// Reads them; `pipeline` without a level is an error, and so is a JSON text for disabled jobs that is no list.
pub(super) fn read(request: &Request) -> Result<Asked, Failure> {
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
    let (list, disabled) = disabled(request)?;
    let options = ExecutionOptions {
        notify_first: flag("notifyFailureFirst", true),
        notify_last: flag("notifyFailureLast", false),
        failure_emails: emails(request.param("failureEmails")),
        success_emails: emails(request.param("successEmails")),
        failure_emails_overridden: flag("failureEmailsOverride", false),
        success_emails_overridden: flag("successEmailsOverride", false),
        pipeline_level,
        pipeline_execution: None,
        concurrent,
        mail_creator: request.param("mailCreator").unwrap_or("default").to_owned(),
        parameters: request.group("flowOverride"),
        failure_action: match request.param("failureAction") {
            Some("cancelImmediately") => FailureAction::CancelAll,
            Some("finishPossible") => FailureAction::FinishPossible,
            _ => FailureAction::FinishCurrent,
        },
        disabled: list,
    };
    Ok(Asked { options, disabled })
}

/// Names of disabled jobs, or objects for flows within the flow.
fn disabled(request: &Request) -> Result<(Vec<Option<Disabled>>, Disabling), Failure> {
    let text = request
        .param("disabled")
        .filter(|list| !list.is_empty())
        .unwrap_or("[]");
    match serde_json::from_str(text) {
        Ok(Value::Array(list)) => Ok((list.iter().map(one_disabled).collect(), Disabling::Known)),
        Ok(Value::Null) | Err(_) => Ok((Vec::new(), Disabling::Null)),
        Ok(other) => Err(Failure::cast_to_list(match other {
            Value::Object(_) => "java.util.HashMap",
            Value::String(_) => "java.lang.String",
            Value::Bool(_) => "java.lang.Boolean",
            Value::Number(number) if number.is_f64() => "java.lang.Double",
            _ => "java.lang.Integer",
        })),
    }
}

/// Nothing for what is neither a name nor a flow with children.
fn one_disabled(value: &Value) -> Option<Disabled> {
    match value {
        Value::String(name) => Some(Disabled {
            name: name.clone(),
            children: None,
        }),
        Value::Object(flow) => {
            let name = flow.get("id")?.as_str()?.to_owned();
            let children = flow.get("children")?.as_array()?;
            Some(Disabled {
                name,
                children: Some(children.iter().map(one_disabled).collect()),
            })
        }
        _ => None,
    }
}

/// Parameters only an administrator may set.
const NUMBERS: &[&str] = &["flowPriority", "useExecutor"];
const FLAGS: &[&str] = &["java.enable.debug", "enable.dev.pod"];

/// Parameters only an administrator may set are dropped for others, and checked for administrators.
pub(super) fn admins_only(user: &User, options: &mut ExecutionOptions) -> Result<(), String> {
    let parameters = &mut options.parameters;
    if !user.admin {
        let numbers_and_flags = [NUMBERS, FLAGS].concat();
        parameters.retain(|(name, _)| !numbers_and_flags.contains(&name.as_str()));
        return Ok(());
    }
    let is_wrong = |name: &str, fits: fn(&str) -> bool| {
        let value = parameters.iter().find(|(known, _)| known == name);
        value.is_some_and(|(_, value)| !fits(value))
    };
    if let Some(name) = NUMBERS.iter().find(|name| is_wrong(name, is_number)) {
        return Err(format!("{name} should be an integer"));
    }
    if let Some(name) = FLAGS.iter().find(|name| is_wrong(name, is_boolean)) {
        return Err(format!("{name} should be boolean"));
    }
    Ok(())
}

/// What commons-lang takes for a number.
fn is_number(text: &str) -> bool {
    text.chars().all(char::is_numeric)
}

/// What commons-lang takes for a boolean.
fn is_boolean(text: &str) -> bool {
    let words = ["true", "false", "on", "off", "yes", "no", "y", "n", "t", "f"];
    words.iter().any(|word| word.eq_ignore_ascii_case(text))
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
