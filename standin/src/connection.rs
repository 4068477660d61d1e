//! Connections and threads: Azkaban's Jetty gives each open connection a thread for its whole life, idle or not.
//!
//! When all threads are taken, new connections are not answered until one is closed or has been idle for too long. One
//! thread is the acceptor's. A request whose client has left keeps its thread until it is done.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::server::Server;

/// Takes connections until the server stops.
pub(crate) async fn accept(listener: TcpListener, server: Arc<Server>) {
    let threads = Arc::new(Semaphore::new(
        server.options.max_threads.saturating_sub(1).max(1),
    ));
    let accepting = async {
        loop {
            // The semaphore is never closed.
            let Ok(permit) = Arc::clone(&threads).acquire_owned().await else {
                return;
            };
            match listener.accept().await {
                Ok((stream, client)) => spawn(&server, stream, client, permit),
                Err(error) => wait_after(&error).await,
            }
        }
    };
    tokio::select! {
        () = accepting => {}
        () = server.life.stop.cancelled() => {}
    }
}

/// Out of file handles, for example: the next attempt would fail at once as well.
async fn wait_after(error: &io::Error) {
    tracing::warn!(%error, "no connection could be taken");
    tokio::time::sleep(Duration::from_millis(50)).await;
}

fn spawn(server: &Arc<Server>, stream: TcpStream, client: SocketAddr, permit: OwnedSemaphorePermit) {
    let thread = Arc::new(Thread {
        server: Arc::clone(server),
        _permit: permit,
    });
    thread.server.counters.connections.opened();
    let server = Arc::clone(server);
    let ends = server.life.token();
    server.clone().tasks.spawn(async move {
        tokio::select! {
            () = serve(&server, stream, client, thread) => {}
            () = ends.cancelled() => {}
        }
    });
}

/// A thread in use; free again when the connection and all its requests have dropped it.
struct Thread {
    server: Arc<Server>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.server.counters.connections.closed();
    }
}

/// Answers the requests of one connection, one after another.
async fn serve(server: &Arc<Server>, stream: TcpStream, client: SocketAddr, thread: Arc<Thread>) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%client, %error, "answers may be delayed");
    }
    let service = service_fn(|request| Arc::clone(server).handle(request, client.ip(), Arc::clone(&thread)));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(server.options.connection_idle)
        .title_case_headers(true)
        .max_buf_size(10 << 20)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        tracing::debug!(%client, %error, "the connection ended early");
    }
}
