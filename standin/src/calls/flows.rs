//! Reading flows and jobs, and locking flows. All of it comes from the active version in memory.

use std::sync::Arc;

use crate::calls::manager::Call;
use crate::exec::execution::Execution;
use crate::exec::status::Status;
use crate::exec::tree;
use crate::state::flows::{Flow, Flows, Node, Props};
use crate::state::project::State;
use crate::wire::failure::Failure;
use crate::wire::java::hash_order;
use crate::wire::json::{HashMapJson, Json};

type Done = Result<(), Failure>;

fn active(call: &Call<'_>) -> Arc<Flows> {
    Arc::clone(&call.project.read().flows)
}

/// Ids of flows that are not embedded, in hash order, all at once.
pub(super) fn list(call: &Call<'_>, ret: &mut HashMapJson) -> Done {
    let flows = active(call);
    let listed = flows.iter().filter(|flow| !flow.embedded);
    let ids = listed.map(|flow| Json::bean([("flowId", flow.id.to_string().into())]));
    ret.put("flows", Json::List(ids.collect()));
    Ok(())
}

pub(super) fn graph(call: &Call<'_>, ret: &mut HashMapJson) -> Done {
    let id = call.request.need("flow")?;
    let flows = active(call);
    // Flows within flows can be many, or deep.
    if tree::build(&flows, id).is_err() {
        return Err(Failure::stack_overflow());
    }
    fill_graph(&flows, &call.project.name, id, ret);
    Ok(())
}

/// Nodes by id, embedded flows inside their node.
fn fill_graph(flows: &Flows, project: &str, id: &str, ret: &mut HashMapJson) {
    let Some(flow) = flows.get(id) else {
        ret.put("error", format!("Flow {id} not found in project {project}"));
        return;
    };
    let node = |node: &Node| {
        let mut json = HashMapJson::new()
            .with("id", node.id.to_string())
            .with("type", node.kind.to_string());
        if let Some(condition) = &node.condition {
            json.put("condition", condition.to_string());
        }
        if let Some(embedded) = &node.embedded {
            json.put("flowId", embedded.to_string());
            fill_graph(flows, project, embedded, &mut json);
        }
        if !node.inputs.is_empty() {
            json.put("in", inputs(flow, node));
        }
        json.json()
    };
    ret.put("nodes", Json::List(flow.nodes.iter().map(node).collect()));
    ret.put("flow", id.to_owned());
}

fn inputs(flow: &Flow, node: &Node) -> Json {
    Json::texts(
        node.inputs
            .iter()
            .map(|&at| flow.nodes[at as usize].id.to_string()),
    )
}

/// Nodes by level. An unknown flow is a null pointer.
pub(super) fn jobs(call: &Call<'_>, ret: &mut HashMapJson) -> Done {
    let id = call.request.need("flow")?;
    let flows = active(call);
    let flow = flows
        .get(id)
        .ok_or_else(|| Failure::null("azkaban.flow.Flow.getNodes()", "<local5>"))?;
    let mut nodes: Vec<(u32, &Node)> = (0..).zip(&flow.nodes).collect();
    hash_order(&mut nodes, |(_, node)| &node.id);
    nodes.sort_by_key(|(_, node)| node.level);
    let node = |(at, node): (u32, &Node)| {
        let dependents = flow.nodes.iter().filter(|other| other.inputs.contains(&at));
        HashMapJson::new()
            .with("id", node.id.to_string())
            .with("dependencies", inputs(flow, node))
            .with(
                "dependents",
                Json::texts(dependents.map(|other| other.id.to_string())),
            )
            .with("level", i64::from(node.level))
            .json()
    };
    ret.put("flowId", id.to_owned());
    ret.put("nodes", Json::List(nodes.into_iter().map(node).collect()));
    ret.put("isLocked", call.project.read().locks.contains_key(id));
    Ok(())
}

