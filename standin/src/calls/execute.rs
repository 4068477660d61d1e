//! Starting, cancelling, pausing and resuming executions.

use std::sync::Arc;

use crate::calls::executor::OnExecution;
use crate::calls::options::{self, Asked, Disabling};
use crate::exec::execution::Phase;
use crate::exec::status::Status;
use crate::exec::submit::{Order, submit};
use crate::server::Server;
use crate::state::permission::Right;
use crate::state::project::Project;
use crate::state::sessions::Session;
use crate::wire::failure::Failure;
use crate::wire::java::string_hash;
use crate::wire::json::HashMapJson;
use crate::wire::request::Request;

/// A project that may not be executed does not exist.
pub(super) async fn execute(
    server: &Arc<Server>,
    request: &Request,
    session: &Session,
    ret: &mut HashMapJson,
) -> Result<(), Failure> {
    let (name, flow) = (request.need("project")?, request.need("flow")?);
    let found = server.project(name).await;
    let Some(project) = found.filter(|project| project.allows(&session.user, Right::Execute)) else {
        ret.put("error", format!("Project '{name}' doesn't exist."));
        return Ok(());
    };
    ret.put("flow", flow.to_owned());
    if project.read().flows.get(flow).is_none() {
        ret.put("error", unknown_flow(&project, flow));
        return Ok(());
    }
    let asked = match options::read(request) {
        Ok(asked) => asked,
        Err(failure) if failure.is_of_servlet() => {
            ret.put(
                "error",
                format!("Error parsing flow options: {}", failure.message()),
            );
            return Ok(());
        }
        Err(failure) => return Err(failure),
    };
    match start(server, request, session, &project, asked).await {
        Ok((message, id)) => {
            ret.put("message", message);
            ret.put("execid", id);
        }
        Err(why) => {
            ret.put("error", format!("Error submitting flow {flow}. {why}"));
            ret.put("execid", -1);
        }
    }
    Ok(())
}

async fn start(
    server: &Arc<Server>,
    request: &Request,
    session: &Session,
    project: &Arc<Project>,
    asked: Asked,
) -> Result<(String, i32), String> {
    let flow = request.param("flow").unwrap_or_default().to_owned();
    let mut options = asked.options;
    options::admins_only(&session.user, &mut options)?;
    let locked = project.read().locks.contains_key(&flow);
    if asked.disabled == Disabling::Null && !locked {
        return Err("Cannot invoke \"java.util.Collection.toArray()\" because \"c\" is null".to_owned());
    }
    let order = Order {
        flow,
        user: session.user.name.clone(),
        scheduled: false,
        options,
    };
    let submitted = submit(server, project, order).await?;
    Ok((submitted.message, submitted.id))
}

/// Java tells an object by its class and a number.
pub(super) fn unknown_flow(project: &Project, flow: &str) -> String {
    let hash = string_hash(&format!("{}{}", project.name, project.created_ms));
    format!("Flow '{flow}' cannot be found in project azkaban.project.Project@{hash:x}")
}

/// Says that nothing runs, as the web server does.
fn not_running(call: &OnExecution<'_>) -> String {
    let facts = &call.execution.facts;
    format!("Execution {} of flow {} isn't running.", facts.id, facts.flow)
}

/// What the executor says of an execution that has just ended; the web server does not know yet.
fn gone(call: &OnExecution<'_>) -> String {
    format!("Execution {} is not running.", call.execution.facts.id)
}

pub(super) fn cancel(call: &OnExecution<'_>, ret: &mut HashMapJson) {
    let user = &call.session.user.name;
    match call.execution.phase() {
        Phase::Over => ret.put("error", not_running(call)),
        Phase::Afterglow => ret.put("error", gone(call)),
        Phase::Queued | Phase::Running => call.execution.change(|run, now| run.kill_by(user, now)),
    }
}

pub(super) fn pause(call: &OnExecution<'_>, ret: &mut HashMapJson) {
    let user = &call.session.user.name;
    let paused = match call.execution.phase() {
        Phase::Over => Err(not_running(call)),
        Phase::Afterglow => Err(gone(call)),
        Phase::Queued | Phase::Running => call.execution.change(|run, now| run.pause(user, now)),
    };
    if let Err(why) = paused {
        ret.put("error", why);
    }
}

/// Its errors stand under another key.
pub(super) fn resume(call: &OnExecution<'_>, ret: &mut HashMapJson) {
    let user = &call.session.user.name;
    match call.execution.phase() {
        Phase::Over => ret.put("resume", not_running(call)),
        Phase::Afterglow => ret.put("resume", gone(call)),
        Phase::Queued | Phase::Running => call.execution.change(|run, now| run.resume(user, now)),
    }
}

pub(super) fn retry(call: &OnExecution<'_>, ret: &mut HashMapJson) {
    if matches!(call.execution.status(), Status::Failed | Status::Succeeded) {
        return ret.put("error", "Flow has already finished. Please re-execute.");
    }
    match call.execution.phase() {
        Phase::Over => ret.put("error", not_running(call)),
        Phase::Afterglow => ret.put("error", gone(call)),
        Phase::Queued | Phase::Running => {
            let user = &call.session.user.name;
            call.execution.change(|run, now| run.retry_by(user, now));
        }
    }
}
