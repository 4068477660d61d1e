//! `flowlift list`.

use flowlift_azkaban::client::ErrorClass;
use flowlift_azkaban::name::fold;
use flowlift_azkaban::{FlowName, ProjectName};
use flowlift_common::manifest::FlowEntry;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use serde_json::json;

use super::Context;
use crate::cli::ListArgs;
use crate::exit::Failure;
use crate::readback;
use crate::table::table;
use crate::verify::Schedules;
use crate::words::{count, thousands};

/// Projects asked at the same time: Azkaban has few threads for everybody.
const AT_ONCE: usize = 4;

/// Runs it.
pub(super) async fn run(context: &Context, args: &ListArgs) -> Result<(), Failure> {
    match &args.project {
        None => projects(context).await,
        Some(project) => flows(context, project).await,
    }
}

async fn projects(context: &Context) -> Result<(), Failure> {
    let client = context.azkaban()?;
    let mut names: Vec<String> = client
        .projects()
        .await?
        .into_iter()
        .map(|project| project.name)
        .collect();
    names.sort();
    let ask = |name: String| {
        let client = &client;
        async move {
            let Ok(project) = ProjectName::new(name.as_str()) else {
                return Ok((name, None));
            };
            match client.flows(&project).await {
                Ok(list) => Ok((name, Some(list.flows.len() as u64))),
                // somebody else's project, or gone meanwhile
                Err(error) if error.class() == ErrorClass::Permanent => Ok((name, None)),
                Err(error) => Err(Failure::from(error)),
            }
        }
    };
    let rows: Vec<(String, Option<u64>)> = stream::iter(names)
        .map(ask)
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    let json = || {
        let projects = rows
            .iter()
            .map(|(name, flows)| json!({"project": name, "flows": flows}));
        json!({"projects": projects.collect::<Vec<_>>()})
    };
    let people = || {
        let cells = rows.iter().map(|(name, flows)| {
            vec![
                name.clone(),
                flows.map_or_else(|| "not readable".into(), thousands),
            ]
        });
        table(&["project", "flows"], cells)
    };
    context.print(json, people)
}

struct Row {
    flow: String,
    entry: Option<FlowEntry>,
    cron: Option<String>,
}

async fn flows(context: &Context, name: &ProjectName) -> Result<(), Failure> {
    let client = context.azkaban()?;
    let Some(project) = readback::read(&client, name).await? else {
        return Err(Failure::NoInput(format!("there is no project {name} in Azkaban")));
    };
    let schedules = Schedules::of(client.schedules().await?);
    let manifest = project.zip.as_ref().and_then(|zip| zip.manifest.as_ref());
    let row = |flow: &String| Row {
        flow: flow.clone(),
        entry: manifest.and_then(|manifest| manifest.flows.get(&fold(flow)).cloned()),
        cron: FlowName::new(flow.as_str())
            .ok()
            .and_then(|flow| schedules.cron(name, &flow).map(str::to_owned)),
    };
    let rows: Vec<Row> = project.listed.iter().map(row).collect();
    let version = project.zip.as_ref().map(|zip| zip.version);
    let format = project.zip.as_ref().map(|zip| zip.format());
    let json = || {
        let flows = rows.iter().map(|row| {
            json!({"flow": row.flow, "owner": row.entry.as_ref().map(|entry| &entry.owner),
                "run": row.entry.as_ref().map(|entry| entry.order.run), "cron": row.cron})
        });
        json!({"project": name, "version": version, "format": format, "flows": flows.collect::<Vec<_>>()})
    };
    let people = || {
        let dash = || "-".to_owned();
        let cells = rows.iter().map(|row| {
            let owner = row
                .entry
                .as_ref()
                .map(|entry| entry.owner.clone())
                .filter(|owner| !owner.is_empty());
            let run = row.entry.as_ref().map(|entry| entry.order.run.to_string());
            vec![
                row.flow.clone(),
                owner.unwrap_or_else(dash),
                run.unwrap_or_else(dash),
                row.cron.clone().unwrap_or_else(dash),
            ]
        });
        table(&["flow", "owner", "run", "cron"], cells)
    };
    context.print(json, people)?;
    let of = match (version, format) {
        (Some(version), Some(format)) => format!("version {version}, Flow {format}"),
        _ => "nothing was uploaded yet".into(),
    };
    context.reporter.say(&format!(
        "{} in project {name} ({of})",
        count(rows.len() as u64, "flow")
    ));
    Ok(())
}
