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
mod doubt;
mod event;
mod hold;
mod linger;
mod search;
mod steps;
mod trouble;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::time::Duration;

use flowlift_common::backoff::Backoff;
use flowlift_common::state::Step;
use flowlift_common::steer::Hold;

use crate::plan::ChangeId;

use batch::Batch;
pub use batch::Final;
pub use event::{
    Action, Arrival, BaseFacts, Doubtful, Event, Landing, LogLine, OpenAttempt, PlanAsk, Planned, Refusal,
    Scheduled, Settlement, Trouble, UploadTrouble, Uploaded,
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
    /// How often it is read while Azkaban gives no answer.
    pub look_away: Duration,
    /// The back-off after trouble: first delay and cap.
    pub backoff: (Duration, Duration),
    /// A while after an upload the project is looked at once more: an abandoned one may have landed over it.
    pub second_look: Duration,
    /// How long after an upload in doubt that was not seen to land its project is checked: it can land after a long outage even.
    pub later_looks: [Duration; 2],
    /// While a project is parked, what comes for it is parked at once for this long.
    pub parked: Duration,
    /// The pause before what was parked comes back: at first, at most.
    pub unpark: (Duration, Duration),
    /// So many failures of its own in a row, and a project is parked.
    pub park_after: u32,
    /// All on, but for the simulation.
    pub safeguards: Safeguards,
}

/// What keeps the promise that nothing is lost or undone. All are on; a build for tests can switch one off, so that the
/// simulation can show that it would notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Safeguards {
    /// Uploads that a former holder left open, and own ones in doubt, are waited for.
    pub fence: bool,
    /// What was applied last is remembered in the zip.
    pub manifest: bool,
    /// An answer with another version than the next one is looked into.
    pub version_check: bool,
    /// Flows that no change takes away may not vanish: what Azkaban lists is compared with the base as it is read, and with the
    /// plan before it is uploaded.
    pub shrink_guard: bool,
    /// The flow list is compared after an upload.
    pub read_back: bool,
    /// The project is looked at once more a while after its last upload.
    pub second_look: bool,
}

impl Safeguards {
    /// All of them.
    pub const ALL: Self = Self {
        fence: true,
        manifest: true,
        version_check: true,
        shrink_guard: true,
        read_back: true,
        second_look: true,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            quiet: Duration::from_millis(150),
            first_linger: Duration::from_millis(500),
            longest_linger: Duration::from_secs(10),
            fence: Duration::from_secs(70),
            look: Duration::from_millis(500),
            look_away: Duration::from_secs(5),
            second_look: Duration::from_secs(10),
            later_looks: [Duration::from_secs(600), Duration::from_secs(3_600)],
            parked: Duration::from_secs(30),
            unpark: (Duration::from_secs(60), Duration::from_secs(900)),
            park_after: 12,
            safeguards: Safeguards::ALL,
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
    Parking,
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
    hold: Hold,
    has_permit: bool,
    /// Failures in a row.
    failures: u32,
    /// Of these, the ones that are this project's own.
    own_failures: u32,
    /// How often in a row Azkaban stumbled over this batch, and over which changes each time.
    stumbles: (u32, BTreeSet<ChangeId>),
    /// What comes before this is parked.
    parked_until_ms: u64,
    random: u64,
    longest_upload: Duration,
    last_upload: Option<Duration>,
    /// Flows in the zip planned last.
    planned_flows: u64,
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
            hold: Hold::No,
            has_permit: false,
            failures: 0,
            own_failures: 0,
            stumbles: (0, BTreeSet::new()),
            parked_until_ms: 0,
            random: seed | 1,
            longest_upload: Duration::ZERO,
            last_upload: None,
            planned_flows: 0,
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

    /// Where it is on its road, for people.
    #[must_use]
    pub fn step(&self) -> Step {
        match self.phase {
            Phase::Idle | Phase::Parking => Step::Held,
            Phase::Lingering(_) => Step::Gathering,
            Phase::Permit => Step::Permit,
            Phase::Takeover | Phase::Base | Phase::Making | Phase::Planning | Phase::Announcing => {
                Step::Planning
            }
            Phase::Uploading => Step::Uploading,
            Phase::Fence { .. } | Phase::Doubt { .. } => Step::Fenced,
            Phase::Listing | Phase::Scheduling => Step::Verifying,
            Phase::Settling => Step::Settling,
            Phase::Waiting { .. } => Step::BackingOff,
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
                | Phase::Parking
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

    /// How long an upload of so many flows may take to land after its client is gone: three times what it should take at
    /// most, 2.2 ms for each flow (azkaban-api.md, fact 10).
    fn fence(&self, flows: u64) -> Duration {
        let expected = Duration::from_micros(2_200u64.saturating_mul(flows));
        self.limits.fence.max(expected.max(self.longest_upload) * 3)
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
