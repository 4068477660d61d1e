//! A private RabbitMQ of one lane, and what can be done to it.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use flowlift_common::amqp::{self, Depth, Link};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};

/// The node lives as long as this value: its owner ends when its standard input does.
pub(crate) struct Broker {
    state: String,
    /// `amqp://user:password@host:port`.
    server: String,
    _lifeline: ChildStdin,
    owner: Child,
}

impl Broker {
    pub(crate) async fn start(log: &Path) -> Self {
        let log = std::fs::File::create(log).expect("a log can be written");
        let mut owner = Command::new(program())
            .args(["run", "--", "sh", "-c"])
            .arg(r#"echo "$FLOWLIFT_TEST_BROKER $FLOWLIFT_AMQP_URL"; exec cat >/dev/null"#)
            .env_remove("FLOWLIFT_USE_BROKER")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("dev/broker runs");
        let lifeline = owner.stdin.take().expect("its standard input");
        let mut words = BufReader::new(owner.stdout.take().expect("its output")).lines();
        let told = words.next_line().await.expect("its output can be read");
        let told = told.expect("a RabbitMQ could be started");
        let (state, url) = told.split_once(' ').expect("a folder and an address");
        let (server, _) = url.rsplit_once('/').expect("an address ends in a vhost");
        Self {
            state: state.to_owned(),
            server: server.to_owned(),
            _lifeline: lifeline,
            owner,
        }
    }

    /// Lets it end, and waits for that.
    pub(crate) async fn end(self) {
        let Self {
            _lifeline: lifeline,
            mut owner,
            ..
        } = self;
        drop(lifeline);
        let _ = owner.wait().await;
    }

    /// host:port.
    pub(crate) fn address(&self) -> &str {
        self.server.rsplit_once('@').expect("an address with user").1
    }

    /// The address of a vhost, at another host:port when it is reached through a wire.
    pub(crate) fn url(&self, vhost: &str, address: &str) -> String {
        let (head, _) = self.server.rsplit_once('@').expect("an address with user");
        format!("{head}@{address}/{vhost}")
    }

    pub(crate) async fn link(&self, vhost: &str) -> Link {
        let url = self.url(vhost, self.address());
        Link::connect(&url, "chaos").await.expect("RabbitMQ is there")
    }

    /// A quiet look at a queue; `None`: it is not there.
    pub(crate) async fn depth(&self, vhost: &str, queue: &str) -> Option<Depth> {
        let link = self.link(vhost).await;
        let depth = amqp::depth(&link, queue).await.ok();
        link.close().await;
        depth
    }

    /// rabbitmqctl; what it said.
    pub(crate) async fn ctl(&self, arguments: &[&str]) -> String {
        self.tell("ctl", arguments).await
    }

    /// kill -9 of the node.
    pub(crate) async fn kill(&self) {
        self.tell("kill", &[]).await;
    }

    /// Stops it, if it runs, and starts it again with its ports and data.
    pub(crate) async fn restart(&self) {
        self.tell("restart", &[]).await;
    }

    async fn tell(&self, word: &str, arguments: &[&str]) -> String {
        let mut command = Command::new(program());
        command.args([word, "--state", &self.state]);
        if !arguments.is_empty() {
            command.arg("--").args(arguments);
        }
        let out = command
            .stdin(Stdio::null())
            .output()
            .await
            .expect("dev/broker runs");
        let said = String::from_utf8_lossy(&out.stdout).into_owned();
        let complained = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "{word} {arguments:?}: {said}{complained}");
        said
    }
}

fn program() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../dev/broker")
}
