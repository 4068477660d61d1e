//! Who is watched: a vhost of the broker, a stand-in for Azkaban, two consumers, and runs that go on all the time.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use azkaban_standin::{Options, Running, Standin, User};
use flowlift_azkaban::ProjectName;
use flowlift_azkaban::client::{Client, ClientConfig};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use crate::SOON;
use crate::build;
use crate::prometheus::Scraped;

/// Enough for two consumers, and quick to declare.
const SHARDS: &str = "8";

pub(crate) struct Stage {
    vhost: Vhost,
    /// Where the broker's plugin answers, host:port.
    broker: String,
    standin: Option<Running>,
    standin_url: String,
    standin_address: String,
    consumers: Vec<(Child, String)>,
    /// Where the last run left its totals.
    totals: PathBuf,
    /// Who serves them, as node_exporter would.
    exporter: String,
    _exporting: JoinHandle<()>,
    _folder: tempfile::TempDir,
}

impl Stage {
    /// `None` without a broker that can be scraped: that is said.
    pub(crate) async fn set() -> Option<Self> {
        let (Ok(state), Ok(url)) = (env::var("FLOWLIFT_TEST_BROKER"), env::var("FLOWLIFT_AMQP_URL")) else {
            println!(
                "skipped: no broker (dev/broker run --plugins rabbitmq_prometheus -- cargo test starts one)"
            );
            return None;
        };
        let Some(broker) = metrics_of_broker(&state) else {
            println!(
                "skipped: the broker has no rabbitmq_prometheus (dev/broker run --plugins rabbitmq_prometheus)"
            );
            return None;
        };
        build::others();
        let vhost = Vhost::make(state, &url);
        let options = Options {
            ms_per_flow: 0.6,
            users: vec![User::admin("azkaban", "azkaban"), User::plain("bob", "bob")],
            ..Options::default()
        };
        let standin = Standin::start(options).await.expect("a stand-in on a free port");
        let folder = tempfile::tempdir().unwrap();
        let totals = folder.path().join("flowlift.prom");
        std::fs::write(&totals, "").unwrap();
        let (exporter, exporting) = serve(totals.clone()).await;
        let mut stage = Self {
            vhost,
            broker,
            standin_url: standin.url(),
            standin_address: standin.addr.to_string(),
            standin: Some(standin),
            consumers: Vec::new(),
            totals,
            exporter,
            _exporting: exporting,
            _folder: folder,
        };
        for name in ["watched-1", "watched-2"] {
            let consumer = stage.consumer(name).await;
            stage.consumers.push(consumer);
        }
        Some(stage)
    }

    /// Starts a consumer, which may do what bob may; where its metrics are, once it has subscribed.
    pub(crate) async fn consumer(&self, name: &str) -> (Child, String) {
        let program = Path::new(env!("CARGO_BIN_EXE_flowlift")).with_file_name("flowlift-consumer");
        let mut child = self
            .vhost
            .command(&program)
            .args([
                "--name",
                name,
                "--metrics-listen",
                "127.0.0.1:0",
                "--metrics-projects",
                "3",
            ])
            .env("FLOWLIFT_AZKABAN_URL", &self.standin_url)
            .env("FLOWLIFT_AZKABAN_USER", "bob")
            .env("FLOWLIFT_AZKABAN_PASSWORD", "bob")
            .stderr(Stdio::piped())
            .spawn()
            .expect("the consumer starts");
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut address = None;
        let subscribed = async {
            loop {
                let line = log.next_line().await.unwrap().expect("it goes on");
                if let Some((_, rest)) = line.split_once("metrics at http://") {
                    address = rest.split_once("/metrics").map(|(address, _)| address.to_owned());
                }
                if line.contains("subscribed") {
                    return;
                }
            }
        };
        tokio::time::timeout(SOON, subscribed)
            .await
            .expect("the consumer subscribes");
        // its log is read on, or it would hang at a full pipe
        tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
        (child, address.expect("it says where its metrics are"))
    }

    /// Where the consumers' metrics are.
    pub(crate) fn consumers(&self) -> Vec<String> {
        self.consumers
            .iter()
            .map(|(_, address)| address.clone())
            .collect()
    }

    /// Everybody, by the jobs of deploy/prometheus/prometheus.yml.
    pub(crate) fn scraped(&self) -> Vec<Scraped> {
        let scraped = |job, addresses| Scraped { job, addresses };
        vec![
            scraped("flowlift-consumer", self.consumers()),
            scraped("rabbitmq", vec![self.broker.clone()]),
            scraped("rabbitmq-queues", vec![self.broker.clone()]),
            scraped("azkaban-standin", vec![self.standin_address.clone()]),
            scraped("node", vec![self.exporter.clone()]),
        ]
    }

    pub(crate) fn targets(&self) -> usize {
        self.scraped().iter().map(|scraped| scraped.addresses.len()).sum()
    }

