//! Which schedules a batch has to look at.

use flowlift_common::Schedule;
use flowlift_common::manifest::FlowEntry;

use super::ChangeId;
use super::draft::Draft;

/// A flow's schedule as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleStep {
    /// Whose wish; none: it was set before, and an upload that lacked the flow has taken it away.
    pub id: Option<ChangeId>,
    /// The flow, as Azkaban lists it.
    pub flow: String,
    /// What is wished.
    pub wish: Wish,
    /// What older changes of the batch wished, oldest first: it counts where Azkaban refuses the newest wish.
    pub before: Vec<Wish>,
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

impl Wish {
    /// What a put says of the schedule.
    pub(super) fn of(schedule: &Schedule) -> Option<Self> {
        match schedule {
            Schedule::Keep => None,
            Schedule::Remove => Some(Self::Remove),
            Schedule::Set(cron) => Some(Self::Set(cron.clone())),
        }
    }

    /// The expression it sets.
    pub(super) fn cron(&self) -> Option<String> {
        match self {
            Self::Set(cron) | Self::Restore(cron) => Some(cron.clone()),
            Self::Remove => None,
        }
    }
}

/// The steps that the batch's changes wish for, whether or not they bring an upload: a consumer may have died between upload
/// and schedule. And those of flows that were away for a while.
pub(super) fn steps(draft: &Draft<'_>) -> Vec<ScheduleStep> {
    let mut steps = Vec::new();
    for (key, wishes) in &draft.wishes {
        let mut wishes = wishes.iter().filter(|(id, _)| !draft.is_dead(*id));
        if let Some(flow) = draft.flows.get(key)
            && let Some((id, wish)) = wishes.next_back()
        {
            steps.push(ScheduleStep {
                id: Some(*id),
                flow: flow.name.clone(),
                wish: wish.clone(),
                before: wishes.map(|(_, wish)| wish.clone()).collect(),
            });
        }
    }
    for (key, cron) in &draft.base.dropped {
        // a flow that a deletion took, schedule and all, and that came back without one
        let ended = |entry: &FlowEntry| entry.cron.is_none() && entry.cron_at.is_some();
        if draft.wishes.contains_key(key) || draft.manifest.flows.get(key).is_some_and(ended) {
            continue;
        }
        if let Some(flow) = draft.flows.get(key) {
            steps.push(ScheduleStep {
                id: None,
                flow: flow.name.clone(),
                wish: Wish::Restore(cron.clone()),
                before: Vec::new(),
            });
        }
    }
    steps
}
