//! What a consumer counts and measures: names and labels are a contract, written down in docs/METRICS.md.
//!
//! Rooms tell events in their own words; what a series is called and which label an event gets is decided here alone. Labels
//! come from closed sets and all their series stand at zero from the first scrape, so that rates and alerts work from the
//! first event on. Projects are labels of one counter only, which is off unless asked for: there are too many of them.

mod calls;
mod document;
mod errors;
mod levels;
mod make;
mod projects;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use flowlift_azkaban::ProjectName;
use flowlift_common::ledger::Outcome;
use prometheus::proto::MetricType;
use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, Registry, TextEncoder};

use crate::held::Held;
use crate::project::Settlement;
use levels::Levels;
pub use levels::{InHand, Waiting};
use make::Maker;
use projects::Projects;

/// Whether changes, messages, calls and levels are counted; only what `make bench-cost` compares with does not.
pub const COUNTS: bool = !cfg!(feature = "unobserved");
/// What became of a message.
const MESSAGE_RESULTS: [&str; 4] = ["settled", "dead", "parked", "returned"];
/// What became of an upload, by the first answer to it.
const UPLOAD_RESULTS: [&str; 4] = ["landed", "refused", "doubtful", "failed"];

/// The metrics of one process, in a registry of their own.
pub struct Metrics {
    registry: Registry,
    changes: IntCounterVec,
    messages: IntCounterVec,
    received: IntCounter,
    redeliveries: IntCounter,
    uploads: IntCounterVec,
    upload_bytes: IntCounter,
    changes_uploaded: IntCounter,
    foreign_uploads: IntCounter,
    zombies: IntCounter,
    azkaban_errors: IntCounterVec,
    amqp_connections: IntCounter,
    lost_leases: IntCounter,
    change_latency: Histogram,
    message_held: Histogram,
    batch_wait: Histogram,
    batch_changes: Histogram,
    archive: Histogram,
    upload: Histogram,
    verify: Histogram,
    schedule: Histogram,
    fence: Histogram,
    azkaban_call: HistogramVec,
    levels: Levels,
    projects: Option<Projects>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All series, at zero; no project is a label.
    #[must_use]
    pub fn new() -> Self {
        Self::with_projects(0)
    }

    /// The same, with changes counted by project for the first so many of them.
    #[must_use]
    pub fn with_projects(projects: usize) -> Self {
        let maker = Maker::new();
        let metrics = Self {
            changes: maker.counters(
                "changes_total",
                "Changes that got their final outcome",
                &["outcome"],
            ),
            messages: maker.counters("messages_total", "Messages whose delivery was ended: acknowledged, moved to the dead letters as unreadable, parked, or given back", &["result"]),
            received: maker.counter("messages_received_total", "Messages received from shards, the returned ones each time they come"),
            redeliveries: maker.counter("redeliveries_total", "Messages received that the broker had handed out before"),
            uploads: maker.counters("uploads_total", "Uploads by the first answer to them; a doubtful one is decided later by what Azkaban then has", &["result"]),
            upload_bytes: maker.counter("upload_bytes_total", "Bytes of zips in landed uploads"),
            changes_uploaded: maker.counter("changes_uploaded_total", "Changes that landed uploads carried"),
            foreign_uploads: maker.counter("foreign_uploads_total", "Uploads by others that were found in a project's versions, taken as they are or merged"),
            zombies: maker.counter("zombie_uploads_total", "Abandoned uploads that landed over a newer one and were undone"),
            azkaban_errors: maker.counters("azkaban_errors_total", "Calls to Azkaban that failed, by what can be done about it and by what it was", &["class", "code"]),
            amqp_connections: maker.counter("amqp_connections_total", "Connections to RabbitMQ that came about"),
            lost_leases: maker.counter("lost_leases_total", "Shards lost with work in hand: the connection broke, or the broker ended the subscription"),
            change_latency: maker.latency("change_latency_seconds", "From publishing, by the producer's clock, until Azkaban was seen to have the change"),
            message_held: maker.latency("message_held_seconds", "From receiving a message to acknowledging it"),
            batch_wait: maker.latency("batch_wait_seconds", "From receiving the oldest message of a batch to the beginning of its upload"),
            batch_changes: maker.sizes("batch_changes", "Changes that one landed upload carried"),
            archive: maker.step("archive_seconds", "Planning a batch on the project's content and packing the zip"),
            upload: maker.step("upload_seconds", "From the first byte of an upload to its answer"),
            verify: maker.step("verify_seconds", "Reading a project back after an upload"),
            schedule: maker.step("schedule_seconds", "Bringing schedules to what is wanted and reading them back"),
            fence: maker.latency("fence_seconds", "Waiting for uploads that were left open to land or to be impossible"),
            azkaban_call: maker.steps("azkaban_call_seconds", "Azkaban's answers, by call: from sending a request to the end of its answer, or to its failure", &["call"]),
            levels: Levels::of(&maker),
            projects: Projects::of(&maker, projects),
            registry: maker.finish(),
        };
        metrics.begin_at_zero();
        metrics
    }

    /// Closed label sets have all their series from the start.
    fn begin_at_zero(&self) {
        for outcome in Outcome::ALL {
            self.changes.with_label_values(&[outcome.as_str()]);
        }
        for result in MESSAGE_RESULTS {
            self.messages.with_label_values(&[result]);
        }
        for result in UPLOAD_RESULTS {
            self.uploads.with_label_values(&[result]);
        }
        for (class, code) in errors::ALL {
            self.azkaban_errors.with_label_values(&[class, code]);
        }
        for call in calls::all() {
            self.azkaban_call.with_label_values(&[call]);
        }
    }

