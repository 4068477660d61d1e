//! A model consumer: the real heart and planner; only what the shell does on real connections is done on the models here.

pub(crate) mod azkaban;
pub(crate) mod floor;
pub(crate) mod hands;
pub(crate) mod life;
pub(crate) mod session;
pub(crate) mod settle;

use std::cell::{Cell, RefCell};

use crate::clock::{Ms, Owner};
use session::Session;

/// Half the heartbeat time.
const LEASE: Ms = 10_000;

/// A machine with one consumer on it.
#[derive(Default)]
pub(crate) struct Node {
    /// Its number.
    pub(crate) index: usize,
    /// Until when its path to the broker is cut.
    pub(crate) cut_until: Cell<Ms>,
    /// Until when its path to Azkaban is cut.
    pub(crate) azkaban_cut_until: Cell<Ms>,
    /// The running process.
    pub(crate) process: Cell<Option<Owner>>,
    /// Whether it is stopped as by SIGSTOP.
    pub(crate) frozen: Cell<bool>,
    /// When it last died, froze, was cut off or lost its session: until then nothing excuses it.
    pub(crate) troubled_at: Cell<Ms>,
    /// Since when it has not heard the broker, and until when it will not.
    silent: Cell<Option<(Ms, Ms)>>,
    /// Its connection to the broker and what hangs on it.
    pub(crate) session: RefCell<Option<Session>>,
}

impl Node {
    /// A machine whose consumer has not been started.
    pub(crate) fn new(index: usize) -> Self {
        Self {
            index,
            ..Self::default()
        }
    }

    /// Whether no packet passes between it and the broker.
    pub(crate) fn is_cut_off(&self, now: Ms) -> bool {
        self.cut_until.get() > now
    }

    /// Cut off or frozen until a time: the broker will not be heard before a word of life has gone there and back.
    pub(crate) fn falls_silent(&self, now: Ms, until: Ms) {
        let since = self.silent.get().filter(|(_, until)| *until > now);
        let (since, before) = since.unwrap_or((now, until));
        self.silent.set(Some((since, until.max(before))));
    }

    /// The broker has confirmed something that was sent then.
    pub(crate) fn heard(&self, sent: Ms) {
        if self.silent.get().is_some_and(|(since, _)| since <= sent) {
            self.silent.set(None);
        }
    }

    /// Whether the broker was heard within half the heartbeat time; mirrors `src/lease.rs`.
    pub(crate) fn has_lease(&self, now: Ms) -> bool {
        match self.silent.get() {
            Some((since, until)) if now < until => now - since < LEASE,
            _ => true,
        }
    }

    /// The name it wants.
    pub(crate) fn name(&self) -> String {
        format!("night-{}", self.index + 1)
    }
}
