//! `/executor`: executions. None run here yet, so nothing is running and nothing can be found.

use crate::calls::{Answered, front};
use crate::server::Server;
use crate::state::permission::Right;
use crate::state::sessions::Session;
use crate::wire::answer::Answer;
use crate::wire::json::{HashMapJson, Json};
use crate::wire::request::Request;

pub(super) async fn call(server: &Server, request: &Request, session: &Session) -> Answered {
    let Some(word) = request.param("ajax") else {
        return Ok(front::page(""));
    };
    let mut ret = HashMapJson::new();
    match word {
        "getRunning" => {
            let (name, flow) = (request.need("project")?, request.need("flow")?);
            match server.project(name).await {
                // Azkaban has forgotten the name by then.
                None => ret.put("error", "Project 'null' not found."),
                Some(project) if !project.allows(&session.user, Right::Execute) => {
                    let user = &session.user.name;
                    let message = format!(
                        "User '{user}' doesn't have EXECUTE permissions on {}",
                        project.name
                    );
                    ret.put("error", message);
                }
                Some(_) => tracing::debug!(project = name, flow, "nothing is running"),
            }
        }
        _ => match request.param("execid") {
            Some(id) => {
                let id = crate::wire::request::parse_int(id)?;
                ret.put("error", format!("Cannot find execution '{id}'"));
            }
            None => {
                ret.put("project", request.need("project")?.to_owned());
                if word == "executeFlow" {
                    ret.put("flow", request.need("flow")?.to_owned());
                    ret.put("error", "this stand-in does not execute flows");
                }
            }
        },
    }
    Ok(Answer::json(&Json::from(ret)))
}
