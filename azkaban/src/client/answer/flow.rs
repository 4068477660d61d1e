//! Answers to calls that read flows back.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use super::super::error::{ClientError, Result};
use super::super::types::{FlowGraph, FlowList, GraphNode, JobInfo};
use super::{Answer, project, read};
use crate::name::ProjectName;

/// The answer to `fetchprojectflows`, which comes in no order.
pub(crate) fn list(answer: &Answer, project: &ProjectName) -> Result<FlowList> {
    const CALL: &str = "fetchprojectflows";
    #[derive(Deserialize)]
    struct Raw {
        #[serde(rename = "flowId")]
        id: String,
    }
    let mut value = answer.project_json(CALL, project)?;
    let project_id = project::project_id(CALL, &value)?;
    let flows: Vec<Raw> = read(CALL, value["flows"].take())?;
    Ok(FlowList {
        project_id,
        flows: flows.into_iter().map(|flow| flow.id).collect::<BTreeSet<_>>(),
    })
}

/// The answer to `fetchflowgraph`.
pub(crate) fn graph(answer: &Answer, project: &ProjectName, flow: &str) -> Result<FlowGraph> {
    const CALL: &str = "fetchflowgraph";
    let value = flow_json(CALL, answer, project, flow)?;
    let raw: RawGraph = read(CALL, value)?;
    Ok(raw.graph(flow))
}

#[derive(Deserialize)]
struct RawGraph {
    #[serde(default)]
    flow: Option<String>,
    nodes: Vec<RawNode>,
}

#[derive(Deserialize)]
struct RawNode {
    id: String,
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(rename = "in", default)]
    depends_on: Vec<String>,
    #[serde(default)]
    condition: Option<String>,
    // an embedded flow's graph stands beside the node's own fields
    #[serde(default)]
    flow: Option<String>,
    #[serde(default)]
    nodes: Option<Vec<RawNode>>,
}

impl RawGraph {
    fn graph(self, asked: &str) -> FlowGraph {
        let mut nodes: Vec<GraphNode> = self.nodes.into_iter().map(RawNode::node).collect();
        nodes.sort_by(|a, b| a.id.cmp(&b.id));
        FlowGraph {
            flow: self.flow.unwrap_or_else(|| asked.to_owned()),
            nodes,
        }
    }
}

impl RawNode {
    fn node(self) -> GraphNode {
        let Self {
            id,
            kind,
            mut depends_on,
            condition,
            flow,
            nodes,
        } = self;
        depends_on.sort();
        let embedded = nodes.map(|nodes| RawGraph { flow, nodes }.graph(&id));
        GraphNode {
            kind,
            depends_on,
            condition: condition.filter(|text| text != "null"),
            embedded,
            id,
        }
    }
}

/// The answer to `fetchJobInfo`.
pub(crate) fn job(answer: &Answer, project: &ProjectName, flow: &str, job: &str) -> Result<JobInfo> {
    const CALL: &str = "fetchJobInfo";
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Raw {
        job_name: String,
        #[serde(default)]
        job_type: Option<String>,
        #[serde(default)]
        general_params: BTreeMap<String, Value>,
        #[serde(default)]
        override_params: BTreeMap<String, Value>,
    }
    let value = match flow_json(CALL, answer, project, flow) {
        Err(ClientError::Rejected { text, .. }) if text.contains("Job ") && text.contains("not found") => {
            return Err(ClientError::JobMissing {
                project: project.to_string(),
                flow: flow.to_owned(),
                job: job.to_owned(),
            });
        }
        other => other?,
    };
    let raw: Raw = read(CALL, value)?;
    let plain = |params: BTreeMap<String, Value>| {
        let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        params
            .into_iter()
            .map(|(key, value)| (key, text(value)))
            .collect()
    };
    Ok(JobInfo {
        name: raw.job_name,
        kind: raw.job_type.unwrap_or_default(),
        params: plain(raw.general_params),
        overrides: plain(raw.override_params),
    })
}

