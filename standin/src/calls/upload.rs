//! Uploading a project: who may, what looks like a zip, and how the outcome is told.

use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;

use crate::calls::install::install;
use crate::server::Server;
use crate::state::permission::Right;
use crate::state::project::Project;
use crate::state::sessions::Session;
use crate::wire::answer::{Answer, Outcome};
use crate::wire::failure::Failure;
use crate::wire::json::{HashMapJson, Json};
use crate::wire::multipart::Part;
use crate::wire::request::{Fields, Request};

/// Content types a zip may come with.
const ZIP_TYPES: [&str; 3] = [
    "application/zip",
    "application/x-zip-compressed",
    "application/octet-stream",
];

/// What came of an upload.
pub(super) struct Uploaded {
    status: StatusCode,
    ret: HashMapJson,
    /// The answer never leaves: a fault.
    cut: bool,
}

impl Uploaded {
    fn refused(status: StatusCode, error: impl Into<String>) -> Self {
        Self {
            status,
            ret: HashMapJson::new().with("error", error.into()),
            cut: false,
        }
    }

    /// Number and version as the project has them now, read after its lock was given back.
    fn of(project: &Project, outcome: Result<(), String>) -> Self {
        let mut ret = HashMapJson::new().with("projectId", project.id.to_string());
        ret.put("version", project.read().version.to_string());
        let status = match outcome {
            Ok(()) => StatusCode::OK,
            Err(error) => {
                ret.put("error", error);
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        Self {
            status,
            ret,
            cut: false,
        }
    }

    /// For `ajax=upload`.
    pub(super) fn answer(self) -> Answer {
        if self.cut {
            return Answer::cut();
        }
        Answer::json(&self.ret.json()).status(self.status)
    }

    /// For `action=upload`, the browser's form: back to the project, an error in a cookie.
    pub(super) fn redirect(self, request: &Request, project: &str) -> Answer {
        if self.cut {
            return Answer::cut();
        }
        let answer = Answer::redirect(&format!("{}{}?project={project}", request.base(), request.path));
        match self.ret.get("error") {
            Some(Json::Text(error)) => answer
                .cookie("azkaban.failure.message", error)
                .outcome(Outcome::Refused),
            _ => answer,
        }
    }
}

/// Runs to its end whatever becomes of the client: the caller runs it in a task of its own.
pub(super) async fn answer(server: &Server, session: &Session, fields: &Fields) -> Result<Uploaded, Failure> {
    let name = fields.text("project")?.unwrap_or_default();
    let project = match find(server, session, &name).await {
        Ok(project) => project,
        Err(refused) => return Ok(refused),
    };
    let (_uploading, overlaps) = project.begin_upload();
    server.counters.upload_began(overlaps);
    if overlaps {
        tracing::info!(
            project = project.name,
            "another upload of the same project is under way"
        );
    }
    let (part, file) = match zip_part(fields)? {
        Ok(found) => found,
        Err(refused) => return Ok(refused),
    };
    let faults = server.faults.next_upload();
    if faults.html_500 {
        return Err(Failure::exception(
            "java.lang.OutOfMemoryError",
            "Java heap space",
        ));
    }
    if let Some(ms) = faults.hang_ms {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
    let outcome = install(server, session, &project, file, part.content.clone(), &faults).await?;
    let cut = faults.drop_after_commit && outcome.is_ok();
    Ok(Uploaded {
        cut,
        ..Uploaded::of(&project, outcome)
    })
}

/// The project, if this user may upload to it.
async fn find(server: &Server, session: &Session, name: &str) -> Result<Arc<Project>, Uploaded> {
    if name.is_empty() {
        return Err(Uploaded::refused(
            StatusCode::BAD_REQUEST,
            "No project name found.",
        ));
    }
    let Some(project) = server.project(name).await else {
        let error = format!("Installation Failed. Project '{name} doesn't exist.");
        return Err(Uploaded::refused(StatusCode::GONE, error));
    };
    if server.options.lockdown_upload && !session.user.admin {
        let error = format!(
            "Project uploading is locked out. Only admin users and users with special permissions can upload projects. \
             User {} doesn't have permission to upload project.",
            session.user.name
        );
        return Err(Uploaded::refused(StatusCode::FORBIDDEN, error));
    }
    if !project.allows(&session.user, Right::Write) {
        let error = format!(
            "Installation Failed. User '{}' does not have write access.",
            session.user.name
        );
        return Err(Uploaded::refused(StatusCode::BAD_REQUEST, error));
    }
    Ok(project)
}

/// The file and its name, if it looks like a zip from outside.
fn zip_part(fields: &Fields) -> Result<Result<(&Part, &str), Uploaded>, Failure> {
    let part = fields
        .part("file")
        .ok_or_else(|| Failure::null("org.apache.commons.fileupload.FileItem.getName()", "<local10>"))?;
    let file = part
        .file
        .as_deref()
        .ok_or_else(|| Failure::cast("java.lang.String", "org.apache.commons.fileupload.FileItem"))?;
    let extension = extension(file).to_lowercase();
    if extension != "zip" {
        let error = format!("File extension '{extension}' unrecognized.");
        return Ok(Err(Uploaded::refused(StatusCode::BAD_REQUEST, error)));
    }
    let kind = part.content_type.as_deref();
    if !kind.is_some_and(|kind| ZIP_TYPES.iter().any(|zip| kind.starts_with(zip))) {
        let error = format!(
            "Content type '{}' does not match extension '{extension}'",
            kind.unwrap_or("null")
        );
        return Ok(Err(Uploaded::refused(StatusCode::BAD_REQUEST, error)));
    }
    Ok(Ok((part, file)))
}

/// What stands behind the last dot of the last part of a path.
fn extension(file: &str) -> &str {
    let name = file.rsplit(['/', '\\']).next().unwrap_or(file);
    name.rsplit_once('.').map_or("", |(_, extension)| extension)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extension_is_what_follows_the_last_dot_of_the_file_name() {
        for (file, expected) in [
            ("a.zip", "zip"),
            ("a.b.ZIP", "ZIP"),
            ("a.zip/b", ""),
            ("zip", ""),
            ("a\\b.tar", "tar"),
        ] {
            assert_eq!(extension(file), expected, "{file}");
        }
    }
}
