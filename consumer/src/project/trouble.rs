//! What is done when the road is blocked: waiting, setting the project aside, giving everything up.

use super::event::{Action, LogLine, Trouble};
use super::{Phase, Project, ms};

impl Project {
    /// Begins nothing new. What is not begun goes back to the queue; what is begun goes on to its end.
    pub(super) fn drain(&mut self, now_ms: u64, out: &mut Vec<Action>) {
        self.draining = true;
        if self.is_begun() || self.phase == Phase::Idle {
            return;
        }
        out.push(Action::Abort);
        self.drop_permit_or_wait(out);
        self.give_all_up(now_ms, out);
    }

    /// Back to the queue with everything; somebody else goes on.
    pub(super) fn give_all_up(&mut self, now_ms: u64, out: &mut Vec<Action>) {
        self.drop_permit(out);
        let mut held = self.batch.give_up();
        self.queue.append(&mut held);
        out.push(Action::Forget);
        self.enter(Phase::Idle, now_ms);
    }

    pub(super) fn trouble(
        &mut self,
        step: &'static str,
        trouble: Trouble,
        now_ms: u64,
        out: &mut Vec<Action>,
    ) {
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
    pub(super) fn wait(&mut self, step: &'static str, text: String, now_ms: u64, out: &mut Vec<Action>) {
        let retry_in = self.backoff();
        out.push(Action::Say(LogLine::Trouble { step, text, retry_in }));
        if self.is_stopped() {
            return self.lay_down(now_ms, out);
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
    pub(super) fn park(&mut self, step: &'static str, text: &str, now_ms: u64, out: &mut Vec<Action>) {
        (self.failures, self.own_failures) = (0, 0);
        self.stumbles = Default::default();
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

    pub(super) fn set_aside(&mut self, now_ms: u64, out: &mut Vec<Action>) {
        let receipts = self.queue.drain(..).map(|arrival| arrival.receipt).collect();
        self.enter(Phase::Parking, now_ms);
        out.push(Action::Park(receipts));
    }

    pub(super) fn parked(&mut self, now_ms: u64, out: &mut Vec<Action>) {
        self.taken_over &= !self.queue.is_empty();
        self.enter(Phase::Idle, now_ms);
        self.waits(now_ms, out);
    }

    pub(super) fn drop_permit(&mut self, out: &mut Vec<Action>) {
        if std::mem::take(&mut self.has_permit) {
            out.push(Action::DropPermit);
        }
    }

    pub(super) fn drop_permit_or_wait(&mut self, out: &mut Vec<Action>) {
        if self.phase == Phase::Permit {
            out.push(Action::DropPermit);
        }
        self.drop_permit(out);
    }
}
