//! A change: what shall become of one flow, or of one file that flows share, in one project.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use flowlift_azkaban::{Flow, FlowName, Format};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One change of a run. Starting an execution is no change: changes are coalesced and may come twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Place in the run, from 1, without gaps.
    pub seq: u64,
    /// What shall be done.
    #[serde(flatten)]
    pub act: Act,
}

/// What a change does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "kebab-case")]
pub enum Act {
    /// Brings a unit up, whether it was there or not.
    Upsert(Upsert),
    /// Takes one flow away, with the jobs that no other flow needs.
    Delete {
        /// The flow's id.
        flow: FlowName,
    },
    /// Takes away all flows of the message's owner that match when the consumer plans, so flows queued before it count.
    DeleteMatching(Pattern),
    /// Puts a file that flows share (a script, a `.properties` file).
    PutFile {
        /// Path in the project, with `/`.
        path: String,
        /// Its content.
        content: Content,
    },
    /// Takes such a file away.
    DeleteFile {
        /// Path in the project.
        path: String,
    },
    /// Changes nothing by itself: what was applied and is not there any more (an abandoned upload landed late, somebody
    /// uploaded an old zip) is brought back.
    Check,
}

/// A unit to bring up, and what becomes of its schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upsert {
    /// `flow` or `unit`.
    #[serde(flatten)]
    pub body: Body,
    /// `cron` absent: keep what is there; `null`: remove it; a text: set it, for every flow of the unit.
    #[serde(default, rename = "cron", skip_serializing_if = "Schedule::is_keep")]
    pub schedule: Schedule,
}

/// The content of a unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Body {
    /// One flow, apart from its format; the consumer writes it in the project's format.
    Flow(Flow),
    /// Flows as files, exactly as they stood in a folder or zip.
    Unit(Unit),
}

/// Flows that travel together because they share job files (or a single flow), as files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// The format the files are written in.
    pub format: Format,
    /// The flows that these files make.
    pub flows: Vec<FlowName>,
    /// `.job` or `.flow` files: path in the project to content.
    pub files: BTreeMap<String, Content>,
}

/// Which flows a pattern means; always only those of the message's owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pattern {
    /// A glob (`*`, `?`, `[..]`, `{a,b}`) over flow ids, ignoring case; `*` means all.
    pub glob: String,
    /// Flows that stay although they match (a source's own flows, for `--prune`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<FlowName>,
}

/// What becomes of a flow's schedule.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Schedule {
    /// As it is.
    #[default]
    Keep,
    /// No schedule afterwards.
    Remove,
    /// This Quartz expression.
    Set(String),
}

impl Schedule {
    /// Whether nothing is asked.
    #[must_use]
    pub fn is_keep(&self) -> bool {
        *self == Self::Keep
    }
}

impl Serialize for Schedule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Set(cron) => serializer.serialize_some(cron),
            Self::Keep | Self::Remove => serializer.serialize_none(),
        }
    }
}

impl<'de> Deserialize<'de> for Schedule {
    /// A present field: `null` removes, a text sets. (An absent one is the default, keep.)
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::<String>::deserialize(deserializer)?.map_or(Self::Remove, Self::Set))
    }
}

/// A file's bytes; `{"text": ..}` where they are UTF-8, else `{"base64": ..}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content(pub Bytes);

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Wire<'a> {
    #[serde(borrow)]
    Text(Text<'a>),
    #[serde(borrow)]
    Base64(Text<'a>),
}

/// A text that is borrowed where it stands in the JSON as it is.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

struct Shown<'a>(&'a [u8]);

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Base64Display::new(self.0, &STANDARD))
    }
}

impl Serialize for Content {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(&self.0) {
            Ok(text) => serializer.serialize_newtype_variant("Wire", 0, "text", text),
            // piece by piece: a large file is not there once more as text
            Err(_) => serializer.serialize_newtype_variant("Wire", 1, "base64", &Shown(&self.0)),
        }
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match Wire::deserialize(deserializer)? {
            Wire::Text(Text(text)) => text.into_owned().into(),
            Wire::Base64(Text(text)) => STANDARD
                .decode(text.as_bytes())
                .map_err(serde::de::Error::custom)?
                .into(),
        }))
    }
}

impl Change {
    /// The flows a change names (none for files and patterns).
    #[must_use]
    pub fn flows(&self) -> Vec<&FlowName> {
        self.act.flows()
    }

    /// A short name for people: the flow, `a, b` for a unit, `file x`, `flows matching g`.
    #[must_use]
    pub fn label(&self) -> String {
        self.act.label()
    }
}

