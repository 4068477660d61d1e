//! Which schedules a batch has to look at.

use std::collections::BTreeSet;

use flowlift_azkaban::name::fold;
use flowlift_common::{Act, Schedule};

use super::draft::Draft;
use super::{Asked, ChangeId};

/// A flow's schedule as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleStep {
    /// Whose wish; none: it was set before, and an upload that lacked the flow has taken it away.
    pub id: Option<ChangeId>,
    /// The flow, as Azkaban lists it.
    pub flow: String,
    /// What is wished.
    pub wish: Wish,
}

/// What a schedule should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// This Quartz expression.
    Set(String),
    /// None.
    Remove,
    /// This expression, if there is none: what somebody set meanwhile stays.
    Restore(String),
}

/// The steps of all changes that are their flow's newest, whether or not they bring an upload: a consumer may have died
/// between upload and schedule. And of the flows that were away for a while.
pub(super) fn steps(draft: &Draft<'_>, asked: &[Asked<'_>]) -> Vec<ScheduleStep> {
    let mut steps = Vec::new();
    for one in asked.iter().filter(|one| !draft.is_dead(one.id)) {
        let Act::Upsert(upsert) = &one.change.act else {
            continue;
        };
        let wish = match &upsert.schedule {
            Schedule::Keep => continue,
            Schedule::Remove => Wish::Remove,
            Schedule::Set(cron) => Wish::Set(cron.clone()),
        };
        for flow in upsert.body.flows() {
            if draft.newest(&flow.key()) == Some(one.order) {
                steps.push(ScheduleStep {
                    id: Some(one.id),
                    flow: flow.to_string(),
                    wish: wish.clone(),
                });
            }
        }
    }
    let wished: BTreeSet<String> = steps.iter().map(|step| fold(&step.flow)).collect();
    for (key, cron) in &draft.base.dropped {
        if let Some(flow) = draft.flows.get(key).filter(|_| !wished.contains(key)) {
            steps.push(ScheduleStep {
                id: None,
                flow: flow.name.clone(),
                wish: Wish::Restore(cron.clone()),
            });
        }
    }
    steps
}
