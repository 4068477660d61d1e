//! The messages that travel together, and which of their changes are final.

use std::collections::{BTreeMap, BTreeSet};

use flowlift_common::ledger::Outcome;

use super::event::{Arrival, PlanAsk, Planned, Settlement};
use super::search::Search;
use crate::plan::{ChangeId, Decision};

/// A change's final outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Final {
    /// The outcome.
    pub outcome: Outcome,
    /// Why it is dead, or what else is to be said.
    pub note: Option<String>,
}

/// A message that the broker handed out so often travels alone.
const ALONE: u64 = 5;

/// A batch.
#[derive(Debug, Default)]
pub(super) struct Batch {
    messages: Vec<Arrival>,
    /// Known from the first planning on: how many changes of each message are not final yet.
    open: BTreeMap<u64, BTreeSet<ChangeId>>,
    settled: BTreeSet<ChangeId>,
    unreadable: Vec<(u64, String)>,
    /// This cycle's decisions.
    decisions: Vec<(ChangeId, Decision)>,
    /// Convicted since the last settlement.
    convicted: BTreeMap<ChangeId, String>,
    pub(super) search: Option<Search>,
    /// This cycle's upload has landed.
    pub(super) uploaded: bool,
    /// Some upload since the last settlement has.
    pub(super) landed: bool,
    pub(super) schedules: bool,
    /// In an upload of this batch that landed or may have: if Azkaban has them when planned again, it was us.
    carried: BTreeSet<ChangeId>,
}

impl Batch {
    pub(super) fn messages(&self) -> impl Iterator<Item = &Arrival> {
        self.messages.iter()
    }

    /// Takes what waits. A message that came back again and again may be the reason for it: it is planned alone.
    pub(super) fn add(&mut self, waiting: &mut Vec<Arrival>) {
        let odd = |arrival: &Arrival| arrival.returns >= ALONE;
        if self.messages.iter().any(odd) {
            return;
        }
        let (odd, mut fine): (Vec<_>, Vec<_>) = std::mem::take(waiting).into_iter().partition(odd);
        self.messages.append(&mut fine);
        let mut odd = odd.into_iter();
        if self.messages.is_empty() {
            self.messages.extend(odd.next());
        }
        waiting.extend(odd);
    }

    pub(super) fn give_up(&mut self) -> Vec<Arrival> {
        std::mem::take(self).messages
    }

    pub(super) fn ask(&self) -> PlanAsk {
        let held_back = self
            .search
            .as_ref()
            .map_or_else(BTreeSet::new, |search| search.held_back().collect());
        PlanAsk {
            receipts: self.messages.iter().map(|message| message.receipt).collect(),
            settled: self
                .settled
                .iter()
                .chain(self.convicted.keys())
                .copied()
                .collect(),
            held_back,
            force: self.search.as_ref().is_some_and(Search::is_base_probe),
        }
    }

    /// Takes a plan; returns whether some message is for a newer Flowlift.
    pub(super) fn planned(&mut self, planned: Planned) -> bool {
        for (id, _) in &planned.decisions {
            self.open.entry(id.receipt).or_default().insert(*id);
        }
        if let Some(search) = &self.search {
            for id in search.held_back() {
                self.open.entry(id.receipt).or_default().insert(id);
            }
        }
        for id in &self.settled {
            if let Some(open) = self.open.get_mut(&id.receipt) {
                open.remove(id);
            }
        }
        self.unreadable = planned.unreadable;
        self.decisions = planned.decisions;
        self.uploaded = false;
        self.schedules = planned.schedules;
        self.messages
            .retain(|message| !planned.newer.contains(&message.receipt));
        !planned.newer.is_empty()
    }

    /// The changes that are in this cycle's upload, ascending.
    pub(super) fn contributing(&self) -> Vec<ChangeId> {
        let apply = |decision: &Decision| matches!(decision, Decision::Apply(_));
        self.decisions
            .iter()
            .filter(|(_, decision)| apply(decision))
            .map(|(id, _)| *id)
            .collect()
    }

