//! What a consumer answers over HTTP: `/metrics` for Prometheus, `/healthz` and `/readyz` for whoever supervises it.
//!
//! Alive is a consumer whose loop has not ended; ready is one that has subscribed, also when no shard falls to it. A broker that
//! is away makes it unready, not dead: starting it anew would not help.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

use crate::metrics::Metrics;

/// Where the metrics of the first consumer of a machine are.
pub const DEFAULT_HOST: &str = "127.0.0.1";
/// Its port, then those of the next ones.
pub const DEFAULT_PORTS: std::ops::RangeInclusive<u16> = 9464..=9499;

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Listen {
    /// At the first free port of [`DEFAULT_PORTS`].
    #[default]
    FirstFree,
    /// At this address, `host:port`, and nowhere else.
    At(String),
}

/// There is nowhere to listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address that was given.
    #[error(
        "cannot listen on {address} for metrics: {reason}; choose another --metrics-listen or leave it away"
    )]
    Taken {
        /// The address.
        address: String,
        /// The system's words.
        reason: io::Error,
    },
    /// All of the default ports.
    #[error("all ports from {first} to {last} of {DEFAULT_HOST} are taken; say --metrics-listen")]
    NoneFree {
        /// The first one tried.
        first: u16,
        /// The last one tried.
        last: u16,
    },
}

/// How the consumer is; told by its loop, asked by `/healthz` and `/readyz`.
#[derive(Debug, Clone, Default)]
pub struct Health {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    ended: AtomicBool,
    /// Why it is not ready.
    waiting: Mutex<Option<String>>,
}

impl Default for Inner {
    fn default() -> Self {
        Self {
            ended: AtomicBool::new(false),
            waiting: Mutex::new(Some("starting".into())),
        }
    }
}

impl Health {
    /// Subscribed: whatever falls to this consumer comes to it.
    pub fn ready(&self) {
        self.set(None);
    }

    /// Not subscribed, for this reason.
    pub fn waiting(&self, reason: &str) {
        self.set(Some(reason.to_owned()));
    }

    /// Held by the loop: when it is dropped, however the loop ended, the consumer counts as dead.
    #[must_use]
    pub fn alive(&self) -> Alive {
        Alive(Arc::clone(&self.inner))
    }

    /// Why it is not ready, if so.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        self.inner
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Whether the loop has not ended.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        !self.inner.ended.load(Ordering::Relaxed)
    }

    fn set(&self, reason: Option<String>) {
        *self.inner.waiting.lock().unwrap_or_else(PoisonError::into_inner) = reason;
    }
}

/// A loop that goes on.
#[derive(Debug)]
pub struct Alive(Arc<Inner>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.ended.store(true, Ordering::Relaxed);
    }
}

/// Begins to answer; ends with the process. Returns where.
///
/// # Errors
/// [`ListenError`].
pub async fn serve(
    listen: &Listen,
    metrics: Arc<Metrics>,
    health: Health,
) -> Result<SocketAddr, ListenError> {
    let listener = bind(listen).await?;
    let address = listener.local_addr().map_err(|reason| ListenError::Taken {
        address: "?".into(),
        reason,
    })?;
    match listen {
        Listen::FirstFree if address.port() != *DEFAULT_PORTS.start() => {
            let taken = *DEFAULT_PORTS.start();
            tracing::info!(%address, "metrics at http://{address}/metrics, because port {taken} is taken");
        }
        _ => tracing::info!(%address, "metrics at http://{address}/metrics"),
    }
    let app = router(metrics, health);
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, app).await {
            tracing::error!(%error, "metrics and health are not answered any more");
        }
    });
    Ok(address)
}

