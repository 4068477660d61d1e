//! Gauges: how things are now. Whoever looks at them all the time sets them; with the session they fall back to nothing.

use std::time::Duration;

use prometheus::{Gauge, IntGauge};

use super::Metrics;
use super::make::Maker;

/// What the messages in hand tell about time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct InHand {
    /// How long the first of them has been here.
    pub since_received: Option<Duration>,
    /// How long ago the first of them was published, by its producer's clock.
    pub since_published: Option<Duration>,
    /// The earliest deadline among them, in ms since 1970.
    pub deadline_ms: Option<u64>,
}

/// What lies in queues.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Waiting {
    /// In the shards that fall to this consumer.
    pub in_shards: u64,
    /// Among the dead letters.
    pub dead: u64,
}

pub(super) struct Levels {
    oldest_received: Gauge,
    oldest_published: Gauge,
    earliest_deadline: Gauge,
    messages_held: IntGauge,
    messages_waiting: IntGauge,
    messages_parked: IntGauge,
    dead_letters: IntGauge,
    projects_active: IntGauge,
    projects_paused: IntGauge,
    everything_paused: IntGauge,
    fences_waiting: IntGauge,
    shards: IntGauge,
    shards_held: IntGauge,
    breaker_open: IntGauge,
    permits_held: IntGauge,
    permits_waiting: IntGauge,
    amqp_connected: IntGauge,
}

impl Levels {
    pub(super) fn of(maker: &Maker) -> Self {
        Self {
            oldest_received: maker.gauge("oldest_change_age_seconds", "Age of the oldest message in hand since it was received; 0 with none in hand"),
            oldest_published: maker.gauge("oldest_published_age_seconds", "Age of the oldest message in hand since it was published, by the producer's clock; 0 with none in hand"),
            earliest_deadline: maker.gauge("earliest_deadline_timestamp_seconds", "The earliest deadline (publish --deadline) among the messages in hand, as a unix time; 0 with none"),
            messages_held: maker.level("messages_held", "Messages in hand: received and not settled"),
            messages_waiting: maker.level("messages_waiting", "Messages in the shards that fall to this consumer, not yet in anybody's hand; looked at every 10 s"),
            messages_parked: maker.level("messages_parked", "Messages of projects that cannot go on, in the parked queues of the shards that fall to this consumer"),
            dead_letters: maker.level("dead_letters", "Dead letters in RabbitMQ; every consumer tells the same number, looked at every 10 s"),
            projects_active: maker.level("projects_active", "Projects with something in hand"),
            projects_paused: maker.level("projects_paused", "Projects whose changes are held because somebody paused them"),
            everything_paused: maker.level("everything_paused", "Whether somebody paused everything: 1 or 0"),
            fences_waiting: maker.level("fences_waiting", "Projects that wait for an upload that was left open"),
            shards: maker.level("shards", "Shards of the vhost, whoever holds them; 0 before RabbitMQ was reached"),
            shards_held: maker.level("shards_held", "Shards that fall to this consumer among those it knows of"),
            breaker_open: maker.level("breaker_open", "Whether Azkaban counts as away: 1, and one project asks for all, or 0"),
            permits_held: maker.level("permits_held", "Permits for connections to Azkaban held by this consumer"),
            permits_waiting: maker.level("permits_waiting", "Permits for connections to Azkaban that this consumer waits for"),
            amqp_connected: maker.level("amqp_connected", "Whether RabbitMQ is connected: 1 or 0"),
        }
    }
}

impl Metrics {
    /// What the messages in hand tell about time.
    pub fn in_hand(&self, in_hand: InHand) {
        let seconds = |age: Option<Duration>| age.unwrap_or_default().as_secs_f64();
        self.levels.oldest_received.set(seconds(in_hand.since_received));
        self.levels.oldest_published.set(seconds(in_hand.since_published));
        self.deadline(in_hand.deadline_ms);
    }

    /// The earliest deadline in hand, in ms since 1970.
    pub fn deadline(&self, at_ms: Option<u64>) {
        let at = Duration::from_millis(at_ms.unwrap_or_default());
        self.levels.earliest_deadline.set(at.as_secs_f64());
    }

    /// Messages in hand, projects with something in hand, and those of them behind a fence.
    pub fn floor(&self, held: usize, active: usize, fenced: usize) {
        set(&self.levels.messages_held, held as u64);
        set(&self.levels.projects_active, active as u64);
        set(&self.levels.fences_waiting, fenced as u64);
    }

    /// What lies in queues.
    pub fn waiting(&self, waiting: Waiting) {
        set(&self.levels.messages_waiting, waiting.in_shards);
        set(&self.levels.dead_letters, waiting.dead);
    }

    /// So many messages lie in the parked queues.
    pub fn parked(&self, messages: u64) {
        set(&self.levels.messages_parked, messages);
    }

    /// So many projects are paused, or all of them.
    pub fn paused(&self, projects: usize, everything: bool) {
        set(&self.levels.projects_paused, projects as u64);
        set(&self.levels.everything_paused, u64::from(everything));
    }

    /// The vhost has so many shards.
    pub fn shards(&self, shards: u16) {
        set(&self.levels.shards, u64::from(shards));
    }

    /// Shards that fall to this consumer.
    pub fn shards_held(&self, shards: usize) {
        set(&self.levels.shards_held, shards as u64);
    }

    /// Azkaban counts as away, or works.
    pub fn breaker(&self, open: bool) {
        self.levels.breaker_open.set(i64::from(open));
    }

    /// Permits held and waited for.
    pub fn permits(&self, held: usize, waiting: usize) {
        set(&self.levels.permits_held, held as u64);
        set(&self.levels.permits_waiting, waiting as u64);
    }

    /// The connection to RabbitMQ came about or ended.
    pub fn amqp_connected(&self, connected: bool) {
        self.amqp_connections.inc_by(u64::from(connected));
        self.levels.amqp_connected.set(i64::from(connected));
    }

    /// The session is over: nothing is in hand any more, and others count what lies in the shards.
    pub fn session_over(&self) {
        self.in_hand(InHand::default());
        self.floor(0, 0, 0);
        self.waiting(Waiting::default());
        self.parked(0);
        self.shards_held(0);
        self.permits(0, 0);
        self.paused(0, false);
    }
}

fn set(gauge: &IntGauge, value: u64) {
    gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
}
