//! Creating, describing, deleting and purging projects, and their log.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::calls::Answered;
use crate::calls::manager::Call;
use crate::server::Server;
use crate::state::permission::Right;
use crate::state::project::Project;
use crate::state::sessions::Session;
use crate::state::world::DESCRIPTION_MAX;
use crate::wire::answer::{Answer, Outcome};
use crate::wire::failure::Failure;
use crate::wire::java::utf16_len;
use crate::wire::json::{HashMapJson, Json};
use crate::wire::request::Request;

/// Compact JSON without a content type.
pub(super) async fn create(server: &Server, request: &Request, session: &Session) -> Answered {
    let name = request.param("name").unwrap_or_default();
    let description = request.param("description").unwrap_or_default();
    server.faults.database().await;
    let mut json = HashMapJson::new();
    let user = &session.user;
    let created = if server.options.lockdown_create && !user.admin {
        let name = &user.name;
        Err(format!("User {name} doesn't have permission to create projects."))
    } else {
        server.world.create(name, description, &user.name)
    };
    let outcome = match created {
        Ok(()) => {
            json.put("status", "success");
            json.put("action", "redirect");
            json.put("path", format!("manager?project={name}"));
            Outcome::Ok
        }
        Err(message) => {
            json.put("status", "error");
            json.put("message", message);
            Outcome::Refused
        }
    };
    Ok(Answer::text(json.json().compact()).outcome(outcome))
}

/// Always a redirect; what happened stands in a cookie.
pub(super) async fn delete(server: &Server, request: &Request, session: &Session, name: &str) -> Answered {
    let home = format!("{}/", request.base());
    let Some(project) = server.project(name).await else {
        return Ok(refused(&home, &format!("Project {name} doesn't exist.")));
    };
    if !project.allows(&session.user, Right::Admin) {
        let message = format!("Cannot delete. User '{}' is not an ADMIN.", session.user.name);
        return Ok(refused(
            &format!("{}/manager?project={name}", request.base()),
            &message,
        ));
    }
    server.faults.database().await;
    server.world.schedules.prune(project.id, |_| false);
    server.world.delete(&project, &session.user.name);
    let message = format!("Project '{name}' was successfully deleted and associated schedules are removed.");
    Ok(Answer::redirect(&home).cookie("azkaban.success.message", &message))
}

/// A redirect with a failure in its cookie.
pub(super) fn refused(location: &str, message: &str) -> Answer {
    Answer::redirect(location)
        .cookie("azkaban.failure.message", message)
        .outcome(Outcome::Refused)
}

/// By number for deleted projects; a name finds active ones only, which are refused.
pub(super) async fn purge(server: &Server, session: &Session, name: &str) -> Answered {
    let error = purge_error(server, session, name).await;
    let mut json = HashMapJson::new().with("success", error.is_none());
    if let Some(error) = error {
        json.put("error", error);
    }
    Ok(Answer::json(&json.json()))
}

async fn purge_error(server: &Server, session: &Session, name: &str) -> Option<String> {
    let project: Option<Arc<Project>> = if name.chars().all(char::is_numeric) {
        match name.parse() {
            Ok(id) => server.world.project_by_id(id),
            Err(_) => return Some(format!("For input string: \"{name}\"")),
        }
    } else {
        server.project(name).await
    };
    let Some(project) = project else {
        return Some("invalid project".to_owned());
    };
    if project.read().active {
        return Some(format!(
            "Project {} should be deleted before purging",
            project.name
        ));
    }
    if !project.allows(&session.user, Right::Admin) {
        return Some(format!(
            "Cannot purge. User '{}' is not an ADMIN.",
            session.user.name
        ));
    }
    server.faults.database().await;
    project
        .write()
        .clean_before(project.id, i32::MAX, &BTreeSet::new());
    let version = project.read().version;
    project.log(
        &session.user.name,
        "PURGE",
        Some(format!("Purged versions before {}", version + 1)),
    );
    None
}

pub(super) async fn change_description(call: &Call<'_>, ret: &mut HashMapJson) -> Result<(), Failure> {
    let description = call.request.need("description")?;
    call.server.faults.database().await;
    // In memory it changes even when the row is too short for it.
    description.clone_into(&mut call.project.write().description);
    if utf16_len(description) > DESCRIPTION_MAX {
        ret.put(
            "error",
            format!("Error update Description, project {}", call.project.name),
        );
        return Ok(());
    }
    let user = &call.session.user.name;
    user.clone_into(&mut call.project.write().modified_by);
    call.project.log(
        user,
        "DESCRIPTION",
        Some(format!("Description changed to {description}")),
    );
    Ok(())
}

/// Newest first.
pub(super) async fn logs(call: &Call<'_>, ret: &mut HashMapJson) -> Result<(), Failure> {
    let size = usize::try_from(call.request.int_or("size", 1000)).unwrap_or(usize::MAX);
    let skip = usize::try_from(call.request.int_or("skip", 0)).unwrap_or(0);
    call.server.faults.database().await;
    let state = call.project.read();
    let events = state.log.iter().rev().skip(skip).take(size).map(|event| {
        let message = event.message.clone().into();
        Json::List(vec![
            event.user.clone().into(),
            event.at_ms.into(),
            event.kind.clone().into_owned().into(),
            message,
        ])
    });
    ret.put("logData", Json::List(events.collect()));
    ret.put("columns", Json::texts(["user", "time", "type", "message"]));
    Ok(())
}
