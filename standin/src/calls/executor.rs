//! `/executor`: which call on which execution, and the rights it needs.

use std::sync::Arc;

use crate::calls::{Answered, execute, executions, front};
use crate::exec::execution::Execution;
use crate::server::Server;
use crate::state::permission::Right;
use crate::state::project::Project;
use crate::state::sessions::Session;
use crate::wire::answer::Answer;
use crate::wire::failure::Failure;
use crate::wire::json::{HashMapJson, Json};
use crate::wire::request::{Request, parse_int};

pub(super) async fn get(server: &Arc<Server>, request: &Request, session: &Session) -> Answered {
    match request.param("ajax") {
        Some(word) => call(server, request, session, word).await,
        None => Ok(front::page("")),
    }
}

pub(super) async fn post(server: &Arc<Server>, request: &Request, session: &Session) -> Answered {
    match request.param("ajax") {
        Some(word) => call(server, request, session, word).await,
        None => Ok(Answer::empty()),
    }
}

async fn call(server: &Arc<Server>, request: &Request, session: &Session, word: &str) -> Answered {
    let mut ret = HashMapJson::new();
    if let Some(id) = request.param("execid") {
        let id = parse_int(id)?;
        server.faults.database().await;
        let Some(execution) = server.executions.get(id) else {
            ret.put("error", format!("Cannot find execution '{id}'"));
            return Ok(Answer::json(&Json::from(ret)));
        };
        let call = OnExecution {
            server,
            request,
            session,
            execution: &execution,
        };
        return on_execution(word, &call).await;
    }
    match word {
        "reloadExecutors" | "enableQueueProcessor" | "disableQueueProcessor" => {
            administer(word, session, &mut ret);
        }
        "getRunning" => {
            let (project, flow) = (request.need("project")?, request.need("flow")?);
            let found = server.project(project).await;
            if let Some(project) = permitted(found, session, Right::Execute, &mut ret) {
                let running = server.executions.running(project.id, flow);
                if !running.is_empty() {
                    ret.put(
                        "execIds",
                        Json::List(running.into_iter().map(Json::from).collect()),
                    );
                }
            }
        }
        "flowInfo" => {
            let (name, flow) = (request.need("project")?, request.need("flow")?);
            let found = server.project(name).await;
            if let Some(project) = permitted(found, session, Right::Read, &mut ret) {
                executions::flow_info(server, &project, name, flow, &mut ret);
            }
        }
        "fetchscheduledflowgraph" => {
            let (name, flow) = (request.need("project")?, request.need("flow")?);
            let found = server.project(name).await;
            match permitted(found, session, Right::Execute, &mut ret) {
                Some(project) => executions::scheduled_graph(server, &project, flow, &mut ret)?,
                None => ret.put("error", format!("Project '{name}' doesn't exist.")),
            }
        }
        _ => {
            ret.put("project", request.need("project")?.to_owned());
            if word == "executeFlow" {
                execute::execute(server, request, session, &mut ret).await?;
            }
        }
    }
    Ok(Answer::json(&Json::from(ret)))
}

/// A call about one execution.
pub(super) struct OnExecution<'a> {
    pub(super) server: &'a Arc<Server>,
    pub(super) request: &'a Request,
    pub(super) session: &'a Session,
    pub(super) execution: &'a Arc<Execution>,
}

async fn on_execution(word: &str, call: &OnExecution<'_>) -> Answered {
    let mut ret = HashMapJson::new();
    let right = match word {
        "fetchexecflow"
        | "fetchexecflowupdate"
        | "flowInfo"
        | "fetchExecFlowLogs"
        | "fetchExecJobLogs"
        | "fetchExecJobStats" => Right::Read,
        "cancelFlow" | "pauseFlow" | "resumeFlow" | "retryFailedJobs" => Right::Execute,
        _ => return Ok(Answer::json(&ret.json())),
    };
    // Azkaban looks at this parameter before it looks at rights.
    let since = match word {
        "fetchexecflowupdate" => parse_long(call.request.need("lastUpdateTime")?)?,
        _ => 0,
    };
    let project = call.server.world.project_by_id(call.execution.facts.project);
    let Some(project) = permitted(project, call.session, right, &mut ret) else {
        return Ok(Answer::json(&ret.json()));
    };
    match word {
        "fetchexecflow" => executions::whole(call, &project, &mut ret),
        "fetchexecflowupdate" => {
            executions::update(call, since, &mut ret);
            return Ok(Answer::json(&ret.json_of_put_all()));
        }
        "flowInfo" => executions::info(call, &project, &mut ret),
        "fetchExecFlowLogs" => return executions::flow_logs(call, ret),
        "fetchExecJobLogs" => return executions::job_logs(call, ret),
        "fetchExecJobStats" => return executions::job_stats(call, ret),
        "cancelFlow" => execute::cancel(call, &mut ret),
        "pauseFlow" => execute::pause(call, &mut ret),
        "resumeFlow" => execute::resume(call, &mut ret),
        _ => execute::retry(call, &mut ret),
    }
    call.server.faults.database().await;
    Ok(Answer::json(&ret.json()))
}

/// The project, if it is there and this user has the right; else an error is told. By then Azkaban has forgotten the name.
fn permitted(
    project: Option<Arc<Project>>,
    session: &Session,
    right: Right,
    ret: &mut HashMapJson,
) -> Option<Arc<Project>> {
    let Some(project) = project else {
        ret.put("error", "Project 'null' not found.");
        return None;
    };
    if !project.allows(&session.user, right) {
        let (user, right, name) = (&session.user.name, right.name(), &project.name);
        ret.put(
            "error",
            format!("User '{user}' doesn't have {right} permissions on {name}"),
        );
        return None;
    }
    Some(project)
}

/// Nothing to reload, and the queue is always open; but rights are asked for.
fn administer(word: &str, session: &Session, ret: &mut HashMapJson) {
    if session.user.admin {
        return ret.put("status", "success");
    }
    let what = match word {
        "reloadExecutors" => "refresh the executors",
        _ => "update queue processor",
    };
    ret.put("error", format!("Only Admins are allowed to {what}"));
    ret.put("status", "error");
}

/// `Long.parseLong`.
fn parse_long(text: &str) -> Result<i64, Failure> {
    text.parse().map_err(|_| Failure::number(text))
}
