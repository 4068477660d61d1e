//! The transitions.

use std::collections::BTreeSet;

use super::event::{
    Action, Arrival, BaseFacts, Doubtful, Event, Landing, LogLine, Planned, Refusal, Scheduled, Trouble,
    UploadTrouble, Uploaded,
};
use super::linger::Linger;
use super::search::{Next, Search};
use super::{Phase, Project};
use crate::plan::ChangeId;

/// So often Azkaban may fail to store a batch before its content is taken for the reason (azkaban-api.md, 7.1).
const STUMBLES: u32 = 2;

impl Project {
    /// Takes an event; returns what to do, in order.
    pub fn handle(&mut self, event: Event, now_ms: u64) -> Vec<Action> {
        let mut out = Vec::new();
        match (event, &self.phase) {
            (Event::Arrived(arrival), _) => self.arrived(arrival, now_ms, &mut out),
            (Event::Drain, _) => self.drain(now_ms, &mut out),
            (Event::Hold(hold), _) => self.held(hold, now_ms, &mut out),
            (Event::Timer, _) => self.timer(now_ms, &mut out),
            (Event::Permit, Phase::Permit) => self.permitted(now_ms, &mut out),
            // a permit that comes after the wait was given up
            (Event::Permit, _) => out.push(Action::DropPermit),
            (Event::OpenAttempts(open), Phase::Takeover) => self.opened(open, now_ms, &mut out),
            (Event::Base(read), Phase::Base) => self.base(read, now_ms, &mut out),
            (Event::Made(made), Phase::Making) => self.made(made, now_ms, &mut out),
            (Event::Planned(planned), Phase::Planning) => self.planned(planned, now_ms, &mut out),
            (Event::Announced, Phase::Announcing) => {
                self.enter(Phase::Uploading, now_ms);
                out.push(Action::Upload);
            }
            (Event::Uploaded(answer), Phase::Uploading) => self.uploaded(answer, now_ms, &mut out),
            (Event::Looked(looked), Phase::Fence { .. } | Phase::Doubt { .. }) => {
                self.looked(looked, now_ms, &mut out);
            }
            (Event::Listed(listed), Phase::Listing) => self.listed(listed, now_ms, &mut out),
            (Event::Scheduled(scheduled), Phase::Scheduling) => self.scheduled(scheduled, now_ms, &mut out),
            (Event::Settled, Phase::Settling) => self.settled(now_ms, &mut out),
            (Event::Parked, Phase::Parking) => self.parked(now_ms, &mut out),
            // an answer to an action that was aborted meanwhile
            _ => {}
        }
        out
    }

    fn arrived(&mut self, arrival: Arrival, now_ms: u64, out: &mut Vec<Action>) {
        self.last_arrival_ms = now_ms;
        let full = arrival.window_full;
        self.queue.push(arrival);
        let changes = self.queue.iter().map(|arrival| arrival.changes).sum();
        if let Phase::Lingering(linger) = &mut self.phase {
            linger.hold(changes);
            if full {
                linger.fill();
            }
        }
        if self.phase == Phase::Idle {
            self.waits(now_ms, out);
        }
    }

    pub(super) fn linger(&mut self, now_ms: u64, full: bool, out: &mut Vec<Action>) {
        let mut linger = Linger::open(now_ms, &self.limits, self.last_upload, full);
        linger.hold(self.queue.iter().map(|arrival| arrival.changes).sum());
        self.enter(Phase::Lingering(linger), now_ms);
        if self.next_timer().is_some_and(|due| due <= now_ms) {
            self.timer(now_ms, out);
        }
    }

    pub(super) fn timer(&mut self, now_ms: u64, out: &mut Vec<Action>) {
        if self.next_timer().is_none_or(|due| due > now_ms) {
            return;
        }
        match &mut self.phase {
            Phase::Lingering(_) | Phase::Waiting { .. } => self.want_permit(now_ms, out),
            Phase::Fence { open, looking, .. } => {
                *looking = true;
                let attempt = open
                    .first()
                    .map(|attempt| attempt.attempt.clone())
                    .unwrap_or_default();
                out.push(Action::Look(Doubtful::Left(attempt)));
            }
            Phase::Doubt { looking, .. } => {
                *looking = true;
                out.push(Action::Look(Doubtful::Own));
            }
            _ => {}
        }
    }

    fn want_permit(&mut self, now_ms: u64, out: &mut Vec<Action>) {
        self.enter(Phase::Permit, now_ms);
        if self.has_permit {
            self.permitted(now_ms, out);
        } else {
            out.push(Action::WantPermit);
        }
    }

    fn permitted(&mut self, now_ms: u64, out: &mut Vec<Action>) {
        self.has_permit = true;
        if self.taken_over || !self.limits.safeguards.fence {
            self.read_base(now_ms, out);
        } else {
            self.enter(Phase::Takeover, now_ms);
            out.push(Action::AskOpenAttempts);
        }
    }