impl Act {
    /// The flows it names (none for files and patterns).
    #[must_use]
    pub fn flows(&self) -> Vec<&FlowName> {
        match self {
            Self::Upsert(upsert) => upsert.body.flows(),
            Self::Delete { flow } => vec![flow],
            Self::DeleteMatching(_) | Self::PutFile { .. } | Self::DeleteFile { .. } | Self::Check => {
                Vec::new()
            }
        }
    }

    /// The same without the content of files and flows; it means the same flows, files and schedules.
    #[must_use]
    pub fn outline(&self) -> Self {
        let Self::Upsert(upsert) = self else {
            return match self {
                Self::PutFile { path, .. } => Self::PutFile {
                    path: path.clone(),
                    content: Content(Bytes::new()),
                },
                other => other.clone(),
            };
        };
        let body = match &upsert.body {
            Body::Flow(flow) => Body::Flow(Flow {
                name: flow.name.clone(),
                jobs: Vec::new(),
                props: BTreeMap::new(),
            }),
            Body::Unit(unit) => Body::Unit(Unit {
                format: unit.format,
                flows: unit.flows.clone(),
                files: BTreeMap::new(),
            }),
        };
        Self::Upsert(Upsert {
            body,
            schedule: upsert.schedule.clone(),
        })
    }

    /// A short name for people, as [`Change::label`].
    #[must_use]
    pub fn label(&self) -> String {
        match self {
            Self::PutFile { path, .. } | Self::DeleteFile { path } => format!("file {path}"),
            Self::Check => "a check".to_owned(),
            Self::DeleteMatching(pattern) => format!("flows matching {}", pattern.glob),
            Self::Upsert(_) | Self::Delete { .. } => {
                let names: Vec<&str> = self.flows().iter().map(|flow| flow.as_str()).collect();
                names.join(", ")
            }
        }
    }
}

impl Body {
    /// The flows this makes.
    #[must_use]
    pub fn flows(&self) -> Vec<&FlowName> {
        match self {
            Self::Flow(flow) => vec![&flow.name],
            Self::Unit(unit) => unit.flows.iter().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flowlift_azkaban::Job;

    fn upsert(cron: Schedule) -> Change {
        let job = Job {
            name: "f".into(),
            kind: "noop".into(),
            props: BTreeMap::new(),
            depends_on: vec![],
        };
        let flow = Flow {
            name: FlowName::new("f").unwrap(),
            jobs: vec![job],
            props: BTreeMap::new(),
        };
        Change {
            seq: 1,
            act: Act::Upsert(Upsert {
                body: Body::Flow(flow),
                schedule: cron,
            }),
        }
    }

    #[test]
    fn absent_null_and_given_cron_are_three_things() {
        for (schedule, json) in [
            (
                Schedule::Keep,
                r#"{"seq":1,"op":"upsert","flow":{"name":"f","jobs":[{"name":"f","type":"noop"}]}}"#,
            ),
            (
                Schedule::Remove,
                r#"{"seq":1,"op":"upsert","flow":{"name":"f","jobs":[{"name":"f","type":"noop"}]},"cron":null}"#,
            ),
            (
                Schedule::Set("0 0 3 ? * *".into()),
                r#"{"seq":1,"op":"upsert","flow":{"name":"f","jobs":[{"name":"f","type":"noop"}]},"cron":"0 0 3 ? * *"}"#,
            ),
        ] {
            let change = upsert(schedule);
            assert_eq!(serde_json::to_string(&change).unwrap(), json);
            assert_eq!(serde_json::from_str::<Change>(json).unwrap(), change);
        }
    }

    #[test]
    fn bytes_that_are_no_text_come_through() {
        let change = Change {
            seq: 7,
            act: Act::PutFile {
                path: "bin/x".into(),
                content: Content(Bytes::from_static(&[0, 255, 1])),
            },
        };
        let json = serde_json::to_string(&change).unwrap();
        assert_eq!(
            json,
            r#"{"seq":7,"op":"put-file","path":"bin/x","content":{"base64":"AP8B"}}"#
        );
        assert_eq!(serde_json::from_str::<Change>(&json).unwrap(), change);
    }

    #[test]
    fn unknown_fields_are_ignored() {
        let json = r#"{"seq":2,"op":"delete","flow":"f","colour":"red"}"#;
        assert_eq!(serde_json::from_str::<Change>(json).unwrap().label(), "f");
    }
}
