//! Starting an execution, for a call or for a schedule.

use std::sync::Arc;

use crate::exec::engine::Run;
use crate::exec::execution::{Execution, Facts};
use crate::exec::options::ExecutionOptions;
use crate::exec::status::Status;
use crate::exec::tree::{self, ROOT};
use crate::exec::{files, runner};
use crate::server::Server;
use crate::state::now_ms;
use crate::state::project::Project;

/// More than so many of one flow at a time are refused (one more gets in, as on a real server).
const CONCURRENT_MAX: usize = 30;

/// Who starts what, and how.
pub(crate) struct Order {
    pub(crate) flow: String,
    pub(crate) user: String,
    pub(crate) scheduled: bool,
    pub(crate) options: ExecutionOptions,
}

/// What came of it: Azkaban's message and the execution's number, -1 for a locked flow.
#[derive(Debug)]
pub(crate) struct Submitted {
    pub(crate) message: String,
    pub(crate) id: i32,
}

/// Starts an execution of a flow that exists, or says in Azkaban's words why not.
pub(crate) async fn submit(
    server: &Arc<Server>,
    project: &Arc<Project>,
    order: Order,
) -> Result<Submitted, String> {
    let Order {
        flow,
        user,
        scheduled,
        mut options,
    } = order;
    if project.read().locks.contains_key(&flow) {
        let message = format!("Flow {flow} for project {} is locked.", project.name);
        return Ok(Submitted { message, id: -1 });
    }
    let executions = &server.executions;
    let _submitting = executions.submitting.lock().await;
    server.faults.database().await;
    let running = executions.running(project.id, &flow);
    let (flows, version, zip) = {
        let state = project.read();
        let zip = state
            .versions
            .get(&state.version)
            .and_then(|version| version.zip.clone());
        (Arc::clone(&state.flows), state.version, zip.unwrap_or_default())
    };
    let emails = flows.get(&flow).and_then(|flow| flow.emails.clone());
    let emails = emails.unwrap_or_default();
    if !options.success_emails_overridden {
        options.success_emails = emails.success;
    }
    if !options.failure_emails_overridden {
        options.failure_emails = emails.failure;
    }
    let nodes = tree::build(&flows, &flow);
    let Ok(Some(mut nodes)) = nodes else {
        return Err("Java heap space".to_owned());
    };
    tree::disable(&mut nodes, &options.disabled, ROOT)?;
    let mut message = concurrent(&flow, &running, &mut options)?;
    let id = executions.next_id();
    let now = now_ms();
    (nodes[ROOT].status, nodes[ROOT].update_ms) = (Status::Preparing, now);
    let run = Run::new(id, nodes, options.failure_action);
    let facts = Facts {
        id,
        project: project.id,
        project_name: project.name.clone(),
        flow,
        version,
        user,
        submit_ms: now,
        scheduled,
        options,
    };
    let files = files::ExecutionFiles::new(&server.workshop, id, (project.id, version), zip);
    let zone = server.options.time_zone.clone();
    let (execution, acts) = Execution::new(facts, run, zone, server.journal.clone());
    let execution = Arc::new(execution);
    execution.save();
    executions.insert(Arc::clone(&execution));
    server
        .tasks
        .spawn(runner::run(Arc::clone(server), execution, flows, files, acts));
    message.push_str(&format!("Execution queued successfully with exec id {id}"));
    Ok(Submitted { message, id })
}

/// What the concurrent option makes of executions of the same flow.
fn concurrent(flow: &str, running: &[i32], options: &mut ExecutionOptions) -> Result<String, String> {
    let Some(&last) = running.last() else {
        return Ok(String::new());
    };
    if running.len() > CONCURRENT_MAX {
        return Err(format!(
            "Flow {flow} has more than {CONCURRENT_MAX} concurrent runs. Skipping"
        ));
    }
    match options.concurrent.as_str() {
        "pipeline" => {
            options.pipeline_execution = Some(last);
            let level = options.pipeline_level.unwrap_or_default();
            Ok(format!(
                "Flow {flow} is already running with exec id {last}. Pipelining level {level}. \n"
            ))
        }
        "skip" => Err(format!("Flow {flow} is already running. Skipping execution.")),
        _ => {
            let ids: Vec<String> = running.iter().map(ToString::to_string).collect();
            Ok(format!(
                "Flow {flow} is already running with exec id {}. Will execute concurrently. \n",
                ids.join(",")
            ))
        }
    }
}
