//! How long a program may take: one that hangs fails its test, it does not hold up all others.

use std::process::{Child, Command, Output};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// Far more than anything here takes, on a machine with much else to do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

/// Ends a program that takes longer than [`PATIENCE`], unless it is dropped before.
pub(crate) struct Watch {
    over: Option<Sender<()>>,
    watching: Option<JoinHandle<bool>>,
}

impl Watch {
    pub(crate) fn over(child: &Child) -> Self {
        let pid = child.id().to_string();
        let (over, ends) = channel::<()>();
        let watching = std::thread::spawn(move || {
            let late = ends.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout);
            if late {
                let killed = Command::new("kill").args(["-KILL", &pid]).status();
                assert!(killed.is_ok(), "kill is there");
            }
            late
        });
        Self {
            over: Some(over),
            watching: Some(watching),
        }
    }

    /// Whether it was too late.
    fn was_late(mut self) -> bool {
        drop(self.over.take());
        self.watching
            .take()
            .is_some_and(|watching| watching.join().unwrap())
    }
}

/// The end of a program and all it said.
#[track_caller]
pub(crate) fn ended(child: Child) -> Output {
    let watch = Watch::over(&child);
    let output = child.wait_with_output().unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(
        !watch.was_late(),
        "the program hangs; it said {out:?} and {err:?}"
    );
    output
}
