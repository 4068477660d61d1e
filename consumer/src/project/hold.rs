//! Pauses: what is begun goes on to its end, nothing else is begun until somebody has work go on.

use flowlift_common::steer::Hold;

use super::event::Action;
use super::{Phase, Project};

impl Project {
    /// Whether nothing new is to be begun.
    pub(super) fn is_stopped(&self) -> bool {
        self.draining || self.hold != Hold::No
    }

    pub(super) fn held(&mut self, hold: Hold, now_ms: u64, out: &mut Vec<Action>) {
        self.hold = hold;
        if self.is_begun() || self.draining {
            return;
        }
        if self.phase != Phase::Idle && hold != Hold::No {
            out.push(Action::Abort);
            self.drop_permit_or_wait(out);
            return self.lay_down(now_ms, out);
        }
        if self.phase == Phase::Idle {
            self.waits(now_ms, out);
        }
    }

    /// Gives everything up that is not begun; what is laid down waits as the pause has it.
    pub(super) fn lay_down(&mut self, now_ms: u64, out: &mut Vec<Action>) {
        self.give_all_up(now_ms, out);
        self.waits(now_ms, out);
    }

    /// What waits in an idle project goes on, stays, or is set aside.
    pub(super) fn waits(&mut self, now_ms: u64, out: &mut Vec<Action>) {
        if self.queue.is_empty() || self.draining {
            return;
        }
        match self.hold {
            Hold::No if now_ms < self.parked_until_ms => self.set_aside(now_ms, out),
            Hold::No => {
                let full = self.queue.iter().any(|arrival| arrival.window_full);
                self.linger(now_ms, full, out);
            }
            Hold::Project => self.set_aside(now_ms, out),
            Hold::Everything => {}
        }
    }
}
