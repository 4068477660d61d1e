//! Brings schedules to what is wanted and reads them back. Mirrors `src/hands/schedule.rs`.

use std::collections::{BTreeMap, BTreeSet};

use flowlift_azkaban::client::{ErrorClass, ScheduleId};
use flowlift_azkaban::name::fold;
use flowlift_consumer::plan::{ChangeId, ScheduleStep};
use flowlift_consumer::project::{Event, Trouble};

use super::super::floor::{Place, What};
use super::trouble;
use crate::azkaban::Caller;
use crate::azkaban::calls;
use crate::world::W;

/// Sets and removes what differs.
pub(crate) async fn schedule(w: W, here: Place) -> What {
    let steps = here.bench(&w, |bench| bench.prepared.as_ref().map(|prepared| prepared.schedules.clone()));
    let done = bring(&w, &here, &steps.flatten().unwrap_or_default()).await;
    What::Heard(Event::Scheduled(done))
}

async fn bring(w: &W, here: &Place, steps: &[ScheduleStep]) -> Result<Vec<(ChangeId, String)>, Trouble> {
    let (who, key) = (Caller::Node(here.node), here.key());
    let there = read(w, here).await?;
    let mut refused: BTreeMap<ChangeId, String> = BTreeMap::new();
    for step in steps {
        let now = there.get(&fold(&step.flow));
        if let Some(cron) = &step.cron {
            if now.is_some_and(|(there, _)| there == cron) {
                continue;
            }
            match calls::schedule_cron(w, who, &key, &step.flow, cron).await {
                Ok(_) => {}
                Err(error) if matches!(error.class(), ErrorClass::Permanent | ErrorClass::Content) => {
                    refused.insert(step.id, error.to_string());
                }
                Err(error) => return Err(trouble(&error)),
            }
        } else if let Some((_, id)) = now {
            calls::remove_schedule(w, who, *id).await.map_err(|error| trouble(&error))?;
        }
    }
    let after = read(w, here).await?;
    let refused_ids: BTreeSet<ChangeId> = refused.keys().copied().collect();
    let wrong = steps.iter().find(|step| {
        !refused_ids.contains(&step.id)
            && after.get(&fold(&step.flow)).map(|(cron, _)| cron.as_str()) != step.cron.as_deref()
    });
    match wrong {
        None => Ok(refused.into_iter().collect()),
        Some(step) => Err(Trouble::Later(format!("the schedule of {} is not as set", step.flow))),
    }
}

async fn read(w: &W, here: &Place) -> Result<BTreeMap<String, (String, ScheduleId)>, Trouble> {
    let all = calls::schedules(w, Caller::Node(here.node)).await.map_err(|error| trouble(&error))?;
    let mine = all.into_iter().filter(|one| fold(&one.project) == here.key());
    Ok(mine.map(|one| (fold(&one.flow), (one.cron, one.id))).collect())
}