fn flow_json(call: &'static str, answer: &Answer, project: &ProjectName, flow: &str) -> Result<Value> {
    match answer.project_json(call, project) {
        Err(ClientError::Rejected { text, .. }) if is_flow_missing(&text) => Err(ClientError::FlowMissing {
            project: project.to_string(),
            flow: flow.to_owned(),
        }),
        other => other,
    }
}

/// The texts of all calls for a flow that is not there.
pub(crate) fn is_flow_missing(text: &str) -> bool {
    text.starts_with("Flow ") && (text.contains("not found") || text.contains("cannot be found"))
}

#[cfg(test)]
mod tests {
    use super::super::samples::*;
    use super::*;

    #[test]
    fn the_list_is_a_set_of_ids() {
        let body = r#"{"project":"p1","projectId":1,"flows":[{"flowId":"f2"},{"flowId":"f1"}]}"#;
        let list = list(&answer(200, body), &p1()).unwrap();
        assert_eq!(list.flows.into_iter().collect::<Vec<_>>(), ["f1", "f2"]);
    }

    #[test]
    fn a_project_never_uploaded_lists_nothing() {
        let body = "{\n  \"project\" : \"p1\",\n  \"projectId\" : 1,\n  \"flows\" : [ ]\n}";
        assert!(list(&answer(200, body), &p1()).unwrap().flows.is_empty());
    }

    #[test]
    fn a_list_without_flows_is_unreadable_and_not_empty() {
        let error = list(&answer(200, r#"{"project":"p1","projectId":1}"#), &p1()).unwrap_err();
        assert_eq!(error.code(), "bad_answer");
    }

    #[test]
    fn the_graph_holds_jobs_dependencies_and_embedded_flows() {
        let body = r#"{"nodes":[{"nodes":[{"id":"a","type":"noop"}],"id":"e","type":"flow","flowId":"g1:e","flow":"g1:e"},
            {"in":["z","e"],"id":"l","type":"command","condition":"one_success"}],"project":"q2","projectId":7,"flow":"g1"}"#;
        let graph = graph(&answer(200, body), &p1(), "g1").unwrap();
        let [e, l] = &graph.nodes[..] else {
            panic!("{graph:?}")
        };
        assert_eq!(
            (e.kind.as_str(), e.embedded.as_ref().unwrap().nodes[0].id.as_str()),
            ("flow", "a")
        );
        assert_eq!(
            (l.depends_on.join(","), l.condition.as_deref()),
            ("e,z".into(), Some("one_success"))
        );
    }

    #[test]
    fn an_unknown_flow_or_job_is_told_apart_from_an_unknown_project() {
        let said = |text: &str| {
            answer(
                200,
                format!(r#"{{"project":"p1","error":"{text}","projectId":1}}"#),
            )
        };
        let flow = graph(&said("Flow zz not found in project p1"), &p1(), "zz").unwrap_err();
        assert_eq!(flow.code(), "flow_missing");
        let found = job(&said("Job j not found in flow f"), &p1(), "f", "j").unwrap_err();
        assert_eq!(found.code(), "job_missing");
        let project = graph(&said("Project p1 doesn't exist."), &p1(), "f").unwrap_err();
        assert_eq!(project.code(), "project_missing");
    }

    #[test]
    fn job_content_is_read_back() {
        let body = r#"{"jobName":"f1","generalParams":{"type":"command","command":"echo"},"project":"p1",
            "jobType":"command","projectId":1,"overrideParams":{"type":"command","command":"echo 2"}}"#;
        let info = job(&answer(200, body), &p1(), "f1", "f1").unwrap();
        assert_eq!(
            (info.kind.as_str(), info.params["command"].as_str()),
            ("command", "echo")
        );
        assert_eq!(info.overrides["command"], "echo 2");
    }
}
