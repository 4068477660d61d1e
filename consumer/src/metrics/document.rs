//! docs/METRICS.md, written from the metrics themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use prometheus::proto::{MetricFamily, MetricType};

use super::make::PREFIX;

const HEAD: &str = "\
# Metrics of flowlift-consumer

Served at `/metrics` (`--metrics-listen`, by default 127.0.0.1:9464) in Prometheus' text format. Names, types and labels are a
contract: they change only with a line in the changelog. All series of labelled metrics stand at zero from the first scrape. Times
are in seconds, sizes in bytes. Projects are no labels: there are too many of them; logs name them.

This page is written by the program's own tests (`UPDATE_DOCS=1 cargo test -p flowlift-consumer --lib metrics`).
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
| what Azkaban refuses | `sum by (class, code) (rate(flowlift_consumer_azkaban_errors_total[5m])) > 0` |

What still lies in the queues is known to RabbitMQ alone: its plugin `rabbitmq_prometheus` has `rabbitmq_queue_messages_ready`.
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

/// `label`: its values. The values of the version are not listed, they are no closed set.
fn labels(family: &MetricFamily) -> String {
    let mut values: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for pair in family.get_metric().iter().flat_map(|metric| metric.get_label()) {
        values.entry(pair.name()).or_default().insert(pair.value());
    }
    let listed = |(name, values): (&str, BTreeSet<&str>)| match name {
        "version" => "`version`".to_owned(),
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
