//! What a project hears and what it wants done.

use std::collections::BTreeSet;
use std::time::Duration;

use flowlift_common::steer::Hold;

use super::Final;
use crate::plan::{ChangeId, Decision};

/// A message that came for the project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// Its number in this consumer.
    pub receipt: u64,
    /// How often the broker handed it out before.
    pub returns: u64,
    /// How many changes it holds, as far as its headers say.
    pub changes: u64,
    /// Whether the broker can hand over no more for this shard until something is settled.
    pub window_full: bool,
}

/// An upload announced and not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenAttempt {
    /// Its id: the file name in the project log.
    pub attempt: String,
    /// Who announced it.
    pub consumer: String,
    /// Flows in it.
    pub flows: u64,
}

/// What reading the base found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BaseFacts {
    /// Whether the project is there.
    pub exists: bool,
    /// Flows in it.
    pub flows: usize,
}

/// Trouble on the road, by what can be done about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// Azkaban cannot be reached or does not work: no project can go on. Wait and try again.
    Away(String),
    /// It may work later: wait and try again.
    Later(String),
    /// This project cannot go on before somebody does something: a right is missing, its versions do not go together.
    Own(String),
    /// The project does not exist.
    ProjectMissing,
}

/// Trouble with an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UploadTrouble {
    /// Nothing can have landed.
    Not(Trouble),
    /// Azkaban refuses the content.
    Refused(Refusal),
    /// It may have landed, and may still, for no answer came.
    InDoubt(String),
    /// Azkaban failed while it stored the zip: what it did to the project the next look at the base tells. It is not at it any
    /// more. The content can be the reason, or the database.
    Stumbled(Refusal),
}

/// Azkaban's words against a zip.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Refusal {
    /// The text.
    pub text: String,
    /// The changes it names, each with the message about it alone.
    pub named: Vec<(ChangeId, String)>,
    /// Changes that are named together in one message: one of them may be meant.
    pub suspects: Vec<ChangeId>,
    /// Whether the words are about some flow, even if they name none.
    pub about_content: bool,
}

/// What the project log says about an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Landing {
    /// It is there.
    Landed,
    /// Not, or not yet.
    NotSeen,
    /// It cannot land any more: the server that had it is gone.
    Impossible,
}

/// Whose landing is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Doubtful {
    /// The upload of this batch.
    Own,
    /// One that a former holder left open.
    Left(String),
}

/// An upload that was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uploaded {
    /// How long it took.
    pub took: Duration,
    /// Whether its version is not the next one after the one that was active: somebody may have uploaded in between, and been
    /// overwritten.
    pub overtook: bool,
}

impl Uploaded {
    /// An upload after `took`, with this version, of a zip made for the version it `follows` (0: none). Any number in between
    /// may be somebody's: one whose install failed as far as we saw, or one that was still being stored; so may the very next
    /// one, where the project was made anew.
    #[must_use]
    pub fn answered(took: Duration, version: u32, follows: u32) -> Self {
        Self {
            took,
            overtook: version != follows + 1,
        }
    }
}

/// Schedules that are as wished, read back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scheduled {
    /// Changes whose schedule Azkaban refuses, with its words.
    pub refused: Vec<(ChangeId, String)>,
    /// Changes for which a schedule was set or removed.
    pub changed: Vec<ChangeId>,
}

/// What planning found; the plan itself stays with the shell.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Planned {
    /// A decision per change that was planned, ascending.
    pub decisions: Vec<(ChangeId, Decision)>,
    /// Messages whose bodies cannot be read, with the reason.
    pub unreadable: Vec<(u64, String)>,
    /// Messages of a newer wire version: they are left alone.
    pub newer: Vec<u64>,
    /// Whether a zip has to be uploaded.
    pub upload: bool,
    /// Whether schedules have to be looked at.
    pub schedules: bool,
    /// Whether the project is to be created if it is missing (some change allows it).
    pub may_create: bool,
    /// Flows in the project afterwards.
    pub flows: u64,
    /// Why nothing may be uploaded although there is something to upload: flows would vanish, or the zip could not be read again.
    pub forbidden: Option<String>,
}

/// What to plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanAsk {
    /// The messages, in the order they came.
    pub receipts: Vec<u64>,
    /// Changes that have their final outcome already.
    pub settled: BTreeSet<ChangeId>,
    /// Changes to leave out for now, while a culprit is looked for.
    pub held_back: BTreeSet<ChangeId>,
    /// Upload even if nothing changes, to see whether Azkaban takes the project as it is.
    pub force: bool,
}

