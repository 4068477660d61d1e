//! Executions: starting them, and waiting for their end.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::azkaban::{Azkaban, Project};
use super::http::Reply;

/// A busy real server takes its time.
const PATIENCE: Duration = Duration::from_secs(60);

/// Asks until the answer is yes.
pub(crate) async fn patiently(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !is_so().await {
        assert!(start.elapsed() < PATIENCE, "never came true: {what}");
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

impl Azkaban {
    /// An `ajax` call of `/executor`.
    pub(crate) async fn executor(&self, call: &str, fields: &[(&str, &str)]) -> Reply {
        self.get("/executor", &[&[("ajax", call)], fields].concat()).await
    }

    /// The same about one execution.
    pub(crate) async fn about(&self, call: &str, id: i64, fields: &[(&str, &str)]) -> Reply {
        let id = id.to_string();
        self.executor(call, &[&[("execid", id.as_str())], fields].concat())
            .await
    }

    /// The whole tree of an execution, as it is now.
    pub(crate) async fn execution(&self, id: i64) -> Value {
        self.about("fetchexecflow", id, &[]).await.json()
    }

    /// A job's whole log; without a job the flow's.
    pub(crate) async fn log(&self, id: i64, job: Option<&str>) -> String {
        let all = [("offset", "0"), ("length", "1000000")];
        let reply = match job {
            Some(job) => {
                self.about("fetchExecJobLogs", id, &[&all[..], &[("jobId", job)]].concat())
                    .await
            }
            None => self.about("fetchExecFlowLogs", id, &all).await,
        };
        reply.json()["data"]
            .as_str()
            .unwrap_or_else(|| panic!("{reply:?}"))
            .to_owned()
    }
}

impl Project<'_> {
    pub(crate) async fn execute(&self, flow: &str, options: &[(&str, &str)]) -> Reply {
        let fields = [("project", self.name.as_str()), ("flow", flow)];
        self.azkaban
            .executor("executeFlow", &[&fields[..], options].concat())
            .await
    }

    /// Starts a flow that must start.
    pub(crate) async fn begin(&self, flow: &str, options: &[(&str, &str)]) -> i64 {
        let reply = self.execute(flow, options).await;
        let id = reply.json()["execid"].as_i64().filter(|&id| id > 0);
        id.unwrap_or_else(|| panic!("{reply:?}"))
    }

    /// Waits until an execution has ended and no longer counts as running; gives its tree.
    pub(crate) async fn end_of(&self, flow: &str, id: i64) -> Value {
        patiently("the flow ends", async || {
            let json = self.azkaban.execution(id).await;
            let status = json["status"].as_str().unwrap_or_default().to_owned();
            ["SUCCEEDED", "FAILED", "KILLED"].contains(&status.as_str()) && json["endTime"] != -1
        })
        .await;
        patiently("the flow counts as ended", async || {
            !self.running(flow).await.contains(&id)
        })
        .await;
        self.azkaban.execution(id).await
    }

    /// Starts a flow and waits for its end.
    pub(crate) async fn executed(&self, flow: &str, options: &[(&str, &str)]) -> (i64, Value) {
        let id = self.begin(flow, options).await;
        (id, self.end_of(flow, id).await)
    }

    /// Executions that count as running.
    pub(crate) async fn running(&self, flow: &str) -> Vec<i64> {
        let fields = [("project", self.name.as_str()), ("flow", flow)];
        let json = self.azkaban.executor("getRunning", &fields).await.json();
        let ids = json["execIds"].as_array().cloned().unwrap_or_default();
        ids.iter().filter_map(Value::as_i64).collect()
    }

    /// Waits until a job has this status.
    pub(crate) async fn until_job(&self, id: i64, job: &str, status: &str) {
        patiently(&format!("{job} is {status}"), async || {
            statuses(&self.azkaban.execution(id).await).contains(&format!("{job} {status}"))
        })
        .await;
    }
}

/// `nestedId STATUS` of all jobs in a tree, in the order told.
pub(crate) fn statuses(tree: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for node in tree["nodes"].as_array().into_iter().flatten() {
        let text = |key: &str| node[key].as_str().unwrap_or_default().to_owned();
        found.push(format!("{} {}", text("nestedId"), text("status")));
        found.extend(statuses(node));
    }
    found
}

/// The tree with all times replaced by null, after a look at whether they are times.
pub(crate) fn without_times(mut tree: Value) -> Value {
    fn forget(value: &mut Value) {
        match value {
            Value::Object(map) => {
                for (key, value) in map {
                    if ["submitTime", "startTime", "endTime", "updateTime"].contains(&key.as_str()) {
                        assert!(
                            value.as_i64().is_some_and(|ms| ms > 1_600_000_000_000),
                            "{key}: {value}"
                        );
                        *value = json!(null);
                    }
                    forget(value);
                }
            }
            Value::Array(list) => list.iter_mut().for_each(forget),
            _ => {}
        }
    }
    forget(&mut tree);
    tree
}

/// Log lines without their dates.
pub(crate) fn lines(log: &str) -> Vec<String> {
    log.lines()
        .map(|line| match line.split_once(" UTC ") {
            Some((_, rest)) => rest.to_owned(),
            None => line.to_owned(),
        })
        .collect()
}
