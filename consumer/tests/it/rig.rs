//! A whole road: a vhost, a stand-in for Azkaban, sessions of consumers in this process, and a small producer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use azkaban_standin::{Options, Running, Standin};
use flowlift_azkaban::client::{Client, ClientConfig};
use flowlift_azkaban::{Flow, FlowName, Job, ProjectName};
use flowlift_common::amqp::{AmqpError, Headers, Link, OpenRun, Sender, Start, StreamReader, properties};
use flowlift_common::envelope::{Rules, VERSION};
use flowlift_common::fold::RunState;
use flowlift_common::ledger::{self, RunEvent, Settled};
use flowlift_common::topology::{OUTCOMES, RUNS, shard_of, shard_queue};
use flowlift_common::{Act, Body, Change, Envelope, RunId, Schedule, Upsert};
use flowlift_consumer::metrics::Metrics;
use flowlift_consumer::names;
use flowlift_consumer::session::{self, Left, Setup};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::broker::{SHARDS, Vhost};

/// The longest a road may take in a test.
const ROAD: Duration = Duration::from_secs(90);

pub(crate) struct Rig {
    pub(crate) vhost: Vhost,
    pub(crate) standin: Running,
    pub(crate) client: Client,
}

/// A consumer's session in this process.
pub(crate) struct Worker {
    pub(crate) stop: CancellationToken,
    pub(crate) session: JoinHandle<Result<Left, AmqpError>>,
}

impl Rig {
    pub(crate) async fn make(name: &str) -> Option<Self> {
        let vhost = Vhost::make(name).await?;
        // shown when a test fails; the first one to begin it wins
        let _ = flowlift_common::telemetry::init_to(
            flowlift_common::telemetry::Log::Human,
            "info",
            false,
            std::io::stderr,
        );
        let standin = Standin::start(Options::default())
            .await
            .expect("a stand-in on a free port");
        let client = client(&standin.url());
        Some(Self {
            vhost,
            standin,
            client,
        })
    }

    /// Begins a consumer and waits until it is subscribed.
    pub(crate) async fn worker(&self, name: &str) -> Worker {
        let link = self.vhost.link().await;
        let stop = CancellationToken::new();
        let claimed = names::claim(&link, Some(name), "it")
            .await
            .expect("the name is free");
        let setup = Setup {
            name: claimed.text,
            client: self.client.clone(),
            metrics: Arc::new(Metrics::default()),
            shards: SHARDS,
            permits: Some(4),
            stop: stop.clone(),
            now: CancellationToken::new(),
            grace: Duration::from_secs(60),
        };
        let (ready, subscribed) = tokio::sync::oneshot::channel();
        let ready = std::sync::Mutex::new(Some(ready));
        let session = tokio::spawn(async move {
            let left = session::run(&link, &setup, |_| {
                if let Some(ready) = ready.lock().unwrap().take() {
                    ready.send(()).expect("the test waits");
                }
            })
            .await;
            // as the end of the process does
            link.close().await;
            left
        });
        subscribed.await.expect("the session subscribes");
        Worker { stop, session }
    }

    /// Publishes one run into one project.
    pub(crate) async fn publish(&self, project: &str, acts: Vec<Act>) -> RunId {
        self.publish_with(project, Rules::default(), "", acts).await
    }

    pub(crate) async fn publish_with(
        &self,
        project: &str,
        rules: Rules,
        owner: &str,
        acts: Vec<Act>,
    ) -> RunId {
        let link = self.vhost.link().await;
        let (run, project) = (RunId::fresh(), ProjectName::new(project).unwrap());
        let opened = |rank| RunEvent::Opened {
            run,
            rank,
            who: "it".into(),
            source: "test".into(),
            owner: owner.into(),
            at_ms: 0,
        };
        let open = OpenRun::open(&link, run, now_ms(), opened)
            .await
            .expect("the run opens");
        let envelope = Envelope {
            v: VERSION,
            project: project.clone(),
            run,
            rank: open.rank,
            owner: owner.into(),
            published_ms: now_ms(),
            rules,
            changes: vec![],
        };
        let total = acts.len() as u64;
        let changes = (1..).zip(acts).map(|(seq, act)| Change { seq, act }).collect();
        let sender = Sender::open(&link).await.unwrap();
        let queue = shard_queue(shard_of(&project, SHARDS));
        for packed in envelope.pack(changes).expect("small enough") {
            let headers = Headers::of(&envelope, packed.first, packed.last);
            sender
                .send(&queue, &packed.body, properties(&headers))
                .await
                .expect("the shard takes it");
        }
        let projects = BTreeMap::from([(project, total)]);
        let closed = RunEvent::Closed {
            run,
            rank: open.rank,
            projects,
            partial: false,
            at_ms: 0,
        };
        sender.record(RUNS, &ledger::encode(&closed)).await.unwrap();
        run
    }

    /// Waits until a run is settled.
    pub(crate) async fn settled(&self, run: RunId) -> RunState {
        let link = self.vhost.link().await;
        let follow = async {
            let mut state = closed(&link, run).await;
            let mut ledger = StreamReader::open(&link, OUTCOMES, Start::First).await.unwrap();
            while !state.is_settled() {
                let record = ledger.next().await.unwrap();
                state.settled(&ledger::decode::<Settled>(&record.body).expect("a record"));
            }
            state
        };
        tokio::time::timeout(ROAD, follow)
            .await
            .expect("the run is settled in time")
    }

    pub(crate) async fn flows(&self, project: &str) -> Vec<String> {
        let list = self
            .client
            .flows(&ProjectName::new(project).unwrap())
            .await
            .expect("the project is there");
        list.flows.into_iter().collect()
    }

    /// Messages that wait in a queue.
    pub(crate) async fn waiting(&self, queue: &str) -> u32 {
        let link = self.vhost.link().await;
        let channel = link.channel().await.unwrap();
        let options = lapin::options::QueueDeclareOptions {
            passive: true,
            ..Default::default()
        };
        let queue = channel
            .queue_declare(queue.into(), options, Default::default())
            .await
            .unwrap();
        queue.message_count()
    }
}

async fn closed(link: &Link, run: RunId) -> RunState {
    let mut state = RunState::new(run);
    let mut runs = StreamReader::open(link, RUNS, Start::First).await.unwrap();
    while state.closing().is_none() {
        let record = runs.next().await.unwrap();
        state.run_event(&ledger::decode::<RunEvent>(&record.body).expect("a record"));
    }
    state
}

pub(crate) fn client(url: &str) -> Client {
    let config = ClientConfig {
        sessions: 16,
        ..ClientConfig::new(url, "azkaban", "azkaban")
    };
    Client::new(config).expect("a client")
}

pub(crate) fn now_ms() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap()
}

pub(crate) fn flow(name: &str, command: &str) -> Act {
    flow_with(name, command, Schedule::Keep)
}

pub(crate) fn flow_with(name: &str, command: &str, schedule: Schedule) -> Act {
    let props = BTreeMap::from([("command".to_owned(), command.to_owned())]);
    let job = Job {
        name: name.into(),
        kind: "command".into(),
        props,
        depends_on: vec![],
    };
    let flow = Flow {
        name: FlowName::new(name).unwrap(),
        jobs: vec![job],
        props: BTreeMap::new(),
    };
    Act::Upsert(Upsert {
        body: Body::Flow(flow),
        schedule,
    })
}
