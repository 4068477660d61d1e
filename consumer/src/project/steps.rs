//! The transitions.

use super::event::{
    Action, Arrival, BaseFacts, Doubtful, Event, Landing, LogLine, OpenAttempt, Planned, Refusal, Scheduled,
    Trouble, UploadTrouble, Uploaded,
};
use super::linger::Linger;
use super::search::{Next, Search};
use super::{Phase, Project, ms};

/// So often Azkaban may fail to store a batch before its content is taken for the reason (azkaban-api.md, 7.1).
const STUMBLES: u32 = 2;

impl Project {
    /// Takes an event; returns what to do, in order.
    pub fn handle(&mut self, event: Event, now_ms: u64) -> Vec<Action> {
        let mut out = Vec::new();
        match (event, &self.phase) {
            (Event::Arrived(arrival), _) => self.arrived(arrival, now_ms, &mut out),
            (Event::Drain, _) => self.drain(now_ms, &mut out),
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
        if let Phase::Lingering(linger) = &mut self.phase
            && full
        {
            linger.fill();
        }
        if self.phase == Phase::Idle && !self.draining {
            if now_ms < self.parked_until_ms {
                self.set_aside(now_ms, out);
            } else {
                self.linger(now_ms, full, out);
            }
        }
    }

    fn linger(&mut self, now_ms: u64, full: bool, out: &mut Vec<Action>) {
        self.enter(
            Phase::Lingering(Linger::open(now_ms, &self.limits, self.last_upload, full)),
            now_ms,
        );
        if self.next_timer().is_some_and(|due| due <= now_ms) {
            self.timer(now_ms, out);
        }
    }

    fn timer(&mut self, now_ms: u64, out: &mut Vec<Action>) {
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

    fn opened(&mut self, open: Vec<OpenAttempt>, now_ms: u64, out: &mut Vec<Action>) {
        self.taken_over = true;
        if open.is_empty() {
            return self.read_base(now_ms, out);
        }
        let at_most = self.fence(open.iter().map(|open| open.flows).max().unwrap_or_default());
        out.push(Action::Say(LogLine::Fenced {
            open: open.len(),
            at_most,
        }));
        let until_ms = now_ms + ms(at_most);
        self.enter(
            Phase::Fence {
                open,
                until_ms,
                looking: false,
                next_ms: now_ms,
            },
            now_ms,
        );
        self.timer(now_ms, out);
    }

    fn read_base(&mut self, now_ms: u64, out: &mut Vec<Action>) {
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
                out.push(Action::EndAttempt(Doubtful::Own, true));
                if overtook && self.limits.safeguards.version_check {
                    self.overtook(now_ms, out);
                } else {
                    self.landed(now_ms, out);
                }
            }
            Err(UploadTrouble::Not(trouble)) => {
                out.push(Action::EndAttempt(Doubtful::Own, false));
                self.trouble("upload", trouble, now_ms, out);
            }
            Err(UploadTrouble::Refused(refusal)) => {
                out.push(Action::EndAttempt(Doubtful::Own, false));
                self.refused(refusal, now_ms, out);
            }
            Err(UploadTrouble::Stumbled(refusal)) => {
                self.batch.carry();
                out.push(Action::EndAttempt(Doubtful::Own, false));
                self.stumbles += 1;
                let named = !refusal.named.is_empty() || !refusal.suspects.is_empty();
                if named && self.stumbles > STUMBLES {
                    self.refused(refusal, now_ms, out);
                } else {
                    self.trouble("upload", Trouble::Later(refusal.text), now_ms, out);
                }
            }
            Err(UploadTrouble::InDoubt(text)) => self.in_doubt(text, now_ms, out),
        }
    }

