//! Sends a checked source: opens the run, keeps a window of confirms full, closes the run with its counts.

mod feed;
pub mod outbox;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use flowlift_azkaban::rules::Finding;
use flowlift_azkaban::{Format, ProjectName};
use flowlift_common::amqp::{AmqpError, Link, Needs, Notice, OpenRun, Publisher, Sender, agree, declare};
use flowlift_common::config::Settings;
use flowlift_common::envelope::Rules;
use flowlift_common::ledger::{self, RunEvent};
use flowlift_common::order::RunId;
use flowlift_common::shutdown::Shutdown;
use flowlift_common::topology::{RUNS, Retention};
use tokio_util::sync::CancellationToken;

use crate::check::{Findings, alone};
use crate::exit::Failure;
use crate::reporter::{Reporter, Stage};
use crate::source::Item;
use crate::words::count_are;
use outbox::{Frame, Outbox, Ready, untag};

pub use feed::Feed;

/// A long run draws a new rank this often, so that overlapping runs are ordered to 10 s.
const RENEW_EVERY: Duration = Duration::from_secs(10);
/// After the first signal, how long is waited for confirms of what was sent.
const LAST_CONFIRMS: Duration = Duration::from_secs(10);
/// An endless input that pauses: how long a change waits for others.
const LINGER: Duration = Duration::from_millis(200);
/// Setting up that takes longer than this is said.
const SAID_AFTER: Duration = Duration::from_secs(1);

/// What is published, and how.
#[derive(Debug, Clone)]
pub struct Job {
    /// Who may change these flows later.
    pub owner: String,
    /// How projects are treated.
    pub rules: Rules,
    /// The format flows are checked for.
    pub format: Format,
    /// How many changes there will be, where that is known.
    pub total: Option<u64>,
    /// For people: what is published.
    pub describe: String,
    /// Whether each change still has to be checked (`--stream`); mistakes are then left out and told.
    pub unchecked: bool,
}

/// What was published.
#[derive(Debug, Clone)]
pub struct Published {
    /// The run.
    pub run: RunId,
    /// Confirmed changes per project.
    pub projects: BTreeMap<ProjectName, u64>,
    /// Confirmed messages.
    pub messages: u64,
    /// Whether it was ended early.
    pub partial: bool,
    /// From opening to closing.
    pub took: Duration,
    /// Lines of an endless input that were left out.
    pub left_out: u64,
}

impl Published {
    /// All confirmed changes.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.projects.values().sum()
    }
}

/// Connects, declares, agrees; then publishes.
///
/// `opened` hears the run's id as soon as the run is open: whatever happens later, it can be waited for.
pub async fn publish(
    settings: &Settings,
    job: &Job,
    feed: Feed,
    reporter: &Reporter,
    shutdown: &Shutdown,
    opened: impl FnOnce(RunId) -> Result<(), Failure>,
) -> Result<Published, Failure> {
    let give_up = patience(shutdown, reporter);
    let stage = reporter.stage("queued", "changes", job.total);
    let tally = Arc::new(Mutex::new(Tally::default()));
    let notice = listener(reporter.clone(), stage.clone(), Arc::clone(&tally));
    let publisher = Publisher::open(settings.amqp_url(), "flowlift publish", give_up, notice).await?;
    let wire = {
        let link = publisher.link();
        set_up(link, settings.shards, reporter).await?;
        let needs = Needs {
            shards: settings.shards,
            azkaban: settings.told_azkaban(),
        };
        agree(link, needs).await?.wire
    };
    let run = RunId::fresh();
    let event = |rank| RunEvent::Opened {
        run,
        rank,
        who: who(),
        source: job.describe.clone(),
        owner: job.owner.clone(),
        at_ms: now_ms(),
    };
    let open = OpenRun::open(publisher.link(), run, now_ms(), event).await?;
    let began = Instant::now();
    opened(run)?;
    let frame = Frame {
        run,
        rank: open.rank,
        owner: job.owner.clone(),
        rules: job.rules,
        wire,
        shards: settings.shards,
    };
    let mut sending = Sending {
        publisher,
        open,
        outbox: Outbox::new(frame),
        renewed: Instant::now(),
        left_out: Findings::default(),
        job,
        reporter,
    };
    let ended = sending.all(feed, shutdown).await;
    let (publisher, outbox, left_out) = (sending.publisher, sending.outbox, sending.left_out);
    let (partial, failure) = match ended {
        Ok(End::Complete) => (false, None),
        Ok(End::Interrupted) => (true, None),
        Err(failure) => (true, Some(failure)),
    };
    stage.finish();
    let published = {
        let tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
        Published {
            run,
            projects: tally.by_project(&outbox),
            messages: tally.messages,
            partial,
            took: began.elapsed(),
            left_out: left_out.len(),
        }
    };
    let closed = close(publisher, &published, sending.open.rank).await;
    let queued = count_are(published.changes(), "change");
    match (failure, closed) {
        (Some(failure), closed) => {
            let state = if closed.is_ok() {
                "closed as partial"
            } else {
                "left open"
            };
            reporter.warn(&format!("{queued} queued as run {run}, which is {state}"));
            Err(failure)
        }
        (None, Err(error)) if partial => Err(Failure::Interrupted(format!(
            "interrupted: {queued} queued as run {run}, which could not be closed: {}",
            match error {
                AmqpError::Lost(_) => "RabbitMQ is gone".to_owned(),
                other => other.to_string(),
            }
        ))),
        (None, Err(error)) => Err(error.into()),
        (None, Ok(())) => Ok(published),
    }
}

