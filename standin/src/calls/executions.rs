//! Looking at executions: the tree of jobs, what changed, options, logs.

use hyper::header::CONTENT_TYPE;

use crate::calls::Answered;
use crate::calls::execute::unknown_flow;
use crate::calls::executor::OnExecution;
use crate::exec::execution::Phase;
use crate::exec::tree::{self, Node, ROOT};
use crate::server::Server;
use crate::state::project::Project;
use crate::wire::answer::Answer;
use crate::wire::failure::Failure;
use crate::wire::html;
use crate::wire::json::{HashMapJson, Json};

/// The whole tree.
pub(super) fn whole(call: &OnExecution<'_>, project: &Project, ret: &mut HashMapJson) {
    let facts = &call.execution.facts;
    ret.put("submitTime", facts.submit_ms);
    ret.put("submitUser", facts.user.clone());
    ret.put("execid", facts.id);
    ret.put("projectId", facts.project);
    ret.put("project", project.name.clone());
    node(&call.execution.run().shown(), ROOT, ret);
}

fn node(nodes: &[Node], at: usize, json: &mut HashMapJson) {
    let one = &nodes[at];
    json.put("id", one.id.clone());
    json.put("status", one.status.name());
    json.put("startTime", one.start_ms);
    json.put("endTime", one.end_ms);
    json.put("updateTime", one.update_ms);
    json.put(
        "type",
        if at == ROOT {
            Json::Null
        } else {
            one.kind.to_string().into()
        },
    );
    if let Some(condition) = &one.condition {
        json.put("condition", condition.clone());
    }
    json.put("nestedId", one.nested.clone());
    attempts(one, json);
    if !one.inputs.is_empty() {
        json.put(
            "in",
            Json::texts(one.inputs.iter().map(|&input| nodes[input].id.clone())),
        );
    }
    if let Some(flow) = &one.flow {
        let child = |&child: &usize| {
            let mut json = HashMapJson::new();
            node(nodes, child, &mut json);
            json.json()
        };
        json.put("flow", flow.clone());
        json.put("nodes", Json::List(one.children.iter().map(child).collect()));
        json.put("flowId", flow.clone());
    }
}

fn attempts(one: &Node, json: &mut HashMapJson) {
    json.put("attempt", i64::from(one.attempt));
    if one.attempt > 0 {
        let past = (0_i64..).zip(&one.past).map(|(number, past)| {
            HashMapJson::new()
                .with("attempt", number)
                .with("startTime", past.start_ms)
                .with("endTime", past.end_ms)
                .with("status", past.status.name())
                .json()
        });
        json.put("pastAttempts", Json::List(past.collect()));
    }
}

/// Nodes that changed since then; the flow's own times always.
pub(super) fn update(call: &OnExecution<'_>, since: i64, ret: &mut HashMapJson) {
    let run = call.execution.run();
    let nodes = run.shown();
    updated(&nodes, ROOT, since, ret);
    let flow = &nodes[ROOT];
    ret.put("status", flow.status.name());
    ret.put("startTime", flow.start_ms);
    ret.put("endTime", flow.end_ms);
    ret.put("updateTime", flow.update_ms);
}

/// Whether anything was told of it.
fn updated(nodes: &[Node], at: usize, since: i64, json: &mut HashMapJson) -> bool {
    let one = &nodes[at];
    let mut told = Vec::new();
    for &child in &one.children {
        let mut json = HashMapJson::new();
        if updated(nodes, child, since, &mut json) {
            told.push(json.json());
        }
    }
    let inner = !told.is_empty();
    if let Some(flow) = one.flow.clone().filter(|_| inner) {
        json.put("flow", flow);
        json.put("nodes", Json::List(told));
    }
    if one.update_ms <= since && !inner {
        return false;
    }
    json.put("id", one.id.clone());
    json.put("status", one.status.name());
    json.put("startTime", one.start_ms);
    json.put("endTime", one.end_ms);
    json.put("updateTime", one.update_ms);
    attempts(one, json);
    true
}

/// Options of an execution, if its flow is still there.
pub(super) fn info(call: &OnExecution<'_>, project: &Project, ret: &mut HashMapJson) {
    let facts = &call.execution.facts;
    if project.read().flows.get(&facts.flow).is_none() {
        let (flow, project) = (&facts.flow, facts.project);
        return ret.put(
            "error",
            format!("Error loading flow. Flow {flow} doesn't exist in {project}"),
        );
    }
    facts.options.fill_info(ret);
    let run = call.execution.run();
    let mut statuses = HashMapJson::new();
    for &child in &run.flow().children {
        statuses.put(run.nodes[child].id.clone(), run.nodes[child].status.name());
    }
    ret.put("nodeStatus", statuses);
}