pub(super) fn details(call: &Call<'_>, ret: &mut HashMapJson) -> Done {
    let id = call.request.need("flow")?;
    let flows = active(call);
    let Some(flow) = flows.get(id) else {
        ret.put("error", format!("Flow {id} not found."));
        return Ok(());
    };
    let mut kinds: Vec<&str> = flow.nodes.iter().map(|node| &*node.kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    hash_order(&mut kinds, |kind| kind);
    ret.put("jobTypes", Json::texts(kinds.into_iter().map(str::to_owned)));
    Ok(())
}

/// One job with its own properties. An unknown flow is a null pointer.
pub(super) async fn node_data(call: &Call<'_>, ret: &mut HashMapJson) -> Done {
    let (id, node_id) = (call.request.need("flow")?, call.request.need("node"));
    let flows = active(call);
    let node_id = node_id?;
    let flow = flows
        .get(id)
        .ok_or_else(|| Failure::null("azkaban.flow.Flow.getNode(String)", "<local5>"))?;
    let Some(node) = flow.node(node_id) else {
        ret.put("error", format!("Job {node_id} doesn't exist."));
        return Ok(());
    };
    ret.put("id", node_id.to_owned());
    ret.put("flow", id.to_owned());
    ret.put("type", node.kind.to_string());
    call.server.faults.database().await;
    let props = stored(&call.project.read(), node).map(|props| props.iter().collect::<HashMapJson>());
    let Some(props) = props else {
        ret.put("error", format!("Properties for {node_id} isn't found."));
        return Ok(());
    };
    ret.put("props", props);
    if let Some(embedded) = node.embedded.as_deref().filter(|_| *node.kind == *"flow") {
        fill_graph(&flows, &call.project.name, embedded, ret);
    }
    Ok(())
}

/// A job's properties as uploaded, unless their row could not be stored.
pub(super) fn stored<'a>(state: &State, node: &'a Node) -> Option<&'a Props> {
    let name = node.source.rsplit('/').next().unwrap_or_default();
    let missing = state.missing.contains(&*node.source) || state.missing.contains(name);
    (!missing).then_some(&node.props)
}

/// Locks or unlocks a flow; a locked one can be neither executed nor scheduled.
pub(super) async fn set_lock(call: &Call<'_>, ret: &mut HashMapJson) -> Done {
    let id = call.request.need("flowName")?;
    if active(call).get(id).is_none() {
        unknown_flow(call, id, ret);
        return Ok(());
    }
    let locked = call.request.need("isLocked")?.eq_ignore_ascii_case("true");
    let why = call
        .request
        .param("flowLockErrorMessage")
        .filter(|_| locked)
        .map(str::to_owned);
    call.server.faults.database().await;
    {
        let mut state = call.project.write();
        if locked {
            state.locks.insert(id.to_owned(), why.clone());
        } else {
            state.locks.remove(id);
        }
    }
    ret.put("isLocked", locked);
    ret.put("flowId", id.to_owned());
    ret.put("flowLockErrorMessage", why);
    Ok(())
}

pub(super) fn is_locked(call: &Call<'_>, ret: &mut HashMapJson) -> Done {
    let id = call.request.need("flowName")?;
    if active(call).get(id).is_none() {
        unknown_flow(call, id, ret);
        return Ok(());
    }
    ret.put("flowId", id.to_owned());
    ret.put("isLocked", call.project.read().locks.contains_key(id));
    Ok(())
}

pub(super) fn unknown_flow(call: &Call<'_>, id: &str, ret: &mut HashMapJson) {
    ret.put(
        "error",
        format!("Flow {id} not found in project {}", call.project.name),
    );
}

/// Newest first. Unknown flows have none.
pub(super) fn executions(call: &Call<'_>, ret: &mut HashMapJson) -> Done {
    let id = call.request.need("flow")?;
    let (from, length) = (call.request.need_int("start")?, call.request.need_int("length")?);
    let all = call.server.executions.of_flow(call.project.id, id);
    let page = |number: i32| usize::try_from(number).unwrap_or(0);
    let one = |execution: &Arc<Execution>| {
        let (facts, run) = (&execution.facts, execution.run());
        let flow = run.flow();
        HashMapJson::new()
            .with("execId", facts.id)
            .with("flowId", facts.flow.clone())
            .with("projectId", facts.project)
            .with("status", flow.status.name())
            .with("submitTime", facts.submit_ms)
            .with("startTime", flow.start_ms)
            .with("endTime", flow.end_ms)
            .with("submitUser", facts.user.clone())
            .json()
    };
    let shown = all.iter().skip(page(from)).take(page(length)).map(one);
    ret.put("executions", Json::List(shown.collect()));
    ret.put("flow", id.to_owned());
    ret.put("total", i64::try_from(all.len()).unwrap_or(i64::MAX));
    ret.put("from", from);
    ret.put("length", length);
    Ok(())
}

pub(super) fn last_success(call: &Call<'_>, ret: &mut HashMapJson) -> Done {
    let id = call.request.need("flow")?;
    let all = call.server.executions.of_flow(call.project.id, id);
    match all.iter().find(|one| one.status() == Status::Succeeded) {
        Some(last) => {
            ret.put("success", "true");
            ret.put("message", "");
            ret.put("execId", last.facts.id);
        }
        None => {
            ret.put("success", "false");
            ret.put("message", "This flow has no successful run.");
        }
    }
    Ok(())
}
