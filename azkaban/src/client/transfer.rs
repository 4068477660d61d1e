//! A project's zip up and down.

use std::time::Duration;

use bytes::Bytes;
use reqwest::multipart::{Form, Part};

use super::answer::{download, upload};
use super::body::BodyState;
use super::error::{ClientError, Result};
use super::types::{Download, Uploaded};
use super::verdict::Doubt;
use super::wire::Failure;
use super::{Client, session};
use crate::name::ProjectName;

/// The answer to an upload is short, or a page with a stack trace.
const UPLOAD_ANSWER_LIMIT: usize = 4 << 20;

/// The width of `project_versions.file_name`.
const FILE_NAME_MAX: usize = 128;

impl Client {
    /// The project's zip with this version, or the newest one that was ever handed in.
    ///
    /// `None`: no zip was uploaded yet (or none with this version). The newest zip is not always the active one: after a
    /// failed install it is the rejected zip, so compare [`Download::version`] with what is known, or the flows with
    /// [`Client::flows`].
    pub async fn download(&self, project: &ProjectName, version: Option<u32>) -> Result<Option<Download>> {
        let number = version.map(|version| version.to_string());
        let mut query = vec![("project", project.as_str()), ("download", "true")];
        query.extend(number.as_deref().map(|number| ("version", number)));
        let limit = self.download_limit;
        let answer = self
            .with_session_up_to("download", limit, |wire, session| {
                wire.get("/manager", &query).query(&[("session.id", session)])
            })
            .await?;
        download::download(answer, project, version)
    }

    /// Uploads a zip that replaces the whole project. See [`Client::upload_tracked`].
    pub async fn upload(
        &self,
        project: &ProjectName,
        file_name: &str,
        zip: Bytes,
        timeout: Duration,
    ) -> Result<Uploaded> {
        self.upload_tracked(project, file_name, zip, timeout, &BodyState::new())
            .await
    }

    /// Uploads a zip and tells in `body` how far it got, also when this future is dropped.
    ///
    /// `file_name` must end with `.zip` and have at most 128 characters without `/`; Azkaban logs it with the upload.
    /// `timeout` is the limit for sending and installing together. A failure after the whole body had left is
    /// [`ClientError::InDoubt`]: Azkaban goes on with an upload whose client is gone.
    pub async fn upload_tracked(
        &self,
        project: &ProjectName,
        file_name: &str,
        zip: Bytes,
        timeout: Duration,
        body: &BodyState,
    ) -> Result<Uploaded> {
        check_file_name(file_name)?;
        // once more after a lost session: such an answer proves that nothing was installed
        for _ in 0..2 {
            let slot = session::take(&self.pool).await?;
            let form = form(slot.id(), project, file_name, zip.clone(), body)?;
            let request = self.wire.post("/manager").multipart(form);
            let answer = match self
                .wire
                .send("upload", request, timeout, UPLOAD_ANSWER_LIMIT)
                .await
            {
                Ok(answer) => answer,
                Err(failure) => return Err(self.upload_failed(project, failure, body.all_sent())),
            };
            if !session::judge(&self.pool, slot, &answer) {
                return upload::upload(&answer, project, body.all_sent());
            }
            body.reset();
        }
        Err(ClientError::SessionLost { call: "upload" })
    }

    fn upload_failed(&self, project: &ProjectName, failure: Failure, all_sent: bool) -> ClientError {
        let doubt = match failure {
            Failure::TimedOut(after) if all_sent => Doubt::TimedOut(after),
            Failure::Broken(reason) if all_sent => Doubt::Broken(reason),
            Failure::TooLarge(limit) if all_sent => Doubt::Unreadable(format!("more than {limit} bytes")),
            failure => return self.wire.error("upload", failure),
        };
        ClientError::InDoubt {
            project: project.to_string(),
            doubt,
        }
    }
}

/// Azkaban would call a name with a slash or of 129 characters a missing file and a database error.
fn check_file_name(name: &str) -> Result<()> {
    if name.ends_with(".zip") && name.chars().count() <= FILE_NAME_MAX && !name.contains(['/', '\\', '"']) {
        return Ok(());
    }
    Err(ClientError::Setup(format!(
        "the file name {name:?} of an upload must end with .zip, without slash or quote, in at most {FILE_NAME_MAX} characters"
    )))
}

/// The form anew for each try; `ajax` must be a field, in the query it would upload nothing.
fn form(session: &str, project: &ProjectName, file_name: &str, zip: Bytes, body: &BodyState) -> Result<Form> {
    let length = zip.len() as u64;
    let part = Part::stream_with_length(body.body(zip), length)
        .file_name(file_name.to_owned())
        .mime_str("application/zip")
        .map_err(|error| ClientError::Setup(super::text_of(&error)))?;
    Ok(Form::new()
        .text("session.id", session.to_owned())
        .text("ajax", "upload")
        .text("project", project.to_string())
        .part("file", part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_that_azkaban_would_misread_is_refused_at_home() {
        check_file_name(&format!("{}.zip", "x".repeat(124))).unwrap();
        for name in [
            "a.tar",
            "zip",
            "a/b.zip",
            "a\\b.zip",
            "a\".zip",
            &format!("{}.zip", "x".repeat(125)),
        ] {
            assert_eq!(check_file_name(name).unwrap_err().code(), "setup", "{name}");
        }
    }
}
