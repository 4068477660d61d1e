//! A vhost of its own, an Azkaban, the real consumer, and the real `flowlift`.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use azkaban_standin::{Options, Running, Standin};
use flowlift_azkaban::ProjectName;
use flowlift_azkaban::client::{Client, ClientConfig, ClientError};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

const FLOWLIFT: &str = env!("CARGO_BIN_EXE_flowlift");
/// Projects of these names belong to this test, on any server.
const PREFIX: &str = "flowlift_folders_";

pub(crate) struct Stage {
    pub(crate) client: Client,
    url: String,
    vhost: Vhost,
    scratch: tempfile::TempDir,
    _consumer: Child,
    _standin: Option<Running>,
}

impl Stage {
    pub(crate) async fn set() -> Self {
        let vhost = Vhost::make().await;
        let (url, standin) = match env::var("AZKABAN_URL") {
            Ok(url) => (url, None),
            Err(_) => {
                let standin = Standin::start(Options::default())
                    .await
                    .expect("a stand-in on a free port");
                (standin.url(), Some(standin))
            }
        };
        let password = env::var("AZKABAN_PASSWORD").unwrap_or_else(|_| "azkaban".into());
        let user = env::var("AZKABAN_USER").unwrap_or_else(|_| "azkaban".into());
        let client =
            Client::new(ClientConfig::new(url.clone(), user.clone(), password.clone())).expect("a client");
        let settings = [
            ("FLOWLIFT_AMQP_URL", vhost.url.as_str()),
            ("FLOWLIFT_SHARDS", "2"),
            ("FLOWLIFT_AZKABAN_URL", &url),
            ("FLOWLIFT_AZKABAN_USER", &user),
            ("FLOWLIFT_AZKABAN_PASSWORD", &password),
        ];
        let consumer = consumer(&settings).await;
        let stage = Self {
            client,
            url,
            vhost,
            scratch: tempfile::tempdir().expect("a temporary folder"),
            _consumer: consumer,
            _standin: standin,
        };
        stage.clear().await;
        stage
    }

    pub(crate) fn azkaban(&self) -> &str {
        if self._standin.is_some() {
            "the stand-in"
        } else {
            &self.url
        }
    }

    /// A project nobody else uses.
    pub(crate) fn project(&self, number: usize, way: &str) -> ProjectName {
        ProjectName::new(format!("{PREFIX}{number}_{way}")).expect("a good name")
    }

    /// A place for a file.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// `flowlift publish SOURCE --project PROJECT --wait`.
    pub(crate) async fn publish(&self, source: &Path, project: &ProjectName) -> Output {
        Command::new(FLOWLIFT)
            .arg("publish")
            .arg(source)
            .args([
                "--project",
                project.as_str(),
                "--wait",
                "--timeout",
                "2m",
                "--quiet",
            ])
            .env("FLOWLIFT_AMQP_URL", &self.vhost.url)
            .env("FLOWLIFT_SHARDS", "2")
            .env("FLOWLIFT_AZKABAN_URL", &self.url)
            .current_dir(self.scratch.path())
            .output()
            .await
            .expect("flowlift runs")
    }

    /// Removes what the test made.
    pub(crate) async fn strike(&self) {
        self.clear().await;
    }

    async fn clear(&self) {
        for project in self.client.projects().await.expect("Azkaban answers") {
            if project.name.starts_with(PREFIX) {
                match self
                    .client
                    .delete_project(&ProjectName::new(project.name).expect("a good name"))
                    .await
                {
                    Ok(()) | Err(ClientError::ProjectMissing { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }
}

/// The real program, subscribed; killed when dropped.
async fn consumer(settings: &[(&str, &str)]) -> Child {
    let program = Path::new(FLOWLIFT).with_file_name("flowlift-consumer");
    assert!(
        program.exists(),
        "there is no {}: cargo build -p flowlift-consumer",
        program.display()
    );
    let mut child = Command::new(program)
        .args(["--name", "folders", "--metrics-listen", "127.0.0.1:0"])
        .envs(settings.iter().copied())
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the consumer starts");
    let mut log = BufReader::new(child.stderr.take().expect("its log")).lines();
    let subscribed = async {
        while let Some(line) = log.next_line().await.expect("a log") {
            if line.contains("subscribed") {
                return;
            }
        }
        panic!("the consumer ended before it subscribed");
    };
    tokio::time::timeout(Duration::from_secs(30), subscribed)
        .await
        .expect("the consumer subscribes in time");
    // a full pipe would stop it
    tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
    child
}

/// One vhost serves one Azkaban: a fresh one for each time.
struct Vhost {
    name: String,
    state: String,
    url: String,
}

impl Vhost {
    async fn make() -> Self {
        let (Ok(state), Ok(url)) = (env::var("FLOWLIFT_TEST_BROKER"), env::var("FLOWLIFT_AMQP_URL")) else {
            panic!("no broker: dev/broker run -- cargo test -p flowlift --test folders starts one");
        };
        let (server, _) = url.rsplit_once('/').expect("an address ends in a vhost");
        let name = format!("folders-{}", std::process::id());
        let vhost = Self {
            url: format!("{server}/{name}"),
            name,
            state,
        };
        vhost.ctl(&["add_vhost", &vhost.name]);
        vhost.ctl(&["set_permissions", "-p", &vhost.name, "guest", ".*", ".*", ".*"]);
        vhost
    }

    fn ctl(&self, arguments: &[&str]) {
        let broker = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dev/broker");
        let status = std::process::Command::new(broker)
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