    /// The changes that are not in this cycle's upload: superseded, there already, or dead, maybe only because of another one.
    pub(super) fn idle(&self) -> Vec<ChangeId> {
        let idle = |decision: &Decision| !matches!(decision, Decision::Apply(_));
        let ids = self.decisions.iter().filter(|(_, decision)| idle(decision));
        ids.map(|(id, _)| *id).collect()
    }

    /// Notes that an upload carried this cycle's changes.
    pub(super) fn carry(&mut self) {
        self.carried.extend(self.contributing());
    }

    pub(super) fn convict(&mut self, id: ChangeId, reason: String) {
        self.convicted.insert(id, reason);
    }

    /// A schedule that Azkaban refuses: the flow is there, the change is dead all the same.
    pub(super) fn refuse_schedule(&mut self, id: ChangeId, reason: &str) {
        for (other, decision) in &mut self.decisions {
            if *other == id {
                *decision =
                    Decision::Dead(format!("the flow is applied, its schedule was refused: {reason}"));
            }
        }
    }

    /// Changes of which at least the schedule was not as wished before.
    pub(super) fn rescheduled(&mut self, changed: Vec<ChangeId>) {
        self.carried.extend(changed);
    }

    /// What is final now. The messages stay in hand until [`Batch::settle`].
    pub(super) fn settlement(&mut self) -> Settlement {
        let mut changes: Vec<(ChangeId, Final)> = Vec::new();
        for (id, reason) in std::mem::take(&mut self.convicted) {
            changes.push((
                id,
                Final {
                    outcome: Outcome::Dead,
                    note: Some(reason),
                },
            ));
        }
        for (id, decision) in std::mem::take(&mut self.decisions) {
            let (outcome, note) = match decision {
                Decision::Apply(note) => (Outcome::Applied, note.map(str::to_owned)),
                Decision::Unchanged if self.carried.contains(&id) => (Outcome::Applied, None),
                Decision::Unchanged => (Outcome::Unchanged, None),
                Decision::Restored => (Outcome::Restored, None),
                Decision::Superseded => (Outcome::Superseded, None),
                Decision::Cancelled => (Outcome::Cancelled, None),
                Decision::Dead(reason) => (Outcome::Dead, Some(reason)),
            };
            changes.push((id, Final { outcome, note }));
        }
        changes.sort_by_key(|(id, _)| *id);
        for (id, _) in &changes {
            self.settled.insert(*id);
            if let Some(open) = self.open.get_mut(&id.receipt) {
                open.remove(id);
            }
        }
        let unreadable = std::mem::take(&mut self.unreadable);
        let bad: BTreeSet<u64> = unreadable.iter().map(|(receipt, _)| *receipt).collect();
        let done =
            |receipt: &u64| bad.contains(receipt) || self.open.get(receipt).is_some_and(BTreeSet::is_empty);
        let receipts = self
            .messages
            .iter()
            .map(|message| message.receipt)
            .filter(done)
            .collect();
        Settlement {
            changes,
            unreadable,
            receipts,
            uploaded: self.landed,
            unwritten: !self.uploaded,
        }
    }

    /// The settled messages leave; returns whether the batch is done.
    pub(super) fn settle(&mut self) -> bool {
        self.landed = false;
        let open = &self.open;
        self.messages.retain(|message| {
            open.get(&message.receipt)
                .is_some_and(|changes| !changes.is_empty())
        });
        let kept: BTreeSet<u64> = self.messages.iter().map(|message| message.receipt).collect();
        self.open.retain(|receipt, _| kept.contains(receipt));
        self.settled.retain(|id| kept.contains(&id.receipt));
        self.carried.retain(|id| kept.contains(&id.receipt));
        self.messages.is_empty()
    }
}