/// Final outcomes to be made known, then acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settlement {
    /// Each change's outcome.
    pub changes: Vec<(ChangeId, Final)>,
    /// Messages that cannot be read: dead-lettered whole.
    pub unreadable: Vec<(u64, String)>,
    /// Messages that are final altogether: acknowledged at the end.
    pub receipts: Vec<u64>,
    /// Whether an upload carried them.
    pub uploaded: bool,
    /// Whether the last plan was not uploaded: what it found stands in no manifest.
    pub unwritten: bool,
}

/// What a project hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A message came.
    Arrived(Arrival),
    /// A connection to Azkaban may be used.
    Permit,
    /// Uploads that a former holder left open.
    OpenAttempts(Vec<OpenAttempt>),
    /// The base was read.
    Base(Result<BaseFacts, Trouble>),
    /// The project was created (or was there).
    Made(Result<(), Trouble>),
    /// The batch is planned.
    Planned(Planned),
    /// The attempt is written down and confirmed.
    Announced,
    /// The upload was answered, or not.
    Uploaded(Result<Uploaded, UploadTrouble>),
    /// The project log was read.
    Looked(Result<Landing, Trouble>),
    /// The flow list was read: whether it is exactly what was meant, else the difference for people.
    Listed(Result<Result<(), String>, Trouble>),
    /// Schedules are as wanted, but for these that Azkaban refused.
    Scheduled(Result<Scheduled, Trouble>),
    /// All messages in hand lie in the parked queue.
    Parked,
    /// Outcomes are confirmed, messages acknowledged.
    Settled,
    /// The time of [`super::Project::next_timer`] has come.
    Timer,
    /// Begin nothing new: the shard is handed over or the consumer leaves.
    Drain,
    /// Somebody paused the project, or all of them, or has them go on.
    Hold(Hold),
}

/// What a project wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Get a permit for one connection to Azkaban.
    WantPermit,
    /// Give it back, or stop waiting for it.
    DropPermit,
    /// Ask the stream of attempts what a former holder left open.
    AskOpenAttempts,
    /// Download the base and check that it is what is active.
    ReadBase,
    /// Create the project.
    Make,
    /// Plan the batch on the base and build the zip.
    Plan(PlanAsk),
    /// Write the attempt down, confirmed, before its body is sent.
    Announce,
    /// Send it.
    Upload,
    /// Look into the project log for an attempt.
    Look(Doubtful),
    /// Write down that nobody waits for an attempt any more, and how it ended. One that was not seen to land can still do so:
    /// then the project has to be checked some time later, whoever holds it by then.
    EndAttempt(Doubtful, Landing),
    /// Move these messages to the parked queue, confirmed, then acknowledge them.
    Park(Vec<u64>),
    /// After this time, look once more whether what was uploaded last is still there; whoever dies meanwhile does not.
    LookLater(Duration),
    /// Read the flow list and compare.
    List,
    /// Bring schedules to what is wanted, and read them back.
    Schedule,
    /// Confirm dead letters and outcomes, then acknowledge.
    Settle(Settlement),
    /// Forget base, plan and zip.
    Forget,
    /// Stop whatever action is under way; nothing of it is needed.
    Abort,
    /// The shard holds messages for a newer Flowlift: give it back.
    GiveShardBack,
    /// Tell people.
    Say(LogLine),
}

/// Something worth a line in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogLine {
    /// Trouble; the next try comes after this delay.
    Trouble {
        /// Whether it is more than a passing one.
        step: &'static str,
        /// In what words.
        text: String,
        /// When it is tried again.
        retry_in: Duration,
    },
    /// Uploads that were left open are waited for.
    Fenced {
        /// How many.
        open: usize,
        /// At most this long.
        at_most: Duration,
    },
    /// The own upload got no clear answer.
    Doubt {
        /// What happened.
        text: String,
        /// At most this long it is looked for.
        at_most: Duration,
    },
    /// Azkaban refuses the batch; culprits are looked for among so many.
    Searching {
        /// Suspects.
        suspects: usize,
        /// Azkaban's words.
        text: String,
    },
    /// Somebody may have uploaded between the base and the own upload.
    Overtook,
    /// The project cannot go on; its messages are set aside.
    Parked {
        /// Why.
        text: String,
        /// How many messages.
        messages: usize,
    },
    /// Azkaban does not list what was meant.
    Mismatch {
        /// The difference.
        text: String,
    },
}
