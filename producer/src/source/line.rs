//! One line of NDJSON: a flow or a deletion. Strict, because a mistyped field would otherwise be lost without a word.

use std::collections::BTreeMap;

use flowlift_azkaban::rules::Finding;
use flowlift_azkaban::{Flow, FlowName, Job, ProjectName};
use flowlift_common::{Act, Body, Schedule, Upsert};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

use super::{Item, Place};

/// Reads lines one by one and counts them.
#[derive(Debug, Clone)]
pub struct Parser {
    name: String,
    project: Option<ProjectName>,
    schedule: Schedule,
    line: usize,
}

impl Parser {
    /// A parser for an input that is read as it comes.
    #[must_use]
    pub fn new(name: &str, project: Option<ProjectName>, schedule: Schedule) -> Self {
        Self {
            name: name.to_owned(),
            project,
            schedule,
            line: 0,
        }
    }

    /// Reads the next line; nothing for an empty one.
    pub fn line(&mut self, bytes: &[u8]) -> Option<Result<Item, Finding>> {
        self.line += 1;
        let bytes = bytes
            .strip_prefix(b"\xef\xbb\xbf")
            .filter(|_| self.line == 1)
            .unwrap_or(bytes);
        if bytes.trim_ascii().is_empty() {
            return None;
        }
        Some(self.parse(bytes.trim_ascii_end()))
    }

    /// A line that was not read.
    pub(super) fn skip(&mut self) {
        self.line += 1;
    }

    /// A mistake in the line read last.
    pub(super) fn finding(&self, field: Option<&str>, message: String) -> Finding {
        Finding {
            path: Some(self.name.clone()),
            line: Some(self.line),
            field: field.map(str::to_owned),
            message,
        }
    }

    fn parse(&self, bytes: &[u8]) -> Result<Item, Finding> {
        // serde would take a list for an object with nameless fields
        if !bytes.trim_ascii_start().starts_with(b"{") {
            let message = r#"expected a JSON object such as {"flow": "x", "command": "echo hi"}"#;
            return Err(self.finding(None, message.into()));
        }
        let line: Line = serde_json::from_slice(bytes).map_err(|error| {
            let text = error.to_string();
            let reason = text
                .rsplit_once(" at line ")
                .map_or(text.as_str(), |(reason, _)| reason);
            let reason = reason.replace("EOF while parsing", "the line ends inside");
            let column = error.column();
            let finding = self.finding(None, format!("{reason} (column {column})"));
            // a text of several lines is one "line" to whoever has it in a file of its own
            let line = Some(self.line + error.line().saturating_sub(1));
            Finding { line, ..finding }
        })?;
        let bad = |field: &str| {
            let field = field.to_owned();
            move |message: String| self.finding(Some(&field), message)
        };
        let project = match line.project {
            Some(name) => ProjectName::new(name).map_err(|error| bad("project")(error.to_string()))?,
            None => self.project.clone().ok_or_else(|| {
                bad("project")("it is missing, expected here or as --project for all lines".into())
            })?,
        };
        let name = FlowName::new(line.flow).map_err(|error| bad("flow")(error.to_string()))?;
        let act = if line.delete {
            if line.jobs.is_some() || line.command.is_some() || line.props.is_some() || !line.cron.is_keep() {
                return Err(bad("delete")(
                    "a deletion has no jobs, command, props or cron".into(),
                ));
            }
            Act::Delete { flow: name }
        } else {
            let jobs =
                jobs(&name, line.jobs, line.command).map_err(|(field, message)| bad(field)(message))?;
            let props = line.props.unwrap_or_default().0;
            let schedule = if line.cron.is_keep() {
                self.schedule.clone()
            } else {
                line.cron
            };
            Act::Upsert(Upsert {
                body: Body::Flow(Flow { name, jobs, props }),
                schedule,
            })
        };
        let place = Place {
            path: Some(self.name.clone()),
            line: Some(self.line),
        };
        Ok(Item { project, place, act })
    }
}

fn jobs(
    flow: &FlowName,
    jobs: Option<Vec<LineJob>>,
    command: Option<String>,
) -> Result<Vec<Job>, (&'static str, String)> {
    match (jobs, command) {
        (None, None) => Err((
            "jobs",
            "it is missing, expected jobs, or a command for a flow of one job".into(),
        )),
        (Some(_), Some(_)) => Err(("command", "a flow has either jobs or a command".into())),
        (None, Some(command)) => Ok(vec![Job {
            name: flow.to_string(),
            kind: "command".into(),
            props: BTreeMap::from([("command".to_owned(), command)]),
            depends_on: vec![],
        }]),
        (Some(jobs), None) => jobs.into_iter().map(job).collect(),
    }
}

