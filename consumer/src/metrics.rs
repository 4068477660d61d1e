//! What a consumer counts and measures: names and labels are a contract, written down in docs/METRICS.md.
//!
//! Rooms tell events in their own words; what a series is called and which label an event gets is decided here alone. Labels
//! come from closed sets and all their series stand at zero from the first scrape, so that rates and alerts work from the
//! first event on. Projects are no labels: there are too many of them.

mod document;
mod errors;
mod make;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use flowlift_common::ledger::Outcome;
use prometheus::{Gauge, Histogram, IntCounter, IntCounterVec, IntGauge, Registry, TextEncoder};

use crate::held::Held;
use crate::project::Settlement;
use make::Maker;

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
    oldest_change_age: Gauge,
    messages_held: IntGauge,
    projects_active: IntGauge,
    fences_waiting: IntGauge,
    shards_held: IntGauge,
    messages_parked: IntGauge,
    breaker_open: IntGauge,
    permits_held: IntGauge,
    permits_waiting: IntGauge,
    amqp_connected: IntGauge,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All series, at zero.
    #[must_use]
    pub fn new() -> Self {
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
            oldest_change_age: maker.gauge("oldest_change_age_seconds", "Age of the oldest message in hand since it was received; 0 with none in hand"),
            messages_held: maker.level("messages_held", "Messages in hand: received and not settled"),
            projects_active: maker.level("projects_active", "Projects with something in hand"),
            fences_waiting: maker.level("fences_waiting", "Projects that wait for an upload that was left open"),
            shards_held: maker.level("shards_held", "Shards that fall to this consumer among those it knows of"),
            messages_parked: maker.level("messages_parked", "Messages of projects that cannot go on, in the parked queues of the shards that fall to this consumer"),
            breaker_open: maker.level("breaker_open", "Whether Azkaban counts as away: 1, and one project asks for all, or 0"),
            permits_held: maker.level("permits_held", "Permits for connections to Azkaban held by this consumer"),
            permits_waiting: maker.level("permits_waiting", "Permits for connections to Azkaban that this consumer waits for"),
            amqp_connected: maker.level("amqp_connected", "Whether RabbitMQ is connected: 1 or 0"),
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
    }

    /// What Prometheus reads.
    ///
    /// # Errors
    /// When a series cannot be written as text, which is a mistake in this module.
    pub fn render(&self) -> prometheus::Result<String> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }

    /// The contract for people: docs/METRICS.md.
    #[must_use]
    pub fn document(&self) -> String {
        document::write(&self.registry.gather())
    }

    /// A message came.
    pub fn message_arrived(&self, redelivered: bool) {
        self.received.inc();
        self.redeliveries.inc_by(u64::from(redelivered));
    }

    /// Outcomes are confirmed and messages acknowledged; `published` says when, by receipt, `held` are the deliveries.
    pub fn settled(
        &self,
        settlement: &Settlement,
        published: &HashMap<u64, u64>,
        held: &[Arc<Held>],
        now_ms: u64,
    ) {
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

    /// So many messages lie in the parked queues.
    pub fn parked(&self, messages: u64) {
        self.messages_parked
            .set(i64::try_from(messages).unwrap_or(i64::MAX));
    }

    /// Azkaban counts as away, or works.
    pub fn breaker(&self, open: bool) {
        self.breaker_open.set(i64::from(open));
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

    /// The connection to RabbitMQ came about or ended.
    pub fn amqp_connected(&self, connected: bool) {
        self.amqp_connections.inc_by(u64::from(connected));
        self.amqp_connected.set(i64::from(connected));
    }

    /// Shards were lost with work in hand.
    pub fn leases_lost(&self, shards: u64) {
        self.lost_leases.inc_by(shards);
    }

    /// How long the oldest message has been in hand.
    pub fn oldest_in_hand(&self, age: Option<Duration>) {
        self.oldest_change_age.set(age.unwrap_or_default().as_secs_f64());
    }

    /// Messages in hand, projects with something in hand, and those of them behind a fence.
    pub fn floor(&self, held: usize, active: usize, fenced: usize) {
        set(&self.messages_held, held);
        set(&self.projects_active, active);
        set(&self.fences_waiting, fenced);
    }

    /// Shards that fall to this consumer.
    pub fn shards_held(&self, shards: usize) {
        set(&self.shards_held, shards);
    }

    /// Permits held and waited for.
    pub fn permits(&self, held: usize, waiting: usize) {
        set(&self.permits_held, held);
        set(&self.permits_waiting, waiting);
    }
}

fn observe(histogram: &Histogram, time: Duration) {
    histogram.observe(time.as_secs_f64());
}

fn set(gauge: &IntGauge, value: usize) {
    gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
}

#[cfg(test)]
mod tests;
