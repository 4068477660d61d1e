//! Follows a run until every change has its outcome, from what stands in RabbitMQ's streams alone.

pub mod abort;
pub mod follow;
pub mod notify;
mod pace;
pub mod standstill;
mod summary;

use std::time::{Duration, Instant};

use flowlift_common::amqp::Link;
use flowlift_common::config::Settings;
use flowlift_common::order::RunId;
use flowlift_common::shutdown::Shutdown;

use crate::exit::Failure;
use crate::publish::{now_ms, set_up};
use crate::report::{Collect, Thresholds};
use crate::reporter::{Reporter, Stage};
use crate::status::Ears;
use crate::words::{count, count_are, span, thousands};
use follow::{Follow, Heard};
use pace::Pace;
pub use summary::{Summary, table};

/// How often the bar moves and the clock is looked at.
const TICK: Duration = Duration::from_millis(200);
/// How often is looked whether anybody consumes, while nothing moves.
const LOOK_EVERY: Duration = Duration::from_secs(4);
/// How long a run that no record names may still turn up.
const UNKNOWN_AFTER: Duration = Duration::from_secs(5);
/// The pause before a lost connection is made anew.
const AGAIN: Duration = Duration::from_secs(1);

/// What is waited for.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// The run.
    pub run: RunId,
    /// How long at most.
    pub timeout: Option<Duration>,
    /// Whether this program published it a moment ago: then it exists, however long its records take to be read.
    pub known: bool,
}

/// What a run is measured by while it is waited for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Judged<'a> {
    /// What must hold at the end.
    pub thresholds: Option<&'a Thresholds>,
    /// Whether waiting ends, and the run is cancelled, as soon as one of them cannot hold any more.
    pub abort_on_fail: bool,
}

/// How waiting ended.
#[derive(Debug)]
pub struct Ended {
    /// What became of the run so far.
    pub summary: Summary,
    /// A sentence for each threshold that is broken.
    pub broken: Vec<String>,
    /// Why it ended before the run was settled, other than by a broken threshold.
    pub failure: Option<Failure>,
}

impl Ended {
    /// Whether every change is where it was to go, and every threshold held.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.summary.is_good() && self.broken.is_empty()
    }

    /// What became of the run, for people.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut lines = self.summary.lines();
        lines.extend(self.broken.iter().cloned());
        lines
    }

    /// The same for programs.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let mut json = self.summary.to_json();
        json["broken_thresholds"] = serde_json::json!(self.broken);
        json
    }
}

/// Waits. The summary says what became of the run; dead changes are for the caller to judge.
pub async fn wait(
    settings: &Settings,
    wanted: Wanted,
    reporter: &Reporter,
    shutdown: &Shutdown,
) -> Result<Summary, Failure> {
    let ended = watch(settings, wanted, Judged::default(), reporter, shutdown).await;
    ended.failure.map_or(Ok(ended.summary), Err)
}

/// Waits, and says how that ended, however it ended.
pub async fn watch(
    settings: &Settings,
    wanted: Wanted,
    judged: Judged<'_>,
    reporter: &Reporter,
    shutdown: &Shutdown,
) -> Ended {
    let mut waiting = Waiting {
        run: Collect::measuring(wanted.run),
        judged,
        lost: Vec::new(),
        judged_at: None,
        pace: Pace::default(),
        zone: jiff::tz::TimeZone::system(),
        began: Instant::now(),
        moved: Instant::now(),
        looked: Instant::now(),
        heard: Instant::now(),
        told: false,
        stage: reporter.stage("settled", "changes", None),
        wanted,
        reporter,
    };
    let failure = waiting.until_settled(settings, shutdown).await.err();
    waiting.stage.clone().finish();
    let mut broken = std::mem::take(&mut waiting.lost);
    if !broken.is_empty() {
        abort::cancel(settings, wanted.run, reporter).await;
    } else if let (Some(thresholds), None) = (judged.thresholds, &failure) {
        broken = thresholds.broken(&waiting.run.measures(now_ms()));
    }
    let summary = Summary::of(waiting.run.state(), wanted.run, waiting.began.elapsed(), now_ms());
    Ended {
        summary,
        broken,
        failure,
    }
}

