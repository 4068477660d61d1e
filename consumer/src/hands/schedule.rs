//! Brings schedules to what is wanted and reads them back.

use std::sync::Arc;
use std::time::Instant;

use flowlift_azkaban::client::Schedule;
use flowlift_azkaban::name::fold;

use super::Hands;
use crate::judge;
use crate::plan::ScheduleStep;
use crate::project::{Event, Scheduled, Trouble};
use crate::schedules::{Call, Refused, Standing, calls, differing, otherwise};
use crate::work::ms_since;

impl Hands {
    /// Sets and removes what differs.
    pub async fn schedule(&self) -> Event {
        let begun = Instant::now();
        let done = self.bring().await;
        self.metrics.scheduled(begun.elapsed());
        self.work().took.schedule_ms = ms_since(begun);
        Event::Scheduled(done)
    }

    async fn bring(&self) -> Result<Scheduled, Trouble> {
        let prepared = self
            .work()
            .prepared
            .as_ref()
            .map(|prepared| Arc::clone(&prepared.schedules));
        let mut steps = prepared.unwrap_or_default();
        let mut all_refused = Vec::new();
        loop {
            let refused = self.ask(&steps).await?;
            if refused.is_empty() {
                break;
            }
            steps = Arc::new(otherwise(&steps, &refused));
            all_refused.extend(refused);
        }
        let wrong = differing(&steps, &self.standing().await?);
        if let Some(flow) = wrong.first() {
            return Err(Trouble::Later(format!(
                "{} schedules are not as set, for example of {flow}",
                wrong.len()
            )));
        }
        for (flow, (id, reason)) in &all_refused {
            if id.is_none() {
                tracing::warn!(project = %self.project, flow, "its schedule, lost by an upload, is refused: {reason}");
            }
        }
        let refused = all_refused.into_iter();
        Ok(Scheduled {
            refused: refused
                .filter_map(|(_, (id, reason))| Some((id?, reason)))
                .collect(),
            changed: self.work().rescheduled.iter().copied().collect(),
        })
    }

    /// Makes the calls; what Azkaban refused.
    async fn ask(&self, steps: &[ScheduleStep]) -> Result<Refused, Trouble> {
        let mut refused = Refused::new();
        for call in calls(steps, &self.standing().await?) {
            self.may_write()?;
            match call {
                Call::Set { step, cron } => {
                    let step = &steps[step];
                    match self.client.schedule_cron(&self.project, &step.flow, &cron).await {
                        Ok(_) => self.work().rescheduled.extend(step.id),
                        Err(error) if Self::is_final(&error) => {
                            self.failed(&error);
                            refused.insert(fold(&step.flow), (step.id, error.to_string()));
                        }
                        Err(error) => return Err(self.trouble(&error)),
                    }
                }
                Call::Remove { step, id } => {
                    let removed = self.client.remove_schedule(id).await;
                    removed.map_err(|error| self.trouble(&error))?;
                    self.work().rescheduled.extend(steps[step].id);
                }
            }
        }
        Ok(refused)
    }

    /// This project's schedules.
    async fn standing(&self) -> Result<Standing, Trouble> {
        let all = self.client.schedules_of(&self.project).await;
        let all = all.map_err(|error| {
            self.failed(&error);
            judge::trouble(&error)
        })?;
        let listed = all.into_iter();
        Ok(Standing::of(
            listed.map(|Schedule { id, flow, cron, .. }| (flow, cron, id)),
        ))
    }
}
