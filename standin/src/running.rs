//! What other programs hold: a stand-in they started.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::net::TcpListener;
use tokio_util::sync::DropGuard;

use crate::connection;
use crate::data::Kept;
use crate::exec::scan;
use crate::options::Options;
use crate::server::Server;
use crate::state::faults::Faults;
use crate::state::journal::Journal;
use crate::state::stats::Stats;
use crate::state::store::{DataError, Store};

/// A stand-in that can be started.
#[derive(Debug, Clone, Copy)]
pub struct Standin;

impl Standin {
    /// Binds the address and answers from now on, on the current tokio runtime.
    pub async fn start(options: Options) -> Result<Running, StartError> {
        let listen = options.listen;
        let not_listening = |error| StartError::Listen(listen, error);
        let listener = TcpListener::bind(listen).await.map_err(not_listening)?;
        let addr = listener.local_addr().map_err(not_listening)?;
        let opening = tokio::task::spawn_blocking(move || open(options)).await;
        let (server, writer) = opening.map_err(std::io::Error::other).map_err(not_listening)??;
        server
            .tasks
            .spawn(connection::accept(listener, Arc::clone(&server)));
        server.tasks.spawn(scan::run(Arc::clone(&server)));
        Ok(Running {
            addr,
            _stop: server.life.stop.clone().drop_guard(),
            server,
            writer,
        })
    }
}

/// Why a stand-in does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be bound.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, #[source] std::io::Error),
    /// The data file cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
}

/// The server with all that its data file holds, and the thread that writes the file.
fn open(options: Options) -> Result<(Arc<Server>, Option<JoinHandle<()>>), StartError> {
    let Some(path) = options.data.clone() else {
        return Ok((Arc::new(Server::new(options, Journal::default())), None));
    };
    let store = Store::open(&path)?;
    let kept = store.load(Kept::read)?;
    let (journal, writer) = store
        .write_on_thread()
        .map_err(|error| DataError::Io(path, error.to_string()))?;
    let server = Arc::new(Server::new(options, journal.clone()));
    kept.restore(&server, &journal);
    Ok((server, Some(writer)))
}

/// A running stand-in; dropping it stops it at once, connections and uploads included.
#[derive(Debug)]
pub struct Running {
    /// Where it listens.
    pub addr: SocketAddr,
    server: Arc<Server>,
    writer: Option<JoinHandle<()>>,
    _stop: DropGuard,
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

    /// Waits until a request stands still at the call that [`Faults::stops_at`] names.
    pub async fn until_one_stands(&self) {
        self.server.faults.until_one_stands().await;
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
        let Self { server, writer, .. } = self;
        server.life.stop.cancel();
        server.tasks.close();
        server.tasks.wait().await;
        drop(server);
        // With the server its way to the data file is gone, so the thread ends when all is written.
        let ended = tokio::task::spawn_blocking(|| writer.map(JoinHandle::join)).await;
        if !matches!(ended, Ok(None | Some(Ok(())))) {
            tracing::error!("the thread of the data file panicked");
        }
    }
}