    /// What Prometheus reads.
    ///
    /// # Errors
    /// When a series cannot be written as text, which is a mistake in this module.
    pub fn render(&self) -> prometheus::Result<String> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }

    /// The contract for people: the first part of docs/METRICS.md.
    #[must_use]
    pub fn document() -> String {
        document::write(&Self::with_projects(1).registry.gather())
    }

    /// The names of all series, as Prometheus stores them: histograms have three each.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let families = self.registry.gather();
        let series = families.iter().flat_map(|family| {
            let name = family.name().to_owned();
            match family.get_field_type() {
                MetricType::HISTOGRAM => ["_bucket", "_sum", "_count"]
                    .map(|end| format!("{name}{end}"))
                    .to_vec(),
                _ => vec![name],
            }
        });
        series.collect()
    }

    /// A message came.
    pub fn message_arrived(&self, redelivered: bool) {
        if !COUNTS {
            return;
        }
        self.received.inc();
        self.redeliveries.inc_by(u64::from(redelivered));
    }

    /// Outcomes are confirmed and messages acknowledged; `published` says when, by receipt, `held` are the deliveries.
    pub fn settled(
        &self,
        project: &ProjectName,
        settlement: &Settlement,
        published: &HashMap<u64, u64>,
        held: &[Arc<Held>],
        now_ms: u64,
    ) {
        if !COUNTS {
            return;
        }
        let unreadable = settlement.unreadable.len() as u64;
        let read = (settlement.receipts.len() as u64).saturating_sub(unreadable);
        self.messages.with_label_values(&["settled"]).inc_by(read);
        self.messages.with_label_values(&["dead"]).inc_by(unreadable);
        for held in held
            .iter()
            .filter(|held| settlement.receipts.contains(&held.receipt))
        {
            observe(&self.message_held, held.since.elapsed());
        }
        if let Some(projects) = &self.projects {
            projects.count(project, settlement.changes.len() as u64);
        }
        for (id, last) in &settlement.changes {
            self.changes.with_label_values(&[last.outcome.as_str()]).inc();
            if !matches!(
                last.outcome,
                Outcome::Applied | Outcome::Restored | Outcome::Unchanged
            ) {
                continue;
            }
            if let Some(published_ms) = published.get(&id.receipt) {
                // a producer's clock may be ahead of ours: such a change took no time at all
                let took = now_ms.saturating_sub(*published_ms);
                observe(&self.change_latency, Duration::from_millis(took));
            }
        }
    }

    /// Messages were moved to the parked queue.
    pub fn messages_parked(&self, count: u64) {
        self.messages.with_label_values(&["parked"]).inc_by(count);
    }

    /// An abandoned upload was found over a newer one.
    pub fn zombie(&self) {
        self.zombies.inc();
    }

    /// A message that names no project went to the dead letters.
    pub fn message_dead(&self) {
        self.messages.with_label_values(&["dead"]).inc();
    }

    /// Messages were given back to their shard.
    pub fn messages_returned(&self, count: u64) {
        self.messages.with_label_values(&["returned"]).inc_by(count);
    }

    /// The upload of a batch begins; its oldest message has waited for so long.
    pub fn batch_waited(&self, oldest: Duration) {
        observe(&self.batch_wait, oldest);
    }

    /// A batch is planned and its zip packed.
    pub fn archived(&self, took: Duration) {
        observe(&self.archive, took);
    }

    /// An upload was answered with its version.
    pub fn upload_landed(&self, took: Duration, bytes: u64, changes: u64) {
        self.uploads.with_label_values(&["landed"]).inc();
        self.upload_bytes.inc_by(bytes);
        self.changes_uploaded.inc_by(changes);
        self.batch_changes.observe(changes as f64);
        observe(&self.upload, took);
    }

    /// An upload was not: `refused`, `doubtful` or `failed`.
    pub fn upload_failed(&self, result: &str) {
        debug_assert!(
            UPLOAD_RESULTS.contains(&result),
            "{result} is not in docs/METRICS.md"
        );
        self.uploads.with_label_values(&[result]).inc();
    }

    /// Somebody else had uploaded to the project.
    pub fn foreign_upload(&self) {
        self.foreign_uploads.inc();
    }

    /// A project was read back.
    pub fn verified(&self, took: Duration) {
        observe(&self.verify, took);
    }

    /// Schedules are as wanted.
    pub fn scheduled(&self, took: Duration) {
        observe(&self.schedule, took);
    }

    /// The wait for uploads that were left open is over.
    pub fn fenced(&self, took: Duration) {
        observe(&self.fence, took);
    }

    /// A call to Azkaban failed; both words are the error's own.
    pub fn azkaban_error(&self, class: &str, code: &str) {
        self.azkaban_errors.with_label_values(&[class, code]).inc();
    }

    /// Shards were lost with work in hand.
    pub fn leases_lost(&self, shards: u64) {
        self.lost_leases.inc_by(shards);
    }
}

fn observe(histogram: &Histogram, time: Duration) {
    histogram.observe(time.as_secs_f64());
}

#[cfg(test)]
mod tests;
