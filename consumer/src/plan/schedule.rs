//! Which schedules a batch has to look at.

use std::collections::{BTreeMap, BTreeSet};

use flowlift_azkaban::FlowName;
use flowlift_azkaban::name::fold;
use flowlift_common::{Act, Order, Schedule};

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

/// What the changes of one flow wish, oldest first.
#[derive(Debug, Default)]
struct Wished {
    newest: Option<Order>,
    step: Option<ScheduleStep>,
}

impl Wished {
    fn take(&mut self, one: &Asked<'_>, flow: &FlowName, schedule: &Schedule) {
        self.newest = Some(one.order);
        let wish = match schedule {
            // what an older one set stays, even if that one brings nothing else any more
            Schedule::Keep => return,
            Schedule::Remove => Wish::Remove,
            Schedule::Set(cron) => Wish::Set(cron.clone()),
        };
        self.step = Some(ScheduleStep {
            id: Some(one.id),
            flow: flow.to_string(),
            wish,
        });
    }
}

/// The steps of all flows whose newest change is in the batch, whether or not it brings an upload: a consumer may have died
/// between upload and schedule. And of the flows that were away for a while.
pub(super) fn steps(draft: &Draft<'_>, asked: &[Asked<'_>]) -> Vec<ScheduleStep> {
    let mut wishes: BTreeMap<String, Wished> = BTreeMap::new();
    for one in asked.iter().filter(|one| !draft.is_dead(one.id)) {
        for flow in one.change.flows() {
            let key = flow.key();
            match &one.change.act {
                Act::Upsert(upsert) => wishes.entry(key).or_default().take(one, flow, &upsert.schedule),
                _ => drop(wishes.remove(&key)),
            }
        }
    }
    let newest = |(key, wished): &(String, Wished)| draft.newest(key) == wished.newest;
    let mut steps: Vec<ScheduleStep> = wishes
        .into_iter()
        .filter(newest)
        .filter_map(|(_, wished)| wished.step)
        .collect();
    steps.sort_by(|a, b| (a.id, &a.flow).cmp(&(b.id, &b.flow)));
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
