//! Sends changes as they are read, renews the run's rank, stops at a signal.

use std::time::{Duration, Instant};

use flowlift_azkaban::rules::Finding;
use flowlift_common::amqp::{AmqpError, Notice, OpenRun, Publisher};
use flowlift_common::shutdown::Shutdown;

use super::outbox::{Outbox, Ready};
use super::{Feed, Job, now_ms};
use crate::check::{Findings, alone};
use crate::exit::Failure;
use crate::reporter::Reporter;
use crate::source::Item;

/// A long run draws a new rank this often, so that overlapping runs are ordered to 10 s.
const RENEW_EVERY: Duration = Duration::from_secs(10);
/// An endless input that pauses: how long a change waits for others.
const LINGER: Duration = Duration::from_millis(200);
/// An endless input that never pauses: how long at most.
const HELD_AT_MOST: Duration = Duration::from_secs(1);

/// How sending ended.
pub(super) enum End {
    /// All is confirmed.
    Complete,
    /// A signal came before the end.
    Interrupted,
}

/// A run that is being sent.
pub(super) struct Sending<'a, F: FnMut(Notice)> {
    pub(super) publisher: Publisher<F>,
    pub(super) open: OpenRun,
    pub(super) outbox: Outbox,
    pub(super) renewed: Instant,
    pub(super) left_out: Findings,
    pub(super) job: &'a Job,
    pub(super) reporter: &'a Reporter,
}

impl<F: FnMut(Notice)> Sending<'_, F> {
    /// Sends everything a feed gives.
    pub(super) async fn all(&mut self, mut feed: Feed, shutdown: &Shutdown) -> Result<End, Failure> {
        let mut held_since = None;
        loop {
            let next = tokio::select! {
                biased;
                () = shutdown.stop.cancelled() => return self.interrupted().await,
                next = feed.next() => next,
                () = tokio::time::sleep(LINGER) => {
                    self.send_what_waits(shutdown).await?;
                    held_since = None;
                    continue;
                }
            };
            let Some(items) = next else { break };
            for item in items {
                if shutdown.stop.is_cancelled() {
                    return self.interrupted().await;
                }
                self.one(item, shutdown).await?;
            }
            // an endless input may never pause
            let since = *held_since.get_or_insert_with(Instant::now);
            if self.job.unchecked && since.elapsed() >= HELD_AT_MOST {
                self.send_what_waits(shutdown).await?;
                held_since = None;
            }
        }
        self.send_what_waits(shutdown).await?;
        self.publisher.flush().await?;
        Ok(End::Complete)
    }

    async fn send_what_waits(&mut self, shutdown: &Shutdown) -> Result<(), Failure> {
        let ready = self.outbox.flush_all(now_ms());
        let ready = ready.map_err(|error| Failure::Bug(error.to_string()))?;
        self.send(ready, shutdown).await
    }

    /// What is not sent yet stays here; what was sent is confirmed if the broker answers in time.
    async fn interrupted(&mut self) -> Result<End, Failure> {
        match self.publisher.flush().await {
            Ok(()) | Err(AmqpError::Lost(_)) => Ok(End::Interrupted),
            Err(error) => Err(error.into()),
        }
    }

    async fn one(&mut self, item: Result<Item, Finding>, shutdown: &Shutdown) -> Result<(), Failure> {
        let item = match item {
            Ok(item) if self.job.unchecked => {
                let findings = alone(&item, self.job.format);
                if !findings.is_empty() {
                    findings.into_iter().for_each(|finding| self.leave_out(finding));
                    return Ok(());
                }
                item
            }
            Ok(item) => item,
            Err(finding) if self.job.unchecked => {
                self.leave_out(finding);
                return Ok(());
            }
            // it was good when it was checked
            Err(finding) => {
                let message = format!("the input changed while it was read: {}", finding.message);
                return Err(Failure::BadInput(Findings::one(Finding { message, ..finding })));
            }
        };
        let packed = self.outbox.put(&item.project, item.act, now_ms());
        let ready = packed.map_err(|error| {
            Failure::BadInput(Findings::one(Finding {
                path: item.place.path,
                line: item.place.line,
                field: Some("size".into()),
                message: error.to_string(),
            }))
        })?;
        self.send(ready, shutdown).await
    }

    fn leave_out(&mut self, finding: Finding) {
        self.reporter.warn(&finding.to_string());
        self.left_out.add(finding);
    }

    async fn send(&mut self, ready: Vec<Ready>, shutdown: &Shutdown) -> Result<(), Failure> {
        for one in ready {
            match self.publisher.send(one.message).await {
                Err(AmqpError::Lost(_)) if shutdown.stop.is_cancelled() => return Ok(()),
                sent => sent?,
            }
        }
        if self.renewed.elapsed() >= RENEW_EVERY {
            let mut open = self.open;
            // a renewal that is cut off by a lost connection is drawn again: ranks only have to rise
            let renewed = self
                .publisher
                .with_link(async |link| {
                    let mut fresh = open;
                    fresh.renew(link, now_ms()).await?;
                    Ok(fresh)
                })
                .await;
            match renewed {
                Ok(fresh) => open = fresh,
                Err(AmqpError::Lost(_)) if shutdown.stop.is_cancelled() => return Ok(()),
                Err(error) => return Err(error.into()),
            }
            self.open = open;
            self.outbox.frame.rank = open.rank;
            self.renewed = Instant::now();
        }
        Ok(())
    }
}
