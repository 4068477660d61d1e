//! Makes and registers metrics: the prefix, the buckets, and why they are what they are.

use prometheus::core::Collector;
use prometheus::{
    Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
};

/// Before every name of ours.
pub(super) const PREFIX: &str = "flowlift_consumer_";

/// Waits: a lone change on an idle project takes some tens of milliseconds; behind a batch, seconds; behind a backlog or an
/// Azkaban that is down for a night, hours. About two and a half steps to a factor of ten.
const LATENCY: [f64; 20] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 1_800.0,
    3_600.0, 10_800.0, 28_800.0,
];
/// Steps of work on one project: a small one takes milliseconds, 10,000 flows take Azkaban 6 to 22 s, and no call is waited
/// for longer than minutes.
const STEP: [f64; 15] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 60.0, 180.0, 600.0,
];
/// Changes in one upload: from a lone one to the largest project that was ever seen in one batch.
const SIZES: [f64; 13] = [
    1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1_000.0, 2_500.0, 10_000.0, 100_000.0,
];

/// A registry that is being filled.
pub(super) struct Maker {
    registry: Registry,
}

impl Maker {
    pub(super) fn new() -> Self {
        Self {
            registry: Registry::new(),
        }
    }

    pub(super) fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.add(IntCounter::with_opts(opts(name, help)))
    }

    pub(super) fn counters(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.add(IntCounterVec::new(opts(name, help), labels))
    }

    pub(super) fn level(&self, name: &str, help: &str) -> IntGauge {
        self.add(IntGauge::with_opts(opts(name, help)))
    }

    pub(super) fn gauge(&self, name: &str, help: &str) -> Gauge {
        self.add(Gauge::with_opts(opts(name, help)))
    }

    /// A wait that may last for hours.
    pub(super) fn latency(&self, name: &str, help: &str) -> Histogram {
        self.histogram(name, help, &LATENCY)
    }

    /// A step of work.
    pub(super) fn step(&self, name: &str, help: &str) -> Histogram {
        self.histogram(name, help, &STEP)
    }

    /// Steps of several kinds.
    pub(super) fn steps(&self, name: &str, help: &str, labels: &[&str]) -> HistogramVec {
        let opts = HistogramOpts::from(opts(name, help)).buckets(STEP.to_vec());
        self.add(HistogramVec::new(opts, labels))
    }

    /// A number of changes.
    pub(super) fn sizes(&self, name: &str, help: &str) -> Histogram {
        self.histogram(name, help, &SIZES)
    }

    fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Histogram {
        let opts = HistogramOpts::from(opts(name, help)).buckets(buckets.to_vec());
        self.add(Histogram::with_opts(opts))
    }

    /// Adds what every program tells, and hands the registry over.
    pub(super) fn finish(self) -> Registry {
        let version = self.add(IntGauge::with_opts(
            opts("build_info", "Always 1; the version is a label")
                .const_label("version", env!("CARGO_PKG_VERSION")),
        ));
        version.set(1);
        #[cfg(target_os = "linux")]
        self.registry
            .register(Box::new(
                prometheus::process_collector::ProcessCollector::for_self(),
            ))
            .expect("its names differ from ours");
        self.registry
    }

    /// Names, labels and buckets are constants of this module: a wrong one fails every test.
    fn add<M: Collector + Clone + 'static>(&self, metric: prometheus::Result<M>) -> M {
        let metric = metric.expect("the constants of this module make valid metrics");
        let registered = self.registry.register(Box::new(metric.clone()));
        registered.expect("every name stands once in this module");
        metric
    }
}

fn opts(name: &str, help: &str) -> Opts {
    Opts::new(format!("{PREFIX}{name}"), help)
}
