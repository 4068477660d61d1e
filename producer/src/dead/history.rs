//! Reads the streams up to now, for what became of the flows of dead letters.

use std::collections::HashMap;

use flowlift_common::RunId;
use flowlift_common::amqp::{AmqpError, Link, outcomes_until_now};
use flowlift_common::ledger::{self, Settled};

use super::overtaken::Watch;
use super::picked::Picked;
use crate::runs::read::{begin, each_run_event};

/// Tells `watch` what was settled since the oldest of these runs was published.
pub async fn read(link: &Link, picked: &Picked, watch: &mut Watch) -> Result<(), AmqpError> {
    let made = picked.runs().map(RunId::made_at_ms).min().flatten();
    let from = begin(made);
    let mut ranks: HashMap<RunId, u64> = HashMap::new();
    if watch.needs_ranks() {
        each_run_event(link, from, |event| {
            if let Some(rank) = event.rank() {
                let highest = ranks.entry(event.run()).or_default();
                *highest = rank.max(*highest);
            }
        })
        .await?;
    }
    outcomes_until_now(link, from, |body| {
        // a record of a newer form is nothing this program can judge
        if let Ok(record) = ledger::decode::<Settled>(body) {
            watch.settled(&record, |run| ranks.get(&run).copied());
        }
    })
    .await
}
