//! A Prometheus of one's own, with the settings and rules of deploy/prometheus; only addresses and the pace are others.
//! Where alerts are to fire, their rules are hurried: what is minutes in them is seconds.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::process::{Child, Command};

use crate::SOON;

/// Scrapes and rules: every second, where deploy/ has five.
const PACE: &str = "1s";

/// Who is scraped for a job of the settings.
pub(crate) struct Scraped {
    pub(crate) job: &'static str,
    pub(crate) addresses: Vec<String>,
}

/// How long the rules take to be sure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// As deployed.
    AsDeployed,
    /// Seconds, so that a test can wait for them.
    Hurried,
}

/// What is known about an expression.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answer {
    /// Series, at least one of which has a number now.
    Numbers(Vec<f64>),
    /// None yet.
    Nothing,
    /// It cannot be answered.
    Refused(String),
}

/// The rules that are in force.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    pub(crate) alerts: Vec<String>,
    pub(crate) recorded: Vec<String>,
}

/// Ended with the test.
pub(crate) struct Prometheus {
    url: String,
    http: reqwest::Client,
    _process: Child,
    _folder: tempfile::TempDir,
}

impl Prometheus {
    /// `None`: it is not installed, and that is said.
    pub(crate) async fn start(scraped: &[Scraped], patience: Patience) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let settings = folder.path().join("prometheus.yml");
        let rules = rules_in(folder.path(), patience);
        std::fs::write(&settings, settings_for(scraped, &rules).to_string()).unwrap();
        let listen = format!("127.0.0.1:{}", free_port());
        let process = Command::new("prometheus")
            .arg(format!("--config.file={}", settings.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.path().join("data").display()
            ))
            .arg(format!("--web.listen-address={listen}"))
            .arg("--log.level=warn")
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn();
        let Ok(process) = process else {
            println!("skipped: prometheus is not installed (apt-get install prometheus)");
            return None;
        };
        // one is enough for the whole process, whoever chooses it
        let _ = rustls::crypto::ring::default_provider().install_default();
        let prometheus = Self {
            url: format!("http://{listen}"),
            http: reqwest::Client::new(),
            _process: process,
            _folder: folder,
        };
        let ready = format!("{}/-/ready", prometheus.url);
        prometheus
            .until("Prometheus is ready", async || {
                let answer = prometheus.http.get(&ready).send().await;
                answer.is_ok_and(|answer| answer.status().is_success())
            })
            .await;
        Some(prometheus)
    }

    /// Looks again and again until it is so.
    async fn until(&self, what: &str, mut is_so: impl AsyncFnMut() -> bool) {
        let mut pause = tokio::time::interval(Duration::from_millis(100));
        let look = async {
            while !is_so().await {
                pause.tick().await;
            }
        };
        let looked = tokio::time::timeout(SOON, look).await;
        assert!(looked.is_ok(), "it did not come to this: {what}");
    }

    async fn get(&self, path: &str, query: &[(&str, &str)]) -> Value {
        let url = format!("{}/api/v1/{path}", self.url);
        let answer = self.http.get(url).query(query).send().await.unwrap();
        answer.json().await.unwrap()
    }

    /// Asks for the present value of an expression.
    pub(crate) async fn ask(&self, expression: &str) -> Answer {
        let answer = self.get("query", &[("query", expression)]).await;
        if answer["status"] != "success" {
            return Answer::Refused(answer["error"].to_string());
        }
        let result = &answer["data"]["result"];
        let value = |sample: &Value| sample[1].as_str()?.parse::<f64>().ok();
        let values: Vec<f64> = match answer["data"]["resultType"].as_str() {
            Some("vector") => result
                .as_array()
                .unwrap()
                .iter()
                .filter_map(|series| value(&series["value"]))
                .collect(),
            _ => value(result).into_iter().collect(),
        };
        if values.iter().any(|value| !value.is_nan()) {
            Answer::Numbers(values)
        } else {
            Answer::Nothing
        }
    }

    /// Waits until an expression has series, be their values numbers or not.
    pub(crate) async fn until_answered(&self, expression: &str) {
        self.until(&format!("{expression} has a series"), async || {
            let answer = self.get("query", &[("query", expression)]).await;
            answer["data"]["result"]
                .as_array()
                .is_some_and(|series| !series.is_empty())
        })
        .await;
    }

    /// Waits until all of so many targets can be scraped.
    pub(crate) async fn until_all_are_up(&self, targets: usize) {
        let mut last = Value::Null;
        let up = self.until("all targets are up", async || {
            last = self.get("targets", &[("state", "active")]).await;
            let found = last["data"]["activeTargets"].as_array().unwrap();
            found.len() == targets && found.iter().all(|target| target["health"] == "up")
        });
        up.await;
    }

    /// The rules, none of which has an error.
    pub(crate) async fn rules(&self) -> Rules {
        let mut found = Rules::default();
        self.until("all rules were evaluated", async || {
            found = Rules::default();
            let answer = self.get("rules", &[]).await;
            let groups = answer["data"]["groups"].as_array().unwrap();
            let rules: Vec<&Value> = groups
                .iter()
                .flat_map(|group| group["rules"].as_array().unwrap())
                .collect();
            for rule in &rules {
                assert_ne!(rule["health"], "err", "{rule}");
                let name = rule["name"].as_str().unwrap().to_owned();
                match rule["type"].as_str() {
                    Some("alerting") => found.alerts.push(name),
                    _ => found.recorded.push(name),
                }
            }
            rules.iter().all(|rule| rule["health"] == "ok")
        })
        .await;
        found
    }

    /// `inactive`, `pending` or `firing`.
    pub(crate) async fn alert(&self, name: &str) -> String {
        let answer = self.get("rules", &[("type", "alert")]).await;
        let groups = answer["data"]["groups"].as_array().unwrap();
        let mut rules = groups.iter().flat_map(|group| group["rules"].as_array().unwrap());
        let rule = rules.find(|rule| rule["name"] == name);
        rule.unwrap_or_else(|| panic!("there is no alert {name}"))["state"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// Waits until an alert is in one of these states.
    pub(crate) async fn until_alert(&self, name: &str, states: &[&str]) {
        self.until(&format!("{name} is {states:?}"), async || {
            states.contains(&self.alert(name).await.as_str())
        })
        .await;
    }
}

fn deployed() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/prometheus");
    folder.canonicalize().unwrap()
}

