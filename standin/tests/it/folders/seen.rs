//! What a server makes of a project.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use super::project::Project;
use crate::support::azkaban::{self, Azkaban};
use crate::support::http::Reply;

/// What is seen of one project on one server.
#[derive(Debug, PartialEq)]
pub(crate) enum Seen {
    /// By flow and call what was answered.
    Flows(BTreeMap<String, BTreeMap<String, Value>>),
    /// Status and sentences, sorted.
    Refused(u16, Vec<String>),
}

impl Seen {
    /// Uploads it under a name of its own, looks at it and deletes it.
    pub(crate) async fn on(azkaban: &Azkaban, project: &Project) -> Self {
        let own = azkaban.project().await;
        let reply = own.upload(&project.zip).await;
        let seen = match reply.status {
            200 => Self::Flows(flows(&own).await),
            _ => refused(&reply, &own),
        };
        own.delete().await;
        seen
    }

    /// How many flows are listed, if it was taken.
    pub(crate) fn flows(&self) -> Option<usize> {
        match self {
            Self::Flows(flows) => Some(flows.len()),
            Self::Refused(..) => None,
        }
    }

    /// What the other server saw otherwise.
    pub(crate) fn difference(&self, other: &Self) -> Option<String> {
        if let (Self::Flows(mine), Self::Flows(theirs)) = (self, other)
            && mine.keys().eq(theirs.keys())
        {
            return mine.iter().find_map(|(flow, mine)| {
                let (call, answer) = mine
                    .iter()
                    .find(|(call, answer)| theirs[flow].get(*call) != Some(answer))?;
                Some(format!("{flow}, {call}:\n{answer}\n{:?}", theirs[flow].get(call)))
            });
        }
        (self != other).then(|| format!("{self:?}\n{other:?}"))
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flows(flows) => {
                let jobs: usize = flows.values().map(|answers| answers.len() - 2).sum();
                write!(out, "{} flows, {jobs} jobs", flows.len())
            }
            Self::Refused(status, sentences) => write!(out, "{status} {}", sentences.join(" ")),
        }
    }
}

/// The sentences of a refusal, without what no two servers have in common.
fn refused(reply: &Reply, own: &azkaban::Project<'_>) -> Seen {
    let text = match serde_json::from_slice::<Value>(&reply.body) {
        Ok(json) => json["error"].as_str().unwrap_or_default().to_owned(),
        Err(_) => reply.title(),
    };
    let sentence = |text: &str| {
        // What a YAML parser says is its own affair.
        let text = match text.split_once(".flow:") {
            Some((file, _)) => format!("{file}.flow:"),
            None => text.to_owned(),
        };
        text.replace(&own.name, "PROJECT")
    };
    let mut sentences: Vec<String> = text
        .split("<br>")
        .filter(|text| !text.is_empty())
        .map(sentence)
        .collect();
    // Which of two jobs of one name a condition meets is up to the order in which a file system lists folders.
    if text.contains("Duplicate job names found") {
        sentences.retain(|text| !text.ends_with(" doesn't exist in the flow."));
    }
    sentences.sort();
    Seen::Refused(reply.status, sentences)
}

/// All flows with their jobs, and the properties of each job.
async fn flows(own: &azkaban::Project<'_>) -> BTreeMap<String, BTreeMap<String, Value>> {
    let mut all = BTreeMap::new();
    for flow in own.flows().await {
        let graph = told(own, "fetchflowgraph", &[("flow", &flow)]).await;
        let mut answers = BTreeMap::new();
        for job in graph["nodes"].as_array().into_iter().flatten() {
            let job = job["id"].as_str().unwrap();
            let fields = [("flow", flow.as_str()), ("node", job)];
            let answer = told(own, "fetchflownodedata", &fields).await;
            answers.insert(format!("job {job}"), answer);
        }
        answers.insert("fetchflowgraph".to_owned(), graph);
        let jobs = told(own, "fetchflowjobs", &[("flow", &flow)]).await;
        answers.insert("fetchflowjobs".to_owned(), jobs);
        all.insert(flow, answers);
    }
    all
}

/// An answer without the project, and with lists sorted whose order changes from upload to upload.
async fn told(own: &azkaban::Project<'_>, call: &str, fields: &[(&str, &str)]) -> Value {
    let reply = own.ajax(call, fields).await;
    let mut json = serde_json::from_slice(&reply.body).unwrap_or_else(|_| Value::from(reply.title()));
    if let Some(map) = json.as_object_mut() {
        map.retain(|key, _| !["project", "projectId"].contains(&key.as_str()));
    }
    for node in json["nodes"].as_array_mut().into_iter().flatten() {
        for key in ["dependencies", "dependents"] {
            if let Some(jobs) = node.get_mut(key).and_then(Value::as_array_mut) {
                jobs.sort_by_key(Value::to_string);
            }
        }
    }
    json
}
