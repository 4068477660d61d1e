//! One folder, three ways up, and what differs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::Path;
use std::time::Duration;

use flowlift_azkaban::ProjectName;
use flowlift_azkaban::client::{ClientError, FlowGraph, JobInfo};

use crate::folder;
use crate::stage::Stage;

/// What a comparison found.
pub(crate) enum Verdict {
    /// The same flows with the same jobs.
    Same { flows: usize },
    /// Azkaban refuses the zip and flowlift the folder.
    BothRefuse { azkaban: String, flowlift: String },
    /// Azkaban takes the zip and loses something of it without a word; flowlift refuses and says what.
    RefusedForLoss { lost: String, flowlift: String },
    /// Anything else.
    Different(String),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Same { flows } => write!(f, "same: {flows} flows"),
            Self::BothRefuse { azkaban, flowlift } => {
                write!(
                    f,
                    "both refuse\n    azkaban:  {azkaban}\n    flowlift: {flowlift}"
                )
            }
            Self::RefusedForLoss { lost, flowlift } => {
                write!(f, "refused, Azkaban would lose {lost}\n    flowlift: {flowlift}")
            }
            Self::Different(why) => write!(f, "DIFFERENT: {why}"),
        }
    }
}

/// Each flow with its graph, and its jobs as Azkaban keeps them.
type Content = BTreeMap<String, (FlowGraph, Vec<JobInfo>)>;

pub(crate) async fn judge(stage: &Stage, number: usize, path: &Path) -> Verdict {
    let zip = folder::zipped(path);
    let file = stage.file(&format!("{number}.zip"));
    fs::write(&file, &zip).expect("the zip can be written");
    let by_hand = upload(stage, &stage.project(number, "hand"), zip).await;
    let from_folder = publish(stage, path, &stage.project(number, "folder")).await;
    let from_zip = publish(stage, &file, &stage.project(number, "zip")).await;
    let (from_folder, from_zip) = match (from_folder, from_zip) {
        (Ok(folder), Ok(zip)) => (folder, zip),
        (Err(why), _) | (_, Err(why)) => return Verdict::Different(why),
    };
    match (by_hand, from_folder, from_zip) {
        (Err(azkaban), Brought::Refused(flowlift), Brought::Refused(_)) => {
            Verdict::BothRefuse { azkaban, flowlift }
        }
        (Ok(there), Brought::Refused(flowlift), Brought::Refused(_)) => match lost(path, &there) {
            Some(lost) => Verdict::RefusedForLoss { lost, flowlift },
            None => Verdict::Different(format!("flowlift alone refuses it: {flowlift}")),
        },
        (_, Brought::Refused(why), _) => {
            Verdict::Different(format!("the zip is taken and its folder is not: {why}"))
        }
        (_, _, Brought::Refused(why)) => {
            Verdict::Different(format!("the folder is taken and its zip is not: {why}"))
        }
        (Err(azkaban), ..) => {
            Verdict::Different(format!("flowlift brings up what Azkaban refuses: {azkaban}"))
        }
        (Ok(there), Brought::Up(folder), Brought::Up(zip)) => {
            match differs(&there, &folder).or_else(|| differs(&there, &zip)) {
                Some(why) => Verdict::Different(why),
                None => Verdict::Same { flows: there.len() },
            }
        }
    }
}

/// What `flowlift publish` did.
enum Brought {
    /// It ended with 0; what is there now.
    Up(Content),
    /// It ended with 65 and these sentences, and queued nothing.
    Refused(String),
}

/// The content after an upload by hand, or why Azkaban refuses it.
async fn upload(stage: &Stage, project: &ProjectName, zip: Vec<u8>) -> Result<Content, String> {
    stage
        .client
        .create_project(project, "by hand")
        .await
        .expect("a project can be made");
    match stage
        .client
        .upload(project, "by-hand.zip", zip.into(), Duration::from_secs(60))
        .await
    {
        Ok(_) => Ok(content(stage, project).await),
        Err(ClientError::Refused { problems, .. } | ClientError::InstallFailed { problems, .. }) => {
            Err(problems.join("; "))
        }
        Err(error) => Err(error.to_string()),
    }
}

/// What `flowlift publish` did; an error where it did neither.
async fn publish(stage: &Stage, source: &Path, project: &ProjectName) -> Result<Brought, String> {
    let output = stage.publish(source, project).await;
    let said = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
    match output.status.code() {
        Some(0) => Ok(Brought::Up(content(stage, project).await)),
        Some(65) if !said.is_empty() => {
            match stage.client.project_id(project).await.expect("Azkaban answers") {
                None => Ok(Brought::Refused(said)),
                Some(_) => Err(format!(
                    "something of {} was queued although it said: {said}",
                    source.display()
                )),
            }
        }
        code => Err(format!(
            "flowlift publish {} ended with {code:?}: {said}",
            source.display()
        )),
    }
}

async fn content(stage: &Stage, project: &ProjectName) -> Content {
    let mut content = Content::new();
    for flow in stage.client.flows(project).await.expect("a list").flows {
        let graph = stage.client.flow_graph(project, &flow).await.expect("a graph");
        let mut jobs = Vec::new();
        for node in &graph.nodes {
            jobs.push(
                stage
                    .client
                    .job_info(project, &flow, &node.id)
                    .await
                    .expect("a job"),
            );
        }
        content.insert(flow, (graph, jobs));
    }
    content
}

fn differs(by_hand: &Content, ours: &Content) -> Option<String> {
    let names = |content: &Content| content.keys().cloned().collect::<Vec<_>>().join(" ");
    if !by_hand.keys().eq(ours.keys()) {
        return Some(format!(
            "flowlift brings up [{}], by hand it is [{}]",
            names(ours),
            names(by_hand)
        ));
    }
    let differing = |(flow, there): (&String, &(FlowGraph, Vec<JobInfo>))| {
        let here = &ours[flow];
        (there != here).then(|| format!("flow {flow} differs: by hand {there:?}, by flowlift {here:?}"))
    };
    by_hand.iter().find_map(differing)
}

/// What stands in the folder and is in no flow of Azkaban's.
fn lost(path: &Path, there: &Content) -> Option<String> {
    if there.is_empty() {
        return Some("everything: it lists no flow".into());
    }
    let mut known: BTreeSet<String> = there.keys().cloned().collect();
    for (graph, _) in there.values() {
        gather(graph, &mut known);
    }
    let extension = if folder::stems(path, "project").is_empty() {
        "job"
    } else {
        "flow"
    };
    let lost: Vec<String> = folder::stems(path, extension)
        .difference(&known)
        .cloned()
        .collect();
    (!lost.is_empty()).then(|| lost.join(", "))
}

fn gather(graph: &FlowGraph, into: &mut BTreeSet<String>) {
    for node in &graph.nodes {
        into.insert(node.id.clone());
        if let Some(embedded) = &node.embedded {
            gather(embedded, into);
        }
    }
}
