//! Schedules that fire: from time to time all are looked at, and each one that is due starts its flow once.
//!
//! As Azkaban's trigger scanner: firings that were missed while it slept count as one; those missed while the server was
//! down are skipped. A flow that still runs, is locked or is gone is not started; its schedule goes on.

use std::sync::Arc;

use flowlift_azkaban::cron;
use jiff::Timestamp;

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
        let next = next_ms(server, &schedule.cron, now_ms());
        server.world.schedules.fired(schedule.id, next);
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

/// When a cron expression is due next; `None` when never.
pub(crate) fn next_ms(server: &Server, expression: &str, after_ms: i64) -> Option<i64> {
    let after = Timestamp::from_millisecond(after_ms).ok()?;
    let next = cron::next_after(expression, &after.to_zoned(server.options.time_zone.clone()))?;
    Some(next.timestamp().as_millisecond())
}
