//! What a consumer says of itself when it is asked, over the exchange on which consumers say hello: so a look needs no plugin
//! of the broker, no port of the consumer, and costs nothing while nobody looks.

use flowlift_azkaban::ProjectName;
use serde::{Deserialize, Serialize};

/// A question to all consumers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// The queue the answers go to, by the default exchange.
    pub ask_to: String,
}

/// A consumer, at this moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConsumerState {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// When it subscribed, its clock, ms since 1970.
    pub since_ms: u64,
    /// Its clock when it answered, ms since 1970; an older consumer does not say.
    #[serde(default)]
    pub at_ms: Option<u64>,
    /// The shards that fall to it among those it knows of.
    pub shards: Vec<u16>,
    /// Messages in hand.
    pub messages: u64,
    /// Changes in them, as far as their headers say.
    pub changes: u64,
    /// Age of the oldest message in hand since it was published, ms; 0 with none in hand.
    pub oldest_ms: u64,
    /// The earliest deadline of a run among what is in hand, ms since 1970.
    #[serde(default)]
    pub deadline_ms: Option<u64>,
    /// What it has in hand, those longest at their step first; at most [`PROJECTS`].
    pub projects: Vec<ProjectState>,
    /// Projects in hand beyond these.
    pub more_projects: u64,
    /// Whether Azkaban counts as away.
    pub breaker_open: bool,
    /// Connections to Azkaban in use.
    pub permits_held: u64,
    /// Connections waited for.
    pub permits_waiting: u64,
    /// What it did of late.
    pub lately: Rate,
}

/// A project in hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectState {
    /// The project.
    pub project: ProjectName,
    /// Its shard.
    pub shard: u16,
    /// Messages in hand.
    pub messages: u64,
    /// The step of its road.
    pub step: Step,
    /// For how long, ms.
    pub for_ms: u64,
    /// Flows in the zip that was planned last; 0: none was.
    pub flows: u64,
    /// Bytes of that zip.
    pub zip_bytes: u64,
}

/// A step of a project's road, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Waits for more to travel along.
    Gathering,
    /// Waits for a connection to Azkaban.
    Permit,
    /// Reads what is there, and plans.
    Planning,
    /// Sends the zip.
    Uploading,
    /// Waits for an upload that may still land.
    Fenced,
    /// Reads back, brings schedules.
    Verifying,
    /// Writes the outcome down.
    Settling,
    /// Waits after trouble.
    BackingOff,
    /// Is paused, or set aside.
    Held,
}

impl Step {
    /// For people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gathering => "gathering",
            Self::Permit => "waits for a connection",
            Self::Planning => "planning",
            Self::Uploading => "uploading",
            Self::Fenced => "fenced",
            Self::Verifying => "verifying",
            Self::Settling => "settling",
            Self::BackingOff => "backing off",
            Self::Held => "held",
        }
    }
}

/// So many projects are told one by one.
pub const PROJECTS: usize = 50;

/// What was done in the last while.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Rate {
    /// The while, in seconds; less than a minute only right after the start.
    pub seconds: f64,
    /// Changes settled in it.
    pub changes: u64,
    /// Messages settled.
    pub messages: u64,
    /// Uploads settled.
    pub uploads: u64,
}

impl Rate {
    /// So many of these in a second; 0 before anything can be told.
    #[must_use]
    pub fn per_second(&self, count: u64) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let count = count as f64;
        if self.seconds > 0.0 {
            count / self.seconds
        } else {
            0.0
        }
    }
}
