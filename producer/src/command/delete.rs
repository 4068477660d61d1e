//! `flowlift delete`.

use std::sync::Arc;

use flowlift_azkaban::name::fold;
use flowlift_azkaban::{FlowName, Format, ProjectName};
use flowlift_common::envelope::Rules;
use flowlift_common::{Act, Pattern};

use super::{Context, publish};
use crate::cli::DeleteArgs;
use crate::confirm::confirm;
use crate::exit::Failure;
use crate::publish::{Feed, Job};
use crate::readback::{self, Project};
use crate::source::{Item, Place, Source};
use crate::words::{count, some};

/// Flows named in the question.
const NAMED: usize = 10;

/// Runs it.
pub(super) async fn run(context: &Context, args: &DeleteArgs) -> Result<(), Failure> {
    let glob = match (&args.pattern, args.all) {
        (Some(glob), _) if glob.trim().is_empty() => {
            return Err(Failure::Usage(
                "--match \"\": expected a pattern such as 'flow_0001*'; all flows are --all".into(),
            ));
        }
        (Some(glob), _) => Some(glob.clone()),
        (None, true) => Some("*".into()),
        (None, false) => None,
    };
    let question = match &glob {
        None => format!("Delete {} in project {}?", named(&args.flows), args.project),
        Some(glob) => by_pattern(context, args, glob).await,
    };
    confirm(&question, args.yes)?;
    let acts: Vec<Act> = match glob {
        Some(glob) => vec![Act::DeleteMatching(Pattern { glob, except: vec![] })],
        None => args
            .flows
            .iter()
            .cloned()
            .map(|flow| Act::Delete { flow })
            .collect(),
    };
    let job = Job {
        owner: args.owner.clone(),
        // a deletion makes nothing
        rules: Rules {
            create: false,
            ..Rules::default()
        },
        format: Format::V1,
        total: Some(acts.len() as u64),
        describe: format!("deletions in {}", args.project),
        unchecked: false,
        deadline_ms: None,
    };
    let items = acts.into_iter().map(|act| Item {
        project: args.project.clone(),
        place: Place::default(),
        act,
    });
    let source = Arc::new(Source::Acts(items.collect()));
    publish::send(
        context,
        &job,
        Feed::of(source, Vec::new()),
        args.wait.then(|| args.timeout.into()),
    )
    .await
}

fn named(flows: &[FlowName]) -> String {
    let names: Vec<String> = flows.iter().map(ToString::to_string).collect();
    match names.as_slice() {
        [one] => format!("flow {one}"),
        all => format!("{}: {}", count(all.len() as u64, "flow"), some(all, NAMED)),
    }
}

/// What a pattern means today; Azkaban need not be reachable for it.
async fn by_pattern(context: &Context, args: &DeleteArgs, glob: &str) -> String {
    let whose = if args.owner.is_empty() {
        "flows that were brought up without an owner".to_owned()
    } else {
        format!("flows of owner {}", args.owner)
    };
    let project = &args.project;
    let today = match today(context, project).await {
        Ok(Some(there)) => {
            let names = matching(&there, glob, &args.owner);
            match names.len() {
                0 => "none today".into(),
                n => format!("today {}: {}", count(n as u64, "flow"), some(&names, NAMED)),
            }
        }
        Ok(None) => "the project does not exist today".into(),
        Err(failure) => format!("today's list cannot be shown: {failure}"),
    };
    format!("Delete all {whose} in project {project} that match {glob:?} ({today})?")
}

async fn today(context: &Context, project: &ProjectName) -> Result<Option<Project>, Failure> {
    readback::read(&context.azkaban()?, project).await
}

/// The owner's flows whose id matches, case ignored; what Flowlift did not bring up is nobody's here.
fn matching(project: &Project, glob: &str, owner: &str) -> Vec<String> {
    let glob = fold(glob);
    let manifest = project.zip.as_ref().and_then(|zip| zip.manifest.as_ref());
    let managed = manifest.into_iter().flat_map(|manifest| &manifest.flows);
    managed
        .filter(|(key, entry)| entry.owner == owner && glob_match::glob_match(&glob, key))
        .map(|(_, entry)| entry.name.to_string())
        .collect()
}
