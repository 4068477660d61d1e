//! A change as JSON that a person edits. A flow or a deletion has the form of NDJSON lines that `publish` reads; files, units
//! and patterns have the form of messages, read as strictly: a mistyped field would otherwise be lost without a word.

use flowlift_azkaban::rules::Finding;
use flowlift_azkaban::{Format, Job, ProjectName, Tree};
use flowlift_common::{Act, Body, Schedule};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::check::{Findings, alone};
use crate::source::line::Parser;
use crate::source::{Item, Place};
use crate::units;

#[derive(Serialize)]
struct FlowLine<'a> {
    project: &'a ProjectName,
    flow: &'a str,
    jobs: &'a [Job],
    #[serde(skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    props: &'a std::collections::BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Schedule::is_keep")]
    cron: &'a Schedule,
}

#[derive(Serialize)]
struct DeleteLine<'a> {
    project: &'a ProjectName,
    flow: &'a str,
    delete: bool,
}

#[derive(Serialize, Deserialize)]
struct Message {
    project: ProjectName,
    #[serde(flatten)]
    act: Act,
}

/// A change as text.
#[must_use]
pub fn text(project: &ProjectName, act: &Act) -> String {
    let text = match act {
        Act::Upsert(upsert) => match &upsert.body {
            Body::Flow(flow) => serde_json::to_string_pretty(&FlowLine {
                project,
                flow: flow.name.as_str(),
                jobs: &flow.jobs,
                props: &flow.props,
                cron: &upsert.schedule,
            }),
            Body::Unit(_) => message(project, act),
        },
        Act::Delete { flow } => serde_json::to_string_pretty(&DeleteLine {
            project,
            flow: flow.as_str(),
            delete: true,
        }),
        Act::DeleteMatching(_) | Act::PutFile { .. } | Act::DeleteFile { .. } | Act::Check => {
            message(project, act)
        }
    };
    // changes have text keys only, so they are always JSON
    text.unwrap_or_default() + "\n"
}

fn message(project: &ProjectName, act: &Act) -> serde_json::Result<String> {
    serde_json::to_string_pretty(&Message {
        project: project.clone(),
        act: act.clone(),
    })
}

/// Reads a text and checks it as `publish` does: all mistakes at once. `name` is what a person calls the text; a unit may
/// have become several.
pub fn parse(name: &str, text: &str, project: &ProjectName, format: Format) -> Result<Vec<Item>, Findings> {
    let items = match serde_json::from_str::<Value>(text) {
        Ok(value) if value.get("op").is_some() => of_message(name, &value)?,
        _ => vec![of_line(name, text, project)?],
    };
    let mut findings = Findings::default();
    for item in &items {
        alone(item, format)
            .into_iter()
            .for_each(|finding| findings.add(finding));
    }
    if findings.is_empty() {
        Ok(items)
    } else {
        Err(findings)
    }
}

fn of_line(name: &str, text: &str, project: &ProjectName) -> Result<Item, Findings> {
    let mut parser = Parser::new(name, Some(project.clone()), Schedule::Keep);
    match parser.line(text.as_bytes()) {
        None => Err(wrong(name, "it is empty")),
        Some(Err(finding)) => Err(Findings::one(Finding {
            // a mistake in the meaning is named by its field, only one in the form by its line
            line: finding.line.filter(|_| finding.field.is_none()),
            ..finding
        })),
        Some(Ok(item)) => Ok(Item {
            place: place(name),
            ..item
        }),
    }
}

fn of_message(name: &str, value: &Value) -> Result<Vec<Item>, Findings> {
    let message = Message::deserialize(value).map_err(|error| wrong(name, &error.to_string()))?;
    let known = serde_json::to_value(&message).map_err(|error| wrong(name, &error.to_string()))?;
    if let Some(field) = unknown(value, &known) {
        return Err(wrong(name, &format!("unknown field `{field}`")));
    }
    let Message { project, act } = message;
    let acts = match act {
        Act::Upsert(upsert) => match upsert.body {
            Body::Unit(unit) => {
                let files = unit.files.into_iter();
                let tree: Tree = files.map(|(path, content)| (path, content.0)).collect();
                units::acts(&tree, name, None, &upsert.schedule)?
                    .into_iter()
                    .map(|(_, act)| act)
                    .collect()
            }
            Body::Flow(_) => vec![Act::Upsert(upsert)],
        },
        other => vec![other],
    };
    let item = |act| Item {
        project: project.clone(),
        place: place(name),
        act,
    };
    Ok(acts.into_iter().map(item).collect())
}

