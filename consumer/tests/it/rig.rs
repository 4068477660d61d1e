//! A whole road: a vhost, a stand-in for Azkaban, sessions of consumers in this process, and a small producer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use azkaban_standin::{Options, Running, Standin, User};
use flowlift_azkaban::archive::{self, ZipLimits};
use flowlift_azkaban::client::{Client, ClientConfig, Download};
use flowlift_azkaban::{Flow, FlowName, Job, ProjectName};
use flowlift_common::amqp::{AmqpError, Link, OpenRun, Outgoing, Sender, Start, StreamReader, send_parts};
use flowlift_common::envelope::{Rules, VERSION};
use flowlift_common::fold::RunState;
use flowlift_common::ledger::{self, Outcome, RunEvent, Settled};
use flowlift_common::topology::{OUTCOMES, RUNS, Retention, shard_of, shard_queue};
use flowlift_common::trace::Traces;
use flowlift_common::{Act, Body, Change, Envelope, RunId, Schedule, Upsert};
use flowlift_consumer::metrics::Metrics;
use flowlift_consumer::names;
use flowlift_consumer::project::Limits;
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
        Self::make_for(name, Options::default().users).await
    }

    /// With an Azkaban that these users may log into.
    pub(crate) async fn make_for(name: &str, users: Vec<User>) -> Option<Self> {
        let vhost = Vhost::make(name).await?;
        // shown when a test fails; the first one to begin it wins
        let _ = flowlift_common::telemetry::init_to(
            flowlift_common::telemetry::Log::Human,
            "info",
            false,
            std::io::stderr,
        );
        let options = Options {
            users,
            ..Options::default()
        };
        let standin = Standin::start(options).await.expect("a stand-in on a free port");
        let client = client(&standin.url());
        Some(Self {
            vhost,
            standin,
            client,
        })
    }

    /// Begins a consumer and waits until it is subscribed.
    pub(crate) async fn worker(&self, name: &str) -> Worker {
        self.worker_with(name, Limits::default()).await
    }

    /// The same with other times than production has.
    pub(crate) async fn worker_with(&self, name: &str, limits: Limits) -> Worker {
        let link = self.vhost.link().await;
        let stop = CancellationToken::new();
        let claimed = names::claim(&link, Some(name), "it")
            .await
            .expect("the name is free");
        let setup = Setup {
            name: claimed.text,
            client: self.client.clone(),
            metrics: Arc::new(Metrics::default()),
            traces: Traces::default(),
            shards: SHARDS,
            retention: Retention::default(),
            permits: Some(4),
            stop: stop.clone(),
            now: CancellationToken::new(),
            grace: Duration::from_secs(60),
            limits,
            logged_in: Arc::default(),
            looks: (Arc::default(), std::time::Instant::now()),
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
        self.publish_at(project, rules, owner, None, acts).await
    }

    /// The same; with `rank`, as if it had been opened long before.
    pub(crate) async fn publish_at(
        &self,
        project: &str,
        rules: Rules,
        owner: &str,
        rank: Option<u64>,
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
            deadline_ms: None,
            version: None,
            shards: None,
        };
        let open = OpenRun::open(&link, run, now_ms(), opened)
            .await
            .expect("the run opens");
        let envelope = Envelope {
            v: VERSION,
            project: project.clone(),
            run,
            rank: rank.unwrap_or(open.rank),
            owner: owner.into(),
            published_ms: now_ms(),
            rules,
            changes: vec![],
            deadline_ms: None,
        };
        let total = acts.len() as u64;
        let changes = (1..).zip(acts).map(|(seq, act)| Change { seq, act }).collect();
        let sender = Sender::open(&link).await.unwrap();
        let queue = shard_queue(shard_of(&project, SHARDS));
        for packed in envelope.pack(changes).expect("small enough") {
            let message = Outgoing::of(&envelope, packed, queue.clone(), 0);
            if let Some(parcel) = &message.parcel {
                send_parts(&link, &sender, parcel)
                    .await
                    .expect("their queue takes them");
            }
            sender
                .send(&queue, &message.body, message.properties)
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

    /// The rank a run closed with.
    pub(crate) async fn rank_of(&self, run: RunId) -> u64 {
        let link = self.vhost.link().await;
        let mut runs = StreamReader::open(&link, RUNS, Start::First).await.unwrap();
        loop {
            let event: RunEvent = ledger::decode(&runs.next().await.unwrap().body).expect("a record");
            if let (RunEvent::Closed { .. }, Some(rank)) = (&event, event.rank())
                && event.run() == run
            {
                return rank;
            }
        }
    }

    /// Waits for something that only asking tells.
    pub(crate) async fn until(&self, true_now: impl Fn() -> bool) {
        let mut tick = tokio::time::interval(Duration::from_millis(5));
        let wait = async {
            while !true_now() {
                tick.tick().await;
            }
        };
        tokio::time::timeout(ROAD, wait)
            .await
            .expect("it comes true in time");
    }

    /// Waits until the ledger tells of flows that came back; their names.
    pub(crate) async fn restored(&self) -> Vec<String> {
        let link = self.vhost.link().await;
        let find = async {
            let mut ledger = StreamReader::open(&link, OUTCOMES, Start::First).await.unwrap();
            loop {
                let record = ledger.next().await.unwrap();
                let settled: Settled = ledger::decode(&record.body).expect("a record");
                let labels = settled
                    .results
                    .into_iter()
                    .filter(|result| result.outcome == Outcome::Restored)
                    .flat_map(|result| result.labels)
                    .filter(|label| label != "a check");
                let labels: Vec<String> = labels.collect();
                if !labels.is_empty() {
                    return labels;
                }
            }
        };
        tokio::time::timeout(ROAD, find)
            .await
            .expect("something is restored in time")
    }

    /// What a person downloads: version, file name, zip.
    pub(crate) async fn download(&self, project: &str) -> Download {
        let project = ProjectName::new(project).unwrap();
        self.client
            .download(&project, None)
            .await
            .unwrap()
            .expect("a zip")
    }

    /// A person uploads these bytes.
    pub(crate) async fn upload(&self, project: &str, file: &str, zip: bytes::Bytes) {
        let project = ProjectName::new(project).unwrap();
        let sent = self.client.upload(&project, file, zip, ROAD).await;
        sent.expect("Azkaban takes it");
    }

    /// The command of each flow, as its newest zip has it.
    pub(crate) async fn commands(&self, project: &str) -> BTreeMap<String, String> {
        let tree = archive::read_zip(&self.download(project).await.zip, &ZipLimits::default()).unwrap();
        let job = |(path, content): (String, bytes::Bytes)| {
            let text = String::from_utf8_lossy(&content).into_owned();
            let command = text.lines().find_map(|line| line.strip_prefix("command="))?;
            Some((path.strip_suffix(".job")?.to_owned(), command.to_owned()))
        };
        tree.into_iter().filter_map(job).collect()
    }

    /// Flow and expression of all schedules.
    pub(crate) async fn crons(&self) -> BTreeMap<String, String> {
        let all = self.client.schedules().await.unwrap();
        all.into_iter().map(|one| (one.flow, one.cron)).collect()
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

impl Rig {
    /// Looks at a queue until so many messages wait in it.
    pub(crate) async fn until_waiting(&self, queue: &str, enough: impl Fn(u32) -> bool) {
        let look = async {
            let mut tick = tokio::time::interval(Duration::from_millis(50));
            while !enough(self.waiting(queue).await) {
                tick.tick().await;
            }
        };
        tokio::time::timeout(ROAD, look)
            .await
            .expect("the queue comes to it in time");
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
    client_of(url, "azkaban", "azkaban")
}

pub(crate) fn client_of(url: &str, user: &str, password: &str) -> Client {
    let config = ClientConfig {
        sessions: 16,
        ..ClientConfig::new(url, user, password)
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
