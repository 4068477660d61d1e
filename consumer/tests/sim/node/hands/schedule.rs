//! Brings schedules to what is wanted and reads them back. Mirrors `src/hands/schedule.rs`.

use std::rc::Rc;

use flowlift_azkaban::client::ErrorClass;
use flowlift_azkaban::name::fold;
use flowlift_consumer::judge::trouble;
use flowlift_consumer::plan::ScheduleStep;
use flowlift_consumer::project::{Event, Scheduled, Trouble};
use flowlift_consumer::schedules::{Call, Refused, Standing, calls as wanted, differing, otherwise};

use super::super::floor::{Place, What};
use crate::azkaban::Caller;
use crate::azkaban::calls;
use crate::world::W;

/// Sets and removes what differs.
pub(crate) async fn schedule(w: W, here: Place) -> What {
    let done = bring(&w, &here).await;
    What::Heard(Event::Scheduled(done))
}

async fn bring(w: &W, here: &Place) -> Result<Scheduled, Trouble> {
    let steps = here.bench(w, |bench| {
        bench.prepared.as_ref().map(|prepared| prepared.schedules.clone())
    });
    let mut steps = steps.flatten().unwrap_or_default();
    let mut all_refused = Vec::new();
    loop {
        let refused = ask(w, here, &steps).await?;
        if refused.is_empty() {
            break;
        }
        steps = Rc::new(otherwise(&steps, &refused));
        all_refused.extend(refused.into_values());
    }
    if let Some(flow) = differing(&steps, &standing(w, here).await?).first() {
        return Err(Trouble::Later(format!("the schedule of {flow} is not as set")));
    }
    let changed = here.bench(w, |bench| bench.rescheduled.iter().copied().collect());
    Ok(Scheduled {
        refused: all_refused
            .into_iter()
            .filter_map(|(id, reason)| Some((id?, reason)))
            .collect(),
        changed: changed.unwrap_or_default(),
    })
}

async fn ask(w: &W, here: &Place, steps: &[ScheduleStep]) -> Result<Refused, Trouble> {
    let (who, key) = (Caller::Node(here.node), here.key());
    let mut refused = Refused::new();
    for call in wanted(steps, &standing(w, here).await?) {
        match call {
            Call::Set { step, cron } => {
                let step = &steps[step];
                match calls::schedule_cron(w, who, &key, &step.flow, &cron).await {
                    Ok(_) => {
                        here.bench(w, |bench| bench.rescheduled.extend(step.id));
                    }
                    Err(error) if matches!(error.class(), ErrorClass::Permanent | ErrorClass::Content) => {
                        refused.insert(fold(&step.flow), (step.id, error.to_string()));
                    }
                    Err(error) => return Err(trouble(&error)),
                }
            }
            Call::Remove { step, id } => {
                let removed = calls::remove_schedule(w, who, id).await;
                removed.map_err(|error| trouble(&error))?;
                here.bench(w, |bench| bench.rescheduled.extend(steps[step].id));
            }
        }
    }
    Ok(refused)
}

async fn standing(w: &W, here: &Place) -> Result<Standing, Trouble> {
    let all = calls::schedules(w, Caller::Node(here.node))
        .await
        .map_err(|error| trouble(&error))?;
    let mine = all.into_iter().filter(|one| fold(&one.project) == here.key());
    Ok(Standing::of(mine.map(|one| (one.flow, one.cron, one.id))))
}
