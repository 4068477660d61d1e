//! OTLP over HTTP: a bounded queue, a task that gathers what is in it, one request for many spans.

mod http;
mod spans;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_otlp::{Protocol, SpanExporter as Otlp, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanExporter as _;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout, timeout_at};

use crate::trace::Span;
use http::Http;

/// So many finished works wait to be handed over; more are dropped.
const WAITING: usize = 1_024;
/// So many spans go into one request, or a few more.
const TOGETHER: usize = 512;
/// So long is waited for more of them.
const GATHER: Duration = Duration::from_secs(1);
/// One request with all its repetitions.
const HANDED_OVER_WITHIN: Duration = Duration::from_secs(5);

/// The way to the task that hands over.
#[derive(Debug, Clone)]
pub(super) struct Queue {
    way: mpsc::Sender<Told>,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    /// For people; it holds no credentials.
    url: String,
    /// Whether people were told that spans get lost, and not yet that they do no more.
    failing: AtomicBool,
    /// Spans lost since then.
    lost: AtomicU64,
}

enum Told {
    Span(Box<Span>),
    /// All before it is to be handed over now.
    Flush(oneshot::Sender<()>),
}

impl Queue {
    pub(super) fn start(url: &str, service: &'static str) -> Result<Self, String> {
        let reason = Arc::new(Mutex::new(None));
        let client = Http::new(url, Arc::clone(&reason))?;
        let exporter = Otlp::builder()
            .with_http()
            .with_http_client(client)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(endpoint(url))
            .with_timeout(HANDED_OVER_WITHIN)
            .build();
        let mut exporter = exporter.map_err(|error| error.to_string())?;
        let resource = Resource::builder()
            .with_service_name(service)
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        exporter.set_resource(&resource);
        let (way, told) = mpsc::channel(WAITING);
        let state = Arc::new(State {
            url: url.to_owned(),
            failing: AtomicBool::new(false),
            lost: AtomicU64::new(0),
        });
        let hand = Hand {
            exporter,
            reason,
            state: Arc::clone(&state),
        };
        tokio::spawn(hand.work(told));
        Ok(Self { way, state })
    }

    pub(super) fn put(&self, span: Span) {
        let size = span.size() as u64;
        if self.way.try_send(Told::Span(Box::new(span))).is_err() {
            self.state.lost(size, "it is too slow for what is told");
        }
    }

    pub(super) async fn flush(&self, at_most: Duration) {
        let handed_over = async {
            let (done, over) = oneshot::channel();
            // without the task there is nothing to wait for
            if self.way.send(Told::Flush(done)).await.is_ok() {
                let _ = over.await;
            }
        };
        if timeout(at_most, handed_over).await.is_err() {
            let reason = format!("it has not answered within {} s", at_most.as_secs());
            self.state.lost(0, &reason);
        }
    }
}

impl State {
    /// One warning, however long it lasts: the work does not need them.
    fn lost(&self, spans: u64, reason: &str) {
        self.lost.fetch_add(spans, Ordering::Relaxed);
        if !self.failing.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "traces cannot be handed to the collector at {}: {reason}; the work goes on without them",
                self.url
            );
        }
    }

    fn works(&self) {
        if self.failing.swap(false, Ordering::Relaxed) {
            let spans = self.lost.swap(0, Ordering::Relaxed);
            tracing::info!(
                "the collector at {} takes traces again, {spans} spans were lost",
                self.url
            );
        }
    }
}

/// Who hands over.
struct Hand {
    exporter: Otlp,
    /// Why the last request got no answer.
    reason: Arc<Mutex<Option<String>>>,
    state: Arc<State>,
}

impl Hand {
    /// Until nobody can tell anything any more.
    async fn work(self, mut told: mpsc::Receiver<Told>) {
        let (mut batch, mut asked) = (Vec::new(), Vec::new());
        while let Some(first) = told.recv().await {
            let until = Instant::now() + GATHER;
            let mut next = Some(first);
            while let Some(one) = next {
                match one {
                    Told::Span(span) => spans::flatten(*span, &mut batch),
                    Told::Flush(done) => asked.push(done),
                }
                if !asked.is_empty() || batch.len() >= TOGETHER {
                    break;
                }
                next = timeout_at(until, told.recv()).await.ok().flatten();
            }
            if !batch.is_empty() {
                self.hand_over(std::mem::take(&mut batch)).await;
            }
            for done in asked.drain(..) {
                // who asked may have gone meanwhile
                let _ = done.send(());
            }
        }
    }

    async fn hand_over(&self, batch: Vec<opentelemetry_sdk::trace::SpanData>) {
        let spans = batch.len() as u64;
        match self.exporter.export(batch).await {
            Ok(()) => self.state.works(),
            Err(error) => {
                let reason = self.reason.lock().unwrap_or_else(PoisonError::into_inner).take();
                self.state
                    .lost(spans, &reason.unwrap_or_else(|| error.to_string()));
            }
        }
    }
}

/// Where OTLP takes traces, below the address of the collector.
fn endpoint(url: &str) -> String {
    const PATH: &str = "/v1/traces";
    if url.ends_with(PATH) {
        url.to_owned()
    } else {
        format!("{}{PATH}", url.trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traces_go_to_their_place_below_the_collectors_address() {
        for (url, meant) in [
            ("http://c:4318", "http://c:4318/v1/traces"),
            ("http://c:4318/", "http://c:4318/v1/traces"),
            ("https://c/otlp", "https://c/otlp/v1/traces"),
            ("https://c/v1/traces", "https://c/v1/traces"),
        ] {
            assert_eq!(endpoint(url), meant);
        }
    }

    /// A collector that takes connections and never answers.
    async fn mute() -> (tokio::net::TcpListener, String) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        (listener, url)
    }

    #[tokio::test]
    async fn nobody_waits_for_a_collector_that_does_not_answer_and_what_waits_for_it_is_bounded() {
        let (_listener, url) = mute().await;
        let queue = Queue::start(&url, "test").unwrap();
        let begun = Instant::now();
        for _ in 0..10 * WAITING {
            queue.put(Span::new("x", 1, 2));
        }
        assert!(queue.way.capacity() == 0 && queue.state.failing.load(Ordering::Relaxed));
        assert!(queue.state.lost.load(Ordering::Relaxed) >= 8 * WAITING as u64);
        queue.flush(Duration::from_millis(50)).await;
        assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    }

    #[tokio::test]
    async fn a_collector_that_is_not_there_is_told_of_once_and_loses_what_was_for_it() {
        let (listener, url) = mute().await;
        drop(listener);
        let queue = Queue::start(&url, "test").unwrap();
        queue.put(Span::new("x", 1, 2));
        queue.flush(Duration::from_secs(20)).await;
        assert!(queue.state.failing.load(Ordering::Relaxed));
        assert_eq!(queue.state.lost.load(Ordering::Relaxed), 1);
    }
}
