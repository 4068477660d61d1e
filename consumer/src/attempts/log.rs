//! The fold of the stream of attempts: begun without ended, by project.

use std::collections::{BTreeSet, HashMap};

use flowlift_azkaban::ProjectName;
use flowlift_common::ledger::{self, Attempt, AttemptEvent};
use flowlift_common::{RunId, Seen};

/// An attempt that is open for so long is forgotten: whatever became of it, it cannot land any more.
const FORGET_AFTER_MS: u64 = 48 * 3_600_000;
/// Looked through for such after so many records.
const LOOK_EVERY: u32 = 1_000;

/// Which attempts are open. Age goes by the own clock since the record was read: a stranger's clock may be days off.
#[derive(Debug, Default)]
pub struct AttemptLog {
    open: HashMap<String, Vec<Open>>,
    seen: HashMap<String, Vec<Packed>>,
    cancelled: BTreeSet<RunId>,
    records: u64,
    since_look: u32,
}

#[derive(Debug)]
struct Open {
    attempt: Attempt,
    at_ms: u64,
    /// Its place among the records.
    at: u64,
}

/// What a project's changes came to without an upload, packed: a million flows that were published again need little.
#[derive(Debug)]
struct Packed {
    body: Vec<u8>,
    at: u64,
}

/// More pieces of one project than this are made one.
const PIECES: usize = 16;

impl AttemptLog {
    /// Takes a record that was read now.
    pub fn take(&mut self, event: AttemptEvent, now_ms: u64) {
        self.records += 1;
        match event {
            AttemptEvent::Begun(attempt) => self.begun(attempt, now_ms),
            AttemptEvent::Ended {
                attempt,
                project,
                landed,
            } => self.ended(&attempt, &project, landed),
            AttemptEvent::Seen { project, seen } => self.remember(&project, &seen),
            AttemptEvent::Cancelled { run } => self.cancel([run]),
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
        open.map(|open| open.iter().map(|open| open.attempt.clone()).collect())
            .unwrap_or_default()
    }

    /// What no manifest tells of a project's changes.
    #[must_use]
    pub fn seen_for(&self, project: &ProjectName) -> Seen {
        let mut all = Seen::default();
        for packed in self.seen.get(&project.key()).into_iter().flatten() {
            all.merge(ledger::decode(&packed.body).unwrap_or_default());
        }
        all
    }

    /// Runs are cancelled.
    pub fn cancel(&mut self, runs: impl IntoIterator<Item = RunId>) {
        self.cancelled.extend(runs);
    }

    /// The cancelled runs.
    #[must_use]
    pub fn cancelled(&self) -> &BTreeSet<RunId> {
        &self.cancelled
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
        open.retain(|open| open.attempt.attempt != attempt.attempt);
        open.push(Open {
            attempt,
            at_ms: now_ms,
            at: self.records,
        });
    }

    fn ended(&mut self, attempt: &str, project: &ProjectName, landed: bool) {
        let key = project.key();
        let Some(open) = self.open.get_mut(&key) else {
            return;
        };
        let begun = open
            .iter()
            .find(|open| open.attempt.attempt == attempt)
            .map(|open| open.at);
        open.retain(|open| open.attempt.attempt != attempt);
        if open.is_empty() {
            self.open.remove(&key);
        }
        // it was planned with all that was written before it was announced
        if let (Some(begun), Some(seen)) = (begun.filter(|_| landed), self.seen.get_mut(&key)) {
            seen.retain(|packed| packed.at > begun);
            if seen.is_empty() {
                self.seen.remove(&key);
            }
        }
    }

    fn remember(&mut self, project: &ProjectName, seen: &Seen) {
        let at = self.records;
        let pieces = self.seen.entry(project.key()).or_default();
        pieces.push(Packed {
            body: ledger::encode(seen),
            at,
        });
        if pieces.len() > PIECES {
            let mut all = Seen::default();
            for packed in pieces.drain(..) {
                all.merge(ledger::decode(&packed.body).unwrap_or_default());
            }
            let body = ledger::encode(&all);
            pieces.push(Packed { body, at });
        }
    }

    fn forget_old(&mut self, now_ms: u64) {
        self.open.retain(|_, open| {
            open.retain(|open| now_ms.saturating_sub(open.at_ms) < FORGET_AFTER_MS);
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
            flows: 1,
            server: None,
        })
    }

    fn ended(id: &str, name: &str) -> AttemptEvent {
        AttemptEvent::Ended {
            attempt: id.into(),
            project: project(name),
            landed: true,
        }
    }

    fn seen(name: &str, flow: &str, seq: u64) -> AttemptEvent {
        let order = flowlift_common::Order {
            rank: 1,
            run: flowlift_common::RunId(uuid::Uuid::nil()),
            seq,
        };
        let flow = (
            flow.to_owned(),
            flowlift_common::seen::SeenFlow {
                order,
                cron: None,
                cron_at: None,
                owned_at: None,
            },
        );
        AttemptEvent::Seen {
            project: project(name),
            seen: Seen {
                flows: [flow].into(),
                ..Seen::default()
            },
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
    fn what_needed_no_upload_is_remembered_until_one_that_was_planned_after_it_has_landed() {
        let mut log = AttemptLog::default();
        let flows = |log: &AttemptLog| log.seen_for(&project("P")).flows.into_keys().collect::<Vec<_>>();
        log.take(seen("p", "a", 1), 0);
        log.take(begun("one", "p"), 0);
        log.take(seen("p", "b", 2), 0);
        log.take(ended("one", "p"), 0);
        assert_eq!(flows(&log), ["b"]);
        for seq in 3..40 {
            log.take(seen("p", &format!("c{seq}"), seq), 0);
        }
        assert_eq!(flows(&log).len(), 38);
        log.take(begun("two", "p"), 0);
        log.take(ended("two", "p"), 0);
        assert!(flows(&log).is_empty() && log.seen.is_empty());
    }

    #[test]
    fn a_doubt_is_over_when_an_upload_that_began_after_it_has_landed() {
        let mut log = AttemptLog::default();
        let doubt = || AttemptEvent::Seen {
            project: project("p"),
            seen: Seen::of_doubt(),
        };
        let given_up = |id: &str| AttemptEvent::Ended {
            attempt: id.into(),
            project: project("p"),
            landed: false,
        };
        for event in [begun("lost", "p"), doubt(), given_up("lost"), begun("next", "p")] {
            log.take(event, 0);
        }
        assert!(log.seen_for(&project("p")).doubt);
        log.take(given_up("next"), 0);
        assert!(log.seen_for(&project("p")).doubt);
        log.take(begun("last", "p"), 0);
        log.take(ended("last", "p"), 0);
        assert!(!log.seen_for(&project("p")).doubt);
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
