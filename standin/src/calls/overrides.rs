//! `setJobOverrideProperty` and `fetchJobInfo`: a job's properties as uploaded and as set by hand since.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::calls::flows::{stored, unknown_flow};
use crate::calls::manager::Call;
use crate::state::flows::{Flows, Node};
use crate::state::overrides;
use crate::wire::failure::Failure;
use crate::wire::json::HashMapJson;

type Done = Result<(), Failure>;
type Props = BTreeMap<String, String>;

/// Sets properties until the next upload. All that is not named is gone, the type included (Flow 2.0 keeps it).
pub(super) async fn set(call: &Call<'_>, ret: &mut HashMapJson) -> Done {
    let (id, job) = (call.request.need("flowName")?, call.request.need("jobName")?);
    let flows = Arc::clone(&call.project.read().flows);
    let Some(node) = node(call, &flows, id, job, ret) else {
        return Ok(());
    };
    call.server.faults.database().await;
    if !overrides::name_fits(node) {
        ret.put("error", "Failed to upload job override property");
        return Ok(());
    }
    let props: Props = call.request.group("jobOverride").into_iter().collect();
    let key = overrides::key(id, node);
    let of_flow_2 = node.source.ends_with(".flow");
    let difference = {
        let mut state = call.project.write();
        let version = state.version;
        let kept = state
            .overrides
            .get(&version)
            .and_then(|all| all.get(&key).cloned());
        let uploaded = stored(&state, node).filter(|_| of_flow_2);
        let before = kept.or_else(|| uploaded.map(|props| props.iter().collect()));
        // Without a flow file nothing can be set, which is not told.
        if before.is_some() || !of_flow_2 {
            let set = overrides::set(node, props.clone(), before.as_ref().unwrap_or(&Props::new()));
            state.overrides.entry(version).or_default().insert(key, set);
        }
        overrides::difference(&before.unwrap_or_default(), &props)
    };
    call.project
        .log(&call.session.user.name, "PROPERTY_OVERRIDE", Some(difference));
    Ok(())
}

/// What was uploaded, and what counts; without anything set by hand both are the same.
pub(super) async fn job_info(call: &Call<'_>, ret: &mut HashMapJson) -> Done {
    let (id, job) = (call.request.need("flowName")?, call.request.need("jobName")?);
    let flows = Arc::clone(&call.project.read().flows);
    let Some(node) = node(call, &flows, id, job, ret) else {
        return Ok(());
    };
    call.server.faults.database().await;
    let state = call.project.read();
    let uploaded: Props = stored(&state, node)
        .map(|props| props.iter().collect())
        .unwrap_or_default();
    let set = state.overrides.get(&state.version);
    let set = set.and_then(|all| all.get(&overrides::key(id, node)));
    let json = |props: &Props| props.clone().into_iter().collect::<HashMapJson>();
    ret.put("jobName", node.id.to_string());
    ret.put("jobType", uploaded.get("type").cloned());
    ret.put("overrideParams", json(set.unwrap_or(&uploaded)));
    ret.put("generalParams", json(&uploaded));
    Ok(())
}

/// The job, or an error is told.
fn node<'a>(
    call: &Call<'_>,
    flows: &'a Flows,
    id: &str,
    job: &str,
    ret: &mut HashMapJson,
) -> Option<&'a Node> {
    let Some(flow) = flows.get(id) else {
        unknown_flow(call, id, ret);
        return None;
    };
    let node = flow.node(job);
    if node.is_none() {
        ret.put("error", format!("Job {job} not found in flow {id}"));
    }
    node
}
