//! `/index`: lists of projects.

use std::sync::Arc;

use crate::calls::{Answered, front};
use crate::server::Server;
use crate::state::permission::{Permission, Right};
use crate::state::project::Project;
use crate::state::sessions::Session;
use crate::wire::answer::Answer;
use crate::wire::json::{HashMapJson, Json};
use crate::wire::request::Request;

pub(super) async fn get(server: &Server, request: &Request, session: &Session) -> Answered {
    let Some(call) = request.param("ajax") else {
        return Ok(front::page(""));
    };
    let mut ret = HashMapJson::new();
    let projects = match call {
        "fetchallprojects" => Some(server.world.active()),
        "fetchuserprojects" => {
            let user = request
                .param("user")
                .filter(|user| !user.is_empty())
                .unwrap_or(&session.user.name);
            let mut projects = server.world.active();
            projects.retain(|project| reads(project, user));
            Some(projects)
        }
        _ => None,
    };
    if let Some(projects) = projects {
        ret.put(
            "projects",
            Json::List(projects.iter().map(|project| simplified(project)).collect()),
        );
    }
    Ok(Answer::json(&ret.json()))
}

/// Does the project grant this user (not a group, not a role) to read it?
fn reads(project: &Arc<Project>, user: &str) -> bool {
    project
        .read()
        .users
        .iter()
        .any(|(name, permission)| name == user && permission.allows(Right::Read))
}

/// `createdBy` is in truth the last one who changed it.
fn simplified(project: &Project) -> Json {
    let state = project.read();
    Json::bean([
        ("projectId", project.id.into()),
        ("projectName", project.name.clone().into()),
        ("createdBy", state.modified_by.clone().into()),
        ("createdTime", project.created_ms.into()),
        ("userPermissions", pairs(&state.users)),
        ("groupPermissions", pairs(&state.groups)),
    ])
}

fn pairs(permissions: &[(String, Permission)]) -> Json {
    let pair = |(name, permission): &(String, Permission)| {
        let types = Json::bean([("types", Json::texts(permission.names()))]);
        Json::bean([("first", name.clone().into()), ("second", types)])
    };
    Json::List(permissions.iter().map(pair).collect())
}
