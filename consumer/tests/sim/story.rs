//! The story of a night: every event in order, in readable words. Told only when somebody listens.

use std::cell::RefCell;
use std::fmt::Write as _;

use crate::clock::Ms;

/// What happened so far.
#[derive(Debug, Default)]
pub(crate) struct Story {
    lines: Option<RefCell<Vec<String>>>,
}

impl Story {
    /// One that keeps its lines, or forgets them at once.
    pub(crate) fn new(kept: bool) -> Self {
        Self {
            lines: kept.then(RefCell::default),
        }
    }

    /// Adds a line.
    pub(crate) fn tell(&self, now: Ms, words: impl FnOnce() -> String) {
        if let Some(lines) = &self.lines {
            lines.borrow_mut().push(format!("{}  {}", at(now), words()));
        }
    }

    /// All of it.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for line in self.lines.iter().flat_map(|lines| lines.borrow().clone()) {
            // writing to memory does not fail
            let _ = writeln!(text, "{line}");
        }
        text
    }
}

/// `1:02:03.004`: time since the night began.
pub(crate) fn at(now: Ms) -> String {
    let (seconds, ms) = (now / 1_000, now % 1_000);
    format!(
        "{}:{:02}:{:02}.{ms:03}",
        seconds / 3_600,
        seconds / 60 % 60,
        seconds % 60
    )
}
