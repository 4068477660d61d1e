//! The state for programs.

use serde_json::{Value, json};

use super::Now;

/// All of it.
#[must_use]
pub fn json(now: &Now) -> Value {
    let (messages, changes) = now.in_hand();
    let (changes_rate, messages_rate, uploads_rate) = now.rates();
    let full: Vec<Value> = now
        .fullest(usize::MAX)
        .iter()
        .map(|depth| {
            json!({"shard": depth.shard, "waiting": depth.waiting, "parked": depth.parked,
                "consumer": now.holder(depth.shard)})
        })
        .collect();
    let projects = now.unsettled.projects.iter();
    let projects: Vec<Value> = projects
        .map(|(project, changes)| json!({"project": project, "changes": changes}))
        .collect();
    let runs = now.unsettled.runs.iter();
    let runs: Vec<Value> = runs
        .map(|run| {
            json!({"run": run.run, "state": run.state.word(), "changes": run.total, "done": run.done, "left": run.left(),
                "deadline_ms": run.deadline_ms})
        })
        .collect();
    json!({
        "broker": now.broker, "azkaban": now.record.azkaban, "shards": now.record.shards,
        "shards_unowned": now.unowned(), "at_ms": now.at_ms,
        "backlog": {"waiting": now.waiting(), "parked": now.parked(), "in_hand": messages,
            "changes_in_hand": changes, "oldest_in_hand_seconds": now.oldest().as_secs_f64(), "shards": full,
            "projects": projects},
        "runs": runs,
        "rates": {"changes_per_second": changes_rate, "messages_per_second": messages_rate,
            "uploads_per_second": uploads_rate},
        "deadline_ms": now.deadline_ms(),
        "seconds_left": now.left().map(|left| left.as_secs()),
        "dead_letters": now.depths.dead,
        "breaker_open": now.consumers.iter().any(|state| state.breaker_open),
        "paused": {"everything": now.steering.all(), "projects": now.steering.projects().collect::<Vec<_>>()},
        "consumers": now.consumers,
    })
}
