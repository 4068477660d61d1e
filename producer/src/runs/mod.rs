//! Past runs, as the streams of runs and outcomes tell them. [`read`] reads; everything else is pure.

pub mod read;
pub mod table;

use std::collections::HashMap;

use flowlift_common::fold::RunState;
use flowlift_common::ledger::{Outcome, RunEvent};
use flowlift_common::order::RunId;

use crate::dead::id::RunRef;

/// A producer renews its run's rank every 10 s while it publishes; one that was not heard for so long counts as gone.
const QUIET_MS: u64 = 60_000;

/// How a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is being published.
    Open,
    /// It was never closed, and its producer is not heard any more.
    Gone,
    /// All is queued, not all is settled.
    Closed,
    /// It was interrupted while it was published; what is queued is not all settled.
    Partial,
    /// Every change has its outcome.
    Settled,
    /// The same, and it was interrupted while it was published.
    PartialSettled,
    /// Every change has its outcome, and some were cancelled.
    Cancelled,
}

impl State {
    /// Of a run's records.
    #[must_use]
    pub fn of(run: &RunState, now_ms: u64) -> Self {
        // a rank that was renewed tells that its producer was there
        let opened = run.opening().map(|opening| opening.at_ms);
        let heard_ms = opened.map(|at| at.max(run.rank().unwrap_or_default()));
        let partial = run.closing().map(|closing| closing.partial);
        let cancelled = run.count(Outcome::Cancelled) > 0;
        match (partial, run.is_settled()) {
            (None, _) if heard_ms.is_some_and(|at| at.saturating_add(QUIET_MS) >= now_ms) => Self::Open,
            (None, _) => Self::Gone,
            (Some(_), true) if cancelled => Self::Cancelled,
            (Some(false), true) => Self::Settled,
            (Some(true), true) => Self::PartialSettled,
            (Some(false), false) => Self::Closed,
            (Some(true), false) => Self::Partial,
        }
    }

    /// For people and programs.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Gone => "open, producer gone",
            Self::Closed => "closed",
            Self::Partial => "partial",
            Self::Settled => "settled",
            Self::PartialSettled => "partial, settled",
            Self::Cancelled => "cancelled",
        }
    }
}

/// When a run was opened, ms since 1970.
#[must_use]
pub fn opened_ms(run: &RunState) -> u64 {
    let opened = run.opening().map(|opening| opening.at_ms);
    opened.or(run.rank()).unwrap_or_default()
}

/// The runs of the stream, in the order in which they were opened.
#[derive(Debug, Default)]
pub struct Runs {
    order: Vec<RunId>,
    runs: HashMap<RunId, RunState>,
}

impl Runs {
    /// Takes a record of the stream of runs. An opening alone makes no run: nothing was published yet.
    pub fn run_event(&mut self, event: &RunEvent) {
        let run = event.run();
        if event.rank().is_none() {
            return;
        }
        if !self.runs.contains_key(&run) {
            self.order.push(run);
        }
        let known = self.runs.entry(run).or_insert_with(|| RunState::new(run));
        known.run_event(event);
    }

    /// Leaves the newest ones, and of them those opened since then.
    pub fn keep(&mut self, newest: usize, since_ms: Option<u64>) {
        let since = since_ms.unwrap_or_default();
        let runs = &self.runs;
        self.order.retain(|run| opened_ms(&runs[run]) >= since);
        let many = self.order.len().saturating_sub(newest);
        self.order.drain(..many);
        let left: std::collections::HashSet<RunId> = self.order.iter().copied().collect();
        self.runs.retain(|run, _| left.contains(run));
    }

    /// Takes a record of the ledger.
    pub fn settled(&mut self, record: &flowlift_common::ledger::Settled) {
        let runs: std::collections::BTreeSet<RunId> =
            record.results.iter().map(|result| result.run).collect();
        for run in runs {
            if let Some(known) = self.runs.get_mut(&run) {
                known.settled(record);
            }
        }
    }

    /// The runs, the newest last.
    pub fn iter(&self) -> impl Iterator<Item = (RunId, &RunState)> {
        self.order
            .iter()
            .filter_map(|run| Some((*run, self.runs.get(run)?)))
    }

