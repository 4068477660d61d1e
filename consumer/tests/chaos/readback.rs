//! Azkaban read back flow by flow and compared with what it must hold.

use std::collections::{BTreeMap, BTreeSet};

use flowlift_azkaban::ProjectName;
use flowlift_azkaban::client::Client;

use crate::expected::{State, command, content_of, cron};
use crate::people::ByHand;

/// What is not as it must be.
#[derive(Debug, Clone, Default)]
pub(crate) struct Differences {
    /// Flows, contents or schedules that are missing.
    pub(crate) lost: Vec<String>,
    /// Older contents or schedules than must be there, and flows that must be gone.
    pub(crate) undone: Vec<String>,
    /// Whatever else is not as it must be.
    pub(crate) other: Vec<String>,
}

impl Differences {
    pub(crate) fn is_empty(&self) -> bool {
        self.lost.is_empty() && self.undone.is_empty() && self.other.is_empty()
    }
}

/// Reads all projects back, what is active in them.
pub(crate) async fn compare(client: &Client, state: &State, by_hand: &ByHand) -> Result<Differences, String> {
    let mut found = Differences::default();
    let projects: BTreeSet<&String> = state.keys().map(|(project, _)| project).collect();
    let mut crons: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for schedule in client.schedules().await.map_err(|error| error.to_string())? {
        let key = (schedule.project, schedule.flow);
        crons.entry(key).or_default().push(schedule.cron);
    }
    let mut left_away = BTreeSet::new();
    for project in projects {
        left_away.extend(flows(client, project, state, by_hand, &mut found).await?);
    }
    for ((project, flow), want) in state {
        let none = Vec::new();
        let there = crons.get(&(project.clone(), flow.clone())).unwrap_or(&none);
        // a flow that is rightly not there has no schedule either
        let is_away = left_away.contains(&(project.clone(), flow.clone()));
        let want = want.cron.map(cron).filter(|_| !is_away);
        let what = format!("{project}: the schedule of {flow}");
        match (&want, there.as_slice()) {
            (None, []) => {}
            (Some(want), [there]) if want == there => {}
            (Some(want), []) => found
                .lost
                .push(format!("{what} is missing, {want:?} must be there")),
            (want, there) => found
                .undone
                .push(format!("{what} is {there:?}, {want:?} must be there")),
        }
    }
    for ((project, flow), want) in &by_hand.crons {
        let there = crons.get(&(project.clone(), flow.clone()));
        if there.map(Vec::as_slice) != Some(std::slice::from_ref(want)) {
            let what =
                format!("{project}: somebody's schedule of {flow} is {there:?}, {want:?} must be there");
            found.lost.push(what);
        }
    }
    Ok(found)
}

/// Compares the flows of a project; returns those that somebody removed and that may be there or not, where they are not.
async fn flows(
    client: &Client,
    project: &str,
    state: &State,
    by_hand: &ByHand,
    found: &mut Differences,
) -> Result<BTreeSet<(String, String)>, String> {
    let mut left_away = BTreeSet::new();
    let name = ProjectName::new(project).expect("a name");
    let listed = client
        .flows(&name)
        .await
        .map_err(|error| error.to_string())?
        .flows;
    for ((_, flow), want) in state.iter().filter(|((of, _), _)| of == project) {
        let is_there = listed.contains(flow);
        let key = (project.to_owned(), flow.clone());
        if by_hand.free.contains(&key) {
            left_away.extend((!is_there).then_some(key));
            continue;
        }
        match want.content {
            None if is_there => found
                .undone
                .push(format!("{project}: {flow} is there and must be gone")),
            Some(want) if !is_there => {
                found.lost.push(format!(
                    "{project}: {flow} is missing, content {want} must be there"
                ));
            }
            Some(want) => {
                let there = content(client, &name, flow).await?;
                if there != command(project, flow, want) {
                    let what = format!("{project}: {flow} has {there:?}, content {want} must be there");
                    match content_of(&there) {
                        Some(there) if there < want => found.undone.push(what),
                        _ => found.other.push(what),
                    }
                }
            }
            None => {}
        }
    }
    for ((_, flow), want) in by_hand.flows.iter().filter(|((of, _), _)| of == project) {
        let there = match listed.contains(flow) {
            true => Some(content(client, &name, flow).await?),
            false => None,
        };
        if there.as_ref() != Some(want) {
            let what = format!("{project}: somebody's flow {flow} has {there:?}, {want:?} must be there");
            found.lost.push(what);
        }
    }
    let known = |flow: &String| {
        let key = (project.to_owned(), flow.clone());
        state.contains_key(&key) || by_hand.flows.contains_key(&key)
    };
    for flow in listed.iter().filter(|flow| !known(flow)) {
        found.other.push(format!("{project}: nobody brought {flow}"));
    }
    Ok(left_away)
}

/// The command that is active.
async fn content(client: &Client, project: &ProjectName, flow: &str) -> Result<String, String> {
    let job = client
        .job_info(project, flow, flow)
        .await
        .map_err(|error| error.to_string())?;
    Ok(job.params.get("command").cloned().unwrap_or_default())
}
