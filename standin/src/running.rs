//! What other programs hold: a stand-in they started.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;

use crate::connection;
use crate::options::Options;
use crate::server::Server;
use crate::state::faults::Faults;
use crate::state::stats::Stats;

/// A stand-in that can be started.
#[derive(Debug, Clone, Copy)]
pub struct Standin;

impl Standin {
    /// Binds the address and answers from now on, on the current tokio runtime.
    pub async fn start(options: Options) -> std::io::Result<Running> {
        let listener = TcpListener::bind(options.listen).await?;
        let addr = listener.local_addr()?;
        let server = Arc::new(Server::new(options));
        server
            .tasks
            .spawn(connection::accept(listener, Arc::clone(&server)));
        Ok(Running { addr, server })
    }
}

/// A running stand-in; dropping it stops it at once, connections and uploads included.
#[derive(Debug)]
pub struct Running {
    /// Where it listens.
    pub addr: SocketAddr,
    server: Arc<Server>,
}

impl Running {
    /// The address clients use, for example `http://127.0.0.1:8081`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// What it has done so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.server.stats()
    }

    /// What goes wrong now.
    #[must_use]
    pub fn faults(&self) -> Faults {
        self.server.faults.get()
    }

    /// Changes what goes wrong, whether or not faults may be set over HTTP.
    pub fn set_faults(&self, change: impl FnOnce(&mut Faults)) {
        let mut faults = self.server.faults.get();
        change(&mut faults);
        self.server.faults.set(faults);
    }

    /// Forgets all sessions, as a restart does.
    pub fn lose_sessions(&self) {
        self.server.sessions.lose_all();
    }

    /// Restarts it: connections are cut, requests and uploads end where they are, sessions are gone, `/status` tells
    /// another process number. What was stored stays.
    pub fn restart(&self) {
        self.server.restart();
    }

    /// Stops it and waits until nothing of it runs any more.
    pub async fn stop(self) {
        self.server.life.stop.cancel();
        self.server.tasks.close();
        self.server.tasks.wait().await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.server.life.stop.cancel();
    }
}
