//! A vhost of its own for each test, and connections that can be cut as a dead machine's are.

use std::env;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use flowlift_common::amqp::{self, AmqpError, Link, Needs};
use flowlift_common::topology::{PERMITS, Retention};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;

/// Whatever a test waits for comes within this, or it fails.
pub(crate) const SOON: Duration = Duration::from_secs(20);
pub(crate) const SHARDS: u16 = 2;

/// A vhost with the topology declared, removed at the end.
pub(crate) struct Vhost {
    name: String,
    state: String,
    /// `amqp://user:password@host:port`.
    server: String,
}

impl Vhost {
    /// `None` without a broker: the test is skipped, and says so.
    pub(crate) async fn make(name: &str) -> Option<Self> {
        let (Ok(state), Ok(url)) = (env::var("FLOWLIFT_TEST_BROKER"), env::var("FLOWLIFT_AMQP_URL")) else {
            println!("skipped: no broker (dev/broker run -- cargo test starts one)");
            return None;
        };
        let (server, _) = url.rsplit_once('/').expect("an address ends in a vhost");
        let vhost = Self {
            name: format!("it-{name}-{}", std::process::id()),
            state,
            server: server.to_owned(),
        };
        vhost.ctl(&["add_vhost", &vhost.name]);
        vhost.ctl(&["set_permissions", "-p", &vhost.name, "guest", ".*", ".*", ".*"]);
        let link = vhost.link().await;
        amqp::declare(&link, SHARDS, &Retention::default())
            .await
            .expect("the topology can be declared");
        let needs = Needs {
            shards: SHARDS,
            azkaban: None,
        };
        amqp::agree(&link, needs).await.expect("a fresh vhost agrees");
        Some(vhost)
    }

    pub(crate) async fn link(&self) -> Arc<Link> {
        connect(&self.url()).await
    }

    /// The vhost's address.
    pub(crate) fn url(&self) -> String {
        format!("{}/{}", self.server, self.name)
    }

    /// The vhost's address through a proxy that can be cut.
    pub(crate) async fn cuttable_url(&self) -> (String, Wire) {
        let (head, address) = self.server.rsplit_once('@').expect("an address with user");
        let wire = Wire::to(address.to_owned()).await;
        (format!("{head}@{}/{}", wire.address, self.name), wire)
    }

    /// A connection through a proxy that can be cut.
    pub(crate) async fn cuttable(&self) -> (Arc<Link>, Wire) {
        let (url, wire) = self.cuttable_url().await;
        let link = connect(&url).await;
        (link, wire)
    }

    fn ctl(&self, arguments: &[&str]) {
        let broker = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dev/broker");
        let status = Command::new(broker)
            .args(["ctl", "--state", &self.state, "--"])
            .args(arguments)
            .stdout(Stdio::null())
            .status();
        assert!(status.expect("dev/broker runs").success(), "{arguments:?}");
    }
}

impl Drop for Vhost {
    fn drop(&mut self) {
        self.ctl(&["delete_vhost", &self.name]);
    }
}

async fn connect(url: &str) -> Arc<Link> {
    Arc::new(Link::connect(url, "it").await.expect("the broker is there"))
}

/// A TCP proxy; when it is cut, or dropped, all its connections break off without a word, as when a process is killed.
pub(crate) struct Wire {
    address: String,
    cut: Arc<Notify>,
    _tasks: JoinSet<()>,
}

impl Wire {
    async fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address").to_string();
        let cut = Arc::new(Notify::new());
        let mut tasks = JoinSet::new();
        let cutting = Arc::clone(&cut);
        tasks.spawn(async move {
            let mut pipes = JoinSet::new();
            loop {
                tokio::select! {
                    near = listener.accept() => {
                        let (mut near, _) = near.expect("the listener stays");
                        let mut far = TcpStream::connect(&server).await.expect("the broker listens");
                        pipes.spawn(async move { tokio::io::copy_bidirectional(&mut near, &mut far).await });
                    }
                    () = cutting.notified() => pipes.abort_all(),
                }
            }
        });
        Self {
            address,
            cut,
            _tasks: tasks,
        }
    }

    /// Breaks all connections off; new ones are let through.
    pub(crate) fn cut(&self) {
        self.cut.notify_one();
    }
}

/// Where tokens may lie.
pub(crate) const PLACES: [&str; 3] = [PERMITS, "flowlift.permits.2", "flowlift.permits.3"];

/// Tokens ready and consumers subscribed, at all places together.
pub(crate) async fn permits_queue(link: &Link) -> (u32, u32) {
    let mut sum = (0, 0);
    for place in PLACES {
        match amqp::depth(link, place).await {
            Ok(depth) => sum = (sum.0 + depth.waiting, sum.1 + depth.consumers),
            Err(AmqpError::Missing { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    sum
}

/// Looks until the queue of permits is as expected.
pub(crate) async fn until_permits_queue(link: &Link, expected: (u32, u32)) {
    let look = async {
        while permits_queue(link).await != expected {
            // each look takes a channel, and a connection has 2,047 of them until numbers come again
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    if tokio::time::timeout(SOON, look).await.is_err() {
        let found = permits_queue(link).await;
        panic!("(tokens ready, waiting) should come to {expected:?} and are {found:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_outlives_the_numbers_of_channels_that_were_closed_with_an_error() {
    let Some(vhost) = Vhost::make("numbers").await else {
        return;
    };
    let link = vhost.link().await;
    for _ in 0..3 {
        let channel = link.channel().await.expect("a channel");
        let missing = channel.queue_purge("missing".into(), lapin::options::QueuePurgeOptions::default());
        assert!(missing.await.is_err(), "there is no such queue");
    }
    for _ in 0..2_100 {
        link.channel().await.expect("numbers come again, errors do not");
    }
}