    pub(super) fn read_base(&mut self, now_ms: u64, out: &mut Vec<Action>) {
        // whatever came while others were worked on travels along, unless a culprit is being looked for
        if self.batch.search.is_none() {
            self.batch.add(&mut self.queue);
        }
        self.enter(Phase::Base, now_ms);
        out.push(Action::ReadBase);
    }

    fn base(&mut self, read: Result<BaseFacts, Trouble>, now_ms: u64, out: &mut Vec<Action>) {
        match read {
            Ok(_) | Err(Trouble::ProjectMissing) => self.plan(now_ms, out),
            Err(trouble) => self.trouble("read the base", trouble, now_ms, out),
        }
    }

    fn plan(&mut self, now_ms: u64, out: &mut Vec<Action>) {
        if self.batch.search.is_none() {
            self.batch.add(&mut self.queue);
        }
        self.enter(Phase::Planning, now_ms);
        out.push(Action::Plan(self.batch.ask()));
    }

    fn planned(&mut self, planned: Planned, now_ms: u64, out: &mut Vec<Action>) {
        let (upload, schedules, make) = (planned.upload, planned.schedules, planned.may_create);
        let forbidden = planned
            .forbidden
            .clone()
            .filter(|_| self.limits.safeguards.shrink_guard);
        self.planned_flows = planned.flows;
        if self.batch.planned(planned) {
            out.push(Action::GiveShardBack);
        }
        if let Some(text) = forbidden.filter(|_| upload) {
            self.trouble("upload", Trouble::Later(text), now_ms, out);
        } else if upload && make {
            self.enter(Phase::Making, now_ms);
            out.push(Action::Make);
        } else if upload {
            self.announce(now_ms, out);
        } else if schedules {
            self.enter(Phase::Scheduling, now_ms);
            out.push(Action::Schedule);
        } else {
            self.settle(now_ms, out);
        }
    }

    fn made(&mut self, made: Result<(), Trouble>, now_ms: u64, out: &mut Vec<Action>) {
        match made {
            Ok(()) => self.announce(now_ms, out),
            Err(trouble) => self.trouble("create the project", trouble, now_ms, out),
        }
    }

    fn announce(&mut self, now_ms: u64, out: &mut Vec<Action>) {
        self.enter(Phase::Announcing, now_ms);
        out.push(Action::Announce);
    }

    fn uploaded(&mut self, answer: Result<Uploaded, UploadTrouble>, now_ms: u64, out: &mut Vec<Action>) {
        match answer {
            Ok(Uploaded { took, overtook }) => {
                self.last_upload = Some(took);
                self.longest_upload = self.longest_upload.max(took);
                self.batch.carry();
                out.push(Action::EndAttempt(Doubtful::Own, Landing::Landed));
                if overtook && self.limits.safeguards.version_check {
                    self.overtook(now_ms, out);
                } else {
                    self.landed(now_ms, out);
                }
            }
            Err(UploadTrouble::Not(trouble)) => {
                out.push(Action::EndAttempt(Doubtful::Own, Landing::Impossible));
                self.trouble("upload", trouble, now_ms, out);
            }
            Err(UploadTrouble::Refused(refusal)) => {
                out.push(Action::EndAttempt(Doubtful::Own, Landing::Impossible));
                self.refused(refusal, now_ms, out);
            }
            Err(UploadTrouble::Stumbled(refusal)) => {
                self.batch.carry();
                out.push(Action::EndAttempt(Doubtful::Own, Landing::Impossible));
                self.stumbled(refusal, now_ms, out);
            }
            Err(UploadTrouble::InDoubt(text)) => self.in_doubt(text, now_ms, out),
        }
    }

    /// Azkaban failed while it stored the zip. A bad night of its database names one flow after the other; only who is named
    /// each time is to blame.
    fn stumbled(&mut self, refusal: Refusal, now_ms: u64, out: &mut Vec<Action>) {
        let Refusal {
            text,
            named,
            suspects,
            ..
        } = refusal;
        if !refusal.about_content {
            self.stumbles = Default::default();
            return self.trouble("upload", Trouble::Later(text), now_ms, out);
        }
        let now: BTreeSet<ChangeId> = named.iter().map(|(id, _)| *id).chain(suspects).collect();
        let (times, before) = std::mem::take(&mut self.stumbles);
        let both: BTreeSet<ChangeId> = before.intersection(&now).copied().collect();
        self.stumbles = match times {
            0 => (1, now),
            _ if both.is_empty() && !now.is_empty() => (1, now),
            times => (times + 1, both),
        };
        if self.stumbles.0 <= STUMBLES {
            return self.trouble("upload", Trouble::Later(text), now_ms, out);
        }
        let (_, blamed) = std::mem::take(&mut self.stumbles);
        let alone = blamed.len() == 1;
        let refusal = Refusal {
            named: named
                .into_iter()
                .filter(|(id, _)| alone && blamed.contains(id))
                .collect(),
            suspects: blamed.into_iter().collect(),
            text,
            about_content: true,
        };
        self.refused(refusal, now_ms, out);
    }