    fn in_doubt(&mut self, text: String, now_ms: u64, out: &mut Vec<Action>) {
        self.batch.carry();
        if !self.limits.safeguards.fence {
            out.push(Action::EndAttempt(Doubtful::Own, false));
            return self.trouble("upload", Trouble::Later(text), now_ms, out);
        }
        let at_most = self.fence(self.planned_flows);
        out.push(Action::Say(LogLine::Doubt { text, at_most }));
        let (until_ms, next_ms) = (now_ms + ms(at_most), now_ms + ms(self.limits.look));
        self.enter(
            Phase::Doubt {
                until_ms,
                looking: false,
                next_ms,
            },
            now_ms,
        );
    }

    /// Somebody's upload was overwritten by ours: what both come to is made from the base anew, before anything is settled.
    fn overtook(&mut self, now_ms: u64, out: &mut Vec<Action>) {
        self.batch.landed = true;
        out.push(Action::Say(LogLine::Overtook));
        if self.draining {
            return self.give_all_up(now_ms, out);
        }
        self.read_base(now_ms, out);
    }

    fn landed(&mut self, now_ms: u64, out: &mut Vec<Action>) {
        (self.batch.uploaded, self.batch.landed) = (true, true);
        self.enter(Phase::Listing, now_ms);
        out.push(Action::List);
    }

