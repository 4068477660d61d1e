//! Which schedules a batch has to look at.

use flowlift_common::{Act, Schedule};

use super::draft::Draft;
use super::{Asked, ChangeId};

/// A flow's schedule as its newest change wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleStep {
    /// Whose wish.
    pub id: ChangeId,
    /// The flow, as Azkaban lists it.
    pub flow: String,
    /// The Quartz expression; `None`: no schedule.
    pub cron: Option<String>,
}

/// The steps of all changes that are their flow's newest, whether or not they bring an upload: a consumer may have died
/// between upload and schedule.
pub(super) fn steps(draft: &Draft<'_>, asked: &[Asked<'_>]) -> Vec<ScheduleStep> {
    let mut steps = Vec::new();
    for one in asked.iter().filter(|one| !draft.is_dead(one.id)) {
        let Act::Upsert(upsert) = &one.change.act else {
            continue;
        };
        let cron = match &upsert.schedule {
            Schedule::Keep => continue,
            Schedule::Remove => None,
            Schedule::Set(cron) => Some(cron.clone()),
        };
        for flow in upsert.body.flows() {
            if draft.newest(&flow.key()) == Some(one.order) {
                steps.push(ScheduleStep {
                    id: one.id,
                    flow: flow.to_string(),
                    cron: cron.clone(),
                });
            }
        }
    }
    steps
}
