//! Answers to calls about schedules; all of them come with status 200.

use std::{fmt, io};

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::super::error::{ClientError, Result};
use super::super::types::{Schedule, ScheduleId};
use super::{Answer, flow, project_error, text};
use crate::name::ProjectName;

/// The answer to `fetchSchedules`: `{ }` when there is none. Of the projects that are wanted; the others are not kept.
pub(crate) fn list(answer: impl io::Read, wanted: impl Fn(&str) -> bool) -> Result<Vec<Schedule>> {
    const CALL: &str = "fetchSchedules";
    let bad = |reason: String| ClientError::BadAnswer { call: CALL, reason };
    let mut json = serde_json::Deserializer::from_reader(answer);
    let found = json.deserialize_map(Top(wanted));
    let found = found.and_then(|found| json.end().map(|()| found));
    let found = found.map_err(|error| bad(error.to_string()))?;
    match found {
        Found {
            error: Some(text), ..
        } => Err(ClientError::Rejected { call: CALL, text }),
        Found {
            items: Some(items), ..
        } => Ok(items),
        Found { empty: true, .. } => Ok(Vec::new()),
        Found { .. } => Err(bad("neither items nor an error".into())),
    }
}

#[derive(Default)]
struct Found {
    items: Option<Vec<Schedule>>,
    error: Option<String>,
    empty: bool,
}

/// The object around the list.
struct Top<W>(W);

impl<'de, W: Fn(&str) -> bool> Visitor<'de> for Top<W> {
    type Value = Found;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with items")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Found, A::Error> {
        let mut found = Found {
            empty: true,
            ..Found::default()
        };
        while let Some(key) = map.next_key::<String>()? {
            found.empty = false;
            match key.as_str() {
                "items" => found.items = Some(map.next_value_seed(Items(&self.0))?),
                "error" => found.error = Some(map.next_value()?),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(found)
    }
}

/// The list.
struct Items<'w, W>(&'w W);

impl<'de, W: Fn(&str) -> bool> DeserializeSeed<'de> for Items<'_, W> {
    type Value = Vec<Schedule>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<Schedule>, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, W: Fn(&str) -> bool> Visitor<'de> for Items<'_, W> {
    type Value = Vec<Schedule>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of schedules")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<Schedule>, A::Error> {
        #[derive(Deserialize)]
        struct Row {
            #[serde(rename = "scheduleId")]
            id: i64,
            flowname: String,
            projectname: String,
            #[serde(default)]
            cron: Option<String>,
        }
        let mut kept = Vec::new();
        while let Some(row) = seq.next_element::<Row>()? {
            if (self.0)(&row.projectname) {
                kept.push(Schedule {
                    id: ScheduleId(row.id),
                    project: row.projectname,
                    flow: row.flowname,
                    cron: row.cron.unwrap_or_default(),
                });
            }
        }
        Ok(kept)
    }
}

/// The answer to `scheduleCronFlow`. Success is `status` success **and** no `error` **and** an id above 0.
pub(crate) fn set(answer: &Answer, project: &ProjectName, flow: &str) -> Result<ScheduleId> {
    const CALL: &str = "scheduleCronFlow";
    let value = answer.json(CALL)?;
    if let Some(text) = text::field(&value, "error") {
        return Err(project_error(CALL, project.as_str(), text));
    }
    if value["status"] != "success" {
        let Some(text) = text::field(&value, "message") else {
            return Err(ClientError::BadAnswer {
                call: CALL,
                reason: "neither success nor a message".into(),
            });
        };
        return Err(match flow::is_flow_missing(&text) {
            true => ClientError::FlowMissing {
                project: project.to_string(),
                flow: flow.to_owned(),
            },
            false => project_error(CALL, project.as_str(), text),
        });
    }
    match text::number(&value["scheduleId"]) {
        Some(id) if id > 0 => Ok(ScheduleId(id)),
        _ => Err(ClientError::ScheduleLost {
            project: project.to_string(),
            flow: flow.to_owned(),
        }),
    }
}