    fn refused(&mut self, refusal: Refusal, now_ms: u64, out: &mut Vec<Action>) {
        let Refusal {
            text,
            named,
            suspects,
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
                Search::new(order, text)
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

    fn looked(&mut self, looked: Result<Landing, Trouble>, now_ms: u64, out: &mut Vec<Action>) {
        let pause = match &looked {
            Ok(_) => self.limits.look,
            Err(_) => self.limits.look_away,
        };
        let (landing, pause_ms) = (looked.unwrap_or(Landing::NotSeen), ms(pause));
        match &mut self.phase {
            Phase::Doubt {
                until_ms,
                looking,
                next_ms,
            } => {
                if landing == Landing::NotSeen && now_ms < *until_ms {
                    (*looking, *next_ms) = (false, now_ms + pause_ms);
                    return;
                }
                out.push(Action::EndAttempt(Doubtful::Own, landing == Landing::Landed));
                self.doubtful |= landing == Landing::NotSeen;
                if landing == Landing::Landed {
                    self.landed(now_ms, out);
                } else {
                    let text = "it did not land".to_owned();
                    self.trouble("upload", Trouble::Later(text), now_ms, out);
                }
            }
            Phase::Fence {
                open,
                until_ms,
                looking,
                next_ms,
            } => {
                (*looking, *next_ms) = (false, now_ms + pause_ms);
                if (landing != Landing::NotSeen || now_ms >= *until_ms) && !open.is_empty() {
                    let attempt = open.remove(0).attempt;
                    out.push(Action::EndAttempt(
                        Doubtful::Left(attempt),
                        landing == Landing::Landed,
                    ));
                    self.doubtful |= landing == Landing::NotSeen;
                    *next_ms = now_ms;
                }
                if open.is_empty() {
                    self.read_base(now_ms, out);
                } else {
                    open.rotate_left(1);
                    self.timer(now_ms, out);
                }
            }
            _ => {}
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
        if self.batch.uploaded
            && let Some(search) = &mut self.batch.search
        {
            search.landed();
        }
        self.look_later(out);
        self.drop_permit(out);
        self.enter(Phase::Settling, now_ms);
        out.push(Action::Settle(self.batch.settlement()));
    }

    fn look_later(&mut self, out: &mut Vec<Action>) {
        if !self.limits.safeguards.second_look {
            return;
        }
        if self.batch.landed {
            out.push(Action::LookLater(self.limits.second_look));
        }
        if std::mem::take(&mut self.doubtful) {
            out.extend(self.limits.later_looks.map(Action::LookLater));
        }
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
            self.stumbles = 0;
            out.push(Action::Forget);
            // with nothing in hand the broker may give the shard to others and back without a word
            self.taken_over &= !self.queue.is_empty();
        }
        self.enter(Phase::Idle, now_ms);
        if self.draining {
            let mut held = self.batch.give_up();
            self.queue.append(&mut held);
        } else if !done {
            self.want_permit(now_ms, out);
        } else if !self.queue.is_empty() {
            let full = self.queue.iter().any(|arrival| arrival.window_full);
            self.linger(now_ms, full, out);
        }
    }

    /// Begins nothing new. What is not begun goes back to the queue; what is begun goes on to its end.
    fn drain(&mut self, now_ms: u64, out: &mut Vec<Action>) {
        self.draining = true;
        if self.is_begun() || self.phase == Phase::Idle {
            return;
        }
        out.push(Action::Abort);
        self.drop_permit_or_wait(out);
        self.give_all_up(now_ms, out);
    }

    /// Back to the queue with everything; somebody else goes on.
    fn give_all_up(&mut self, now_ms: u64, out: &mut Vec<Action>) {
        self.drop_permit(out);
        let mut held = self.batch.give_up();
        self.queue.append(&mut held);
        out.push(Action::Forget);
        self.enter(Phase::Idle, now_ms);
    }

    fn trouble(&mut self, step: &'static str, trouble: Trouble, now_ms: u64, out: &mut Vec<Action>) {
        let (text, own) = match trouble {
            Trouble::Away(text) => (text, false),
            Trouble::Later(text) => (text, true),
            Trouble::ProjectMissing => ("the project is not there".to_owned(), true),
            Trouble::Own(text) => {
                self.own_failures = self.limits.park_after;
                (text, true)
            }
        };
        if own {
            self.own_failures += 1;
        }
        if self.own_failures > self.limits.park_after && !self.draining {
            return self.park(step, &text, now_ms, out);
        }
        self.wait(step, text, now_ms, out);
    }

    /// Waits and begins the cycle again; nothing of the plan is kept, the base may be another one by then.
    fn wait(&mut self, step: &'static str, text: String, now_ms: u64, out: &mut Vec<Action>) {
        let retry_in = self.backoff();
        out.push(Action::Say(LogLine::Trouble { step, text, retry_in }));
        if self.draining {
            return self.give_all_up(now_ms, out);
        }
        self.drop_permit(out);
        self.enter(
            Phase::Waiting {
                until_ms: now_ms + ms(retry_in),
            },
            now_ms,
        );
    }

    /// Sets the project aside: its messages must not hold the window of their shard.
    fn park(&mut self, step: &'static str, text: &str, now_ms: u64, out: &mut Vec<Action>) {
        (self.failures, self.own_failures, self.stumbles) = (0, 0, 0);
        self.parked_until_ms = now_ms + ms(self.limits.parked);
        let text = format!("could not {step}: {text}");
        self.drop_permit(out);
        let mut held = self.batch.give_up();
        held.append(&mut self.queue);
        self.queue = held;
        out.push(Action::Forget);
        out.push(Action::Say(LogLine::Parked {
            text,
            messages: self.queue.len(),
        }));
        self.set_aside(now_ms, out);
    }

    fn set_aside(&mut self, now_ms: u64, out: &mut Vec<Action>) {
        let receipts = self.queue.drain(..).map(|arrival| arrival.receipt).collect();
        self.enter(Phase::Parking, now_ms);
        out.push(Action::Park(receipts));
    }

    fn parked(&mut self, now_ms: u64, out: &mut Vec<Action>) {
        self.taken_over &= !self.queue.is_empty();
        self.enter(Phase::Idle, now_ms);
        if !self.queue.is_empty() && !self.draining {
            self.set_aside(now_ms, out);
        }
    }

    fn drop_permit(&mut self, out: &mut Vec<Action>) {
        if std::mem::take(&mut self.has_permit) {
            out.push(Action::DropPermit);
        }
    }

    fn drop_permit_or_wait(&mut self, out: &mut Vec<Action>) {
        if self.phase == Phase::Permit {
            out.push(Action::DropPermit);
        }
        self.drop_permit(out);
    }
}
