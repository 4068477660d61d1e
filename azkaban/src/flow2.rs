//! Flow 2.0 written and read: one `<flow>.flow` YAML file per flow, and one `.project` file in the project.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde::Serialize;

use crate::load::{LoadedFlow, bean};
use crate::model::{Flow, Job, Tree};
use crate::name::FlowName;

/// Path and content of the file that makes a project Flow 2.0.
pub const PROJECT_FILE: (&str, &str) = ("flowlift.project", "azkaban-flow-version: 2.0\n");

#[derive(Serialize)]
struct Document<'a> {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    config: &'a BTreeMap<String, String>,
    nodes: Vec<Node<'a>>,
}

#[derive(Serialize)]
struct Node<'a> {
    name: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(rename = "dependsOn", skip_serializing_if = "BTreeSet::is_empty")]
    depends_on: BTreeSet<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    config: BTreeMap<&'a str, &'a str>,
}

/// The file of a flow in good order.
#[expect(
    clippy::expect_used,
    reason = "strings, lists and maps of strings always serialise"
)]
pub(crate) fn file(flow: &Flow) -> (String, Bytes) {
    let nodes = flow.jobs.iter().map(node).collect();
    let document = Document {
        config: &flow.props,
        nodes,
    };
    let text = serde_saphyr::to_string(&document).expect("a document of strings");
    (format!("{}.flow", flow.name), text.into())
}

fn node(job: &Job) -> Node<'_> {
    let config = job.props.iter().filter(|(key, _)| *key != "condition");
    Node {
        name: &job.name,
        kind: &job.kind,
        depends_on: job.depends_on.iter().map(String::as_str).collect(),
        condition: job.props.get("condition").map(String::as_str),
        config: config
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect(),
    }
}

/// A loaded flow in the model; the error says what would be lost.
pub(crate) fn lift(id: &str, flow: &LoadedFlow, tree: &Tree) -> Result<Flow, String> {
    let name = FlowName::new(id).map_err(|error| error.to_string())?;
    let path = flow.files.first().ok_or("it has no file")?;
    let content = tree.get(path).ok_or("its file is gone")?;
    let bean = bean::read(content)
        .map_err(|error| error.message)?
        .ok_or("its file is empty")?;
    if bean.trigger.is_some() {
        return Err("it has a trigger".to_owned());
    }
    let nodes = bean.nodes.unwrap_or_default().into_iter().flatten();
    let jobs = nodes.map(job).collect::<Result<Vec<_>, _>>()?;
    if jobs.is_empty() {
        return Err("it has no jobs".to_owned());
    }
    Ok(Flow {
        name,
        jobs,
        props: config(bean.config, "the flow")?,
    })
}

fn job(node: bean::NodeBean) -> Result<Job, String> {
    let name = node.name.unwrap_or_default();
    let kind = node.kind.unwrap_or_default();
    if kind == "flow" || node.nodes.is_some() {
        return Err(format!("its job {name:?} is a flow itself"));
    }
    if node.trigger.is_some() {
        return Err(format!("its job {name:?} has a trigger"));
    }
    let mut props = config(node.config, &format!("job {name:?}"))?;
    props.extend(node.condition.map(|text| ("condition".to_owned(), text)));
    let depends_on: BTreeSet<String> = node
        .depends_on
        .unwrap_or_default()
        .into_iter()
        .flatten()
        .collect();
    Ok(Job {
        name,
        kind,
        props,
        depends_on: depends_on.into_iter().collect(),
    })
}

/// A `config` as properties. A `type` in it counts for nothing in Azkaban.
fn config(config: BTreeMap<String, Option<String>>, of: &str) -> Result<BTreeMap<String, String>, String> {
    let mut props = BTreeMap::new();
    for (key, value) in config {
        match (key.as_str(), value) {
            ("type", _) => {}
            ("condition" | "dependencies" | "root.node", _) => {
                return Err(format!(
                    "the config of {of} has {key:?}, which means something else in Flow 1.0"
                ));
            }
            (_, None) => return Err(format!("the config of {of} has {key:?} without a value")),
            (_, Some(value)) => {
                props.insert(key, value);
            }
        }
    }
    Ok(props)
}
