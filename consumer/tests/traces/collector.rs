//! A small collector: takes OTLP over HTTP and keeps the spans.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::routing::post;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::protobuf::{Field, fields, inner};
use crate::stage::SOON;

/// Kinds, as the protocol numbers them.
pub(crate) const PRODUCER: u64 = 4;
pub(crate) const CONSUMER: u64 = 5;
/// The status of a span that failed.
const ERROR: u64 = 2;

/// A span as it came.
#[derive(Debug, Clone, Default)]
pub(crate) struct Received {
    pub(crate) service: String,
    pub(crate) name: String,
    pub(crate) kind: u64,
    pub(crate) trace: Vec<u8>,
    pub(crate) id: Vec<u8>,
    pub(crate) parent: Vec<u8>,
    pub(crate) begun_ns: u64,
    pub(crate) ended_ns: u64,
    pub(crate) links: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) failed: bool,
    pub(crate) error: String,
    texts: BTreeMap<String, String>,
    numbers: BTreeMap<String, u64>,
}

impl Received {
    #[track_caller]
    pub(crate) fn text(&self, name: &str) -> &str {
        self.texts
            .get(name)
            .unwrap_or_else(|| panic!("no {name} in {self:?}"))
    }

    #[track_caller]
    pub(crate) fn number(&self, name: &str) -> u64 {
        *self
            .numbers
            .get(name)
            .unwrap_or_else(|| panic!("no {name} in {self:?}"))
    }
}

#[derive(Default)]
struct Kept {
    spans: Vec<Received>,
    requests: usize,
    authorizations: Vec<String>,
}

pub(crate) struct Collector {
    address: String,
    kept: Arc<Mutex<Kept>>,
    heard: watch::Receiver<()>,
    serving: JoinHandle<()>,
}

type Shared = (Arc<Mutex<Kept>>, Arc<watch::Sender<()>>);

impl Collector {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let kept = Arc::new(Mutex::new(Kept::default()));
        let (hear, heard) = watch::channel(());
        let shared: Shared = (Arc::clone(&kept), Arc::new(hear));
        let router = Router::new().route("/v1/traces", post(take)).with_state(shared);
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            address,
            kept,
            heard,
            serving,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Waits for a span.
    pub(crate) async fn span(&self, wanted: impl Fn(&Received) -> bool) -> Received {
        let mut heard = self.heard.clone();
        let come = async {
            loop {
                if let Some(span) = self.all(&wanted).into_iter().next() {
                    return span;
                }
                heard.changed().await.unwrap();
            }
        };
        let come = tokio::time::timeout(SOON, come).await;
        come.unwrap_or_else(|_| panic!("no such span came: {:?}", self.all(|_| true)))
    }

    pub(crate) fn all(&self, wanted: impl Fn(&Received) -> bool) -> Vec<Received> {
        let kept = self.kept.lock().unwrap();
        kept.spans.iter().filter(|span| wanted(span)).cloned().collect()
    }

    /// The steps of a span, in their order.
    pub(crate) fn below(&self, span: &Received) -> Vec<Received> {
        let mut steps = self.all(|step| step.parent == span.id);
        steps.sort_by_key(|step| step.begun_ns);
        steps
    }

    pub(crate) fn requests(&self) -> usize {
        self.kept.lock().unwrap().requests
    }

    pub(crate) fn authorizations(&self) -> Vec<String> {
        self.kept.lock().unwrap().authorizations.clone()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// An address where nobody listens.
pub(crate) async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// One that takes connections and never says a word.
pub(crate) struct Mute {
    pub(crate) url: String,
    _listener: TcpListener,
}

pub(crate) async fn mute() -> Mute {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    Mute {
        url: format!("http://{}", listener.local_addr().unwrap()),
        _listener: listener,
    }
}

async fn take(State((kept, hear)): State<Shared>, headers: HeaderMap, body: Bytes) {
    assert_eq!(headers[header::CONTENT_TYPE], "application/x-protobuf");
    let mut kept = kept.lock().unwrap();
    kept.requests += 1;
    let authorization = headers.get(header::AUTHORIZATION);
    kept.authorizations
        .extend(authorization.map(|value| value.to_str().unwrap().to_owned()));
    kept.spans.extend(spans(&body));
    drop(kept);
    hear.send_replace(());
}

/// ExportTraceServiceRequest > ResourceSpans > ScopeSpans > Span
fn spans(request: &[u8]) -> Vec<Received> {
    let mut all = Vec::new();
    for resource_spans in inner(request, 1) {
        let mut resource = Received::default();
        for message in inner(resource_spans, 1) {
            attributes(inner(message, 1), &mut resource);
        }
        let service = resource.text("service.name").to_owned();
        for scope_spans in inner(resource_spans, 2) {
            for message in inner(scope_spans, 2) {
                let service = service.clone();
                all.push(Received {
                    service,
                    ..span(message)
                });
            }
        }
    }
    all
}

fn span(message: &[u8]) -> Received {
    let mut span = Received::default();
    for (number, field) in fields(message) {
        match number {
            1 => span.trace = field.bytes().to_vec(),
            2 => span.id = field.bytes().to_vec(),
            4 => span.parent = field.bytes().to_vec(),
            5 => span.name = field.text(),
            6 => span.kind = field.number(),
            7 => span.begun_ns = field.number(),
            8 => span.ended_ns = field.number(),
            13 => {
                let link = fields(field.bytes());
                let of = |wanted| {
                    let mut found = link.iter().filter(|(number, _)| *number == wanted);
                    found.next().unwrap().1.bytes().to_vec()
                };
                span.links.push((of(1), of(2)));
            }
            15 => status(field, &mut span),
            _ => {}
        }
    }
    attributes(inner(message, 9), &mut span);
    assert_eq!((span.trace.len(), span.id.len()), (16, 8));
    span
}

fn status(field: Field<'_>, span: &mut Received) {
    for (number, field) in fields(field.bytes()) {
        match number {
            2 => span.error = field.text(),
            3 => span.failed = field.number() == ERROR,
            _ => {}
        }
    }
}

/// KeyValue > AnyValue
fn attributes(messages: Vec<&[u8]>, into: &mut Received) {
    for message in messages {
        let mut key = String::new();
        for (number, field) in fields(message) {
            match number {
                1 => key = field.text(),
                2 => {
                    for (kind, value) in fields(field.bytes()) {
                        match kind {
                            1 => {
                                into.texts.insert(key.clone(), value.text());
                            }
                            3 => {
                                into.numbers.insert(key.clone(), value.number());
                            }
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
    }
}