/// Declares; the first time on a broker this takes some seconds, which is said.
async fn set_up(link: &Link, shards: u16, reporter: &Reporter) -> Result<(), AmqpError> {
    let retention = Retention::default();
    let mut declared = std::pin::pin!(declare(link, shards, &retention));
    tokio::select! {
        declared = &mut declared => return declared,
        () = tokio::time::sleep(SAID_AFTER) => reporter.say("setting up the queues in RabbitMQ, once"),
    }
    declared.await
}

enum End {
    Complete,
    Interrupted,
}

struct Sending<'a, F: FnMut(Notice)> {
    publisher: Publisher<F>,
    open: OpenRun,
    outbox: Outbox,
    renewed: Instant,
    left_out: Findings,
    job: &'a Job,
    reporter: &'a Reporter,
}

impl<F: FnMut(Notice)> Sending<'_, F> {
    async fn all(&mut self, mut feed: Feed, shutdown: &Shutdown) -> Result<End, Failure> {
        loop {
            let next = tokio::select! {
                biased;
                () = shutdown.stop.cancelled() => return self.interrupted().await,
                next = feed.next() => next,
                () = tokio::time::sleep(LINGER) => {
                    let ready = self.outbox.flush_all(now_ms()).map_err(|error| Failure::Bug(error.to_string()))?;
                    self.send(ready, shutdown).await?;
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
        }
        let ready = self
            .outbox
            .flush_all(now_ms())
            .map_err(|error| Failure::Bug(error.to_string()))?;
        self.send(ready, shutdown).await?;
        self.publisher.flush().await?;
        Ok(End::Complete)
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

async fn close<F: FnMut(Notice)>(
    mut publisher: Publisher<F>,
    published: &Published,
    rank: u64,
) -> Result<(), AmqpError> {
    let record = ledger::encode(&RunEvent::Closed {
        run: published.run,
        rank,
        projects: published.projects.clone(),
        partial: published.partial,
        at_ms: now_ms(),
    });
    publisher
        .with_link(async |link| Sender::open(link).await?.record(RUNS, &record).await)
        .await?;
    publisher.close().await;
    Ok(())
}

/// Counts of confirmed changes, by the project's place in tags.
#[derive(Debug, Default)]
struct Tally {
    changes: Vec<u64>,
    messages: u64,
}

impl Tally {
    fn by_project(&self, outbox: &Outbox) -> BTreeMap<ProjectName, u64> {
        let counts = self.changes.iter().copied().chain(std::iter::repeat(0));
        outbox
            .projects()
            .iter()
            .cloned()
            .zip(counts)
            .filter(|(_, count)| *count > 0)
            .collect()
    }
}

fn listener(reporter: Reporter, stage: Stage, tally: Arc<Mutex<Tally>>) -> impl FnMut(Notice) {
    let mut gone = false;
    move |notice| match notice {
        Notice::Confirmed(tag) => {
            let (place, changes) = untag(tag);
            let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
            if tally.changes.len() <= place {
                tally.changes.resize(place + 1, 0);
            }
            tally.changes[place] += changes;
            tally.messages += 1;
            drop(tally);
            stage.add(changes);
        }
        Notice::Lost(reason) => {
            tracing::debug!(reason, "connection lost");
            if !std::mem::replace(&mut gone, true) {
                reporter
                    .warn("the connection to RabbitMQ is lost; waiting for it, what is queued stays queued");
            }
        }
        Notice::Back => {
            gone = false;
            reporter.warn("RabbitMQ is back, publishing goes on");
        }
        Notice::Blocked => {
            reporter.warn("RabbitMQ has confirmed nothing for 10 s (a memory or disk alarm?); waiting");
        }
    }
}

/// A token that ends waiting for the broker: some time after the first signal, at once with the second.
fn patience(shutdown: &Shutdown, reporter: &Reporter) -> CancellationToken {
    let give_up = CancellationToken::new();
    let (token, shutdown, reporter) = (give_up.clone(), shutdown.clone(), reporter.clone());
    tokio::spawn(async move {
        shutdown.stop.cancelled().await;
        let last_confirms = async {
            tokio::time::sleep(SAID_AFTER).await;
            let seconds = LAST_CONFIRMS.as_secs();
            reporter.say(&format!(
                "waiting up to {seconds} s for RabbitMQ's last confirms; interrupt again to leave now"
            ));
            tokio::time::sleep(LAST_CONFIRMS - SAID_AFTER).await;
        };
        tokio::select! {
            () = last_confirms => {}
            () = shutdown.now.cancelled() => {}
        }
        token.cancel();
    });
    give_up
}

/// The clock, in ms since 1970.
#[must_use]
pub fn now_ms() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or_default()
}

/// `user@host`, for the record of the run.
fn who() -> String {
    let user = ["USER", "LOGNAME"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok());
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").or_else(|_| std::env::var("HOSTNAME"));
    let text =
        |found: Option<String>| found.map_or_else(|| "unknown".to_owned(), |text| text.trim().to_owned());
    format!("{}@{}", text(user), text(host.ok()))
}
