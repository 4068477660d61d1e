//! Short calls, as a client sees them: they take time, may not be reached, answered by an error page, or lose their answer.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use flowlift_azkaban::Load;
use flowlift_azkaban::client::{ClientError, LogEntry, ProjectId, Schedule, ScheduleId, ServerStatus};
use flowlift_azkaban::name::fold;

use super::content::Content;
use super::{Caller, State};
use crate::clock::Ms;
use crate::world::{W, tell};

/// After this a short call is given up, in ms.
const LIMIT: Ms = 30_000;

/// A version as `download` hands it out.
#[derive(Debug, Clone)]
pub(crate) struct Downloaded {
    /// Its number.
    pub(crate) version: u32,
    /// The project's number.
    pub(crate) project_id: ProjectId,
    /// The zip's name.
    pub(crate) file: String,
    /// The zip.
    pub(crate) content: Rc<Content>,
}

/// How long the caller's path is cut from now on.
pub(super) fn cut_for(w: &W, who: Caller) -> Ms {
    match who {
        Caller::Node(index) => w.nodes[index].azkaban_cut_until.get().saturating_sub(w.now()),
        Caller::Person => 0,
    }
}

/// Asks; `effect` is what the server does when the request has come.
async fn ask<T>(
    w: &W,
    who: Caller,
    call: &'static str,
    needs_database: bool,
    effect: impl FnOnce(&mut State) -> Result<T, ClientError>,
) -> Result<T, ClientError> {
    w.azkaban.requests.set(w.azkaban.requests.get() + 1);
    let timed_out = || ClientError::TimedOut {
        call,
        after: std::time::Duration::from_millis(LIMIT),
    };
    w.clock.sleep(w.latency()).await;
    if cut_for(w, who) > 0 {
        w.clock.sleep(cut_for(w, who).min(LIMIT)).await;
        return Err(timed_out());
    }
    if !w.azkaban.up.get() {
        return Err(ClientError::Unreachable {
            url: "azkaban".into(),
            reason: "connection refused".into(),
        });
    }
    let process = w.azkaban.process.get();
    if w.strikes(w.weather.page) {
        return Err(ClientError::ServerError {
            call,
            status: 500,
            title: "Error 500".into(),
        });
    }
    let hangs = w.azkaban.hangs_until.get().saturating_sub(w.now());
    if needs_database && hangs > 0 {
        w.clock.sleep(hangs.min(LIMIT)).await;
        if hangs > LIMIT {
            return Err(timed_out());
        }
    }
    let broken = || ClientError::Broken {
        call,
        reason: "connection reset".into(),
    };
    if w.azkaban.process.get() != process {
        return Err(broken());
    }
    let answer = effect(&mut w.azkaban.state.borrow_mut());
    w.clock.sleep(w.latency()).await;
    if cut_for(w, who) > 0 {
        w.clock.sleep(cut_for(w, who).min(LIMIT)).await;
        return Err(timed_out());
    }
    if w.strikes(w.weather.lost_answer) {
        return Err(broken());
    }
    answer
}

/// The server's process id.
pub(crate) async fn status(w: &W, who: Caller) -> Result<ServerStatus, ClientError> {
    let pid = w.azkaban.pid.get().to_string();
    ask(w, who, "status", false, |_| {
        Ok(ServerStatus {
            version: "4.0.0".into(),
            pid,
            database_up: true,
            used_memory: 1,
            max_memory: 2,
            clock_ms: None,
        })
    })
    .await
}

/// Makes a project.
pub(crate) async fn create(w: &W, who: Caller, key: &str) -> Result<bool, ClientError> {
    let made = ask(w, who, "create project", true, |state| Ok(state.create(key))).await?;
    if made {
        tell!(w, "azkaban: project {key} is made");
    }
    Ok(made)
}

/// The newest version, or a certain one; `None`: there was never an upload.
pub(crate) async fn download(
    w: &W,
    who: Caller,
    key: &str,
    version: Option<u32>,
) -> Result<Option<Downloaded>, ClientError> {
    ask(w, who, "download", true, |state| {
        let project = state.project(key)?;
        let wanted = version.unwrap_or_else(|| project.highest());
        let Some(row) = project.versions.get(&wanted) else {
            return Ok(None);
        };
        let content = row.content.clone().ok_or_else(|| ClientError::VersionPurged {
            project: key.to_owned(),
            version: wanted,
        })?;
        Ok(Some(Downloaded {
            version: wanted,
            project_id: project.id,
            file: row.file.clone(),
            content,
        }))
    })
    .await
}

