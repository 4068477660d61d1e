//! `/manager`: which call on which project, and the rights it needs.

use std::sync::Arc;

use crate::calls::{Answered, download, flows, front, overrides, permissions, projects, upload};
use crate::server::Server;
use crate::state::permission::Right;
use crate::state::project::Project;
use crate::state::sessions::Session;
use crate::wire::answer::{Answer, Outcome};
use crate::wire::failure::Failure;
use crate::wire::json::{HashMapJson, Json};
use crate::wire::request::{Fields, Request};

pub(super) async fn get(server: &Arc<Server>, request: &Request, session: &Session) -> Answered {
    let Some(project) = request.param("project") else {
        return Ok(front::page("No project set."));
    };
    // In this order; only the presence of the parameter counts.
    if request.has("ajax") {
        ajax(server, request, session).await
    } else if ["logs", "permissions", "prop", "history", "job", "flow"]
        .iter()
        .any(|name| request.has(name))
    {
        Ok(front::page(""))
    } else if request.has("delete") {
        projects::delete(server, request, session, project).await
    } else if request.has("purge") {
        projects::purge(server, session, project).await
    } else if request.has("download") {
        download::answer(server, request, session, project).await
    } else {
        Ok(front::page(""))
    }
}

pub(super) async fn post(server: &Arc<Server>, request: &Request, session: &Session) -> Answered {
    if request.has("ajax") {
        ajax(server, request, session).await
    } else if request.param("action") == Some("create") {
        projects::create(server, request, session).await
    } else {
        Ok(Answer::empty())
    }
}

/// Only uploads come this way. `ajax` in the query does not count.
pub(super) async fn post_multipart(
    server: &Arc<Server>,
    request: &Request,
    session: &Session,
    fields: &Fields,
) -> Answered {
    if fields.has("ajax") {
        if fields.text("ajax")?.as_deref() == Some("upload") {
            return Ok(upload::answer(server, session, fields).await?.answer());
        }
        return Ok(Answer::json(&HashMapJson::new().json()));
    }
    if fields.text("action")?.as_deref() == Some("upload") {
        let project = fields.text("project")?.unwrap_or_else(|| "null".to_owned());
        return Ok(upload::answer(server, session, fields)
            .await?
            .redirect(request, &project));
    }
    Ok(Answer::empty())
}

/// What an `ajax` call works with.
pub(super) struct Call<'a> {
    pub(super) server: &'a Server,
    pub(super) request: &'a Request,
    pub(super) session: &'a Session,
    pub(super) project: &'a Arc<Project>,
}

async fn ajax(server: &Server, request: &Request, session: &Session) -> Answered {
    let name = request.need("project")?;
    let mut ret = HashMapJson::new().with("project", name.to_owned());
    let Some(project) = server.project(name).await else {
        ret.put("error", format!("Project {name} doesn't exist."));
        return Ok(Answer::json(&ret.json()));
    };
    ret.put("projectId", project.id);
    let word = request.need("ajax")?;
    let call = Call {
        server,
        request,
        session,
        project: &project,
    };
    let Some((right, changes_rights)) = right_for(word) else {
        ret.put("error", format!("Cannot execute command {word}"));
        return Ok(Answer::json(&ret.json()));
    };
    if changes_rights && front::needs_token(request) {
        let json = Json::bean([("error", "CSRF validation failed.".into())]);
        return Ok(Answer::json(&json).outcome(Outcome::Refused));
    }
    match right.filter(|&right| !project.allows(&session.user, right)) {
        Some(right) => ret.put(
            "error",
            format!("Permission denied. Need {} access.", right.name()),
        ),
        None => run(word, &call, &mut ret).await?,
    }
    Ok(Answer::json(&ret.json()))
}

/// The right a call needs, and whether it changes rights; `None` for an unknown call.
fn right_for(word: &str) -> Option<(Option<Right>, bool)> {
    Some(match word {
        "getProjectId" | "checkForWritePermission" => (None, false),
        "changePermission" | "addPermission" | "addProxyUser" | "removeProxyUser" => {
            (Some(Right::Admin), true)
        }
        "setFlowLock" => (Some(Right::Admin), false),
        "changeDescription" | "setJobOverrideProperty" => (Some(Right::Write), false),
        "fetchProjectLogs"
        | "fetchflowjobs"
        | "fetchflowdetails"
        | "fetchflowgraph"
        | "fetchflownodedata"
        | "fetchprojectflows"
        | "getPermissions"
        | "getGroupPermissions"
        | "getProxyUsers"
        | "fetchFlowExecutions"
        | "fetchLastSuccessfulFlowExecution"
        | "fetchJobInfo"
        | "isFlowLocked" => (Some(Right::Read), false),
        _ => return None,
    })
}

async fn run(word: &str, call: &Call<'_>, ret: &mut HashMapJson) -> Result<(), Failure> {
    match word {
        "fetchProjectLogs" => projects::logs(call, ret).await,
        "changeDescription" => projects::change_description(call, ret).await,
        "fetchprojectflows" => flows::list(call, ret),
        "fetchflowgraph" => flows::graph(call, ret),
        "fetchflowjobs" => flows::jobs(call, ret),
        "fetchflowdetails" => flows::details(call, ret),
        "fetchflownodedata" => flows::node_data(call, ret).await,
        "fetchJobInfo" => overrides::job_info(call, ret).await,
        "setJobOverrideProperty" => overrides::set(call, ret).await,
        "setFlowLock" => flows::set_lock(call, ret).await,
        "isFlowLocked" => flows::is_locked(call, ret),
        "fetchFlowExecutions" => flows::executions(call, ret),
        "fetchLastSuccessfulFlowExecution" => flows::last_success(call, ret),
        _ => permissions::run(word, call, ret).await,
    }
}
