//! Lives of the server: a restart ends one and begins the next.

use std::sync::Mutex;

use tokio_util::sync::CancellationToken;

use crate::state::lock;

/// What ends with the server, and what ends with one of its lives.
#[derive(Debug)]
pub(crate) struct Life {
    /// Cancelled when the server stops for good.
    pub(crate) stop: CancellationToken,
    now: Mutex<Now>,
}

#[derive(Debug)]
struct Now {
    token: CancellationToken,
    pid: u32,
}

impl Life {
    pub(crate) fn new() -> Self {
        let stop = CancellationToken::new();
        let now = Now {
            token: stop.child_token(),
            pid: std::process::id(),
        };
        Self {
            stop,
            now: Mutex::new(now),
        }
    }

    /// Cancelled at the next restart, and when the server stops.
    pub(crate) fn token(&self) -> CancellationToken {
        lock(&self.now).token.clone()
    }

    /// The process number a real server would have in this life.
    pub(crate) fn pid(&self) -> u32 {
        lock(&self.now).pid
    }

    /// Ends all connections and requests of this life, in the middle of whatever they do.
    pub(crate) fn restart(&self) {
        let mut now = lock(&self.now);
        let pid = now.pid + 1;
        let old = std::mem::replace(
            &mut *now,
            Now {
                token: self.stop.child_token(),
                pid,
            },
        );
        old.token.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_ends_what_began_before_it() {
        let life = Life::new();
        let (old, pid) = (life.token(), life.pid());
        life.restart();
        let new = life.token();
        assert!(old.is_cancelled() && !new.is_cancelled());
        assert_ne!(life.pid(), pid);
        life.stop.cancel();
        assert!(new.is_cancelled());
    }
}
