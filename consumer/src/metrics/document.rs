//! docs/METRICS.md, written from the metrics themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use prometheus::proto::{MetricFamily, MetricType};

use super::make::PREFIX;

const HEAD: &str = "\
# Metrics of flowlift-consumer

Served at `/metrics` (`--metrics-listen`, by default 127.0.0.1:9464) in Prometheus' text format. Names, types and labels are a
contract: they change only with a line in the changelog. All series of labelled metrics stand at zero from the first scrape. Times
are in seconds, sizes in bytes. Projects are no labels, there are too many of them: logs name them. With `--metrics-projects N` one
counter has them, for the first N that come.

Dashboards and alerts made of these are in `deploy/grafana` and `deploy/prometheus`; what to do about an alert is in
[RUNBOOK.md](RUNBOOK.md). A run's own totals, for programs that end before anybody scrapes them, are [below](#metrics-of-a-run).

This page is written by the programs' own tests (`UPDATE_DOCS=1 cargo test -p flowlift-consumer --lib metrics`, the second part
`UPDATE_DOCS=1 cargo test -p flowlift --lib metrics`).
";

const QUESTIONS: &str = "
## Questions and their answers

| question | PromQL |
|---|---|
| changes settled per second | `sum(rate(flowlift_consumer_changes_total[1m]))` |
| changes per upload | `sum(rate(flowlift_consumer_changes_uploaded_total[5m])) / sum(rate(flowlift_consumer_uploads_total{result=\"landed\"}[5m]))` |
| published to applied, 99 of 100 | `histogram_quantile(0.99, sum by (le) (rate(flowlift_consumer_change_latency_seconds_bucket[5m])))` |
| anything dead in the last hour | `sum(increase(flowlift_consumer_changes_total{outcome=\"dead\"}[1h])) > 0` |
| is Azkaban the limit | `sum(flowlift_consumer_permits_waiting) > 0` |
| who is connected | `sum(flowlift_consumer_amqp_connected)` |
| messages that are not settled yet | `sum(flowlift_consumer_messages_waiting + flowlift_consumer_messages_held + flowlift_consumer_messages_parked)` |
| when they will be, in seconds from now | `sum(flowlift_consumer_messages_waiting + flowlift_consumer_messages_held) / (sum(rate(flowlift_consumer_messages_total{result=\"settled\"}[5m])) > 0)` |
| is every shard served | `max(flowlift_consumer_shards) - sum(flowlift_consumer_shards_held) == 0` |
| how long Azkaban takes for a call, 95 of 100 | `histogram_quantile(0.95, sum by (le, call) (rate(flowlift_consumer_azkaban_call_seconds_bucket[5m])))` |
| what Azkaban refuses | `sum by (class, code) (rate(flowlift_consumer_azkaban_errors_total[5m])) > 0` |

What lies in the queues consumers tell as well (`flowlift_consumer_messages_waiting`). Queue by queue RabbitMQ's own plugin
`rabbitmq_prometheus` does: `rabbitmq_detailed_queue_messages_ready` at `/metrics/detailed?family=queue_coarse_metrics`.
";

/// The page.
pub(super) fn write(families: &[MetricFamily]) -> String {
    let (ours, process): (Vec<_>, Vec<_>) = families
        .iter()
        .partition(|family| family.name().starts_with(PREFIX));
    let mut page = HEAD.to_owned();
    for (title, kind) in [
        ("Counters", MetricType::COUNTER),
        ("Gauges", MetricType::GAUGE),
        ("Histograms", MetricType::HISTOGRAM),
    ] {
        let _ = writeln!(page, "\n## {title}\n\n| name | labels | meaning |\n|---|---|---|");
        for family in ours.iter().filter(|family| family.get_field_type() == kind) {
            let _ = writeln!(
                page,
                "| `{}` | {} | {} |",
                family.name(),
                labels(family),
                family.help()
            );
        }
    }
    page.push_str(&buckets(&ours));
    page.push_str("\n## The process (Linux)\n\n| name | meaning |\n|---|---|\n");
    for family in process {
        let _ = writeln!(
            page,
            "| `{}` | {} |",
            family.name(),
            family.help().trim_end_matches('.')
        );
    }
    page.push_str(QUESTIONS);
    page
}

/// `label`: its values. Versions and projects are not listed, they are no closed sets.
fn labels(family: &MetricFamily) -> String {
    let mut values: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for pair in family.get_metric().iter().flat_map(|metric| metric.get_label()) {
        values.entry(pair.name()).or_default().insert(pair.value());
    }
    let listed = |(name, values): (&str, BTreeSet<&str>)| match name {
        "version" | "project" => format!("`{name}`"),
        _ => format!("`{name}`: {}", Vec::from_iter(values).join(", ")),
    };
    values.into_iter().map(listed).collect::<Vec<_>>().join("; ")
}

/// Histograms by the buckets they share.
fn buckets(families: &[&MetricFamily]) -> String {
    let mut sets: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for family in families {
        for metric in family.get_metric().iter().take(1) {
            let bounds: Vec<String> = metric
                .get_histogram()
                .get_bucket()
                .iter()
                .map(|bucket| bucket.upper_bound().to_string())
                .collect();
            if !bounds.is_empty() {
                sets.entry(bounds.join(", "))
                    .or_default()
                    .push(family.name().trim_start_matches(PREFIX));
            }
        }
    }
    let mut text = String::from("\nUpper bounds of the buckets:\n\n");
    for (bounds, names) in sets {
        let _ = writeln!(text, "- {}: {bounds}", names.join(", "));
    }
    text
}
