//! Schedules of all projects: one per (project, flow), known by the trigger's number.

use std::collections::BTreeMap;
use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use crate::exec::options::ExecutionOptions;
use crate::state::journal::{Change, Journal};
use crate::state::lock;

/// One schedule.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Schedule {
    pub(crate) id: i32,
    pub(crate) project: i32,
    /// The project's name as the caller wrote it.
    pub(crate) project_name: String,
    pub(crate) flow: String,
    pub(crate) cron: String,
    pub(crate) user: String,
    pub(crate) first_ms: i64,
    pub(crate) next_ms: i64,
    /// From then on it does not fire any more.
    pub(crate) end_ms: i64,
    /// It will never be due again.
    pub(crate) ended: bool,
    /// Gone when a call that was to replace it failed half-way.
    pub(crate) options: Option<ExecutionOptions>,
    /// Azkaban's description of it, for the project log.
    pub(crate) text: String,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Schedules {
    inner: Mutex<Inner>,
    journal: Journal,
}

#[derive(Debug, Default)]
struct Inner {
    last: i32,
    by_id: BTreeMap<i32, Schedule>,
    by_flow: BTreeMap<(i32, String), i32>,
}

impl Schedules {
    pub(crate) fn new(journal: Journal) -> Self {
        Self {
            inner: Mutex::default(),
            journal,
        }
    }

    /// Takes one back from the data file.
    pub(crate) fn restore(&self, schedule: Schedule) {
        let mut inner = lock(&self.inner);
        inner.last = inner.last.max(schedule.id);
        inner
            .by_flow
            .insert((schedule.project, schedule.flow.clone()), schedule.id);
        inner.by_id.insert(schedule.id, schedule);
    }

    /// Numbers up to this one were given before.
    pub(crate) fn resume_after(&self, last: i32) {
        let mut inner = lock(&self.inner);
        inner.last = inner.last.max(last);
    }

    fn save(&self, schedule: &Schedule) {
        self.journal.write(|| {
            let row = serde_json::to_vec(schedule).unwrap_or_default();
            Change::Schedule(schedule.id, row)
        });
    }

    /// Those that are to fire now; those at their end fire never more.
    pub(crate) fn due(&self, now_ms: i64) -> Vec<Schedule> {
        let inner = lock(&self.inner);
        let due =
            |schedule: &&Schedule| schedule.next_ms < now_ms && schedule.end_ms > now_ms && !schedule.ended;
        inner.by_id.values().filter(due).cloned().collect()
    }

    /// It has fired; `None` when it is never due again. A schedule set anew meanwhile is left alone.
    pub(crate) fn fired(&self, id: i32, next_ms: Option<i64>) {
        let mut inner = lock(&self.inner);
        let Some(schedule) = inner.by_id.get_mut(&id) else {
            return;
        };
        match next_ms {
            Some(next) => schedule.next_ms = next.max(schedule.next_ms),
            None => schedule.ended = true,
        }
        let schedule = schedule.clone();
        self.save(&schedule);
    }

    /// Adds a schedule, or puts it in the place of its flow's old one; the number is kept then.
    pub(crate) fn set(&self, mut schedule: Schedule) -> i32 {
        let mut inner = lock(&self.inner);
        let key = (schedule.project, schedule.flow.clone());
        schedule.id = match inner.by_flow.get(&key) {
            Some(&id) => id,
            None => {
                inner.last += 1;
                inner.last
            }
        };
        let id = schedule.id;
        self.save(&schedule);
        inner.by_flow.insert(key, id);
        inner.by_id.insert(id, schedule);
        id
    }

    pub(crate) fn of_flow(&self, project: i32, flow: &str) -> Option<Schedule> {
        let inner = lock(&self.inner);
        let id = inner.by_flow.get(&(project, flow.to_owned()))?;
        inner.by_id.get(id).cloned()
    }

    pub(crate) fn get(&self, id: i32) -> Option<Schedule> {
        lock(&self.inner).by_id.get(&id).cloned()
    }

    pub(crate) fn all(&self) -> Vec<Schedule> {
        lock(&self.inner).by_id.values().cloned().collect()
    }

    pub(crate) fn remove(&self, id: i32) -> Option<Schedule> {
        let mut inner = lock(&self.inner);
        let schedule = inner.by_id.remove(&id)?;
        self.journal.write(|| Change::ScheduleGone(id));
        inner.by_flow.remove(&(schedule.project, schedule.flow.clone()));
        Some(schedule)
    }

    /// Removes the schedules of one project whose flow is not kept; returns them by number.
    pub(crate) fn prune(&self, project: i32, keep: impl Fn(&str) -> bool) -> Vec<Schedule> {
        let mut inner = lock(&self.inner);
        let range = (project, String::new())..(project + 1, String::new());
        let mut gone: Vec<i32> = inner
            .by_flow
            .range(range)
            .filter(|((_, flow), _)| !keep(flow))
            .map(|(_, &id)| id)
            .collect();
        if gone.is_empty() {
            return Vec::new();
        }
        gone.sort_unstable();
        inner.by_flow.retain(|_, id| gone.binary_search(id).is_err());
        self.journal
            .write_all(|| gone.iter().map(|&id| Change::ScheduleGone(id)).collect());
        gone.iter().filter_map(|id| inner.by_id.remove(id)).collect()
    }

    pub(crate) fn count(&self) -> usize {
        lock(&self.inner).by_id.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(project: i32, flow: &str) -> Schedule {
        let (project_name, flow) = (format!("p{project}"), flow.to_owned());
        let (cron, user, text) = ("0 0 3 ? * *".to_owned(), "azkaban".to_owned(), String::new());
        Schedule {
            id: -1,
            project,
            project_name,
            flow,
            cron,
            user,
            first_ms: 0,
            next_ms: 0,
            end_ms: i64::MAX,
            ended: false,
            options: None,
            text,
        }
    }

    #[test]
    fn a_flows_schedule_keeps_its_number() {
        let schedules = Schedules::default();
        let ids = [(1, "a"), (1, "b"), (1, "a"), (2, "a")]
            .map(|(project, flow)| schedules.set(schedule(project, flow)));
        assert_eq!(ids, [1, 2, 1, 3]);
        assert_eq!(schedules.remove(1).map(|gone| gone.flow).as_deref(), Some("a"));
        assert_eq!(
            schedules.set(schedule(1, "a")),
            4,
            "a number is never given twice"
        );
    }

    #[test]
    fn pruning_touches_one_project_only() {
        let schedules = Schedules::default();
        for (project, flow) in [(1, "a"), (1, "b"), (2, "a")] {
            schedules.set(schedule(project, flow));
        }
        let gone = schedules.prune(1, |flow| flow == "b");
        assert_eq!(gone.iter().map(|gone| gone.id).collect::<Vec<_>>(), [1]);
        assert_eq!(schedules.count(), 2);
        assert!(schedules.of_flow(1, "a").is_none() && schedules.of_flow(2, "a").is_some());
    }
}
