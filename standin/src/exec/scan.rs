//! Schedules that fire: from time to time all are looked at, and each one that is due starts its flow once.
//!
//! As Azkaban's trigger scanner: firings that were missed while it slept count as one; those missed while the server was
//! down are skipped. A flow that still runs, is locked or is gone is not started; its schedule goes on.

use std::sync::Arc;

use crate::exec::submit::{Order, submit};
use crate::server::Server;
use crate::state::now_ms;
use crate::state::schedules::Schedule;

/// Looks at all schedules again and again, until the server goes down.
pub(crate) async fn run(server: Arc<Server>) {
    let stop = server.life.stop.clone();
    let mut ticks = tokio::time::interval(server.options.scan_interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => scan(&server).await,
        }
    }
}

async fn scan(server: &Arc<Server>) {
    let due = server.world.schedules.due(now_ms());
    for schedule in due {
        server.faults.database().await;
        fire(server, &schedule).await;
        match schedule.next(now_ms(), &server.options.time_zone) {
            Ok(next) => server.world.schedules.fired(&schedule, next),
            // As Azkaban's scanner: it stays due, and fires at each scan.
            Err(error) => {
                tracing::error!(id = schedule.id, %error, "a schedule does not come to its next time");
            }
        }
    }
}

/// Starts the flow, or says in the program's log why not.
async fn fire(server: &Arc<Server>, schedule: &Schedule) {
    let project = server.world.project_by_id(schedule.project);
    let project = project.filter(|project| project.read().active);
    let Some(project) = project.filter(|project| project.read().flows.get(&schedule.flow).is_some()) else {
        tracing::warn!(
            project = schedule.project_name,
            flow = schedule.flow,
            "a schedule's flow is gone"
        );
        return;
    };
    let order = Order {
        flow: schedule.flow.clone(),
        user: schedule.user.clone(),
        scheduled: true,
        options: schedule.options.clone().unwrap_or_default(),
    };
    match submit(server, &project, order).await {
        Ok(submitted) => {
            server.counters.fired();
            tracing::debug!(id = submitted.id, message = submitted.message, "a schedule fired");
        }
        Err(why) => {
            server.counters.fired();
            tracing::info!(
                project = project.name,
                flow = schedule.flow,
                why,
                "a schedule could not start its flow"
            );
        }
    }
}
