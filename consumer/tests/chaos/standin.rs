//! Azkaban: the stand-in as a process with its faults, or a real one somewhere.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::curl;
use crate::options::Options;
use crate::patience::for_seconds;
use crate::program::Program;
use flowlift_azkaban::client::{Client, ClientConfig};

/// What the consumers of a round write to.
pub(crate) struct Azkaban {
    /// Where it is, without a wire.
    pub(crate) url: String,
    /// Our own look at it, past all wires.
    pub(crate) client: Client,
    standin: Option<Standin>,
    pub(crate) user: String,
    pub(crate) password: String,
}

/// The stand-in's process, and what it needs to be started again.
struct Standin {
    program: Program,
    options: Options,
    folder: PathBuf,
}

impl Standin {
    /// Starts it on its data file; where it listens.
    async fn start(options: &Options, folder: &Path, listen: &str) -> (String, Program) {
        let mut command = options.program("azkaban-standin");
        command.args(["--allow-faults", "--listen", listen, "--data"]);
        command.arg(folder.join("azkaban.redb"));
        let mut program = Program::start("azkaban-standin", &mut command, &folder.join("azkaban.log"));
        let line = program.says("listens on ").await;
        let (_, rest) = line.split_once("listens on ").expect("its address");
        let url = rest.split(' ').next().expect("its address").to_owned();
        (url, program)
    }
}

impl Azkaban {
    pub(crate) async fn start(options: &Options, folder: &Path) -> Self {
        let (url, standin) = match &options.azkaban {
            Some(url) => (url.clone(), None),
            None => {
                let (url, program) = Standin::start(options, folder, "127.0.0.1:0").await;
                let (options, folder) = (options.clone(), folder.to_owned());
                let standin = Standin {
                    program,
                    options,
                    folder,
                };
                (url, Some(standin))
            }
        };
        let config = ClientConfig {
            sessions: 2,
            ..ClientConfig::new(&url, options.user.as_str(), options.password.as_str())
        };
        Self {
            client: Client::new(config).expect("a client"),
            url,
            standin,
            user: options.user.clone(),
            password: options.password.clone(),
        }
    }

    /// host:port.
    pub(crate) fn address(&self) -> &str {
        self.url.trim_start_matches("http://").trim_end_matches('/')
    }

    pub(crate) fn is_standin(&self) -> bool {
        self.standin.is_some()
    }

    /// Changes the faults of the stand-in that are named.
    pub(crate) async fn faults(&self, faults: serde_json::Value) {
        let answer = curl::put(&format!("{}/standin/faults", self.url), &faults.to_string()).await;
        assert!(answer.contains("ms_per_flow"), "{answer}");
    }

    /// A fault's present value.
    pub(crate) async fn fault(&self, name: &str) -> serde_json::Value {
        let faults = curl::get(&format!("{}/standin/faults", self.url)).await;
        let faults: serde_json::Value = serde_json::from_str(&faults).expect("the stand-in answers");
        faults[name].clone()
    }

    /// A number of the stand-in's statistics.
    pub(crate) async fn stat(&self, name: &str) -> u64 {
        let stats = curl::get(&format!("{}/standin/stats", self.url)).await;
        let stats: serde_json::Value = serde_json::from_str(&stats).expect("the stand-in answers");
        stats[name].as_u64().unwrap_or_else(|| panic!("no number {name}"))
    }

    /// kill -9 of the stand-in, and a new one on the same port and data.
    pub(crate) async fn kill(&mut self) {
        let address = self.address().to_owned();
        let Some(standin) = &mut self.standin else {
            return;
        };
        standin.program.signal("KILL");
        standin.program.ended().await;
        for_seconds(2).await;
        let (_, program) = Standin::start(&standin.options, &standin.folder, &address).await;
        standin.program = program;
    }

    /// Restarts the stand-in: connections are cut, uploads end where they are, sessions are gone.
    pub(crate) async fn restart(&self) {
        curl::post(&format!("{}/standin/restart", self.url)).await;
        crate::patience::until("Azkaban answers again", Duration::from_secs(60), async || {
            self.client.status().await.ok()
        })
        .await;
    }
}
