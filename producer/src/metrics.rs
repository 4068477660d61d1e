//! A run's totals for Prometheus. The program ends before anybody could scrape it, so it leaves them where somebody does: in a
//! file for node_exporter, or with a Pushgateway. Names are a contract, written down in docs/METRICS.md.

mod sinks;

use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use flowlift_common::ledger::Outcome;
use prometheus::proto::MetricFamily;
use prometheus::{Gauge, GaugeVec, Opts, Registry, TextEncoder};

pub use sinks::{Sinks, Trouble};

/// The time of the last run that went well; it outlives a run that did not.
const LAST_SUCCESS: &str = "flowlift_run_last_success_timestamp_seconds";

/// What a run came to so far; told by the commands as they go on.
#[derive(Debug)]
pub struct Totals {
    begun: Instant,
    known: Mutex<Known>,
}

#[derive(Debug, Clone, Default)]
struct Known {
    queued: Option<u64>,
    outcomes: Option<Vec<(Outcome, u64)>>,
}

impl Default for Totals {
    fn default() -> Self {
        Self {
            begun: Instant::now(),
            known: Mutex::default(),
        }
    }
}

impl Totals {
    /// So many changes are queued.
    pub fn queued(&self, changes: u64) {
        self.known().queued = Some(changes);
    }

    /// The run was followed to its end: so many changes got which outcome.
    pub fn settled(&self, outcomes: &[(Outcome, u64)]) {
        self.known().outcomes = Some(outcomes.to_vec());
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ended(&self, good: bool) -> Ended {
        Ended {
            known: self.known().clone(),
            took: self.begun.elapsed(),
            at: seconds_now(),
            good,
        }
    }
}

/// How a run ended.
#[derive(Debug, Clone)]
struct Ended {
    known: Known,
    took: Duration,
    /// Unix time.
    at: f64,
    good: bool,
}

impl Ended {
    /// In Prometheus' text format. `last_success`: of an earlier run, as far as it is known.
    fn text(&self, last_success: Option<f64>) -> prometheus::Result<String> {
        TextEncoder::new().encode_to_string(&self.families(last_success)?)
    }

    fn families(&self, last_success: Option<f64>) -> prometheus::Result<Vec<MetricFamily>> {
        let registry = Registry::new();
        let add = |name: &str, help: &str, value: f64| {
            let gauge = Gauge::with_opts(Opts::new(name, help))?;
            gauge.set(value);
            registry.register(Box::new(gauge))
        };
        if let Some(queued) = self.known.queued {
            let help = "Changes that the run queued";
            add("flowlift_run_changes_queued", help, queued as f64)?;
        }
        if let Some(outcomes) = &self.known.outcomes {
            let help = "Changes of the run by their final outcome; only when it was waited for to its end";
            let changes = GaugeVec::new(Opts::new("flowlift_run_changes", help), &["outcome"])?;
            for (outcome, count) in outcomes {
                changes.with_label_values(&[outcome.as_str()]).set(*count as f64);
            }
            registry.register(Box::new(changes))?;
        }
        add(
            "flowlift_run_duration_seconds",
            "How long the command ran, waiting included",
            self.took.as_secs_f64(),
        )?;
        add(
            "flowlift_run_success",
            "Whether the command ended with 0: 1, or 0",
            f64::from(u8::from(self.good)),
        )?;
        add(
            "flowlift_run_completed_timestamp_seconds",
            "When the command ended, as a unix time",
            self.at,
        )?;
        if let Some(at) = if self.good { Some(self.at) } else { last_success } {
            let help =
                "When such a command last ended with 0, as a unix time; kept when a later one does not";
            add(LAST_SUCCESS, help, at)?;
        }
        Ok(registry.gather())
    }
}

/// The second part of docs/METRICS.md.
///
/// # Errors
/// When a series cannot be made, which is a mistake in this module.
pub fn document() -> prometheus::Result<String> {
    let ended = Ended {
        known: Known {
            queued: Some(1),
            outcomes: Some(Outcome::ALL.map(|outcome| (outcome, 0)).to_vec()),
        },
        took: Duration::ZERO,
        at: 0.0,
        good: true,
    };
    let mut page = HEAD.to_owned();
    for family in ended.families(None)? {
        let labels = family.get_metric().iter().flat_map(|metric| metric.get_label());
        let values: Vec<&str> = labels.map(|label| label.value()).collect();
        let labels = match values.as_slice() {
            [] => String::new(),
            values => format!("`outcome`: {}", values.join(", ")),
        };
        let _ = writeln!(page, "| `{}` | {labels} | {} |", family.name(), family.help());
    }
    Ok(page + FOOT)
}

const HEAD: &str = "
`flowlift publish` and `flowlift wait` end before anybody scrapes them. At their end they leave the run's totals, all of them gauges:

- `--metrics-textfile FILE` (`FLOWLIFT_METRICS_TEXTFILE`) for node_exporter's textfile collector, which reads `*.prom`: written beside it and
  renamed, so it is never read half.
- `--metrics-push URL` (`FLOWLIFT_METRICS_PUSH`) to a Pushgateway, as job `flowlift`: `http://gateway:9091`, or with a grouping of your own
  `http://gateway:9091/metrics/job/flowlift/team/a`. A run that went well replaces its group (PUT); one that did not leaves the last success
  standing (POST). User and password may stand in the address; they are never printed.

Where nobody takes them, the command warns and ends as it would have. Runs that tell their totals to one place overwrite each other: give each
its own file or grouping.

| name | labels | meaning |
|---|---|---|
";

const FOOT: &str = "
| question | PromQL |
|---|---|
| did last night's run go well | `flowlift_run_success == 1` |
| for how long has no run gone well | `time() - flowlift_run_last_success_timestamp_seconds` |
| what could not be applied | `flowlift_run_changes{outcome=\"dead\"} > 0` |
";

fn seconds_now() -> f64 {
    jiff::Timestamp::now().as_millisecond() as f64 / 1_000.0
}

#[cfg(test)]
mod tests;
