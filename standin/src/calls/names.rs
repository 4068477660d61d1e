//! Names of calls for the statistics: a closed list, so that no client can blow it up.

use hyper::Method;

use crate::wire::request::{Fields, Request};

const CALLS: &[&str] = &[
    "addPermission",
    "addProxyUser",
    "cancelFlow",
    "changeDescription",
    "changePermission",
    "checkForWritePermission",
    "create",
    "disableQueueProcessor",
    "enableQueueProcessor",
    "executeFlow",
    "fetchExecFlowLogs",
    "fetchExecJobLogs",
    "fetchExecJobStats",
    "fetchFlowExecutions",
    "fetchJobInfo",
    "fetchLastSuccessfulFlowExecution",
    "fetchProjectLogs",
    "fetchSchedule",
    "fetchSchedules",
    "fetchallprojects",
    "fetchexecflow",
    "fetchexecflowupdate",
    "fetchflowdetails",
    "fetchflowgraph",
    "fetchflowjobs",
    "fetchflownodedata",
    "fetchprojectflows",
    "fetchscheduledflowgraph",
    "fetchuserprojects",
    "flowInfo",
    "getGroupPermissions",
    "getPermissions",
    "getProjectId",
    "getProxyUsers",
    "getRunning",
    "isFlowLocked",
    "loadFlow",
    "login",
    "pauseFlow",
    "reloadExecutors",
    "removeProxyUser",
    "removeSched",
    "resumeFlow",
    "retryFailedJobs",
    "scheduleCronFlow",
    "scheduleFlow",
    "setFlowLock",
    "setJobOverrideProperty",
    "upload",
];

/// The name of the call a request makes.
pub(crate) fn call_name(request: &Request) -> &'static str {
    match request.path.as_str() {
        "/status" => return "status",
        path if path.starts_with("/standin/") => return "standin",
        _ => {}
    }
    if let Some(Ok(fields)) = request.multipart() {
        return multipart_name(&fields);
    }
    let word = request
        .param("ajax")
        .or_else(|| request.param("action").filter(|_| request.method == Method::POST));
    if let Some(word) = word {
        return known(word);
    }
    ["logout", "delete", "purge", "download"]
        .into_iter()
        .find(|name| request.has(name))
        .unwrap_or("page")
}

fn multipart_name(fields: &Fields) -> &'static str {
    let word = |name| {
        fields
            .part(name)
            .filter(|part| part.file.is_none())
            .map(|part| part.text())
    };
    word("ajax")
        .or_else(|| word("action"))
        .map_or("other", |word| known(&word))
}

fn known(word: &str) -> &'static str {
    CALLS
        .iter()
        .find(|&&name| name == word)
        .copied()
        .unwrap_or("other")
}
