//! Answers of Azkaban judged: status, headers and body in, a result out (pure).
//!
//! Azkaban tells success only by 200 + JSON + no `error`. A lost login is a 200, a refusal of an upload a 500, and what
//! the page says in a browser comes as a redirect with a cookie. All of that knowledge lives in here.
//! Source: 4.0.0 `LoginAbstractAzkabanServlet`, `ProjectManagerServlet`, `ScheduleServlet`, and recorded answers.

pub(super) mod download;
pub(super) mod flow;
pub(super) mod login;
pub(super) mod project;
pub(super) mod schedule;
pub(super) mod text;
pub(super) mod upload;

#[cfg(test)]
mod samples;

use std::borrow::Cow;

use bytes::Bytes;
use reqwest::header::{HeaderMap, LOCATION, SET_COOKIE};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::{ClientError, Result};
use crate::name::ProjectName;

/// The cookies in which Azkaban says what became of a page call.
pub(super) const FAILURE: &str = "azkaban.failure.message";
pub(super) const SUCCESS: &str = "azkaban.success.message";

/// One whole answer.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    pub(super) fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }

    /// Whether the session was unknown: four forms, all with status 200.
    pub(super) fn lost_session(&self) -> bool {
        if self.status != 200 || self.body.starts_with(b"PK") {
            return false;
        }
        if self.is_html() {
            // answers that are pages by themselves (never asked for) have no login form
            let page = self.text();
            return page.contains("login-form") || page.contains("name=\"password\"");
        }
        // all others are short; a list of 10,000 flows is not searched
        if self.body.len() > 1024 {
            return false;
        }
        let text = self.text();
        if text.trim_start().starts_with("Login error") {
            return true;
        }
        serde_json::from_str::<Value>(&text).is_ok_and(|value| {
            value["error"] == "session"
                || value["message"]
                    .as_str()
                    .is_some_and(|said| said.starts_with("Invalid Session"))
        })
    }

    pub(super) fn is_html(&self) -> bool {
        self.body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'<')
    }

    /// The title of an error page, or the start of a text: enough to recognise it.
    pub(super) fn title(&self) -> String {
        text::title(&self.text()).unwrap_or_else(|| text::start(self.text().trim()))
    }

    pub(super) fn overflowed(&self) -> bool {
        self.status == 500 && self.is_html() && self.text().contains("StackOverflowError")
    }

    /// The text of one of Azkaban's message cookies, if it says something.
    pub(super) fn cookie(&self, name: &str) -> Option<String> {
        let cookies = self.headers.get_all(SET_COOKIE).iter();
        cookies
            .filter_map(|cookie| text::cookie(&String::from_utf8_lossy(cookie.as_bytes()), name))
            .next()
    }

    pub(super) fn header(&self, name: &str) -> Option<String> {
        self.headers
            .get(name)
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
    }

    /// Everything but 200, as the error it is for a call that is no upload.
    pub(super) fn refuse_status(&self, call: &'static str) -> Result<()> {
        match self.status {
            200 => Ok(()),
            300..=399 => Err(ClientError::BadRequest {
                call,
                status: self.status,
                text: self.redirected(),
            }),
            401 | 403 | 407 => Err(ClientError::Denied {
                call,
                text: self.said(),
            }),
            408 | 425 | 429 | 500.. => Err(ClientError::ServerError {
                call,
                status: self.status,
                title: self.said(),
            }),
            status => Err(ClientError::BadRequest {
                call,
                status,
                text: self.said(),
            }),
        }
    }

    /// Refuses a status that is none of success, and a page.
    pub(in super::super) fn refuse_page(&self, call: &'static str) -> Result<()> {
        self.refuse_status(call)?;
        match self.is_html() {
            false => Ok(()),
            true => Err(ClientError::BadAnswer {
                call,
                reason: format!("a page titled {:?} in place of JSON", self.title()),
            }),
        }
    }

    /// The body as JSON, or why it is none.
    pub(super) fn json(&self, call: &'static str) -> Result<Value> {
        self.refuse_page(call)?;
        serde_json::from_slice(&self.body).map_err(|error| ClientError::BadAnswer {
            call,
            reason: format!("{error} in {:?}", self.title()),
        })
    }

    /// The JSON of a call about a project, after its `error` was judged.
    pub(super) fn project_json(&self, call: &'static str, project: &ProjectName) -> Result<Value> {
        let value = self.json(call)?;
        match text::field(&value, "error") {
            None => Ok(value),
            Some(text) => Err(project_error(call, project.as_str(), text)),
        }
    }

    fn redirected(&self) -> String {
        let to = self.header(LOCATION.as_str()).unwrap_or_default();
        // the query may repeat our session id
        let to = to.split(['?', ';']).next().unwrap_or_default();
        format!("it redirects to {to}")
    }

    /// What an answer that is no success says: its `error`, else its title.
    pub(super) fn said(&self) -> String {
        serde_json::from_slice::<Value>(&self.body)
            .ok()
            .and_then(|value| text::field(&value, "error").or_else(|| text::field(&value, "message")))
            .unwrap_or_else(|| self.title())
    }
}

