//! What the server has done, to be read as JSON or by Prometheus.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use serde::Serialize;

use crate::state::{lock, now_ms};
use crate::wire::answer::Outcome;

/// Counters of a running server.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    requests: Mutex<BTreeMap<(&'static str, u16, Outcome), u64>>,
    uploads: AtomicU64,
    installed: AtomicU64,
    last_installed_ms: AtomicU64,
    overlapped: AtomicU64,
    abandoned: AtomicU64,
    fired: AtomicU64,
    pub(crate) connections: Connections,
}

/// Connections that hold a thread.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    open: AtomicUsize,
    max: AtomicUsize,
    total: AtomicU64,
}

impl Connections {
    pub(crate) fn opened(&self) {
        let open = self.open.fetch_add(1, Ordering::SeqCst) + 1;
        self.max.fetch_max(open, Ordering::SeqCst);
        self.total.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn closed(&self) {
        self.open.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Counters {
    pub(crate) fn answered(&self, call: &'static str, status: u16, outcome: Outcome) {
        *lock(&self.requests).entry((call, status, outcome)).or_default() += 1;
    }

    /// An upload's body has arrived whole.
    pub(crate) fn upload_began(&self, overlaps: bool) {
        self.uploads.fetch_add(1, Ordering::SeqCst);
        self.overlapped.fetch_add(u64::from(overlaps), Ordering::SeqCst);
    }

    /// An upload was stored to its end.
    pub(crate) fn upload_installed(&self) {
        let now_ms = u64::try_from(now_ms()).unwrap_or_default();
        self.last_installed_ms.fetch_max(now_ms, Ordering::SeqCst);
        self.installed.fetch_add(1, Ordering::SeqCst);
    }

    /// A client left before its request was answered.
    pub(crate) fn abandoned(&self) {
        self.abandoned.fetch_add(1, Ordering::SeqCst);
    }

    /// A schedule was due, whatever came of it.
    pub(crate) fn fired(&self) {
        self.fired.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn snapshot(&self, sizes: Sizes) -> Stats {
        let requests = lock(&self.requests);
        let request = |(&(call, status, outcome), &count): (&(_, _, Outcome), &u64)| Requests {
            call,
            status,
            outcome: outcome.code(),
            count,
        };
        Stats {
            requests: requests.iter().map(request).collect(),
            uploads: self.uploads.load(Ordering::SeqCst),
            uploads_installed: self.installed.load(Ordering::SeqCst),
            last_installed_ms: self.last_installed_ms.load(Ordering::SeqCst),
            uploads_overlapped: self.overlapped.load(Ordering::SeqCst),
            requests_abandoned: self.abandoned.load(Ordering::SeqCst),
            schedules_fired: self.fired.load(Ordering::SeqCst),
            connections: self.connections.total.load(Ordering::SeqCst),
            connections_open: self.connections.open.load(Ordering::SeqCst),
            connections_open_max: self.connections.max.load(Ordering::SeqCst),
            sizes,
        }
    }
}

/// How many there are of each now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Sizes {
    /// Active projects.
    pub projects: usize,
    /// Flows they list.
    pub flows: usize,
    /// Schedules.
    pub schedules: usize,
    /// Sessions that live.
    pub sessions: usize,
    /// Executions ever started.
    pub executions: u64,
    /// Executions that run now.
    pub executions_running: usize,
}

/// One look at a running server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Requests by call and answer.
    pub requests: Vec<Requests>,
    /// Uploads whose body arrived whole, whatever came of them.
    pub uploads: u64,
    /// Uploads stored to their end.
    pub uploads_installed: u64,
    /// When the last of them was, in ms since 1970; 0 before the first.
    pub last_installed_ms: u64,
    /// Uploads that began while another one of the same project was under way.
    pub uploads_overlapped: u64,
    /// Requests whose client left before the answer.
    pub requests_abandoned: u64,
    /// Schedules that were due, whether or not their flow could be started.
    pub schedules_fired: u64,
    /// Connections ever taken.
    pub connections: u64,
    /// Connections that hold a thread now.
    pub connections_open: usize,
    /// The most that ever did at one time.
    pub connections_open_max: usize,
    /// What there is now.
    #[serde(flatten)]
    pub sizes: Sizes,
}

/// One kind of request and answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Requests {
    /// The call, for example `upload` or `fetchprojectflows`.
    pub call: &'static str,
    /// HTTP status.
    pub status: u16,
    /// `ok`, `refused` (an error in Azkaban's words), `login` (session missing or lost) or `failed` (an exception).
    pub outcome: &'static str,
    /// How many.
    pub count: u64,
}

impl Stats {
    /// All requests of one call.
    #[must_use]
    pub fn calls(&self, call: &str) -> u64 {
        self.requests
            .iter()
            .filter(|requests| requests.call == call)
            .map(|requests| requests.count)
            .sum()
    }

