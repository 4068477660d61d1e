//! The thread of one execution: carries out what its state machine decides.

use std::sync::Arc;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::sync::CancellationToken;

use crate::exec::engine::Act;
use crate::exec::execution::{Execution, Phase};
use crate::exec::files::ExecutionFiles;
use crate::exec::inputs::Inputs;
use crate::exec::job;
use crate::exec::tree::ROOT;
use crate::server::Server;
use crate::state::flows::Flows;
use crate::state::now_ms;

/// Jobs of one flow that run at one time; others wait.
pub(super) const JOB_THREADS: usize = 10;

/// Runs an execution to its end.
pub(super) async fn run(
    server: Arc<Server>,
    execution: Arc<Execution>,
    flows: Arc<Flows>,
    files: ExecutionFiles,
    acts: UnboundedReceiver<Act>,
) {
    let ends = server.life.token();
    let finished = tokio::select! {
        biased;
        () = ends.cancelled() => false,
        () = carry_out(&server, &execution, flows, files, acts, &ends) => true,
    };
    if finished {
        execution.set_phase(Phase::Afterglow);
        tokio::select! {
            () = tokio::time::sleep(server.options.afterglow) => {}
            () = ends.cancelled() => {}
        }
    } else {
        execution.change(|run, now| {
            if !run.is_finished() {
                run.fail_everything(now);
            }
        });
        execution.save();
    }
    server.executions.retire(&execution);
}

async fn carry_out(
    server: &Arc<Server>,
    execution: &Arc<Execution>,
    flows: Arc<Flows>,
    files: ExecutionFiles,
    mut acts: UnboundedReceiver<Act>,
    ends: &CancellationToken,
) {
    let kill = execution.kill(&execution.run(), ROOT);
    let _thread = tokio::select! {
        thread = Arc::clone(&server.executions.threads).acquire_owned() => thread.ok(),
        () = kill.cancelled() => None,
    };
    execution.set_phase(Phase::Running);
    let facts = &execution.facts;
    execution.flow_log("Assigned executor : 127.0.0.1:12321");
    execution.flow_log(&format!(
        "Running execid:{} flow:{} project:{} version:{}",
        facts.id, facts.flow, facts.project, facts.version
    ));
    let other = facts
        .options
        .pipeline_execution
        .and_then(|id| server.executions.get(id));
    if let Some(other) = &other {
        let (id, level) = (other.facts.id, facts.options.pipeline_level.unwrap_or_default());
        execution.flow_log(&format!(
            "Running simulateously with {id}. Pipelining level {level}"
        ));
    }
    let shared = Arc::new(job::Shared {
        execution: Arc::clone(execution),
        other,
        inputs: Inputs::new(
            facts,
            flows,
            server.world.project_by_id(facts.project),
            &execution.zone,
        ),
        files,
        threads: tokio::sync::Semaphore::new(JOB_THREADS),
        ends: ends.clone(),
    });
    execution.change(|run, now| run.start(now));
    while let Some(act) = acts.recv().await {
        match act {
            Act::Start(at) => {
                let props = shared.inputs.of(&execution.run().nodes, at);
                if props.contains_key("type") {
                    server.tasks.spawn(job::run(Arc::clone(&shared), at, props));
                } else {
                    let exception =
                        "azkaban.utils.UndefinedPropertyException: Missing required property 'type'";
                    execution.change(|run, now| run.breaks_off(exception, now));
                }
            }
            Act::Finish => break,
            _ => {}
        }
    }
    let end = now_ms();
    execution.flow_log(&format!("Setting end time for flow {} to {end}", facts.id));
    execution.change(|run, _| {
        run.nodes[0].end_ms = end;
        run.nodes[0].update_ms = end;
    });
    execution.save_log("", 0);
    execution.save();
}
