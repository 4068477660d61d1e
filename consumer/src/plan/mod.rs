//! Base and changes in, what to upload out. Pure: the same input gives the same plan.
//!
//! A flow claims the files it is made of; a file lives while some flow claims it, and takes the content of the newest change
//! that brought it. So flows that share job files can come and go one by one. The highest (rank, run, sequence) of a flow
//! wins, whatever came when; what no change names stays as it is, byte for byte.

mod acts;
mod claimants;
mod culprit;
mod draft;
mod guard;
mod late;
mod schedule;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use flowlift_azkaban::Format;
use flowlift_common::envelope::Rules;
use flowlift_common::manifest::Manifest;
use flowlift_common::{Act, Body, Change, Order, RunId, Seen};

use crate::base::Base;
use draft::Draft;
pub use schedule::{ScheduleStep, Wish};

/// A change in a consumer's hands: its message's receipt and its sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChangeId {
    /// The message.
    pub receipt: u64,
    /// The change in it.
    pub seq: u64,
}

/// A change and what its message says about all of its changes.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Which one.
    pub id: ChangeId,
    /// Its place among all changes.
    pub order: Order,
    /// Who asks.
    pub owner: &'a str,
    /// How it treats what it finds.
    pub rules: Rules,
    /// Whether its run was cancelled: it is applied no more, unless it is already.
    pub cancelled: bool,
    /// Why its content cannot be had any more: it is applied already, or it cannot be.
    pub missing: Option<&'a str>,
    /// What is asked, as far as it is kept in memory: the change itself is read when it is its turn ([`Changes`]).
    pub kind: Kind,
}

/// What sort of change it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Brings flows, in this format where the project is new.
    Upsert(Format),
    /// Deletes by pattern.
    DeleteMatching,
    /// Asks whether all is as it was applied.
    Check,
    /// Any other.
    Other,
}

impl Kind {
    /// Of a change in a message with these rules.
    #[must_use]
    pub fn of(change: &Change, rules: Rules) -> Self {
        match &change.act {
            Act::Upsert(upsert) => Self::Upsert(match &upsert.body {
                Body::Unit(unit) => unit.format,
                Body::Flow(_) => rules.format,
            }),
            Act::DeleteMatching(_) => Self::DeleteMatching,
            Act::Check => Self::Check,
            Act::Delete { .. } | Act::PutFile { .. } | Act::DeleteFile { .. } => Self::Other,
        }
    }

    fn format(self) -> Option<Format> {
        match self {
            Self::Upsert(format) => Some(format),
            _ => None,
        }
    }
}

/// Where the changes of a batch are read from, one at a time: unpacked all together they would be most of what a plan needs.
pub trait Changes {
    /// Hands over one change.
    fn with(&self, id: ChangeId, take: &mut dyn FnMut(&Change));
}

/// What a plan decides about one change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It is in the upload (or, without one, in Azkaban already as part of another's); the note is for people.
    Apply(Option<&'static str>),
    /// Azkaban has it already.
    Unchanged,
    /// It asked whether all is as it was applied; it was not, and is again with this upload.
    Restored,
    /// A newer one counts.
    Superseded,
    /// Its run was cancelled before it began.
    Cancelled,
    /// It cannot be applied; the reason is a clause for people.
    Dead(String),
}

/// What to do for a batch.
#[derive(Debug, Clone)]
pub struct Plan {
    /// One decision per change, in ascending order of the changes.
    pub decisions: Vec<(ChangeId, Decision)>,
    /// Files to write.
    pub put: BTreeMap<String, Bytes>,
    /// Files to leave out.
    pub remove: BTreeSet<String>,
    /// The manifest after it, without attempt; its generation is already the next.
    pub manifest: Manifest,
    /// The flows Azkaban must list afterwards.
    pub expected: BTreeSet<String>,
    /// Schedules to look at once the flows are there.
    pub schedules: Vec<ScheduleStep>,
    /// Whether anything has to be uploaded.
    pub upload: bool,
    /// The project's format.
    pub format: Format,
    /// What to remember where nothing was uploaded.
    pub seen: Seen,
    /// What comes back by this upload after it had been lost: the change that had brought it, and the flow.
    pub restored: Vec<(RunId, u64, String)>,
    /// Flows that Azkaban lists and would list no more, though no change takes them away: nothing may be uploaded.
    pub unexplained: BTreeSet<String>,
}

/// The format of a project: its own, or of a new one that which its first flow asks for. `asked` are all changes in hand, for
/// one that is left out for a while must not find a project of the other format when its turn comes.
#[must_use]
pub fn format_for(base: &Base, asked: &[Asked<'_>]) -> Format {
    let wanted = || asked.iter().filter(|one| !one.cancelled);
    let oldest = wanted().min_by_key(|one| one.order);
    let flows = wanted().filter_map(|one| Some((one.order, one.kind.format()?)));
    base.format()
        .or_else(|| flows.min_by_key(|(order, _)| *order).map(|(_, format)| format))
        .or_else(|| oldest.map(|one| one.rules.format))
        .unwrap_or(Format::V1)
}

/// Plans a batch for a project of this format. `attempt` is decided later, by whoever uploads.
#[must_use]
pub fn plan(
    base: &Base,
    format: Format,
    mut asked: Vec<Asked<'_>>,
    changes: &dyn Changes,
    seen: &Seen,
) -> Plan {
    asked.sort_by_key(|one| (one.order, one.id));
    let mut convicted: BTreeMap<ChangeId, String> = BTreeMap::new();
    loop {
        let draft = Draft::of(base, format, seen, &asked, changes, &convicted);
        match culprit::check(base, seen, &asked, changes, &convicted, &draft) {
            Ok(expected) => return finish(draft, base, &asked, expected),
            Err(culprits) => convicted.extend(culprits),
        }
    }
}

fn finish(draft: Draft<'_>, base: &Base, asked: &[Asked<'_>], expected: BTreeSet<String>) -> Plan {
    let schedules = schedule::steps(&draft);
    let news = draft.news();
    let decisions = asked
        .iter()
        .map(|one| (one.id, draft.decision(one, &news)))
        .collect();
    let upload = draft.needs_upload() || base.repair;
    let unexplained = guard::unexplained(&draft, &expected);
    let restored = draft.restored();
    let mut manifest = draft.manifest;
    manifest.generation = base.manifest.as_ref().map_or(0, |before| before.generation) + 1;
    manifest.bound();
    let (mut put, mut remove) = (BTreeMap::new(), BTreeSet::new());
    for (path, file) in draft.files {
        match file {
            Some(file) if base.tree.get(&path) != Some(&file.content) => {
                put.insert(path, file.content);
            }
            None if base.tree.contains_key(&path) => {
                remove.insert(path);
            }
            _ => {}
        }
    }
    Plan {
        decisions,
        put,
        remove,
        manifest,
        expected,
        schedules,
        upload,
        format: draft.format,
        seen: draft.fresh,
        restored,
        unexplained,
    }
}

#[cfg(test)]
mod tests;
