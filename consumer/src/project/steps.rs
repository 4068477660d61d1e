//! The transitions.

use super::event::{
    Action, Arrival, BaseFacts, Doubtful, Event, Landing, LogLine, OpenAttempt, Planned, Trouble,
    UploadTrouble, Uploaded,
};
use super::linger::Linger;
use super::search::{Next, Search};
use super::{Phase, Project, ms};

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
            self.linger(now_ms, full, out);
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
        if self.taken_over {
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
        let at_most = self.fence();
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
            Err(Trouble::Later(text)) => self.wait("read the base", text, now_ms, out),
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
        if self.batch.planned(planned) {
            out.push(Action::GiveShardBack);
        }
        if upload && make {
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
            Err(Trouble::Later(text)) => self.wait("create the project", text, now_ms, out),
            Err(Trouble::ProjectMissing) => {
                self.wait("create the project", "it is not there".into(), now_ms, out);
            }
        }
    }

    fn announce(&mut self, now_ms: u64, out: &mut Vec<Action>) {
        self.enter(Phase::Announcing, now_ms);
        out.push(Action::Announce);
    }

    fn uploaded(&mut self, answer: Result<Uploaded, UploadTrouble>, now_ms: u64, out: &mut Vec<Action>) {
        match answer {
            Ok(Uploaded { took }) => {
                self.last_upload = Some(took);
                self.longest_upload = self.longest_upload.max(took);
                self.batch.carry();
                out.push(Action::EndAttempt(Doubtful::Own));
                self.landed(now_ms, out);
            }
            Err(UploadTrouble::Later(text)) => {
                out.push(Action::EndAttempt(Doubtful::Own));
                self.wait("upload", text, now_ms, out);
            }
            Err(UploadTrouble::ProjectMissing) => {
                out.push(Action::EndAttempt(Doubtful::Own));
                self.wait("upload", "the project is gone".into(), now_ms, out);
            }
            Err(UploadTrouble::Refused { text, named }) => {
                out.push(Action::EndAttempt(Doubtful::Own));
                self.refused(text, named, now_ms, out);
            }
            Err(UploadTrouble::InDoubt {
                text,
                may_still_land: false,
            }) => {
                self.batch.carry();
                out.push(Action::EndAttempt(Doubtful::Own));
                self.wait("upload", text, now_ms, out);
            }
            Err(UploadTrouble::InDoubt {
                text,
                may_still_land: true,
            }) => {
                self.batch.carry();
                let at_most = self.fence();
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
        }
    }

    fn landed(&mut self, now_ms: u64, out: &mut Vec<Action>) {
        self.batch.uploaded = true;
        self.enter(Phase::Listing, now_ms);
        out.push(Action::List);
    }

    fn refused(
        &mut self,
        text: String,
        named: Vec<(crate::plan::ChangeId, String)>,
        now_ms: u64,
        out: &mut Vec<Action>,
    ) {
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
                let suspects = self.batch.contributing();
                out.push(Action::Say(LogLine::Searching {
                    suspects: suspects.len(),
                    text: text.clone(),
                }));
                Search::new(suspects, text)
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
                self.failures = self.failures.max(5);
                self.wait("upload", text, now_ms, out);
            }
        }
    }

    fn looked(&mut self, looked: Result<Landing, Trouble>, now_ms: u64, out: &mut Vec<Action>) {
        let landing = looked.unwrap_or(Landing::NotSeen);
        let look_ms = ms(self.limits.look);
        match &mut self.phase {
            Phase::Doubt {
                until_ms,
                looking,
                next_ms,
            } => {
                if landing == Landing::NotSeen && now_ms < *until_ms {
                    (*looking, *next_ms) = (false, now_ms + look_ms);
                    return;
                }
                out.push(Action::EndAttempt(Doubtful::Own));
                if landing == Landing::Landed {
                    self.landed(now_ms, out);
                } else {
                    self.wait("upload", "it did not land".into(), now_ms, out);
                }
            }
            Phase::Fence {
                open,
                until_ms,
                looking,
                next_ms,
            } => {
                (*looking, *next_ms) = (false, now_ms + look_ms);
                if (landing != Landing::NotSeen || now_ms >= *until_ms) && !open.is_empty() {
                    out.push(Action::EndAttempt(Doubtful::Left(open.remove(0).attempt)));
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
            Ok(Ok(())) if self.batch.schedules => {
                self.enter(Phase::Scheduling, now_ms);
                out.push(Action::Schedule);
            }
            Ok(Ok(())) => self.settle(now_ms, out),
            Ok(Err(text)) => {
                out.push(Action::Say(LogLine::Mismatch { text: text.clone() }));
                self.wait("verify", text, now_ms, out);
            }
            Err(Trouble::Later(text)) => self.wait("verify", text, now_ms, out),
            Err(Trouble::ProjectMissing) => self.wait("verify", "the project is gone".into(), now_ms, out),
        }
    }

    fn scheduled(
        &mut self,
        scheduled: Result<Vec<(crate::plan::ChangeId, String)>, Trouble>,
        now_ms: u64,
        out: &mut Vec<Action>,
    ) {
        match scheduled {
            Ok(refused) => {
                for (id, reason) in refused {
                    self.batch.refuse_schedule(id, &reason);
                }
                self.settle(now_ms, out);
            }
            Err(Trouble::Later(text)) => self.wait("schedule", text, now_ms, out),
            Err(Trouble::ProjectMissing) => self.wait("schedule", "the project is gone".into(), now_ms, out),
        }
    }

    fn settle(&mut self, now_ms: u64, out: &mut Vec<Action>) {
        self.failures = 0;
        if self.batch.uploaded
            && let Some(search) = &mut self.batch.search
        {
            search.landed();
        }
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
        let mut held = self.batch.give_up();
        self.queue.append(&mut held);
        out.push(Action::Forget);
        self.enter(Phase::Idle, now_ms);
    }

    /// Waits and begins the cycle again; nothing of the plan is kept, the base may be another one by then.
    fn wait(&mut self, step: &'static str, text: String, now_ms: u64, out: &mut Vec<Action>) {
        let retry_in = self.backoff();
        out.push(Action::Say(LogLine::Trouble { step, text, retry_in }));
        self.drop_permit(out);
        if self.draining {
            let mut held = self.batch.give_up();
            self.queue.append(&mut held);
            out.push(Action::Forget);
            return self.enter(Phase::Idle, now_ms);
        }
        self.enter(
            Phase::Waiting {
                until_ms: now_ms + ms(retry_in),
            },
            now_ms,
        );
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
