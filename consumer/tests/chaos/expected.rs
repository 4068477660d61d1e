//! What Azkaban must hold in the end: folded from what was published, by rank, run and sequence, without any code of the
//! consumer. Pure.

use std::collections::BTreeMap;

/// A change as it is published. Contents and schedules carry numbers that only grow, so that an older one can be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) project: String,
    pub(crate) flow: String,
    pub(crate) what: What,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    Put {
        content: u64,
        cron: Cron,
    },
    Delete,
    /// It must end in the dead letters and change nothing.
    Poison,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cron {
    Keep,
    Remove,
    Set(u64),
}

/// A run that was published to its end.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) id: String,
    pub(crate) lines: Vec<Line>,
}

/// A flow as it must be; what is gone keeps the number of its last content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Flow {
    pub(crate) content: Option<u64>,
    pub(crate) cron: Option<u64>,
}

/// Flows by project and name.
pub(crate) type State = BTreeMap<(String, String), Flow>;

/// Folds runs into the state they come to. `rank` is what the stream of runs says of each.
pub(crate) fn fold(runs: &[Run], rank: impl Fn(&str) -> u64) -> State {
    let mut order: Vec<&Run> = runs.iter().collect();
    order.sort_by_key(|run| (rank(&run.id), run.id.clone()));
    let mut state = State::new();
    for line in order.into_iter().flat_map(|run| &run.lines) {
        let key = (line.project.clone(), line.flow.clone());
        let before = state.get(&key).and_then(|flow| flow.cron);
        let flow = match line.what {
            What::Poison => continue,
            What::Delete => Flow {
                content: None,
                cron: None,
            },
            What::Put { content, cron } => Flow {
                content: Some(content),
                cron: match cron {
                    Cron::Keep => before,
                    Cron::Remove => None,
                    Cron::Set(cron) => Some(cron),
                },
            },
        };
        state.insert(key, flow);
    }
    state
}

/// The command of a content.
pub(crate) fn command(project: &str, flow: &str, content: u64) -> String {
    format!("echo {project} {flow} {content}")
}

/// The number of a command, if it is one of ours.
pub(crate) fn content_of(command: &str) -> Option<u64> {
    command.rsplit_once(' ')?.1.parse().ok()
}

/// The Quartz expression with a number; 1,440 of them differ.
pub(crate) fn cron(number: u64) -> String {
    format!("0 {} {} ? * *", number % 60, number / 60 % 24)
}

impl Line {
    /// As NDJSON for `flowlift publish -`.
    pub(crate) fn json(&self) -> String {
        let Self { project, flow, what } = self;
        let mut line = serde_json::json!({"project": project, "flow": flow});
        match what {
            What::Delete => line["delete"] = true.into(),
            What::Poison => line["command"] = "echo poison".into(),
            What::Put { content, cron: wish } => {
                line["command"] = command(project, flow, *content).into();
                match wish {
                    Cron::Keep => {}
                    Cron::Remove => line["cron"] = serde_json::Value::Null,
                    Cron::Set(number) => line["cron"] = cron(*number).into(),
                }
            }
        }
        format!("{line}\n")
    }
}