/// Whom a flow would write to, and when it is due.
pub(super) fn flow_info(server: &Server, project: &Project, name: &str, flow: &str, ret: &mut HashMapJson) {
    let emails = project.read().flows.get(flow).map(|flow| flow.emails.clone());
    let Some(emails) = emails else {
        return ret.put(
            "error",
            format!("Error loading flow. Flow {flow} doesn't exist in {name}"),
        );
    };
    let emails = emails.unwrap_or_default();
    ret.put("successEmails", Json::texts(emails.success));
    ret.put("failureEmails", Json::texts(emails.failure));
    if let Some(schedule) = server.world.schedules.of_flow(project.id, flow) {
        ret.put("scheduled", schedule.next_ms);
    }
}

/// An execution that has not been started, with the schedule's disabled jobs.
pub(super) fn scheduled_graph(
    server: &Server,
    project: &Project,
    flow: &str,
    ret: &mut HashMapJson,
) -> Result<(), Failure> {
    let flows = std::sync::Arc::clone(&project.read().flows);
    let nodes = tree::build(&flows, flow).map_err(|_| Failure::stack_overflow())?;
    let Some(mut nodes) = nodes else {
        ret.put("error", unknown_flow(project, flow));
        return Ok(());
    };
    let schedule = server.world.schedules.of_flow(project.id, flow);
    if let Some(options) = schedule.and_then(|schedule| schedule.options) {
        tree::disable(&mut nodes, &options.disabled, ROOT)
            .map_err(|message| Failure::exception("java.lang.NullPointerException", message))?;
    }
    ret.put("submitTime", -1);
    ret.put("submitUser", Json::Null);
    ret.put("execid", -1);
    ret.put("projectId", project.id);
    ret.put("project", project.name.clone());
    node(&nodes, ROOT, ret);
    Ok(())
}

pub(super) fn flow_logs(call: &OnExecution<'_>, ret: HashMapJson) -> Answered {
    let range = (call.request.need_int("offset")?, call.request.need_int("length")?);
    log(call, "", 0, range, ret)
}

pub(super) fn job_logs(call: &OnExecution<'_>, mut ret: HashMapJson) -> Answered {
    let request = call.request;
    let range = (request.need_int("offset")?, request.need_int("length")?);
    let job = request.need("jobId")?;
    let attempt = {
        let run = call.execution.run();
        let found = tree::find(&run.nodes, job);
        found.map(|at| i32::try_from(run.nodes[at].attempt).unwrap_or(i32::MAX))
    };
    let Some(attempt) = attempt else {
        ret.put(
            "error",
            format!("Job {job} doesn't exist in {}", call.execution.facts.id),
        );
        return Ok(utf8(&ret.json()));
    };
    let attempt = u32::try_from(request.int_or("attempt", attempt)).unwrap_or(u32::MAX);
    log(call, job, attempt, range, ret)
}

/// A piece of a log. Just after the end nobody has it: the executor no longer, the database not yet.
fn log(
    call: &OnExecution<'_>,
    nested: &str,
    attempt: u32,
    range: (i32, i32),
    mut ret: HashMapJson,
) -> Answered {
    let (offset, length) = range;
    if call.execution.phase() == Phase::Afterglow {
        let message = format!("Running flow {} not found.", call.execution.facts.id);
        return Err(Failure::exception(
            "azkaban.executor.ExecutorManagerException",
            message,
        ));
    }
    let piece = call
        .execution
        .log(nested, attempt, i64::from(offset), i64::from(length));
    let (offset, text) = piece.unwrap_or_else(|| (i64::from(offset), String::new()));
    ret.put("length", i64::try_from(text.len()).unwrap_or(i64::MAX));
    ret.put("offset", offset);
    ret.put("data", html::escape(&text));
    Ok(utf8(&ret.json_of_put_all()))
}

/// No job here writes statistics.
pub(super) fn job_stats(call: &OnExecution<'_>, mut ret: HashMapJson) -> Answered {
    let job = call.request.need("jobid")?;
    let known = tree::find(&call.execution.run().nodes, job).is_some();
    match known {
        true => ret.put("jobStats", Json::Null),
        false => ret.put(
            "error",
            format!("Job {job} doesn't exist in {}", call.execution.facts.id),
        ),
    }
    Ok(utf8(&ret.json()))
}

/// Calls about logs name the charset.
fn utf8(json: &Json) -> Answer {
    Answer::json(json).replace_header(CONTENT_TYPE, "application/json; charset=utf-8")
}