/// The flow list, from the server's memory.
pub(crate) async fn flows(
    w: &W,
    who: Caller,
    key: &str,
) -> Result<(ProjectId, BTreeSet<String>), ClientError> {
    ask(w, who, "fetchprojectflows", false, |state| {
        let project = state.project(key)?;
        Ok((project.id, project.listed()))
    })
    .await
}

/// The project's log, newest first.
pub(crate) async fn log(
    w: &W,
    who: Caller,
    key: &str,
    size: usize,
    skip: usize,
) -> Result<Vec<LogEntry>, ClientError> {
    ask(w, who, "fetchProjectLogs", true, |state| {
        let project = state.project(key)?;
        Ok(project.log.iter().rev().skip(skip).take(size).cloned().collect())
    })
    .await
}

/// A job's own properties, as they are active.
pub(crate) async fn job_info(
    w: &W,
    who: Caller,
    key: &str,
    flow: &str,
    job: &str,
) -> Result<BTreeMap<String, String>, ClientError> {
    ask(w, who, "fetchJobInfo", true, |state| {
        let project = state.project(key)?;
        let missing = || ClientError::FlowMissing {
            project: key.to_owned(),
            flow: flow.to_owned(),
        };
        let content = project.content.clone().ok_or_else(missing)?;
        let Load::Flows(loaded) = &content.load else {
            return Err(missing());
        };
        let node = loaded
            .flow(flow)
            .and_then(|flow| flow.node(job))
            .ok_or_else(missing)?;
        Ok((*node.own_props).clone())
    })
    .await
}

/// All schedules of the server.
pub(crate) async fn schedules(w: &W, who: Caller) -> Result<Vec<Schedule>, ClientError> {
    ask(w, who, "fetchSchedules", true, |state| {
        let mut all = Vec::new();
        for (name, id) in &state.names {
            for (number, flow, cron) in state.projects[id].schedules.values() {
                all.push(Schedule {
                    id: ScheduleId(*number),
                    project: name.clone(),
                    flow: flow.clone(),
                    cron: cron.clone(),
                });
            }
        }
        Ok(all)
    })
    .await
}

/// A cron that our checks let pass and Azkaban refuses.
pub(crate) const BAD_CRON: &str = "0 0 99 ? * *";

/// Sets a flow's schedule.
pub(crate) async fn schedule_cron(
    w: &W,
    who: Caller,
    key: &str,
    flow: &str,
    cron: &str,
) -> Result<ScheduleId, ClientError> {
    let rejected = |text: String| ClientError::Rejected {
        call: "scheduleCronFlow",
        text,
    };
    let now = w.now();
    let done = ask(w, who, "scheduleCronFlow", true, |state| {
        let next = state.schedules + 1;
        let project = state.project(key)?;
        if cron == BAD_CRON {
            return Err(rejected(format!(
                "This expression <{cron}> can not be parsed to quartz cron."
            )));
        }
        let listed = project.listed();
        let Some(name) = listed.iter().find(|listed| fold(listed) == fold(flow)) else {
            return Err(rejected(format!("Flow {flow} cannot be found in project {key}")));
        };
        let entry = project
            .schedules
            .entry(fold(flow))
            .or_insert_with(|| (next, name.clone(), String::new()));
        cron.clone_into(&mut entry.2);
        let number = entry.0;
        project.note_schedule(now, key, flow, number, cron, "added");
        state.schedules = next;
        Ok(ScheduleId(number))
    })
    .await;
    if done.is_ok() {
        tell!(w, "azkaban: {flow} of {key} is scheduled: {cron}");
    }
    done
}

/// Removes a schedule; one that is gone already is fine.
pub(crate) async fn remove_schedule(w: &W, who: Caller, id: ScheduleId) -> Result<(), ClientError> {
    tell!(w, "azkaban: is asked to remove schedule {}", id.0);
    let now = w.now();
    ask(w, who, "removeSched", true, |state| {
        for project in state.projects.values_mut() {
            let found = project
                .schedules
                .iter()
                .find(|(_, (number, _, _))| *number == id.0);
            if let Some((flow, (number, name, cron))) = found.map(|(flow, one)| (flow.clone(), one.clone())) {
                project.schedules.remove(&flow);
                project.note_schedule(now, "p", &name, number, &cron, "removed");
            }
        }
        Ok(())
    })
    .await
}