    /// Somebody's upload was overwritten by ours: what both come to is made from the base anew, before anything is settled.
    fn overtook(&mut self, now_ms: u64, out: &mut Vec<Action>) {
        self.batch.landed = true;
        out.push(Action::Say(LogLine::Overtook));
        self.base_anew(now_ms, out);
    }

    /// Plans once more what an upload has carried.
    pub(super) fn base_anew(&mut self, now_ms: u64, out: &mut Vec<Action>) {
        if self.is_stopped() {
            return self.lay_down(now_ms, out);
        }
        self.read_base(now_ms, out);
    }

    pub(super) fn landed(&mut self, now_ms: u64, out: &mut Vec<Action>) {
        (self.batch.uploaded, self.batch.landed) = (true, true);
        self.enter(Phase::Listing, now_ms);
        out.push(Action::List);
    }

    fn refused(&mut self, refusal: Refusal, now_ms: u64, out: &mut Vec<Action>) {
        let Refusal {
            text,
            named,
            suspects,
            ..
        } = refusal;
        if !named.is_empty() {
            for (id, reason) in named {
                self.batch.convict(id, reason);
            }
            self.batch.search = None;
            return self.read_base(now_ms, out);
        }
        let mut search = match self.batch.search.take() {
            Some(mut search) => {
                search.refused(text);
                search
            }
            None => {
                // the ones that may be meant come last: those before them are in Azkaban after one upload
                let (meant, mut order): (Vec<_>, Vec<_>) = self
                    .batch
                    .contributing()
                    .into_iter()
                    .partition(|id| suspects.contains(id));
                order.extend(meant);
                out.push(Action::Say(LogLine::Searching {
                    suspects: order.len(),
                    text: text.clone(),
                }));
                Search::new(order, self.batch.idle(), text)
            }
        };
        match search.next() {
            Next::Try(_) | Next::TryBase => {
                self.batch.search = Some(search);
                self.read_base(now_ms, out);
            }
            Next::Convict(id, reason) => {
                self.batch.convict(id, reason);
                self.read_base(now_ms, out);
            }
            Next::BaseRefused(text) => {
                let text = format!("Azkaban refuses even the unchanged project: {text}");
                self.trouble("upload", Trouble::Own(text), now_ms, out);
            }
        }
    }

    fn listed(&mut self, listed: Result<Result<(), String>, Trouble>, now_ms: u64, out: &mut Vec<Action>) {
        match listed {
            Ok(Err(text)) if self.limits.safeguards.read_back => {
                out.push(Action::Say(LogLine::Mismatch { text: text.clone() }));
                self.trouble("verify", Trouble::Later(text), now_ms, out);
            }
            Ok(_) if self.batch.schedules => {
                self.enter(Phase::Scheduling, now_ms);
                out.push(Action::Schedule);
            }
            Ok(_) => self.settle(now_ms, out),
            Err(trouble) => self.trouble("verify", trouble, now_ms, out),
        }
    }

    fn scheduled(&mut self, scheduled: Result<Scheduled, Trouble>, now_ms: u64, out: &mut Vec<Action>) {
        match scheduled {
            Ok(scheduled) => {
                for (id, reason) in scheduled.refused {
                    self.batch.refuse_schedule(id, &reason);
                }
                self.batch.rescheduled(scheduled.changed);
                self.settle(now_ms, out);
            }
            Err(trouble) => self.trouble("schedule", trouble, now_ms, out),
        }
    }

    fn settle(&mut self, now_ms: u64, out: &mut Vec<Action>) {
        (self.failures, self.own_failures) = (0, 0);
        if let Some(search) = &mut self.batch.search {
            search.landed();
        }
        self.look_later(out);
        self.drop_permit(out);
        self.enter(Phase::Settling, now_ms);
        out.push(Action::Settle(self.batch.settlement()));
    }

    fn settled(&mut self, now_ms: u64, out: &mut Vec<Action>) {
        let done = self.batch.settle();
        let convict = self.batch.search.as_mut().map(Search::next);
        if let Some(Next::Convict(id, reason)) = convict {
            self.batch.search = None;
            self.batch.convict(id, reason);
        }
        if done {
            self.batch = super::Batch::default();
            self.stumbles = Default::default();
            out.push(Action::Forget);
            // with nothing in hand the broker may give the shard to others and back without a word
            self.taken_over &= !self.queue.is_empty();
        }
        self.enter(Phase::Idle, now_ms);
        if self.is_stopped() {
            let mut held = self.batch.give_up();
            self.queue.append(&mut held);
            self.waits(now_ms, out);
        } else if !done {
            self.want_permit(now_ms, out);
        } else {
            self.waits(now_ms, out);
        }
    }
}