struct Waiting<'a> {
    run: Collect,
    judged: Judged<'a>,
    /// A sentence for each threshold that cannot hold any more, where that ends waiting.
    lost: Vec<String>,
    /// How many changes were settled when that was judged last.
    judged_at: Option<u64>,
    pace: Pace,
    zone: jiff::tz::TimeZone,
    began: Instant,
    moved: Instant,
    looked: Instant,
    /// When a record was read last, of whatever run, or reading began.
    heard: Instant,
    told: bool,
    stage: Stage,
    wanted: Wanted,
    reporter: &'a Reporter,
}

impl Waiting<'_> {
    async fn until_settled(&mut self, settings: &Settings, shutdown: &Shutdown) -> Result<(), Failure> {
        let mut first = true;
        loop {
            let followed = self.follow(settings, first, shutdown).await;
            match followed {
                Ok(()) => return Ok(()),
                Err(Failure::Amqp(error)) if error.is_transient() && !first => {
                    tracing::debug!(%error, "connection lost");
                    self.pause(shutdown).await?;
                }
                Err(Failure::Amqp(error)) if error.is_transient() && self.run.state().is_open_or_closed() => {
                    tracing::debug!(%error, "connection lost");
                    self.reporter
                        .warn("the connection to RabbitMQ is lost; waiting for it");
                    self.pause(shutdown).await?;
                }
                Err(error) => return Err(error),
            }
            first = false;
        }
    }

    async fn pause(&self, shutdown: &Shutdown) -> Result<(), Failure> {
        tokio::select! {
            () = tokio::time::sleep(AGAIN) => {}
            () = shutdown.stop.cancelled() => return Err(self.interrupted()),
        }
        if self.is_over() {
            Err(self.timed_out())
        } else {
            Ok(())
        }
    }

    async fn follow(&mut self, settings: &Settings, first: bool, shutdown: &Shutdown) -> Result<(), Failure> {
        let link = Link::connect(settings.amqp_url(), "flowlift wait").await?;
        if first && !self.wanted.known {
            set_up(&link, settings, self.reporter).await?;
        }
        let mut follow = Follow::open(&link, self.wanted.run).await?;
        let mut ears = None;
        self.heard = Instant::now();
        let mut tick = tokio::time::interval(TICK);
        loop {
            let heard = tokio::select! {
                () = shutdown.stop.cancelled() => return Err(self.interrupted()),
                heard = follow.next() => Some(heard?),
                _ = tick.tick() => None,
            };
            match heard {
                Some(heard) => {
                    self.hear(&heard);
                    if self.run.state().is_settled() {
                        break;
                    }
                }
                None => {
                    self.stage.set(self.run.state().done(), self.run.state().total());
                    self.judge_time()?;
                    self.judge_deadline();
                    if self.is_lost() {
                        break;
                    }
                    self.look(&link, &mut ears, settings.shards).await;
                }
            }
        }
        link.close().await;
        Ok(())
    }

    fn hear(&mut self, heard: &Heard) {
        self.heard = Instant::now();
        let before = self.run.state().done();
        match heard {
            Heard::Run(event) => self.run.run_event(event),
            Heard::Settled(settled) => self.run.settled(settled),
        }
        if self.run.state().done() > before {
            self.moved = Instant::now();
            self.told = false;
            if self
                .run
                .state()
                .opening()
                .is_none_or(|opening| opening.deadline_ms.is_none())
            {
                self.say("");
            }
        }
    }

    /// Says beside the progress whether the deadline will be kept at this pace.
    fn judge_deadline(&mut self) {
        let state = self.run.state();
        let (done, total) = (state.done(), state.total());
        self.pace.at(self.began.elapsed(), done);
        let Some(deadline_ms) = state.opening().and_then(|opening| opening.deadline_ms) else {
            return;
        };
        let left = total.and_then(|total| self.pace.left(total));
        let note = pace::deadline_note(deadline_ms, now_ms(), left, &self.zone);
        self.stage.remark(&note);
        self.say(&note);
    }

    /// The words beside the bar.
    fn say(&self, deadline: &str) {
        let uploads = match self.run.state().uploads() {
            0 => String::new(),
            uploads => format!("· {} ", count(uploads as u64, "upload")),
        };
        let deadline = if deadline.is_empty() {
            String::new()
        } else {
            format!("· {deadline} ")
        };
        self.stage.note(format!("{uploads}{deadline}"));
    }

    /// Whether waiting has no point any more, because a threshold cannot hold.
    fn is_lost(&mut self) -> bool {
        let Some(thresholds) = self.judged.thresholds.filter(|_| self.judged.abort_on_fail) else {
            return false;
        };
        let done = self.run.state().done();
        // time alone breaks a duration too, but not five times a second
        if self.judged_at == Some(done) && self.moved.elapsed() < AGAIN {
            return false;
        }
        self.judged_at = Some(done);
        self.lost = thresholds.lost(&self.run.measures(now_ms()));
        !self.lost.is_empty()
    }

    fn judge_time(&self) -> Result<(), Failure> {
        if self.is_over() {
            return Err(self.timed_out());
        }
        let unseen =
            !self.wanted.known && !self.run.state().is_open_or_closed() && self.run.state().done() == 0;
        if unseen && self.heard.elapsed() > UNKNOWN_AFTER {
            let run = self.wanted.run;
            return Err(Failure::NoInput(format!(
                "there is no run {run} in this RabbitMQ (runs are kept for 90 days)"
            )));
        }
        Ok(())
    }

    /// Says once why nothing moves, as long as nothing does.
    async fn look(&mut self, link: &Link, ears: &mut Option<Ears>, shards: u16) {
        if self.told || self.moved.elapsed() < LOOK_EVERY || self.looked.elapsed() < LOOK_EVERY {
            return;
        }
        self.looked = Instant::now();
        let Some(closing) = self.run.state().closing() else {
            return;
        };
        let behind = closing
            .projects
            .iter()
            .filter(|(project, count)| self.run.state().done_in(project) < **count);
        let projects: Vec<_> = behind.map(|(project, _)| project.clone()).take(16).collect();
        // where it cannot be told, waiting itself finds out
        let Ok(facts) = standstill::Facts::of(link, ears, &projects, shards).await else {
            return;
        };
        if let Some(reason) = facts.reason(&projects, &self.zone) {
            self.told = true;
            self.reporter.warn(&reason.words());
        }
    }

    fn is_over(&self) -> bool {
        self.wanted
            .timeout
            .is_some_and(|timeout| self.began.elapsed() >= timeout)
    }

    fn so_far(&self) -> String {
        let done = self.run.state().done();
        match self.run.state().total() {
            Some(total) => format!("{} of {} settled", thousands(done), count_are(total, "change")),
            None => format!(
                "{} settled and the run is not closed yet",
                count_are(done, "change")
            ),
        }
    }

    fn timed_out(&self) -> Failure {
        let (run, time, so_far) = (self.wanted.run, span(self.began.elapsed()), self.so_far());
        Failure::TimedOut(format!(
            "{so_far} after {time}; the run goes on, `flowlift wait {run}` follows it"
        ))
    }

    fn interrupted(&self) -> Failure {
        let (run, so_far) = (self.wanted.run, self.so_far());
        Failure::Interrupted(format!(
            "interrupted: {so_far}; the run goes on, `flowlift wait {run}` follows it"
        ))
    }
}
