//! Answers to a login and to `/status`.

use serde::Deserialize;

use super::super::error::{ClientError, Result};
use super::super::types::ServerStatus;
use super::{Answer, read, text};

/// The session id, or why there is none.
pub(crate) fn login(answer: &Answer, user: &str) -> Result<String> {
    const CALL: &str = "login";
    // `Login error. ...` comes as plain text, everything else as JSON
    let plain = answer.text();
    if answer.status == 200 && plain.trim_start().starts_with("Login error") {
        return Err(ClientError::LoginRefused {
            user: user.to_owned(),
            text: text::start(&plain),
        });
    }
    let value = answer.json(CALL)?;
    if let Some(text) = text::field(&value, "error") {
        return Err(match text.contains("number of sessions") {
            true => ClientError::SessionLimit { text },
            false => ClientError::LoginRefused {
                user: user.to_owned(),
                text,
            },
        });
    }
    text::field(&value, "session.id").ok_or(ClientError::BadAnswer {
        call: CALL,
        reason: "no session.id in it".into(),
    })
}

/// What the server tells about itself.
pub(crate) fn status(answer: &Answer) -> Result<ServerStatus> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Raw {
        version: String,
        #[serde(default)]
        pid: String,
        #[serde(default)]
        is_database_up: bool,
        #[serde(default)]
        used_memory: u64,
        #[serde(default)]
        xmx: u64,
    }
    let raw: Raw = read("status", answer.json("status")?)?;
    Ok(ServerStatus {
        version: raw.version,
        pid: raw.pid,
        database_up: raw.is_database_up,
        used_memory: raw.used_memory,
        max_memory: raw.xmx,
        clock_ms: clock_ms(answer),
    })
}

/// The time of an answer by its `Date` header.
fn clock_ms(answer: &Answer) -> Option<u64> {
    let date = answer.headers.get("date")?.to_str().ok()?;
    let read = jiff::fmt::rfc2822::parse(date).ok()?;
    u64::try_from(read.timestamp().as_millisecond()).ok()
}

#[cfg(test)]
mod tests {
    use super::super::samples::*;
    use super::*;

    #[test]
    fn a_login_gives_its_session() {
        let body = "{\n  \"session.id\" : \"b4f6092f\",\n  \"status\" : \"success\"\n}";
        assert_eq!(login(&answer(200, body), "u").unwrap(), "b4f6092f");
    }

    #[test]
    fn every_refused_login_is_told_in_azkabans_words() {
        for body in [
            "{\n  \"error\" : \"Incorrect Login. Username/Password not found.\"\n}",
            "{\n  \"error\" : \"Incorrect Login. Password is empty.\"\n}",
            "{\n  \"error\" : \"Incorrect Login. Username is empty.\"\n}",
            "{\n  \"error\" : \"Incorrect Login.\"\n}",
            "Login error. Must pass username and password in request body",
        ] {
            let error = login(&answer(200, body), "u").unwrap_err();
            assert!(matches!(error, ClientError::LoginRefused { .. }), "{error:?}");
        }
    }

    #[test]
    fn too_many_sessions_is_no_wrong_password() {
        let body = r#"{"error":"Potential DDoS found, the number of sessions for this user and IP reached allowed limit (5)."}"#;
        assert!(matches!(
            login(&answer(200, body), "u").unwrap_err(),
            ClientError::SessionLimit { .. }
        ));
    }

    #[test]
    fn an_error_page_at_login_is_no_wrong_password() {
        assert_eq!(
            login(&answer(500, ERROR_PAGE), "u").unwrap_err().code(),
            "server_error"
        );
        assert_eq!(
            login(&answer(200, LOGIN_PAGE), "u").unwrap_err().code(),
            "bad_answer"
        );
    }

    #[test]
    fn the_status_tells_version_and_database() {
        let body = r#"{"version":"4.0.0","pid":"123@h","installationPath":"/x","usedMemory":50253672,"xmx":1073741824,
            "isDatabaseUp":true,"executorStatusMap":{"1":{"id":1,"host":"localhost","port":1,"isActive":true}}}"#;
        let status = status(&answer(200, body)).unwrap();
        assert_eq!(
            (status.version.as_str(), status.pid.as_str(), status.database_up),
            ("4.0.0", "123@h", true)
        );
    }
}
