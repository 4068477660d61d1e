//! A vhost of the broker, a stand-in for Azkaban, and the real programs, with what somebody says about traces.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use azkaban_standin::{Options, Running, Standin};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};

/// Whatever is waited for comes within this, or the test fails.
pub(crate) const SOON: Duration = Duration::from_secs(30);
const SHARDS: &str = "2";

pub(crate) struct Stage {
    vhost: Vhost,
    standin: Running,
    variables: Vec<(String, String)>,
}

impl Stage {
    /// `None` without a broker: that is said.
    pub(crate) async fn set(name: &str) -> Option<Self> {
        let (Ok(state), Ok(url)) = (env::var("FLOWLIFT_TEST_BROKER"), env::var("FLOWLIFT_AMQP_URL")) else {
            println!("skipped: no broker (dev/broker run -- cargo test starts one)");
            return None;
        };
        let standin = Standin::start(Options::default()).await;
        Some(Self {
            vhost: Vhost::make(name, state, &url),
            standin: standin.expect("a stand-in on a free port"),
            variables: Vec::new(),
        })
    }

    /// All programs from now on hand their traces over there.
    pub(crate) fn traces(&mut self, url: &str) {
        self.variable("FLOWLIFT_TRACES", url);
    }

    pub(crate) fn variable(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    pub(crate) fn azkaban(&self) -> String {
        self.standin.url()
    }

    /// Azkaban refuses every zip with this flow.
    pub(crate) fn refuses(&self, flow: &str) {
        let words = format!("flow {flow} is refused");
        self.standin.set_faults(|faults| {
            faults.refuses.insert(flow.to_owned(), words);
        });
    }

    /// Azkaban refuses nothing any more.
    pub(crate) fn refuses_nothing(&self) {
        self.standin.set_faults(|faults| faults.refuses.clear());
    }

    /// Starts a consumer and waits until it is subscribed.
    pub(crate) async fn consumer(&self, name: &str) -> Consumer {
        let program = PathBuf::from(env!("CARGO_BIN_EXE_flowlift-consumer"));
        let mut child = self
            .command(&program)
            .args(["--name", name, "--metrics-listen", "127.0.0.1:0"])
            .env("FLOWLIFT_AZKABAN_PASSWORD", "azkaban")
            .stderr(Stdio::piped())
            .spawn()
            .expect("the consumer starts");
        let log = BufReader::new(child.stderr.take().unwrap()).lines();
        let read = String::new();
        let mut consumer = Consumer { child, log, read };
        consumer.until("subscribed").await;
        consumer
    }

    /// Runs `flowlift publish`.
    pub(crate) async fn publish(&self, words: &[&str]) -> Said {
        self.flowlift(&[&["publish"], words].concat()).await
    }

    /// Runs `flowlift`.
    pub(crate) async fn flowlift(&self, words: &[&str]) -> Said {
        let program = Path::new(env!("CARGO_BIN_EXE_flowlift-consumer")).with_file_name("flowlift");
        assert!(
            program.exists(),
            "there is no {}: test both packages with their feature `traces`",
            program.display()
        );
        let run = self.command(&program).args(words).output();
        let run = tokio::time::timeout(SOON, run).await;
        Said::of(&run.expect("it ends in time").expect("flowlift runs"))
    }

    /// A program with this stage and nothing else of this process' environment.
    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("FLOWLIFT_AMQP_URL", &self.vhost.url)
            .env("FLOWLIFT_AZKABAN_URL", self.standin.url())
            .env("FLOWLIFT_SHARDS", SHARDS)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }
}

/// How a command ended.
pub(crate) struct Said {
    output: Output,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Self {
            out: text(&output.stdout),
            err: text(&output.stderr),
            output: output.clone(),
        }
    }

    pub(crate) fn code(&self) -> Option<i32> {
        self.output.status.code()
    }

    /// What it printed.
    #[track_caller]
    pub(crate) fn succeeded(self) -> String {
        assert_eq!(self.code(), Some(0), "{}", self.err);
        self.out
    }
}

/// A running consumer; killed when dropped.
pub(crate) struct Consumer {
    child: Child,
    log: Lines<BufReader<ChildStderr>>,
    read: String,
}

impl Consumer {
    /// Reads its log up to a line with this text.
    pub(crate) async fn until(&mut self, text: &str) {
        let read = async {
            while let Some(line) = self.log.next_line().await.unwrap() {
                self.read += &format!("{line}\n");
                if line.contains(text) {
                    return true;
                }
            }
            false
        };
        let found = tokio::time::timeout(SOON, read).await;
        assert_eq!(
            found,
            Ok(true),
            "no line with {text:?} came in time:\n{}",
            self.read
        );
    }

    /// Asks it to leave and waits until it has; its whole log.
    pub(crate) async fn stops(&mut self) -> String {
        let id = self.child.id().expect("it runs").to_string();
        let sent = std::process::Command::new("kill")
            .args(["-s", "TERM", &id])
            .status();
        assert!(sent.expect("kill runs").success());
        let ended = async {
            while let Some(line) = self.log.next_line().await.unwrap() {
                self.read += &format!("{line}\n");
            }
            self.child.wait().await.unwrap()
        };
        let status = tokio::time::timeout(SOON, ended).await.expect("it ends in time");
        assert_eq!(status.code(), Some(0), "{}", self.read);
        self.read.clone()
    }
}

/// A vhost of its own, removed at the end.
struct Vhost {
    state: String,
    name: String,
    url: String,
}

impl Vhost {
    fn make(name: &str, state: String, broker: &str) -> Self {
        let name = format!("traces-{name}-{}", std::process::id());
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
        let broker = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dev/broker");
        let status = std::process::Command::new(broker)
            .args(["ctl", "--state", &self.state, "--", "-q"])
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status();
        assert!(status.expect("dev/broker runs").success(), "{words:?}");
    }
}

impl Drop for Vhost {
    fn drop(&mut self) {
        self.ctl(&["delete_vhost", &self.name]);
    }
}
