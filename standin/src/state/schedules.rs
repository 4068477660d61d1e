//! Schedules of all projects: one per (project, flow), known by the trigger's number.

use std::collections::BTreeMap;
use std::sync::Mutex;

use flowlift_azkaban::cron;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::exec::options::ExecutionOptions;
use crate::state::journal::{Change, Journal};
use crate::state::lock;
use crate::state::period::{Period, TooManySteps};

/// One schedule.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Schedule {
    pub(crate) id: i32,
    pub(crate) project: i32,
    /// The project's name as the caller wrote it.
    pub(crate) project_name: String,
    pub(crate) flow: String,
    /// When it is due again and again; without this and the next only once.
    pub(crate) cron: Option<String>,
    #[serde(default)]
    pub(crate) period: Option<Period>,
    /// Its period is counted in UTC, not in the server's zone.
    #[serde(default)]
    pub(crate) utc: bool,
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

/// When a schedule is due after it has fired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    At(i64),
    /// Never again, but it is not forgotten.
    Never,
    /// It was to fire once.
    Gone,
}

impl Schedule {
    /// When it is due after now, counted from the time it was due last.
    pub(crate) fn next(&self, now_ms: i64, zone: &TimeZone) -> Result<Next, TooManySteps> {
        let zone = if self.utc { &TimeZone::UTC } else { zone };
        let zoned = |ms| Timestamp::from_millisecond(ms).map(|time| time.to_zoned(zone.clone()));
        let (Ok(now), Ok(due)) = (zoned(now_ms), zoned(self.next_ms)) else {
            return Ok(Next::Never);
        };
        let next = match (&self.cron, self.period) {
            (Some(cron), _) => cron::next_after(cron, &now),
            (None, Some(period)) => period.next_after(&due, &now)?,
            (None, None) => return Ok(Next::Gone),
        };
        Ok(next.map_or(Next::Never, |next| Next::At(next.timestamp().as_millisecond())))
    }
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

    /// It has fired. A schedule set anew meanwhile is left alone.
    pub(crate) fn fired(&self, fired: &Schedule, next: Next) {
        let mut inner = lock(&self.inner);
        let Some(schedule) = inner.by_id.get_mut(&fired.id) else {
            return;
        };
        match next {
            Next::At(next) => schedule.next_ms = next.max(schedule.next_ms),
            Next::Never => schedule.ended = true,
            Next::Gone => {
                let anew = schedule.next_ms != fired.next_ms;
                drop(inner);
                if !anew {
                    self.remove(fired.id);
                }
                return;
            }
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
        Schedule {
            id: -1,
            project,
            project_name,
            flow,
            cron: Some("0 0 3 ? * *".to_owned()),
            period: None,
            utc: false,
            user: "azkaban".to_owned(),
            first_ms: 0,
            next_ms: 0,
            end_ms: i64::MAX,
            ended: false,
            options: None,
            text: String::new(),
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
    fn one_without_cron_and_period_fires_once() {
        let schedules = Schedules::default();
        let once = Schedule {
            cron: None,
            next_ms: 5,
            ..schedule(1, "a")
        };
        let id = schedules.set(once.clone());
        assert_eq!((schedules.due(5).len(), schedules.due(6).len()), (0, 1));
        let due = schedules.due(6).remove(0);
        assert_eq!(due.next(6, &TimeZone::UTC), Ok(Next::Gone));
        schedules.set(Schedule { next_ms: 9, ..once });
        schedules.fired(&due, Next::Gone);
        assert_eq!(schedules.due(10).len(), 1, "it was set anew meanwhile");
        schedules.fired(&schedules.due(10)[0], Next::Gone);
        assert!(schedules.get(id).is_none());
    }

    #[test]
    fn a_period_is_counted_from_the_time_it_was_due() {
        let period = Period::parse("1h").unwrap();
        let hourly = Schedule {
            cron: None,
            period,
            next_ms: 5,
            ..schedule(1, "a")
        };
        assert_eq!(hourly.next(8_000_000, &TimeZone::UTC), Ok(Next::At(10_800_005)));
        let never = Schedule {
            period: Period::parse("0h").unwrap(),
            ..hourly
        };
        assert_eq!(never.next(6, &TimeZone::UTC), Err(TooManySteps));
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