/// The rules of deploy/prometheus, copied; where they lie.
fn rules_in(folder: &Path, patience: Patience) -> PathBuf {
    let rules = folder.join("rules");
    std::fs::create_dir(&rules).unwrap();
    for file in std::fs::read_dir(deployed().join("rules")).unwrap() {
        let file = file.unwrap();
        let text = std::fs::read_to_string(file.path()).unwrap();
        let text = match patience {
            Patience::AsDeployed => text,
            Patience::Hurried => hurried(&text),
        };
        std::fs::write(rules.join(file.file_name()), text).unwrap();
    }
    rules
}

/// Minutes as seconds; hours of age as well. What is asked and compared stays as it is.
fn hurried(rules: &str) -> String {
    let hurry = |line: &str| {
        if line.trim_start().starts_with("for: ") {
            let indent = line.len() - line.trim_start().len();
            return format!("{}for: 1s\n", &line[..indent]);
        }
        let line = line.replace("[15m]", "[8s]").replace("[5m]", "[8s]");
        line.replace("> 7200", "> 2") + "\n"
    };
    let hurried: String = rules.lines().map(hurry).collect();
    assert!(!hurried.contains("m]"), "a window is not hurried: {hurried}");
    hurried
}

/// deploy/prometheus/prometheus.yml with the addresses that hold here.
fn settings_for(scraped: &[Scraped], rules: &Path) -> Value {
    let text = std::fs::read_to_string(deployed().join("prometheus.yml")).unwrap();
    let mut settings: Value = serde_saphyr::from_str(&text).unwrap();
    settings["global"] = json!({"scrape_interval": PACE, "evaluation_interval": PACE});
    for file in settings["rule_files"].as_array_mut().unwrap() {
        let pattern = file
            .as_str()
            .unwrap()
            .strip_prefix("rules/")
            .expect("rules lie in rules/");
        *file = rules.join(pattern).to_str().unwrap().into();
    }
    let jobs = settings["scrape_configs"].as_array_mut().unwrap();
    for job in jobs.iter_mut() {
        let name = job["job_name"].as_str().unwrap();
        let found = scraped.iter().find(|scraped| scraped.job == name);
        let addresses = &found.unwrap_or_else(|| panic!("nobody here is {name}")).addresses;
        let job = job.as_object_mut().unwrap();
        job.remove("dns_sd_configs");
        job.insert("static_configs".into(), json!([{"targets": addresses}]));
        // all vhosts: the one of this test is among them
        if let Some(parameters) = job.get_mut("params").and_then(Value::as_object_mut) {
            parameters.remove("vhost");
        }
    }
    for scraped in scraped {
        if !jobs.iter().any(|job| job["job_name"] == scraped.job) {
            jobs.push(json!({"job_name": scraped.job, "static_configs": [{"targets": scraped.addresses}]}));
        }
    }
    settings
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}
