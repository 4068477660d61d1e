//! The heart: one project's way from waiting changes to settled ones, as a state machine.
//!
//! No I/O, no clock, no channel of its own: events come in with the time, actions go out, and the shell carries them out and
//! feeds the answers back. One action of the road is under way at a time. So a night with crashes can be played through in
//! milliseconds with the very code that runs in production.
//!
//! The road: `Idle -> Lingering -> Permit -> Takeover (-> Fence) -> Base (-> Making) -> Planning -> Announcing -> Uploading
//! (-> Doubt) -> Listing -> Scheduling -> Settling -> Idle`. `Waiting` is a back-off on the way. From `Announcing` on, a batch
//! is begun: it goes on to its end when the consumer leaves or hands the shard over.

mod batch;
mod event;
mod linger;
mod search;
mod steps;

#[cfg(test)]
mod tests;

use std::time::Duration;

use flowlift_common::backoff::Backoff;

use batch::Batch;
pub use batch::Final;
pub use event::{
    Action, Arrival, BaseFacts, Doubtful, Event, Landing, LogLine, OpenAttempt, PlanAsk, Planned, Settlement,
    Trouble, UploadTrouble, Uploaded,
};
use linger::Linger;

/// Times that steer a project; the defaults are what production uses.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// A stream of changes is quiet when none came for this long.
    pub quiet: Duration,
    /// The least an upload is expected to take, before one was seen.
    pub first_linger: Duration,
    /// The longest time a batch is held open.
    pub longest_linger: Duration,
    /// How long an abandoned upload can still land, at least: a body on its way plus the server's own time.
    pub fence: Duration,
    /// How often the project log is read while an upload is in doubt.
    pub look: Duration,
    /// The back-off after trouble: first delay and cap.
    pub backoff: (Duration, Duration),
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            quiet: Duration::from_millis(150),
            first_linger: Duration::from_millis(500),
            longest_linger: Duration::from_secs(10),
            fence: Duration::from_secs(70),
            look: Duration::from_millis(500),
            backoff: (Duration::from_secs(1), Duration::from_secs(60)),
        }
    }
}

/// Where a project stands.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Phase {
    Idle,
    Lingering(Linger),
    Permit,
    Takeover,
    /// Uploads that a former holder left open may still land.
    Fence {
        open: Vec<OpenAttempt>,
        until_ms: u64,
        looking: bool,
        next_ms: u64,
    },
    Base,
    Making,
    Planning,
    Announcing,
    Uploading,
    /// Our own upload got no clear answer.
    Doubt {
        until_ms: u64,
        looking: bool,
        next_ms: u64,
    },
    Listing,
    Scheduling,
    Settling,
    /// After trouble; then again from the permit.
    Waiting {
        until_ms: u64,
    },
}

/// One project's state machine.
#[derive(Debug)]
pub struct Project {
    limits: Limits,
    phase: Phase,
    /// Arrived and in no batch yet.
    queue: Vec<Arrival>,
    last_arrival_ms: u64,
    batch: Batch,
    /// Whether a former holder's open uploads were looked for, and messages were in hand ever since.
    taken_over: bool,
    draining: bool,
    has_permit: bool,
    /// Failures in a row.
    failures: u32,
    random: u64,
    longest_upload: Duration,
    last_upload: Option<Duration>,
    phase_since_ms: u64,
}

impl Project {
    /// A project of which nothing is known. `seed` feeds the jitter.
    #[must_use]
    pub fn new(limits: Limits, seed: u64) -> Self {
        Self {
            limits,
            phase: Phase::Idle,
            queue: Vec::new(),
            last_arrival_ms: 0,
            batch: Batch::default(),
            taken_over: false,
            draining: false,
            has_permit: false,
            failures: 0,
            random: seed | 1,
            longest_upload: Duration::ZERO,
            last_upload: None,
            phase_since_ms: 0,
        }
    }

    /// When [`Event::Timer`] is due, in ms of the same clock as all events; `None`: no timer.
    #[must_use]
    pub fn next_timer(&self) -> Option<u64> {
        match &self.phase {
            Phase::Lingering(linger) => Some(linger.ends_ms(self.last_arrival_ms)),
            Phase::Fence {
                looking: false,
                next_ms,
                ..
            }
            | Phase::Doubt {
                looking: false,
                next_ms,
                ..
            } => Some(*next_ms),
            Phase::Waiting { until_ms } => Some(*until_ms),
            _ => None,
        }
    }

    /// Whether nothing is under way: it may be handed over or left.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.phase == Phase::Idle
    }

    /// Whether an upload is being decided: it has to come to its end before the project is handed over.
    #[must_use]
    pub fn is_begun(&self) -> bool {
        matches!(
            self.phase,
            Phase::Announcing
                | Phase::Uploading
                | Phase::Doubt { .. }
                | Phase::Listing
                | Phase::Scheduling
                | Phase::Settling
        )
    }

    /// Whether it waits for somebody's upload that may still land.
    #[must_use]
    pub fn is_fenced(&self) -> bool {
        matches!(self.phase, Phase::Fence { .. } | Phase::Doubt { .. })
    }

    /// The broker can hand over no more for this shard until something is settled: a batch that is held open may begin.
    pub fn window_filled(&mut self) {
        if let Phase::Lingering(linger) = &mut self.phase {
            linger.fill();
        }
    }

    /// The messages in hand.
    pub fn receipts(&self) -> impl Iterator<Item = u64> + '_ {
        self.queue
            .iter()
            .chain(self.batch.messages())
            .map(|arrival| arrival.receipt)
    }

    /// How long it has been in its present phase.
    #[must_use]
    pub fn in_phase_for(&self, now_ms: u64) -> Duration {
        Duration::from_millis(now_ms.saturating_sub(self.phase_since_ms))
    }

    fn enter(&mut self, phase: Phase, now_ms: u64) {
        self.phase = phase;
        self.phase_since_ms = now_ms;
    }

    /// How long an upload may take to land after its client is gone.
    fn fence(&self) -> Duration {
        self.limits.fence.max(self.longest_upload * 3)
    }

    fn next_random(&mut self) -> f64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        #[expect(clippy::cast_precision_loss, reason = "53 bits are jitter enough")]
        let fraction = (self.random >> 11) as f64 / (1_u64 << 53) as f64;
        fraction
    }

    fn backoff(&mut self) -> Duration {
        let (first, cap) = self.limits.backoff;
        let random = self.next_random();
        let delay = Backoff::new(first, cap).delay(self.failures, random);
        self.failures = self.failures.saturating_add(1);
        delay
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