/// A field that reading has dropped.
fn unknown(given: &Value, known: &Value) -> Option<String> {
    match (given, known) {
        (Value::Object(given), Value::Object(known)) => given.iter().find_map(|(field, value)| {
            let said_nothing = value.is_array() && value.as_array().is_some_and(Vec::is_empty)
                || value.is_object() && value.as_object().is_some_and(serde_json::Map::is_empty);
            match known.get(field) {
                Some(there) => unknown(value, there),
                // nothing is said by it, or it is the place in the old run, which `show` prints
                None if said_nothing || field == "seq" => None,
                None => Some(field.clone()),
            }
        }),
        (Value::Array(given), Value::Array(known)) => given
            .iter()
            .zip(known)
            .find_map(|(given, known)| unknown(given, known)),
        _ => None,
    }
}

fn place(name: &str) -> Place {
    Place {
        path: Some(name.to_owned()),
        line: None,
    }
}

fn wrong(name: &str, message: &str) -> Findings {
    Findings::one(Finding {
        path: Some(name.to_owned()),
        line: None,
        field: None,
        message: message.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn night() -> ProjectName {
        ProjectName::new("night").unwrap()
    }

    fn act(json: Value) -> Act {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn every_kind_of_change_comes_back_as_it_was() {
        let file = json!({"text": "type=noop\n"});
        for one in [
            json!({"op": "upsert", "flow": {"name": "f", "jobs": [{"name": "a", "type": "noop"}], "props": {"x": "1"}}, "cron": null}),
            json!({"op": "upsert", "flow": {"name": "f", "jobs": [{"name": "a", "type": "noop", "dependsOn": ["b"]}, {"name": "b", "type": "noop"}]}, "cron": "0 0 3 ? * *"}),
            json!({"op": "upsert", "unit": {"format": "1.0", "flows": ["a"], "files": {"a.job": file}}}),
            json!({"op": "delete", "flow": "f"}),
            json!({"op": "delete-matching", "glob": "f*", "except": ["f1"]}),
            json!({"op": "put-file", "path": "x.sh", "content": {"text": "echo"}}),
            json!({"op": "delete-file", "path": "x.sh"}),
        ] {
            let act = act(one);
            let text = text(&night(), &act);
            let items = parse("t.json", &text, &night(), Format::V1).unwrap();
            assert_eq!((items.len(), &items[0].act), (1, &act), "{text}");
        }
    }

    #[test]
    fn mistakes_are_those_of_publish() {
        let mistakes = |text: &str| {
            parse("t.json", text, &night(), Format::V1)
                .unwrap_err()
                .to_string()
        };
        for (text, sentence) in [
            (
                "{\n  \"flow\": \"f\",\n  \"comand\": \"x\"\n}",
                "t.json:3: unknown field `comand`",
            ),
            ("", "t.json: it is empty"),
            (
                "{\"flow\":\"f\",\"jobs\":[{\"name\":\"a\",\"type\":\"\"},{\"name\":\"b\",\"type\":\"command\"}]}",
                "t.json: jobs.a.type: job \"a\" has no type (flow f)\nt.json: jobs.b.command: job \"b\" has type command, but no command (flow f)\n2 mistakes",
            ),
            (
                "{\"flow\":\"a/b\",\"delete\":true}",
                "t.json: flow: flow name \"a/b\" must not contain a slash",
            ),
            (
                "{\"project\":\"p\",\"op\":\"delete-file\",\"path\":\"x\",\"pth\":1}",
                "t.json: unknown field `pth`",
            ),
            (
                "{\"project\":\"p\",\"op\":\"remove\"}",
                "t.json: unknown variant `remove`",
            ),
        ] {
            let said = mistakes(text);
            assert!(said.starts_with(sentence), "{said}");
        }
    }

    #[test]
    fn a_unit_is_read_as_azkaban_would_read_its_files() {
        let files = json!({"a.job": {"text": "type=noop\ndependencies=nope\n"}});
        let unit = json!({"project": "p", "op": "upsert", "unit": {"format": "1.0", "flows": ["a"], "files": files}});
        let said = parse("t.json", &unit.to_string(), &night(), Format::V1).unwrap_err();
        assert!(said.to_string().contains("depends on \"nope\""), "{said}");
    }
}
