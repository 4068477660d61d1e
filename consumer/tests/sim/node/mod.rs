//! A model consumer: the real heart and planner; only what the shell does on real connections is done on the models here.

pub(crate) mod floor;
pub(crate) mod hands;
pub(crate) mod life;
pub(crate) mod session;
pub(crate) mod settle;

use std::cell::{Cell, RefCell};

use crate::clock::{Ms, Owner};
use session::Session;

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

    /// The name it wants.
    pub(crate) fn name(&self) -> String {
        format!("night-{}", self.index + 1)
    }
}
