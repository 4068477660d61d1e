//! The fold of the stream of attempts: begun without ended, by project.

use std::collections::HashMap;

use flowlift_azkaban::ProjectName;
use flowlift_common::ledger::{Attempt, AttemptEvent};

/// An attempt that is open for so long is forgotten: whatever became of it, it cannot land any more.
const FORGET_AFTER_MS: u64 = 48 * 3_600_000;
/// Looked through for such after so many records.
const LOOK_EVERY: u32 = 1_000;

/// Which attempts are open. Age goes by the own clock since the record was read: a stranger's clock may be days off.
#[derive(Debug, Default)]
pub struct AttemptLog {
    open: HashMap<String, Vec<Seen>>,
    since_look: u32,
}

#[derive(Debug)]
struct Seen {
    attempt: Attempt,
    at_ms: u64,
}

impl AttemptLog {
    /// Takes a record that was read now.
    pub fn take(&mut self, event: AttemptEvent, now_ms: u64) {
        match event {
            AttemptEvent::Begun(attempt) => self.begun(attempt, now_ms),
            AttemptEvent::Ended { attempt, project } => self.ended(&attempt, &project),
            AttemptEvent::Mark { .. } => {}
        }
        self.since_look += 1;
        if self.since_look >= LOOK_EVERY {
            self.since_look = 0;
            self.forget_old(now_ms);
        }
    }

    /// The open attempts at a project, oldest first.
    #[must_use]
    pub fn open_for(&self, project: &ProjectName) -> Vec<Attempt> {
        let open = self.open.get(&project.key());
        open.map(|open| open.iter().map(|seen| seen.attempt.clone()).collect())
            .unwrap_or_default()
    }

    /// How many are open altogether.
    #[must_use]
    pub fn len(&self) -> usize {
        self.open.values().map(Vec::len).sum()
    }

    /// Whether none is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    fn begun(&mut self, attempt: Attempt, now_ms: u64) {
        let open = self.open.entry(attempt.project.key()).or_default();
        // a record may come twice
        open.retain(|seen| seen.attempt.attempt != attempt.attempt);
        open.push(Seen {
            attempt,
            at_ms: now_ms,
        });
    }

    fn ended(&mut self, attempt: &str, project: &ProjectName) {
        let key = project.key();
        if let Some(open) = self.open.get_mut(&key) {
            open.retain(|seen| seen.attempt.attempt != attempt);
            if open.is_empty() {
                self.open.remove(&key);
            }
        }
    }

    fn forget_old(&mut self, now_ms: u64) {
        self.open.retain(|_, open| {
            open.retain(|seen| now_ms.saturating_sub(seen.at_ms) < FORGET_AFTER_MS);
            !open.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(name: &str) -> ProjectName {
        ProjectName::new(name).unwrap()
    }

    fn begun(id: &str, name: &str) -> AttemptEvent {
        AttemptEvent::Begun(Attempt {
            attempt: id.into(),
            project: project(name),
            generation: 1,
            consumer: "night-1".into(),
            at_ms: 5,
            zip_bytes: 9,
        })
    }

    fn ended(id: &str, name: &str) -> AttemptEvent {
        AttemptEvent::Ended {
            attempt: id.into(),
            project: project(name),
        }
    }

    fn ids(log: &AttemptLog, name: &str) -> Vec<String> {
        log.open_for(&project(name))
            .into_iter()
            .map(|open| open.attempt)
            .collect()
    }

    #[test]
    fn an_attempt_is_open_from_begun_to_ended() {
        let mut log = AttemptLog::default();
        log.take(begun("a", "p"), 0);
        log.take(begun("b", "p"), 0);
        log.take(begun("c", "q"), 0);
        assert_eq!(ids(&log, "p"), ["a", "b"]);
        log.take(ended("a", "p"), 0);
        assert_eq!(
            (ids(&log, "p"), ids(&log, "q")),
            (vec!["b".into()], vec!["c".into()])
        );
        log.take(ended("b", "p"), 0);
        log.take(ended("c", "q"), 0);
        assert!(log.is_empty());
    }

    #[test]
    fn a_project_is_the_same_in_capitals() {
        let mut log = AttemptLog::default();
        log.take(begun("a", "Team"), 0);
        assert_eq!(ids(&log, "team"), ["a"]);
        log.take(ended("a", "TEAM"), 0);
        assert!(log.is_empty());
    }

    #[test]
    fn records_that_come_twice_or_alone_change_nothing() {
        let mut log = AttemptLog::default();
        log.take(ended("never begun", "p"), 0);
        log.take(begun("a", "p"), 0);
        log.take(begun("a", "p"), 0);
        assert_eq!(log.len(), 1);
        log.take(ended("another", "p"), 0);
        log.take(ended("a", "q"), 0);
        assert_eq!(ids(&log, "p"), ["a"]);
    }

    #[test]
    fn what_was_left_open_two_days_ago_is_forgotten() {
        let mut log = AttemptLog::default();
        log.take(begun("old", "p"), 0);
        let later = FORGET_AFTER_MS - 1;
        for _ in 0..LOOK_EVERY {
            log.take(begun("young", "q"), later);
        }
        assert_eq!(log.len(), 2, "the old one is not two days old yet");
        for _ in 0..LOOK_EVERY {
            log.take(ended("any", "r"), later + 1);
        }
        assert_eq!((ids(&log, "p"), ids(&log, "q")), (vec![], vec!["young".into()]));
    }
}