/// The answer to `removeSched`: gone already is gone.
pub(crate) fn removed(answer: &Answer) -> Result<()> {
    const CALL: &str = "removeSched";
    let value = answer.json(CALL)?;
    if value["status"] == "success" {
        return Ok(());
    }
    match text::field(&value, "message").or_else(|| text::field(&value, "error")) {
        Some(text) if text.contains("does not exist") => Ok(()),
        Some(text) if text.contains("ermission denied") => Err(ClientError::Denied { call: CALL, text }),
        Some(text) => Err(ClientError::Rejected { call: CALL, text }),
        None => Err(ClientError::BadAnswer {
            call: CALL,
            reason: "neither success nor a message".into(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::*;
    use super::*;

    #[test]
    fn no_schedules_are_an_empty_object() {
        let all = |body: &str| list(body.as_bytes(), |_| true);
        assert!(all("{ }").unwrap().is_empty() && all(r#"{"items":[]}"#).unwrap().is_empty());
        for body in [
            r#"{"x":1}"#,
            r#"{"items":[{"cron":"0"}]}"#,
            r#"{"items":["#,
            "[]",
            "",
        ] {
            assert_eq!(all(body).unwrap_err().code(), "bad_answer", "{body}");
        }
        assert_eq!(all(r#"{"error":"no"}"#).unwrap_err().code(), "rejected");
    }

    #[test]
    fn one_call_lists_the_schedules_of_all_projects() {
        let body = r#"{"items":[{"cron":"0 5 3 ? * *","projectname":"p1","period":0,"flowname":"f1",
            "time":1795441520841,"history":false,"scheduleId":1}]}"#;
        assert!(
            list(body.as_bytes(), |project| project == "p2")
                .unwrap()
                .is_empty()
        );
        let found = list(body.as_bytes(), |project| project == "p1").unwrap();
        assert_eq!(
            (found[0].id, found[0].flow.as_str(), found[0].cron.as_str()),
            (ScheduleId(1), "f1", "0 5 3 ? * *")
        );
    }

    fn set_by(body: &str) -> Result<ScheduleId> {
        set(&answer(200, body), &p1(), "f1")
    }

    #[test]
    fn a_schedule_is_set_only_with_success_no_error_and_an_id() {
        let id = set_by(r#"{"message":"p1.f1 scheduled.","scheduleId":1,"status":"success"}"#).unwrap();
        assert_eq!(id, ScheduleId(1));
        let cron = set_by(
            r#"{"error":"Cron expression must exist.","message":"p1.f1 scheduled.","scheduleId":-1,"status":"success"}"#,
        );
        assert_eq!(cron.unwrap_err().code(), "rejected");
        let lost = set_by(r#"{"message":"p1.f1 scheduled.","scheduleId":-1,"status":"success"}"#);
        assert_eq!(lost.unwrap_err().code(), "schedule_lost");
        assert_eq!(set_by("{ }").unwrap_err().code(), "bad_answer");
    }

    #[test]
    fn each_refused_schedule_has_its_error() {
        for (body, code) in [
            (
                r#"{"error":"This expression <zzz> can not be parsed to quartz cron."}"#,
                "rejected",
            ),
            (
                r#"{"message":"Project p1 does not exist","status":"error"}"#,
                "project_missing",
            ),
            (
                r#"{"message":"Flow f1 cannot be found in project p1","status":"error"}"#,
                "flow_missing",
            ),
            (
                r#"{"message":"Permission denied. Cannot execute f1","status":"error"}"#,
                "denied",
            ),
            (
                r#"{"message":"Flow f1 in project p1 is locked.","status":"error"}"#,
                "rejected",
            ),
        ] {
            assert_eq!(set_by(body).unwrap_err().code(), code, "{body}");
        }
    }

    #[test]
    fn removing_a_schedule_that_is_gone_is_fine() {
        let said = |status: &str, text: &str| {
            removed(&answer(
                200,
                format!(r#"{{"message":"{text}","status":"{status}"}}"#),
            ))
        };
        said("success", "flow f2 removed from Schedules.").unwrap();
        said("error", "Schedule with ID 999 does not exist").unwrap();
        let denied = said("error", "Permission denied. Cannot remove schedule with id 3").unwrap_err();
        assert_eq!(denied.code(), "denied");
        assert_eq!(removed(&answer(200, "{ }")).unwrap_err().code(), "bad_answer");
    }
}