async fn bind(listen: &Listen) -> Result<TcpListener, ListenError> {
    if let Listen::At(address) = listen {
        let bound = TcpListener::bind(address.as_str()).await;
        return bound.map_err(|reason| ListenError::Taken {
            address: address.clone(),
            reason,
        });
    }
    for port in DEFAULT_PORTS {
        match TcpListener::bind((DEFAULT_HOST, port)).await {
            Ok(listener) => return Ok(listener),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            Err(reason) => {
                return Err(ListenError::Taken {
                    address: format!("{DEFAULT_HOST}:{port}"),
                    reason,
                });
            }
        }
    }
    Err(ListenError::NoneFree {
        first: *DEFAULT_PORTS.start(),
        last: *DEFAULT_PORTS.end(),
    })
}

fn router(metrics: Arc<Metrics>, health: Health) -> Router {
    let health_pages = Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .with_state(health);
    Router::new()
        .route("/metrics", get(render))
        .with_state(metrics)
        .merge(health_pages)
}

async fn render(State(metrics): State<Arc<Metrics>>) -> Response {
    match metrics.render() {
        Ok(text) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn healthz(State(health): State<Health>) -> (StatusCode, &'static str) {
    if health.is_alive() {
        (StatusCode::OK, "alive\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the loop has ended\n")
    }
}

async fn readyz(State(health): State<Health>) -> (StatusCode, String) {
    match health.reason() {
        None => (StatusCode::OK, "ready\n".into()),
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    async fn ask(address: SocketAddr, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    async fn server() -> (SocketAddr, Health) {
        let (listen, health) = (Listen::At("127.0.0.1:0".into()), Health::default());
        let address = serve(&listen, Arc::new(Metrics::new()), health.clone())
            .await
            .unwrap();
        (address, health)
    }

    #[tokio::test]
    async fn a_consumer_is_ready_once_it_has_subscribed_and_says_why_it_is_not() {
        let (address, health) = server().await;
        assert_eq!(ask(address, "/readyz").await, (503, "starting\n".into()));
        health.ready();
        assert_eq!(ask(address, "/readyz").await, (200, "ready\n".into()));
        health.waiting("RabbitMQ is away");
        assert_eq!(ask(address, "/readyz").await, (503, "RabbitMQ is away\n".into()));
        assert_eq!(ask(address, "/healthz").await.0, 200, "unready is not dead");
    }

    #[tokio::test]
    async fn a_consumer_whose_loop_has_ended_is_dead() {
        let (address, health) = server().await;
        assert_eq!(ask(address, "/healthz").await.0, 200);
        let alive = health.alive();
        assert_eq!(ask(address, "/healthz").await.0, 200);
        drop(alive);
        assert_eq!(ask(address, "/healthz").await.0, 503);
    }

    #[tokio::test]
    async fn metrics_are_served_as_text() {
        let (address, _) = server().await;
        let (status, body) = ask(address, "/metrics").await;
        assert_eq!(status, 200);
        assert!(body.contains("flowlift_consumer_build_info{"));
        assert_eq!(ask(address, "/").await.0, 404);
    }

    #[tokio::test]
    async fn a_given_address_that_is_taken_is_an_error_and_no_other_is_tried() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let listen = Listen::At(address.clone());
        let error = serve(&listen, Arc::new(Metrics::new()), Health::default())
            .await
            .unwrap_err();
        let said = error.to_string();
        assert!(
            said.starts_with(&format!(
                "cannot listen on {address} for metrics: Address already in use"
            )),
            "{said}"
        );
        assert!(
            said.ends_with("choose another --metrics-listen or leave it away"),
            "{said}"
        );
    }

    #[tokio::test]
    async fn without_an_address_the_next_free_port_is_used() {
        // holds the first port, or somebody else does
        let _first = TcpListener::bind((DEFAULT_HOST, *DEFAULT_PORTS.start())).await;
        let address = serve(&Listen::FirstFree, Arc::new(Metrics::new()), Health::default())
            .await
            .unwrap();
        assert!(address.port() > *DEFAULT_PORTS.start() && address.port() <= *DEFAULT_PORTS.end());
        assert!(address.ip().is_loopback());
    }
}
