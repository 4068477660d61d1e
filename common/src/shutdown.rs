//! Signals as tokens: the first asks to finish, the second to leave at once.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// What a program watches.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    /// Cancelled by the first SIGINT, SIGTERM or SIGHUP: stop taking, finish what is begun.
    pub stop: CancellationToken,
    /// Cancelled by the second one: leave now.
    pub now: CancellationToken,
}

impl Shutdown {
    /// Begins to listen; the signals no longer end the process by themselves.
    ///
    /// # Errors
    /// When the system does not let signals be watched.
    pub fn listen() -> std::io::Result<Self> {
        let mut signals = Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        };
        let shutdown = Self::default();
        let tokens = shutdown.clone();
        tokio::spawn(async move {
            let first = signals.next().await;
            tracing::info!(signal = first, "stopping; a second signal leaves at once");
            tokens.stop.cancel();
            let second = signals.next().await;
            tracing::warn!(signal = second, "leaving at once");
            tokens.now.cancel();
        });
        Ok(shutdown)
    }
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.hangup.recv() => "SIGHUP",
        }
    }
}
