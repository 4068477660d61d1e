//! What is left by run and by project: what runs said they queued, without what has its outcome. RabbitMQ counts messages by
//! shard; only the streams of runs and outcomes know projects.

use std::collections::BTreeMap;
use std::time::Duration;

use flowlift_azkaban::ProjectName;
use flowlift_common::amqp::{AmqpError, Link};
use flowlift_common::order::RunId;

use crate::runs::read::{begin, each_settled, runs};
use crate::runs::{Runs, State, opened_ms};
use crate::wait::follow::{Follow, Heard};

/// Runs that were opened longer ago are not looked at: a week of outcomes is read within seconds.
const LOOKED_BACK_MS: u64 = 7 * 24 * 3_600_000;
/// A stream that tells nothing for so long has told what it had.
const SILENT: Duration = Duration::from_millis(20);
/// Whatever comes, a look takes up records no longer than this.
const AT_MOST: Duration = Duration::from_millis(400);

/// A run that is not settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunLeft {
    /// The run.
    pub run: RunId,
    /// How it is.
    pub state: State,
    /// Its changes; unknown until it is closed.
    pub total: Option<u64>,
    /// Those with an outcome.
    pub done: u64,
    /// When it should be settled, ms since 1970.
    pub deadline_ms: Option<u64>,
}

impl RunLeft {
    /// Changes without an outcome.
    #[must_use]
    pub fn left(&self) -> Option<u64> {
        self.total.map(|total| total.saturating_sub(self.done))
    }
}

/// What is left, as the streams tell it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unsettled {
    /// Runs, the oldest first.
    pub runs: Vec<RunLeft>,
    /// Changes without an outcome of all closed runs, the most first. A run that is still published does not say yet how much
    /// it has for whom.
    pub projects: Vec<(ProjectName, u64)>,
}

impl Unsettled {
    /// Of runs whose records were read.
    #[must_use]
    pub fn of(runs: &Runs, now_ms: u64) -> Self {
        let mut left = Self::default();
        let mut projects: BTreeMap<&ProjectName, u64> = BTreeMap::new();
        for (run, state) in runs.iter().filter(|(_, state)| !state.is_settled()) {
            left.runs.push(RunLeft {
                run,
                state: State::of(state, now_ms),
                total: state.total(),
                done: state.done(),
                deadline_ms: state.opening().and_then(|opening| opening.deadline_ms),
            });
            let queued = state.closing().into_iter().flat_map(|closing| &closing.projects);
            for (project, changes) in queued {
                let waiting = changes.saturating_sub(state.done_in(project));
                *projects.entry(project).or_default() += waiting;
            }
        }
        let waiting = projects.into_iter().filter(|(_, changes)| *changes > 0);
        left.projects = waiting
            .map(|(project, changes)| (project.clone(), changes))
            .collect();
        left.projects
            .sort_by_key(|(_, changes)| std::cmp::Reverse(*changes));
        left
    }

    /// Changes without an outcome of all closed runs.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.projects.iter().map(|(_, changes)| changes).sum()
    }
}

/// Reads it, and keeps up where it is looked at again and again.
pub struct Books {
    runs: Runs,
    follow: Option<Follow>,
}

impl Books {
    /// Reads both streams up to now; with `on`, what is written afterwards is followed.
    ///
    /// # Errors
    /// [`AmqpError`].
    pub async fn open(link: &Link, on: bool, now_ms: u64) -> Result<Self, AmqpError> {
        // before reading, so that nothing falls between; what is read twice counts once
        let follow = match on {
            true => Some(Follow::from_now(link).await?),
            false => None,
        };
        let mut runs = runs(link).await?;
        runs.keep(usize::MAX, Some(now_ms.saturating_sub(LOOKED_BACK_MS)));
        if let Some(oldest) = runs.iter().map(|(_, state)| opened_ms(state)).min() {
            each_settled(
                link,
                begin(Some(oldest)),
                |_| true,
                |record| runs.settled(&record),
            )
            .await?;
        }
        Ok(Self { runs, follow })
    }

    /// Takes up what was written meanwhile.
    ///
    /// # Errors
    /// [`AmqpError`].
    pub async fn catch_up(&mut self) -> Result<(), AmqpError> {
        let Self { runs, follow } = self;
        let Some(follow) = follow else {
            return Ok(());
        };
        let hearing = async {
            while let Ok(heard) = tokio::time::timeout(SILENT, follow.next()).await {
                match heard? {
                    Heard::Run(event) => runs.run_event(&event),
                    Heard::Settled(record) => runs.settled(&record),
                }
            }
            Ok(())
        };
        tokio::time::timeout(AT_MOST, hearing).await.unwrap_or(Ok(()))
    }

    /// What is left.
    #[must_use]
    pub fn unsettled(&self, now_ms: u64) -> Unsettled {
        Unsettled::of(&self.runs, now_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runs::tests::{closed, opened, settled};
    use flowlift_common::ledger::Outcome;

    #[test]
    fn what_is_left_of_closed_runs_is_told_by_project() {
        let mut runs = Runs::default();
        for event in [
            opened(1, 1_000, Some(9_000)),
            closed(1, 5, false),
            opened(2, 2_000, None),
            closed(2, 3, false),
            opened(3, 3_000, None),
            opened(4, 4_000, None),
            closed(4, 2, false),
        ] {
            runs.run_event(&event);
        }
        runs.settled(&settled(1, Outcome::Applied, (1, 4)));
        runs.settled(&settled(3, Outcome::Applied, (1, 7)));
        runs.settled(&settled(4, Outcome::Dead, (1, 2)));
        let left = Unsettled::of(&runs, 5_000);
        let told: Vec<_> = left
            .runs
            .iter()
            .map(|run| (run.state, run.total, run.done))
            .collect();
        assert_eq!(
            told,
            [
                (State::Closed, Some(5), 4),
                (State::Closed, Some(3), 0),
                (State::Open, None, 7),
            ]
        );
        assert_eq!(left.runs[0].deadline_ms, Some(9_000));
        assert_eq!(
            left.projects,
            [(ProjectName::new("p").unwrap(), 4)],
            "1 of the first, 3 of the second"
        );
        assert_eq!(left.changes(), 4);
    }
}
