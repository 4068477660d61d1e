//! Brings schedules to what is wanted and reads them back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use flowlift_azkaban::client::{Schedule, ScheduleId};
use flowlift_azkaban::name::fold;

use super::Hands;
use crate::plan::{ChangeId, ScheduleStep};
use crate::project::{Event, Trouble};

impl Hands {
    /// Sets and removes what differs; the answer names the changes whose schedule Azkaban refuses.
    pub async fn schedule(&self) -> Event {
        let steps = self
            .work()
            .prepared
            .as_ref()
            .map(|prepared| Arc::clone(&prepared.schedules));
        let begun = Instant::now();
        let done = self.bring(&steps.unwrap_or_default()).await;
        self.metrics.scheduled(begun.elapsed());
        Event::Scheduled(done)
    }

    async fn bring(&self, steps: &[ScheduleStep]) -> Result<Vec<(ChangeId, String)>, Trouble> {
        let there = self.read().await?;
        let mut refused: BTreeMap<ChangeId, String> = BTreeMap::new();
        for step in steps {
            let now = there.get(&fold(&step.flow));
            if let Some(cron) = &step.cron {
                if now.is_some_and(|(there, _)| there == cron) {
                    continue;
                }
                match self.client.schedule_cron(&self.project, &step.flow, cron).await {
                    Ok(_) => {}
                    Err(error) if Self::is_final(&error) => {
                        self.metrics.azkaban_error(error.class().as_str(), error.code());
                        refused.insert(step.id, error.to_string());
                    }
                    Err(error) => return Err(self.trouble(&error)),
                }
            } else if let Some((_, ids)) = now {
                for id in ids {
                    self.client
                        .remove_schedule(*id)
                        .await
                        .map_err(|error| self.trouble(&error))?;
                }
            }
        }
        let wrong = differing(steps, &self.read().await?, &refused);
        match wrong.first() {
            None => Ok(refused.into_iter().collect()),
            Some(flow) => Err(Trouble::Later(format!(
                "{} schedules are not as set, for example of {flow}",
                wrong.len()
            ))),
        }
    }

    /// This project's schedules: flow to expression and ids (a flow may have got two).
    async fn read(&self) -> Result<BTreeMap<String, (String, Vec<ScheduleId>)>, Trouble> {
        let all = self
            .client
            .schedules()
            .await
            .map_err(|error| self.trouble(&error))?;
        let mut mine: BTreeMap<String, (String, Vec<ScheduleId>)> = BTreeMap::new();
        for Schedule {
            id,
            project,
            flow,
            cron,
        } in all
        {
            if fold(&project) == self.project.key() {
                let entry = mine.entry(fold(&flow)).or_insert_with(|| (cron, Vec::new()));
                entry.1.push(id);
            }
        }
        Ok(mine)
    }
}

fn differing<'s>(
    steps: &'s [ScheduleStep],
    there: &BTreeMap<String, (String, Vec<ScheduleId>)>,
    refused: &BTreeMap<ChangeId, String>,
) -> Vec<&'s str> {
    let refused: BTreeSet<ChangeId> = refused.keys().copied().collect();
    let differs = |step: &&ScheduleStep| {
        !refused.contains(&step.id)
            && there.get(&fold(&step.flow)).map(|(cron, _)| cron.as_str()) != step.cron.as_deref()
    };
    steps
        .iter()
        .filter(differs)
        .map(|step| step.flow.as_str())
        .collect()
}
