//! The answers to a download of a project's zip.

use super::super::error::{ClientError, Result};
use super::super::types::{Download, ProjectId};
use super::{Answer, FAILURE, project_error};
use crate::name::ProjectName;

const DOWNLOAD: &str = "download";

/// A downloaded zip; `None` when the project has no such version (or none at all).
pub(crate) fn download(
    answer: Answer,
    project: &ProjectName,
    version: Option<u32>,
) -> Result<Option<Download>> {
    if let Some(text) = answer
        .cookie(FAILURE)
        .filter(|_| (300..400).contains(&answer.status))
    {
        if text.contains("with version") && text.contains("doesn't exist") {
            return Ok(None);
        }
        return Err(project_error(DOWNLOAD, project.as_str(), text));
    }
    if answer.status == 500 && answer.title().contains("has been cleaned up") {
        let version = version
            .or_else(|| number_after("for version ", &answer.title()))
            .unwrap_or_default();
        return Err(ClientError::VersionPurged {
            project: project.to_string(),
            version,
        });
    }
    answer.refuse_status(DOWNLOAD)?;
    let number = |name: &str| answer.header(name)?.trim().parse::<i64>().ok();
    let bad = |reason: &str| ClientError::BadAnswer {
        call: DOWNLOAD,
        reason: reason.to_owned(),
    };
    let version = number("version")
        .and_then(|n| u32::try_from(n).ok())
        .ok_or_else(|| bad("no version header"))?;
    let project_id = number("projectId")
        .map(ProjectId)
        .ok_or_else(|| bad("no projectId header"))?;
    let file_name = answer
        .header("content-disposition")
        .as_deref()
        .and_then(file_name)
        .unwrap_or_default();
    Ok(Some(Download {
        version,
        project_id,
        file_name,
        zip: answer.body,
    }))
}

fn number_after(words: &str, text: &str) -> Option<u32> {
    text.split_once(words)?.1.split(' ').next()?.parse().ok()
}

/// The name in `attachment; filename="NAME"`.
fn file_name(disposition: &str) -> Option<String> {
    let name = disposition.split_once("filename=")?.1;
    Some(match name.strip_prefix('"') {
        Some(quoted) => quoted
            .rsplit_once('"')
            .map_or(quoted, |(name, _)| name)
            .to_owned(),
        None => name.split(';').next().unwrap_or_default().trim().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::samples::*;
    use super::*;

    #[test]
    fn a_zip_comes_with_version_project_and_file_name() {
        let sent = with(
            200,
            "PK\u{3}\u{4}",
            &[
                ("content-type", "application/zip"),
                ("content-disposition", "attachment; filename=\"a b.zip\""),
                ("version", "6"),
                ("projectId", "5"),
            ],
        );
        let got = download(sent, &p1(), None).unwrap().unwrap();
        assert_eq!(
            (got.version, got.project_id, got.file_name.as_str()),
            (6, ProjectId(5), "a b.zip")
        );
        assert_eq!(&got.zip[..], b"PK\x03\x04");
    }

    #[test]
    fn a_download_that_failed_says_so_in_a_cookie() {
        let by = |text: &str| {
            let cookie = format!("azkaban.failure.message=\"{text}\";Path=/");
            download(
                with(302, "", &[("location", "http://h/"), ("set-cookie", &cookie)]),
                &p1(),
                None,
            )
        };
        assert_eq!(by("Project p1 with version -1 doesn't exist").unwrap(), None);
        assert_eq!(by("Project p1 with version 99 doesn't exist").unwrap(), None);
        assert_eq!(
            by("Project p1 doesn't exist.").unwrap_err().code(),
            "project_missing"
        );
        assert_eq!(
            by("No permission to download project p1.").unwrap_err().code(),
            "denied"
        );
    }

    #[test]
    fn a_version_that_retention_removed_is_told_apart_from_a_broken_server() {
        let page = "<html>\n<title>Error 500 Got numChunks=0 for version 2 of project 9 - seems like this version has been cleaned up already, because enough newer versions have been uploaded.</title></html>";
        let purged = download(answer(500, page), &p1(), Some(2)).unwrap_err();
        assert_eq!(
            purged,
            ClientError::VersionPurged {
                project: "p1".into(),
                version: 2
            }
        );
        assert_eq!(
            download(answer(500, ERROR_PAGE), &p1(), Some(2))
                .unwrap_err()
                .code(),
            "server_error"
        );
        assert_eq!(
            download(answer(200, ""), &p1(), None).unwrap_err().code(),
            "bad_answer"
        );
    }
}