    /// Runs follow one another until it is ended: flows with schedules into some projects, each time with other contents.
    pub(crate) fn traffic(&self) -> Traffic {
        let stopped = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopped);
        let publisher = self.publisher();
        let runs = tokio::spawn(async move {
            let mut round = 0;
            while !stop.load(Ordering::Relaxed) {
                round += 1;
                let command = format!("command=echo {round}");
                let words = [
                    "--project",
                    "watch_{n%12}",
                    "--flows",
                    "120",
                    "--cron",
                    "0 0 3 ? * *",
                    "--template",
                    &command,
                ];
                let published = publisher.publish(&words).await;
                assert!(published.status.success(), "{}", said(&published));
            }
        });
        Traffic { stopped, runs }
    }

    /// A run whose change cannot be applied.
    pub(crate) async fn refused_run(&self) {
        let words = ["--project", "missing", "--flows", "1", "--no-create"];
        let refused = self.publisher().publish(&words).await;
        assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    }

    /// A project where bob may do nothing, and a run for it: it is parked.
    pub(crate) async fn denied_run(&self) {
        let client = Client::new(ClientConfig::new(&self.standin_url, "azkaban", "azkaban")).unwrap();
        let denied = ProjectName::new("denied").unwrap();
        client.create_project(&denied, "not for bob").await.unwrap();
        self.queue(&["--project", "denied", "--flows", "1"]).await;
    }

    /// Publishes and waits for nothing.
    async fn queue(&self, words: &[&str]) {
        let mut command = self.vhost.command(Path::new(env!("CARGO_BIN_EXE_flowlift")));
        let run = command.arg("publish").args(words).output().await.unwrap();
        assert!(run.status.success(), "{}", said(&run));
    }

    /// RabbitMQ's own settings, until the answer is dropped.
    pub(crate) fn broker_with(&self, words: &[&str], back: &[&'static str]) -> Tightened {
        ctl(&self.vhost.state, words);
        Tightened {
            state: self.vhost.state.clone(),
            back: back.to_vec(),
        }
    }

    fn publisher(&self) -> Publisher {
        Publisher {
            url: self.vhost.url.clone(),
            totals: self.totals.clone(),
        }
    }

    pub(crate) async fn azkaban_goes_away(&mut self) {
        if let Some(standin) = self.standin.take() {
            standin.stop().await;
        }
        // somebody has to ask it to find out
        self.queue(&["--project", "away", "--flows", "1", "--deadline", "07:00"])
            .await;
    }

    pub(crate) async fn kill_consumers(&mut self) {
        for (child, _) in &mut self.consumers {
            child.kill().await.unwrap();
        }
    }
}

/// Runs that follow one another.
pub(crate) struct Traffic {
    stopped: Arc<AtomicBool>,
    runs: JoinHandle<()>,
}

impl Traffic {
    /// The present run is the last.
    pub(crate) async fn end(self) {
        self.stopped.store(true, Ordering::Relaxed);
        let ended = tokio::time::timeout(SOON, self.runs).await;
        ended.expect("the last run ends").expect("all runs went well");
    }
}

/// A vhost of its own, removed at the end.
struct Vhost {
    state: String,
    name: String,
    url: String,
}

impl Vhost {
    fn make(state: String, broker: &str) -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("watch-{}-{number}", std::process::id());
        let (server, _) = broker.rsplit_once('/').expect("an address ends in a vhost");
        let vhost = Self {
            url: format!("{server}/{name}"),
            state,
            name,
        };
        vhost.ctl(&["add_vhost", &vhost.name]);
        vhost.ctl(&["set_permissions", "-p", &vhost.name, "guest", ".*", ".*", ".*"]);
        vhost
    }

    fn ctl(&self, words: &[&str]) {
        ctl(&self.state, words);
    }

    /// A program with this vhost and nothing else of this process' environment.
    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("FLOWLIFT_AMQP_URL", &self.url)
            .env("FLOWLIFT_SHARDS", SHARDS)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }
}

/// Publishes runs and follows them to their end; their totals are left in the file.
struct Publisher {
    url: String,
    totals: PathBuf,
}

impl Publisher {
    async fn publish(&self, words: &[&str]) -> Output {
        let run = Command::new(env!("CARGO_BIN_EXE_flowlift"))
            .env_clear()
            .env("FLOWLIFT_AMQP_URL", &self.url)
            .env("FLOWLIFT_SHARDS", SHARDS)
            .env("FLOWLIFT_METRICS_TEXTFILE", &self.totals)
            .args(["publish", "--wait", "--timeout", "40s", "--quiet"])
            .args(words)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        run.await.expect("flowlift runs")
    }
}

impl Drop for Vhost {
    fn drop(&mut self) {
        self.ctl(&["delete_vhost", &self.name]);
    }
}

/// A broker with less than it needs.
pub(crate) struct Tightened {
    state: String,
    back: Vec<&'static str>,
}

impl Drop for Tightened {
    fn drop(&mut self) {
        ctl(&self.state, &self.back);
    }
}

fn ctl(state: &str, words: &[&str]) {
    let status = std::process::Command::new(dev_broker())
        .args(["ctl", "--state", state, "--", "-q"])
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status();
    assert!(status.expect("dev/broker runs").success(), "{words:?}");
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn dev_broker() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../dev/broker")
}

/// Where the broker's plugin answers, if it has it.
fn metrics_of_broker(state: &str) -> Option<String> {
    let status = std::process::Command::new(dev_broker())
        .args(["status", "--state", state])
        .output()
        .expect("dev/broker runs");
    let told = String::from_utf8_lossy(&status.stdout).into_owned();
    let url = told
        .lines()
        .find_map(|line| line.strip_prefix("metrics=http://"))?;
    url.split_once('/').map(|(address, _)| address.to_owned())
}

/// Serves a file as node_exporter serves its text files.
async fn serve(file: PathBuf) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let serving = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let file = file.clone();
            tokio::spawn(async move {
                let mut request = [0; 4096];
                // one piece holds the whole of Prometheus' request
                let _ = stream.read(&mut request).await;
                let text = std::fs::read_to_string(&file).unwrap_or_default();
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: text/plain; version=0.0.4\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                    text.len()
                );
                let _ = stream.write_all(format!("{head}{text}").as_bytes()).await;
            });
        }
    });
    (address, serving)
}
