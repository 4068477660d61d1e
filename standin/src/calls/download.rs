//! Downloading a project's zip, exactly as it was uploaded.

use hyper::header::HeaderName;

use crate::calls::Answered;
use crate::calls::projects::refused;
use crate::server::Server;
use crate::state::permission::Right;
use crate::state::sessions::Session;
use crate::wire::answer::Answer;
use crate::wire::failure::Failure;
use crate::wire::request::Request;

/// Without a version the highest ever stored, which may be one whose upload failed.
pub(super) async fn answer(server: &Server, request: &Request, session: &Session, name: &str) -> Answered {
    let home = format!("{}/", request.base());
    let Some(project) = server.project(name).await else {
        return Ok(refused(&home, &format!("Project {name} doesn't exist.")));
    };
    if !project.allows(&session.user, Right::Read) {
        return Ok(refused(
            &home,
            &format!("No permission to download project {name}."),
        ));
    }
    let asked = if request.has("version") {
        request.need_int("version")?
    } else {
        -1
    };
    server.faults.database().await;
    let state = project.read();
    let version = if asked == -1 { state.highest() } else { asked };
    let Some(stored) = state.versions.get(&version) else {
        return Ok(refused(
            &home,
            &format!("Project {name} with version {asked} doesn't exist"),
        ));
    };
    let Some(zip) = stored.zip.clone() else {
        return Err(cleaned_up(version, project.id));
    };
    let answer = Answer::zip(zip, &stored.file)
        .header(HeaderName::from_static("version"), &version.to_string())
        .header(HeaderName::from_static("projectid"), &project.id.to_string());
    Ok(answer)
}

fn cleaned_up(version: i32, project: i32) -> Failure {
    let message = format!(
        "Got numChunks=0 for version {version} of project {project} - seems like this version has been cleaned up \
         already, because enough newer versions have been uploaded. To increase the retention of project versions, set \
         project.version.retention"
    );
    Failure::exception("azkaban.project.ProjectManagerException", message)
}
