//! Where a round plays: a vhost of its own, an Azkaban, wires that can be cut, and consumers that come and go.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Output;
use std::time::Duration;

use crate::broker::Broker;
use crate::dice::Dice;
use crate::options::Options;
use crate::patience::{or_go_on, until};
use crate::people::ByHand;
use crate::program::Program;
use crate::standin::Azkaban;
use crate::wire::Wire;
use flowlift_azkaban::client::ServerStatus;

/// Shards of a round's vhost.
pub(crate) const SHARDS: u16 = 8;
/// Connections to Azkaban of all consumers together.
pub(crate) const CONNECTIONS: usize = 6;

/// A consumer and its own way to RabbitMQ.
pub(crate) struct Consumer {
    pub(crate) name: String,
    pub(crate) program: Program,
    pub(crate) wire: Wire,
}

/// Everything a round may do something to.
pub(crate) struct Scene<'b> {
    pub(crate) broker: &'b Broker,
    pub(crate) vhost: String,
    pub(crate) azkaban: Azkaban,
    /// The consumers' way to Azkaban.
    pub(crate) http: Wire,
    /// The producer's way to RabbitMQ.
    pub(crate) producer: Wire,
    pub(crate) fleet: Vec<Consumer>,
    pub(crate) by_hand: ByHand,
    pub(crate) projects: Vec<String>,
    pub(crate) dice: Dice,
    pub(crate) folder: PathBuf,
    /// What the round itself found wrong.
    pub(crate) faults: Vec<String>,
    options: Options,
    started: usize,
}

impl<'b> Scene<'b> {
    pub(crate) async fn set(
        broker: &'b Broker,
        options: &Options,
        name: &str,
        folder: PathBuf,
        seed: u64,
    ) -> Self {
        std::fs::create_dir_all(&folder).expect("a folder for logs");
        broker.ctl(&["add_vhost", name]).await;
        broker
            .ctl(&["set_permissions", "-p", name, "guest", ".*", ".*", ".*"])
            .await;
        let azkaban = Azkaban::start(options, &folder).await;
        Self {
            http: Wire::to(azkaban.address()).await,
            producer: Wire::to(broker.address()).await,
            broker,
            vhost: name.to_owned(),
            azkaban,
            fleet: Vec::new(),
            by_hand: ByHand::default(),
            projects: Vec::new(),
            dice: Dice::new(seed),
            folder,
            faults: Vec::new(),
            options: options.clone(),
            started: 0,
        }
    }

    /// Starts one more consumer, without waiting for it.
    pub(crate) async fn launch(&mut self) {
        self.started += 1;
        let name = format!("chaos-{}", self.started);
        let wire = Wire::to(self.broker.address()).await;
        let url = self.broker.url(&self.vhost, &wire.address);
        let mut command = self.options.command("flowlift-consumer", &url);
        command
            .args([
                "--name",
                &name,
                "--metrics-listen",
                "127.0.0.1:0",
                "--log",
                "human",
            ])
            .args(["--azkaban-connections", &CONNECTIONS.to_string()])
            .env("FLOWLIFT_AZKABAN_URL", format!("http://{}", self.http.address));
        let program = Program::start(&name, &mut command, &self.folder.join(format!("{name}.log")));
        self.fleet.push(Consumer { name, program, wire });
    }

    /// Starts one more consumer and waits until it is subscribed.
    pub(crate) async fn join(&mut self) {
        self.launch().await;
        let last = self.fleet.last_mut().expect("it was started");
        last.program.says("subscribed").await;
    }

    /// Calls `flowlift` on the broker itself.
    pub(crate) async fn calls(&self, args: &[&str]) -> Output {
        let url = self.broker.url(&self.vhost, self.broker.address());
        let said = self.options.command("flowlift", &url).args(args).output().await;
        said.expect("flowlift runs")
    }

    /// The same where it has to succeed; gives its result.
    pub(crate) async fn flowlift(&self, args: &[&str]) -> String {
        let said = self.calls(args).await;
        let err = String::from_utf8_lossy(&said.stderr);
        assert!(
            said.status.success(),
            "flowlift {args:?} ended with {}: {err}",
            said.status
        );
        String::from_utf8_lossy(&said.stdout).trim().to_owned()
    }

    /// The place of any consumer.
    pub(crate) fn anybody(&mut self) -> usize {
        self.dice.below(self.fleet.len())
    }

    /// Goes on as soon as an upload is under way, or after a while all the same.
    pub(crate) async fn upload_under_way(&self) -> bool {
        or_go_on(Duration::from_secs(4), async || {
            self.http.traffic().under_way() > 0
        })
        .await
    }

    /// Whether Azkaban answers its status page.
    pub(crate) async fn azkaban_lives(&self) -> ServerStatus {
        until("Azkaban answers", Duration::from_secs(120), async || {
            self.azkaban.client.status().await.ok()
        })
        .await
    }

    /// Messages in each queue of the vhost, handed out ones too.
    pub(crate) async fn depths(&self) -> BTreeMap<String, String> {
        let list = [
            "-q",
            "list_queues",
            "-p",
            &self.vhost,
            "--no-table-headers",
            "name",
            "messages",
        ];
        let listed = self.broker.ctl(&list).await;
        let line = |line: &str| {
            let (name, messages) = line.split_once('\t')?;
            Some((name.to_owned(), messages.trim().to_owned()))
        };
        listed.lines().filter_map(line).collect()
    }

    /// Everything is as it should be again, and two consumers at least live.
    pub(crate) async fn heal(&mut self) {
        self.http.restore();
        self.producer.restore();
        if self.azkaban.is_standin() {
            let none = serde_json::json!({"ms_per_flow": 0, "ms_per_flow_v2": 0, "ms_per_request": 0, "fail_persist": 0,
                "html_500": 0, "hang": 0, "drop_after_commit": 0, "db_down": false});
            self.azkaban.faults(none).await;
        }
        self.azkaban_lives().await;
        for consumer in &mut self.fleet {
            consumer.wire.restore();
            consumer.program.signal("CONT");
        }
        let mut gone = Vec::new();
        self.fleet
            .retain_mut(|consumer| match consumer.program.ended_early() {
                None => true,
                Some(status) => {
                    gone.push(format!("{} ended by itself with {status}", consumer.name));
                    false
                }
            });
        self.faults.extend(gone);
        while self.fleet.len() < 2 {
            self.join().await;
        }
    }

    /// Ends all consumers in order.
    pub(crate) async fn end(&mut self) {
        for consumer in &self.fleet {
            consumer.program.signal("TERM");
        }
        for mut consumer in self.fleet.drain(..) {
            let status = consumer.program.ended().await;
            if status.code() != Some(0) {
                let name = consumer.name;
                self.faults
                    .push(format!("{name} ended with {status} though nothing was under way"));
            }
        }
    }
}