    /// The run that is named.
    ///
    /// # Errors
    /// A sentence: there is none, or more than one.
    pub fn named(&self, name: RunRef) -> Result<RunId, String> {
        let found: Vec<RunId> = self
            .order
            .iter()
            .copied()
            .filter(|run| name.names(*run))
            .collect();
        match found.as_slice() {
            [one] => Ok(*one),
            [] => Err(format!(
                "there is no run {name} in this RabbitMQ (runs are kept for 90 days)"
            )),
            many => {
                let ids: Vec<String> = many.iter().map(ToString::to_string).collect();
                Err(format!(
                    "{name} is the end of more than one run's id: {}",
                    ids.join(", ")
                ))
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use flowlift_azkaban::ProjectName;
    use flowlift_common::ledger::{Detail, Outcomes, SETTLED_VERSION, Settled};
    use uuid::Uuid;

    fn id(n: u128) -> RunId {
        RunId(Uuid::from_u128(n))
    }

    pub(crate) fn opened(n: u128, at_ms: u64, deadline_ms: Option<u64>) -> RunEvent {
        RunEvent::Opened {
            run: id(n),
            rank: at_ms,
            who: "me@host".into(),
            source: "3 generated flows".into(),
            owner: "team".into(),
            at_ms,
            deadline_ms,
            version: None,
            shards: None,
        }
    }

    pub(crate) fn closed(n: u128, changes: u64, partial: bool) -> RunEvent {
        RunEvent::Closed {
            run: id(n),
            rank: 1,
            projects: [(ProjectName::new("p").unwrap(), changes)].into(),
            partial,
            at_ms: 1,
        }
    }

    pub(crate) fn settled(n: u128, outcome: Outcome, range: (u64, u64)) -> Settled {
        Settled {
            v: SETTLED_VERSION,
            project: ProjectName::new("p").unwrap(),
            consumer: "c".into(),
            at_ms: 5_000,
            upload: None,
            created_project: false,
            results: vec![Outcomes {
                run: id(n),
                outcome,
                note: None,
                ranges: vec![range],
                labels: Vec::new(),
                published_ms: 0,
                spread: Vec::new(),
            }],
            detail: Detail::default(),
        }
    }

    #[test]
    fn a_run_is_open_gone_closed_partial_settled_or_cancelled() {
        let word = |events: &[RunEvent], records: &[Settled], now_ms| {
            let mut runs = Runs::default();
            events.iter().for_each(|event| runs.run_event(event));
            records.iter().for_each(|record| runs.settled(record));
            runs.iter().next().map(|(_, run)| State::of(run, now_ms).word())
        };
        assert_eq!(
            word(&[RunEvent::Opening { run: id(1) }], &[], 0),
            None,
            "nothing was published"
        );
        assert_eq!(word(&[opened(1, 1_000, None)], &[], 2_000), Some("open"));
        assert_eq!(
            word(&[opened(1, 1_000, None)], &[], 70_000),
            Some("open, producer gone")
        );
        let renewed = RunEvent::Renewed {
            run: id(1),
            rank: 60_000,
        };
        assert_eq!(
            word(&[opened(1, 1_000, None), renewed], &[], 70_000),
            Some("open")
        );
        let closed_one = [opened(1, 1_000, None), closed(1, 3, false)];
        assert_eq!(word(&closed_one, &[], 70_000), Some("closed"));
        assert_eq!(
            word(&closed_one, &[settled(1, Outcome::Applied, (1, 3))], 0),
            Some("settled")
        );
        let cancelled = [
            settled(1, Outcome::Applied, (1, 1)),
            settled(1, Outcome::Cancelled, (2, 3)),
        ];
        assert_eq!(word(&closed_one, &cancelled, 0), Some("cancelled"));
        let partial = [opened(1, 1_000, None), closed(1, 3, true)];
        assert_eq!(word(&partial, &[], 0), Some("partial"));
        assert_eq!(
            word(&partial, &[settled(1, Outcome::Dead, (1, 3))], 0),
            Some("partial, settled")
        );
    }

    #[test]
    fn the_newest_are_kept_and_named_by_the_end_of_their_id() {
        let mut runs = Runs::default();
        for n in 1..=4 {
            runs.run_event(&opened(n, u64::try_from(n).unwrap() * 1_000, None));
        }
        assert_eq!(runs.named("00000003".parse().unwrap()), Ok(id(3)));
        assert!(
            runs.named("00000009".parse().unwrap())
                .unwrap_err()
                .starts_with("there is no run 00000009")
        );
        runs.run_event(&opened(3 + (1 << 64), 9_000, None));
        assert!(
            runs.named("00000003".parse().unwrap())
                .unwrap_err()
                .contains("more than one")
        );
        runs.keep(3, Some(3_000));
        let kept: Vec<RunId> = runs.iter().map(|(run, _)| run).collect();
        assert_eq!(kept, [id(3), id(4), id(3 + (1 << 64))]);
        runs.keep(1, None);
        let kept: Vec<RunId> = runs.iter().map(|(run, _)| run).collect();
        assert_eq!(kept, [id(3 + (1 << 64))]);
    }
}