fn job(job: LineJob) -> Result<Job, (&'static str, String)> {
    let mut props = job.props.unwrap_or_default().0;
    if let Some(command) = job.command
        && props.insert("command".into(), command).is_some()
    {
        let message = format!("job {:?} has a command of its own and one in props", job.name);
        return Err(("jobs", message));
    }
    Ok(Job {
        name: job.name,
        kind: job.kind,
        props,
        depends_on: job.depends_on,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    project: Option<String>,
    flow: String,
    jobs: Option<Vec<LineJob>>,
    command: Option<String>,
    props: Option<Props>,
    #[serde(default)]
    cron: Schedule,
    #[serde(default)]
    delete: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LineJob {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    command: Option<String>,
    props: Option<Props>,
    #[serde(default, rename = "dependsOn")]
    depends_on: Vec<String>,
}

/// Properties; numbers and truth values are taken as they are written.
#[derive(Default)]
struct Props(BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Props {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let values = BTreeMap::<String, serde_json::Value>::deserialize(deserializer)?;
        let mut texts = BTreeMap::new();
        for (key, value) in values {
            let text = match value {
                serde_json::Value::String(text) => text,
                serde_json::Value::Number(number) => number.to_string(),
                serde_json::Value::Bool(flag) => flag.to_string(),
                _ => {
                    return Err(D::Error::custom(format!(
                        "property {key:?} must be a text, a number, true or false"
                    )));
                }
            };
            texts.insert(key, text);
        }
        Ok(Self(texts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Item, String> {
        let mut parser = Parser::new("f.ndjson", ProjectName::new("p").ok(), Schedule::Keep);
        parser
            .line(text.as_bytes())
            .unwrap()
            .map_err(|finding| finding.to_string())
    }

    #[test]
    fn a_flow_may_be_written_short_or_in_full() {
        let short = parse(r#"{"flow":"x","command":"echo hi"}"#).unwrap();
        let full = parse(
            r#"{"project":"p","flow":"x","jobs":[{"name":"x","type":"command","props":{"command":"echo hi"}}]}"#,
        );
        assert_eq!(short, full.unwrap());
        let Act::Upsert(upsert) =
            parse(r#"{"flow":"x","jobs":[{"name":"j","type":"noop","props":{"retries":3}}],"cron":null}"#)
                .unwrap()
                .act
        else {
            panic!("an upsert was written");
        };
        assert_eq!(upsert.schedule, Schedule::Remove);
        let Body::Flow(flow) = upsert.body else {
            panic!("a flow was written")
        };
        assert_eq!(flow.jobs[0].props["retries"], "3");
        assert_eq!(parse(r#"{"flow":"x","delete":true}"#).unwrap().act.label(), "x");
    }

    #[test]
    fn mistakes_are_told_with_line_and_column() {
        for (line, sentence) in [
            (
                r#"{"flow":"x","comand":"echo"}"#,
                "f.ndjson:1: unknown field `comand`, expected one of `project`, `flow`, `jobs`, `command`, `props`, `cron`, `delete` (column 20)",
            ),
            (
                r#"{"flow":"x""#,
                "f.ndjson:1: the line ends inside an object (column 11)",
            ),
            (
                r#"{"flow":"x"}"#,
                "f.ndjson:1: jobs: it is missing, expected jobs, or a command for a flow of one job",
            ),
            (
                r#"{"flow":"a,b","command":"x"}"#,
                "f.ndjson:1: flow: flow name \"a,b\" must not contain a comma",
            ),
            (
                r#"{"flow":"x","delete":true,"cron":"0 0 3 ? * *"}"#,
                "f.ndjson:1: delete: a deletion has no jobs, command, props or cron",
            ),
            (
                r#"{"project":"1","flow":"x","command":"x"}"#,
                "f.ndjson:1: project: project name \"1\" must start with a letter, followed by letters, digits, '-' or '_'",
            ),
        ] {
            assert_eq!(parse(line).unwrap_err(), sentence);
        }
    }
}