    /// The text form that Prometheus reads.
    #[must_use]
    pub fn prometheus(&self) -> String {
        let mut out = String::new();
        head(
            &mut out,
            "requests_total",
            "counter",
            "Requests answered, by call, HTTP status and outcome.",
        );
        for Requests {
            call,
            status,
            outcome,
            count,
        } in &self.requests
        {
            let labels = format!("call=\"{call}\",status=\"{status}\",outcome=\"{outcome}\"");
            let _ = writeln!(out, "azkaban_standin_requests_total{{{labels}}} {count}");
        }
        for (name, help, value) in [
            ("uploads_total", "Uploads whose body arrived whole.", self.uploads),
            (
                "uploads_installed_total",
                "Uploads stored to their end.",
                self.uploads_installed,
            ),
            (
                "uploads_overlapped_total",
                "Uploads that began while another one of the same project was under way.",
                self.uploads_overlapped,
            ),
            (
                "requests_abandoned_total",
                "Requests whose client left before the answer.",
                self.requests_abandoned,
            ),
            (
                "schedules_fired_total",
                "Schedules that were due, whether or not their flow could be started.",
                self.schedules_fired,
            ),
            ("executions_total", "Executions started.", self.sizes.executions),
            ("connections_total", "Connections ever taken.", self.connections),
        ] {
            metric(&mut out, name, "counter", help, value);
        }
        for (name, help, value) in [
            (
                "connections_open",
                "Connections that hold a thread now.",
                self.connections_open,
            ),
            (
                "connections_open_max",
                "The most connections that ever held a thread at one time.",
                self.connections_open_max,
            ),
            ("projects", "Active projects.", self.sizes.projects),
            ("flows", "Flows that active projects list.", self.sizes.flows),
            ("schedules", "Schedules.", self.sizes.schedules),
            ("sessions", "Sessions that live.", self.sizes.sessions),
            (
                "executions_running",
                "Executions that run now.",
                self.sizes.executions_running,
            ),
        ] {
            metric(&mut out, name, "gauge", help, value);
        }
        let (seconds, ms) = (self.last_installed_ms / 1000, self.last_installed_ms % 1000);
        metric(
            &mut out,
            "last_upload_installed_timestamp_seconds",
            "gauge",
            "When the last upload was stored to its end; 0 before the first.",
            format_args!("{seconds}.{ms:03}"),
        );
        out
    }
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(
        out,
        "# HELP azkaban_standin_{name} {help}\n# TYPE azkaban_standin_{name} {kind}"
    );
}

fn metric(out: &mut String, name: &str, kind: &str, help: &str, value: impl std::fmt::Display) {
    head(out, name, kind, help);
    let _ = writeln!(out, "azkaban_standin_{name} {value}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_told_in_both_forms() {
        let counters = Counters::default();
        counters.answered("upload", 500, Outcome::Refused);
        counters.answered("upload", 500, Outcome::Refused);
        counters.upload_began(true);
        counters.connections.opened();
        counters.connections.opened();
        counters.connections.closed();
        let stats = counters.snapshot(Sizes {
            projects: 1,
            flows: 2,
            schedules: 3,
            sessions: 4,
            executions: 5,
            executions_running: 1,
        });
        assert_eq!((stats.calls("upload"), stats.uploads_overlapped), (2, 1));
        assert_eq!((stats.connections_open, stats.connections_open_max), (1, 2));
        let json = serde_json::to_value(&stats).unwrap();
        assert_eq!(
            (json["flows"].as_u64(), json["requests"][0]["outcome"].as_str()),
            (Some(2), Some("refused"))
        );
        let text = stats.prometheus();
        assert!(text.contains(
            "azkaban_standin_requests_total{call=\"upload\",status=\"500\",outcome=\"refused\"} 2\n"
        ));
        assert!(text.contains("# TYPE azkaban_standin_flows gauge\nazkaban_standin_flows 2\n"));
    }
}
