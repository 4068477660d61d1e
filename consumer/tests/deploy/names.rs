//! All names of series that may stand in an expression.

use std::collections::BTreeSet;

use flowlift_consumer::metrics::Metrics;

use crate::rules;

/// What others tell: RabbitMQ 4 at `/metrics` and `/metrics/detailed`, Prometheus itself, and a run of the producer
/// (docs/METRICS.md, written by its own tests). That RabbitMQ has them is tried by the tests that scrape a real one.
const OTHERS: [&str; 23] = [
    "rabbitmq_alarms_free_disk_space_watermark",
    "rabbitmq_alarms_memory_used_watermark",
    "rabbitmq_channels",
    "rabbitmq_connections",
    "rabbitmq_detailed_queue_consumers",
    "rabbitmq_detailed_queue_messages",
    "rabbitmq_detailed_queue_messages_ready",
    "rabbitmq_detailed_queue_messages_unacked",
    "rabbitmq_disk_space_available_bytes",
    "rabbitmq_disk_space_available_limit_bytes",
    "rabbitmq_global_messages_acknowledged_total",
    "rabbitmq_global_messages_confirmed_total",
    "rabbitmq_global_messages_received_total",
    "rabbitmq_process_max_fds",
    "rabbitmq_process_open_fds",
    "rabbitmq_process_resident_memory_bytes",
    "rabbitmq_resident_memory_limit_bytes",
    "process_cpu_seconds_total",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "process_threads",
    "up",
];

/// Whether something tells a series of this name.
pub(crate) struct Names(BTreeSet<String>);

impl Names {
    pub(crate) fn all() -> Self {
        let mut names: BTreeSet<String> = Metrics::with_projects(1).names().into_iter().collect();
        names.extend(OTHERS.map(str::to_owned));
        names.extend(rules::recorded());
        names.extend(of_a_run());
        Self(names)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains(name)
    }
}

/// The names of a run's totals, as their page has them.
fn of_a_run() -> impl Iterator<Item = String> {
    let page = crate::read("docs/METRICS.md");
    let names: Vec<String> = page
        .split('`')
        .filter(|word| word.starts_with("flowlift_run_"))
        .map(str::to_owned)
        .collect();
    names.into_iter()
}

#[test]
fn a_series_that_nothing_tells_is_noticed() {
    let names = Names::all();
    assert!(names.has("flowlift_consumer_change_latency_seconds_bucket"));
    assert!(names.has("job:flowlift_messages_backlog:sum"));
    assert!(names.has("flowlift_run_changes_queued"));
    assert!(
        !names.has("flowlift_consumer_change_latency_seconds"),
        "a histogram has no series of its own name"
    );
    assert!(!names.has("flowlift_consumer_changes"));
}
