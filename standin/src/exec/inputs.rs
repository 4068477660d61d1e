//! What each job of an execution runs with, layer by layer.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use uuid::Uuid;

use crate::exec::execution::Facts;
use crate::exec::props::{Props, layered};
use crate::exec::tree::{Node, ROOT};
use crate::state::flows::{self, Flows};
use crate::state::overrides;
use crate::state::project::Project;

/// The layers all jobs of an execution share.
#[derive(Debug)]
pub(super) struct Inputs {
    flows: Arc<Flows>,
    /// For what was set by hand; none for a project that is gone.
    project: Option<Arc<Project>>,
    version: i32,
    /// `azkaban.flow...`, and what the one who started it overrides.
    common: Props,
}

impl Inputs {
    pub(super) fn new(
        facts: &Facts,
        flows: Arc<Flows>,
        project: Option<Arc<Project>>,
        zone: &TimeZone,
    ) -> Self {
        let mut common = common(facts, zone);
        common.extend(facts.options.parameters.iter().cloned());
        Self {
            flows,
            project,
            version: facts.version,
            common,
        }
    }

    /// A job's properties, the strongest last: `.properties` files or the flow's config, the flows around it, what the
    /// jobs before gave, its own, which may have been set by hand until now.
    pub(super) fn of(&self, nodes: &[Node], at: usize) -> Props {
        let mut around = Vec::new();
        let mut flow = nodes[at].parent;
        while let Some(at) = flow.filter(|&at| at != ROOT) {
            around.push(at);
            flow = nodes[at].parent;
        }
        let (mut inherited, mut own) = (Props::new(), Vec::new());
        for &at in around.iter().rev().chain([&at]) {
            own.extend(
                nodes[at]
                    .inputs
                    .iter()
                    .map(|&input| Props::clone(&nodes[input].given)),
            );
            let flow = nodes[at].parent.and_then(|parent| nodes[parent].flow.as_deref());
            let node = flow.and_then(|flow| self.flows.get(flow)?.node(&nodes[at].id));
            if let Some(node) = node {
                inherited = node.inherited.iter().flat_map(|props| props.iter()).collect();
                let set = flow.and_then(|flow| self.set_by_hand(flow, node));
                own.push(set.unwrap_or_else(|| node.props.iter().collect()));
            }
        }
        layered([&inherited, &self.common].into_iter().chain(&own))
    }

    fn set_by_hand(&self, flow: &str, node: &flows::Node) -> Option<Props> {
        let state = self.project.as_ref()?.read();
        let all = state.overrides.get(&self.version)?;
        all.get(&overrides::key(flow, node)).cloned()
    }
}

fn common(facts: &Facts, zone: &TimeZone) -> Props {
    let now = Timestamp::now().to_zoned(zone.clone());
    let part = |format: &str| now.strftime(format).to_string();
    let source = if facts.scheduled { "schedule" } else { "adhoc" };
    [
        ("azkaban.flow.flowid", facts.flow.clone()),
        ("azkaban.flow.execid", facts.id.to_string()),
        ("azkaban.flow.projectid", facts.project.to_string()),
        ("azkaban.flow.projectname", facts.project_name.clone()),
        ("azkaban.flow.projectversion", facts.version.to_string()),
        ("azkaban.flow.projectlastchangedby", facts.user.clone()),
        ("azkaban.flow.projectlastchangeddate", facts.submit_ms.to_string()),
        ("azkaban.flow.submituser", facts.user.clone()),
        ("azkaban.flow.executionsource", source.to_owned()),
        ("azkaban.flow.uuid", Uuid::new_v4().to_string()),
        ("azkaban.flow.start.timestamp", part("%Y-%m-%dT%H:%M:%S.%3f%:z")),
        ("azkaban.flow.start.year", part("%Y")),
        ("azkaban.flow.start.month", part("%m")),
        ("azkaban.flow.start.day", part("%d")),
        ("azkaban.flow.start.hour", part("%H")),
        ("azkaban.flow.start.minute", part("%M")),
        ("azkaban.flow.start.second", part("%S")),
        ("azkaban.flow.start.milliseconds", part("%3f")),
        (
            "azkaban.flow.start.timezone",
            zone.iana_name().unwrap_or("UTC").to_owned(),
        ),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}
