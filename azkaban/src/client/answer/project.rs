//! Answers to calls about projects: making, finding, deleting them, and their log.

use serde::Deserialize;
use serde_json::Value;

use super::super::error::{ClientError, Result};
use super::super::types::{Created, LogEntry, ProjectId, ProjectInfo};
use super::{Answer, FAILURE, SUCCESS, project_error, read, text};
use crate::name::ProjectName;

/// The answer to `action=create`; it has no content type.
pub(crate) fn created(answer: &Answer) -> Result<Created> {
    const CALL: &str = "create project";
    let value = answer.json(CALL)?;
    if value["status"] == "success" {
        return Ok(Created::Made);
    }
    let text = text::field(&value, "message").or_else(|| text::field(&value, "error"));
    let Some(text) = text else {
        return Err(ClientError::BadAnswer {
            call: CALL,
            reason: "neither success nor a message".into(),
        });
    };
    if text.contains("already exists") {
        Ok(Created::Existed)
    } else if text.contains("have permission to create") {
        Err(ClientError::Lockdown { call: CALL, text })
    } else {
        Err(ClientError::Rejected { call: CALL, text })
    }
}

/// The answer to `getProjectId`.
pub(crate) fn id(answer: &Answer, project: &ProjectName) -> Result<Option<ProjectId>> {
    const CALL: &str = "getProjectId";
    match answer.project_json(CALL, project) {
        Ok(value) => project_id(CALL, &value).map(Some),
        Err(ClientError::ProjectMissing { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The number every answer about a project repeats.
pub(crate) fn project_id(call: &'static str, value: &Value) -> Result<ProjectId> {
    let id = text::number(&value["projectId"]);
    id.map(ProjectId).ok_or(ClientError::BadAnswer {
        call,
        reason: "no projectId in it".into(),
    })
}

/// The answer to a delete: always a redirect, the words are in a cookie.
pub(crate) fn deleted(answer: &Answer, project: &ProjectName) -> Result<()> {
    const CALL: &str = "delete project";
    if !(300..400).contains(&answer.status) {
        answer.refuse_status(CALL)?;
        return Err(ClientError::BadAnswer {
            call: CALL,
            reason: format!("a page titled {:?}", answer.title()),
        });
    }
    if let Some(text) = answer.cookie(FAILURE) {
        return Err(
            match text.starts_with("Cannot delete.") && text.contains("not an ADMIN") {
                true => ClientError::Denied { call: CALL, text },
                false => project_error(CALL, project.as_str(), text),
            },
        );
    }
    match answer.cookie(SUCCESS) {
        Some(_) => Ok(()),
        // somebody else's redirect (to a login, to https) has no cookie of Azkaban's
        None => answer.refuse_status(CALL),
    }
}

/// The answer to `fetchallprojects`.
pub(crate) fn list(answer: &Answer) -> Result<Vec<ProjectInfo>> {
    const CALL: &str = "fetchallprojects";
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Raw {
        project_id: i64,
        project_name: String,
        #[serde(default)]
        created_time: i64,
        #[serde(default)]
        created_by: Option<String>,
    }
    let mut value = answer.json(CALL)?;
    if let Some(text) = text::field(&value, "error") {
        return Err(ClientError::Rejected { call: CALL, text });
    }
    let rows: Vec<Raw> = read(CALL, value["projects"].take())?;
    let info = |raw: Raw| ProjectInfo {
        id: ProjectId(raw.project_id),
        name: raw.project_name,
        created_ms: raw.created_time,
        changed_by: raw.created_by.unwrap_or_default(),
    };
    Ok(rows.into_iter().map(info).collect())
}

/// The answer to `fetchProjectLogs`, newest first. Columns are found by name.
pub(crate) fn log(answer: &Answer, project: &ProjectName) -> Result<Vec<LogEntry>> {
    const CALL: &str = "fetchProjectLogs";
    let mut value = answer.project_json(CALL, project)?;
    let columns: Vec<String> = read(CALL, value["columns"].take())?;
    let rows: Vec<Vec<Value>> = read(CALL, value["logData"].take())?;
    let column = |name: &str| {
        let found = columns.iter().position(|column| column == name);
        found.ok_or(ClientError::BadAnswer {
            call: CALL,
            reason: format!("no column {name}"),
        })
    };
    let (user, time, kind, message) = (
        column("user")?,
        column("time")?,
        column("type")?,
        column("message")?,
    );
    let word = |row: &[Value], at: usize| row.get(at).and_then(Value::as_str).map(str::to_owned);
    let entry = |row: Vec<Value>| LogEntry {
        user: word(&row, user).unwrap_or_default(),
        time_ms: row.get(time).and_then(text::number).unwrap_or_default(),
        kind: word(&row, kind).unwrap_or_default(),
        message: word(&row, message),
    };
    Ok(rows.into_iter().map(entry).collect())
}

#[cfg(test)]
mod tests {
    use super::super::super::types::uploaded_file;
    use super::super::samples::*;
    use super::*;

    #[test]
    fn a_new_project_is_made_and_a_known_one_existed() {
        let made = r#"{"path":"manager?project=p1","action":"redirect","status":"success"}"#;
        assert_eq!(created(&answer(200, made)).unwrap(), Created::Made);
        let existed = r#"{"message":"Project already exists.","status":"error"}"#;
        assert_eq!(created(&answer(200, existed)).unwrap(), Created::Existed);
    }

    #[test]
    fn a_refused_name_is_told_in_azkabans_words() {
        for said in [
            "Project name cannot be empty.",
            "Description cannot be empty.",
            "Project names must start with a letter, followed by any number of letters, digits, '-' or '_'.",
            "Insert projectlongdesc for existing project failed. ",
        ] {
            let body = format!(r#"{{"message":"{said}","status":"error"}}"#);
            let error = created(&answer(200, body)).unwrap_err();
            assert_eq!(
                error,
                ClientError::Rejected {
                    call: "create project",
                    text: said.into()
                }
            );
        }
    }

    #[test]
    fn a_lockdown_on_new_projects_is_told_apart() {
        let body = r#"{"message":"User bob doesn't have permission to create projects.","status":"error"}"#;
        assert_eq!(created(&answer(200, body)).unwrap_err().code(), "lockdown");
    }

    #[test]
    fn an_unknown_project_has_no_id() {
        let known = answer(200, "{\n  \"project\" : \"p1\",\n  \"projectId\" : 7\n}");
        assert_eq!(id(&known, &p1()).unwrap(), Some(ProjectId(7)));
        let unknown = answer(200, r#"{"project":"p1","error":"Project p1 doesn't exist."}"#);
        assert_eq!(id(&unknown, &p1()).unwrap(), None);
        let denied = answer(
            200,
            r#"{"project":"p1","error":"Permission denied. Need READ access.","projectId":1}"#,
        );
        assert_eq!(id(&denied, &p1()).unwrap_err().code(), "denied");
        assert_eq!(id(&answer(200, "{ }"), &p1()).unwrap_err().code(), "bad_answer");
    }

    #[test]
    fn a_delete_is_judged_by_its_cookie() {
        let redirect = |name: &str, text: &str| {
            let cookie = format!("{name}=\"{text}\";Path=/");
            deleted(
                &with(302, "", &[("location", "http://h/"), ("set-cookie", &cookie)]),
                &p1(),
            )
        };
        redirect(
            SUCCESS,
            "Project 'p1' was successfully deleted and associated schedules are removed.",
        )
        .unwrap();
        let missing = redirect(FAILURE, "Project p1 doesn't exist.").unwrap_err();
        assert_eq!(missing.code(), "project_missing");
        let denied = redirect(FAILURE, "Cannot delete. User 'bob' is not an ADMIN.").unwrap_err();
        assert_eq!(denied.code(), "denied");
    }

    #[test]
    fn a_redirect_without_azkabans_cookie_is_no_delete() {
        let moved = with(301, "", &[("location", "https://h/manager")]);
        assert_eq!(deleted(&moved, &p1()).unwrap_err().code(), "bad_request");
        assert_eq!(
            deleted(&answer(200, "<html></html>"), &p1()).unwrap_err().code(),
            "bad_answer"
        );
    }

    #[test]
    fn the_list_has_every_project() {
        let body = r#"{"projects":[{"projectId":1,"projectName":"p1","createdBy":"azkaban","createdTime":1795441450660,
            "userPermissions":[{"first":"azkaban","second":{"types":["ADMIN"]}}],"groupPermissions":[]}]}"#;
        let projects = list(&answer(200, body)).unwrap();
        assert_eq!((projects[0].id, projects[0].name.as_str()), (ProjectId(1), "p1"));
        assert!(list(&answer(200, r#"{"projects":[]}"#)).unwrap().is_empty());
    }

    #[test]
    fn the_log_names_the_file_of_an_upload() {
        let body = r#"{"columns":["user","time","type","message"],"logData":[
            ["azkaban",1795441450999,"UPLOADED","Uploaded project files zip a-1.zip"],
            ["azkaban",1795441450688,"CREATED",null]],"project":"p1","projectId":1}"#;
        let log = log(&answer(200, body), &p1()).unwrap();
        assert_eq!(uploaded_file(&log[0]), Some("a-1.zip"));
        assert_eq!(
            (uploaded_file(&log[1]), log[1].time_ms, log[1].message.as_deref()),
            (None, 1795441450688, None)
        );
    }
}