/// The error texts that all calls about a project share.
pub(super) fn project_error(call: &'static str, project: &str, text: String) -> ClientError {
    let missing = text.starts_with("Project ")
        && (text.contains("doesn't exist") || text.contains("does not exist") || text.contains("not found"));
    if missing {
        ClientError::ProjectMissing {
            project: project.to_owned(),
        }
    } else if text.contains("ermission denied") || text.contains("No permission") {
        ClientError::Denied { call, text }
    } else {
        ClientError::Rejected { call, text }
    }
}

/// A value read as `T`, or which part of the answer does not fit.
pub(super) fn read<T: DeserializeOwned>(call: &'static str, value: Value) -> Result<T> {
    serde_json::from_value(value).map_err(|error| ClientError::BadAnswer {
        call,
        reason: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::samples::*;
    use super::*;

    #[test]
    fn every_form_of_a_lost_session_is_seen() {
        for body in [
            "{\n  \"error\" : \"session\"\n}",
            "{\"action\":\"login\",\"message\":\"Invalid Session. Need to re-login\",\"status\":\"error\"}",
            "Login error. Need username and password",
            LOGIN_PAGE,
        ] {
            assert!(answer(200, body).lost_session(), "{body}");
        }
    }

    #[test]
    fn other_answers_are_no_lost_session() {
        for body in [
            "{ }",
            "",
            "{\n  \"error\" : \"Project session doesn't exist.\"\n}",
            "PK\u{3}\u{4}Login error",
            "<html><title>x</title></html>",
        ] {
            assert!(!answer(200, body).lost_session(), "{body}");
        }
        assert!(!answer(500, "Login error. Need username and password").lost_session());
    }

    #[test]
    fn an_error_page_gives_its_title() {
        let page = answer(500, ERROR_PAGE);
        assert_eq!(page.title(), "Error 500 Missing required parameter 'flow'.");
        let error = page.json("fetchflowgraph").unwrap_err();
        assert!(
            matches!(error, ClientError::ServerError { status: 500, .. }),
            "{error:?}"
        );
    }

    #[test]
    fn a_page_in_place_of_json_is_named() {
        let error = answer(200, "<html><title>Welcome</title></html>")
            .json("getProjectId")
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot read Azkaban's answer to getProjectId: a page titled \"Welcome\" in place of JSON"
        );
    }

    #[test]
    fn a_redirect_is_told_without_its_query() {
        let moved = with(
            302,
            "",
            &[("location", "https://az.example/manager?session.id=secret")],
        );
        let error = moved.json("getProjectId").unwrap_err();
        assert_eq!(
            error.to_string(),
            "Azkaban answers getProjectId with status 302: it redirects to https://az.example/manager"
        );
    }
}
