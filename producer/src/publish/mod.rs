//! Sends a checked source: opens the run, keeps a window of confirms full, closes the run with its counts.

mod feed;
pub mod outbox;
mod sending;
mod tally;
mod traced;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use flowlift_azkaban::{Format, ProjectName};
use flowlift_common::amqp::{self, AmqpError, Link, Needs, Notice, OpenRun, Publisher, Sender};
use flowlift_common::config::Settings;
use flowlift_common::envelope::Rules;
use flowlift_common::ledger::{self, RunEvent};
use flowlift_common::order::RunId;
use flowlift_common::shutdown::Shutdown;
use flowlift_common::topology::{RUNS, Record};
use flowlift_common::trace::TraceContext;
use tokio_util::sync::CancellationToken;

use crate::check::Findings;
use crate::exit::Failure;
use crate::reporter::Reporter;
use crate::words::count_are;
use outbox::{Frame, Outbox};
use sending::{End, Sending};
use tally::{Tally, listener};

pub use feed::Feed;
pub use traced::Traced;

/// After the first signal, how long is waited for confirms of what was sent.
const LAST_CONFIRMS: Duration = Duration::from_secs(10);
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
    /// When the run should be settled, in ms since 1970, where somebody said so.
    pub deadline_ms: Option<u64>,
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
/// `opened` hears the run's id as soon as the run is open: whatever happens later, it can be waited for. All messages belong to
/// the trace.
pub async fn publish(
    settings: &Settings,
    job: &Job,
    feed: Feed,
    trace: Option<TraceContext>,
    reporter: &Reporter,
    shutdown: &Shutdown,
    opened: impl FnOnce(RunId) -> Result<(), Failure>,
) -> Result<Published, Failure> {
    let give_up = patience(shutdown, reporter);
    let stage = reporter.stage("queued", "changes", job.total);
    let tally = Arc::new(Mutex::new(Tally::default()));
    let notice = listener(reporter.clone(), stage.clone(), Arc::clone(&tally));
    let mut publisher = Publisher::open(settings.amqp_url(), "flowlift publish", give_up, notice).await?;
    let record = publisher.with_link(async |link| set_up(link, settings, reporter).await);
    let wire = record.await?.wire;
    publisher.remakes_queues_of(settings.shards);
    let run = RunId::fresh();
    let event = &|rank| opened_record(run, rank, Opening::of(job, settings.shards));
    let open = publisher
        .with_link(async |link| OpenRun::open(link, run, now_ms(), event).await)
        .await?;
    let began = Instant::now();
    opened(run)?;
    let frame = Frame {
        run,
        rank: open.rank,
        owner: job.owner.clone(),
        rules: job.rules,
        deadline_ms: job.deadline_ms,
        wire,
        shards: settings.shards,
        trace,
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

/// What the record of a run that opens says of it.
pub(crate) struct Opening {
    /// For people: what is published.
    pub(crate) source: String,
    /// Who may change its flows later.
    pub(crate) owner: String,
    /// When it should be settled.
    pub(crate) deadline_ms: Option<u64>,
    /// K.
    pub(crate) shards: u16,
}

impl Opening {
    fn of(job: &Job, shards: u16) -> Self {
        Self {
            source: job.describe.clone(),
            owner: job.owner.clone(),
            deadline_ms: job.deadline_ms,
            shards,
        }
    }
}

/// The record of a run that opens.
pub(crate) fn opened_record(run: RunId, rank: u64, opening: Opening) -> RunEvent {
    RunEvent::Opened {
        run,
        rank,
        who: who(),
        source: opening.source,
        owner: opening.owner,
        at_ms: now_ms(),
        deadline_ms: opening.deadline_ms,
        version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        shards: Some(opening.shards),
    }
}

/// Declares what is missing and agrees with the vhost; the first time on a broker this takes some seconds, which is said.
pub(crate) async fn set_up(
    link: &Link,
    settings: &Settings,
    reporter: &Reporter,
) -> Result<Record, AmqpError> {
    let needs = Needs {
        shards: settings.shards,
        azkaban: settings.told_azkaban(),
    };
    let mut agreed = std::pin::pin!(amqp::set_up(link, needs, &settings.retention));
    tokio::select! {
        agreed = &mut agreed => return agreed,
        () = tokio::time::sleep(SAID_AFTER) => reporter.say("setting up the queues in RabbitMQ, once"),
    }
    agreed.await
}

/// What people should hear of a queue that was missing.
pub(crate) fn remade(queue: &str) -> String {
    format!("queue {queue} was missing in RabbitMQ and is made anew; what lay in it is gone with it")
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
pub(crate) fn who() -> String {
    let user = ["USER", "LOGNAME"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok());
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").or_else(|_| std::env::var("HOSTNAME"));
    let text =
        |found: Option<String>| found.map_or_else(|| "unknown".to_owned(), |text| text.trim().to_owned());
    format!("{}@{}", text(user), text(host.ok()))
}
