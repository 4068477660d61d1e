//! Uploads of which nobody knows whether they landed, or still will: a former holder's and our own.

use super::event::{Action, Doubtful, Landing, LogLine, OpenAttempt, Trouble};
use super::{Phase, Project, ms};

impl Project {
    pub(super) fn opened(&mut self, open: Vec<OpenAttempt>, now_ms: u64, out: &mut Vec<Action>) {
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

    pub(super) fn in_doubt(&mut self, text: String, now_ms: u64, out: &mut Vec<Action>) {
        self.batch.carry();
        if !self.limits.safeguards.fence {
            out.push(Action::EndAttempt(Doubtful::Own, Landing::Impossible));
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

    pub(super) fn looked(&mut self, looked: Result<Landing, Trouble>, now_ms: u64, out: &mut Vec<Action>) {
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
                out.push(Action::EndAttempt(Doubtful::Own, landing));
                if landing == Landing::Landed {
                    // the log tells a name only: whether it is what we sent, the base does
                    self.batch.landed = true;
                    self.base_anew(now_ms, out);
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
                    out.push(Action::EndAttempt(Doubtful::Left(attempt), landing));
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

    pub(super) fn look_later(&mut self, out: &mut Vec<Action>) {
        if self.batch.landed && self.limits.safeguards.second_look {
            out.push(Action::LookLater(self.limits.second_look));
        }
    }
}
