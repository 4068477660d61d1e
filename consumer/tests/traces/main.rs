//! Traces with the real programs: `flowlift publish` and `flowlift-consumer` hand their spans to a small collector.
//!
//! `dev/broker run -- cargo test --workspace --features flowlift/traces,flowlift-consumer/traces --test traces` starts a broker
//! and builds the programs with traces; without a broker the tests say that they are skipped.

#![cfg(test)]

mod collector;
mod protobuf;
mod stage;

use collector::{Collector, Received};
use stage::Stage;

fn upload(span: &Received) -> bool {
    span.name == "upload"
}

#[tokio::test(flavor = "multi_thread")]
async fn the_upload_stands_in_the_trace_of_the_publishing_below_it_with_its_steps() {
    let Some(mut stage) = Stage::set("trace").await else {
        return;
    };
    let collector = Collector::start().await;
    stage.traces(&collector.url());
    let _consumer = stage.consumer("traced-1").await;
    let run = stage.publish(&["--project", "night", "--flows", "3", "--cron", "0 0 3 ? * *"]);
    let run = run.await.succeeded();

    let publish = collector.span(|span| span.name == "publish").await;
    let upload = collector.span(upload).await;
    assert_eq!(publish.service, "flowlift");
    assert_eq!(upload.service, "flowlift-consumer");
    assert_eq!(
        (publish.kind, upload.kind),
        (collector::PRODUCER, collector::CONSUMER)
    );
    assert!(publish.parent.is_empty());
    assert_eq!(upload.trace, publish.trace);
    assert_eq!(upload.parent, publish.id);
    assert!(upload.links.is_empty() && !upload.failed && !publish.failed);
    assert!(publish.begun_ns < publish.ended_ns && publish.begun_ns < upload.begun_ns);
    assert!(upload.begun_ns < upload.ended_ns);

    assert_eq!(publish.text("flowlift.run"), run.trim());
    assert_eq!(publish.text("flowlift.azkaban"), stage.azkaban());
    assert_eq!(
        (
            publish.number("flowlift.changes"),
            publish.number("flowlift.messages")
        ),
        (3, 1)
    );
    assert_eq!(upload.text("flowlift.project"), "night");
    assert_eq!(upload.text("flowlift.consumer"), "traced-1");
    assert_eq!(upload.text("flowlift.result"), "landed");
    assert_eq!(
        (
            upload.number("flowlift.changes"),
            upload.number("flowlift.applied")
        ),
        (3, 3)
    );
    assert_eq!(
        (upload.number("flowlift.flows"), upload.number("flowlift.version")),
        (3, 1)
    );
    assert!(upload.number("flowlift.zip_bytes") > 100);
    assert!(upload.number("flowlift.waited_ms") < 60_000);

    let steps = collector.below(&upload);
    let names: Vec<&str> = steps.iter().map(|step| step.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "wait for a connection",
            "look for open uploads",
            "read base",
            "plan and pack",
            "create project",
            "announce",
            "send zip",
            "read back",
            "schedule",
            "settle"
        ]
    );
    for step in steps {
        assert_eq!(step.trace, upload.trace);
        assert!(
            upload.begun_ns <= step.begun_ns && step.ended_ns <= upload.ended_ns,
            "{step:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_runs_in_one_upload_the_first_is_its_parent_and_the_other_is_linked() {
    let Some(mut stage) = Stage::set("links").await else {
        return;
    };
    let collector = Collector::start().await;
    stage.traces(&collector.url());
    // nobody consumes yet, so both wait for the first one who does
    stage
        .publish(&["--project", "p", "--flows", "2"])
        .await
        .succeeded();
    let other = ["--project", "p", "--flows", "3"];
    stage.publish(&other).await.succeeded();
    let mut consumer = stage.consumer("traced-2").await;

    let upload = collector.span(upload).await;
    let publishings = collector.all(|span| span.name == "publish");
    assert_eq!(publishings.len(), 2, "both were handed over before they ended");
    assert_ne!(publishings[0].trace, publishings[1].trace);
    let parent = publishings.iter().find(|span| span.id == upload.parent);
    let parent = parent.expect("one of them is the parent");
    let other = publishings.iter().find(|span| span.id != upload.parent).unwrap();
    assert_eq!(upload.trace, parent.trace);
    assert_eq!(upload.links, [(other.trace.clone(), other.id.clone())]);
    assert_eq!(upload.number("flowlift.messages"), 2);
    assert_eq!(upload.number("flowlift.changes"), 5);

    // one that leaves hands over what it has
    stage
        .publish(&["--project", "q", "--flows", "1"])
        .await
        .succeeded();
    consumer.until("settled 1 applied").await;
    consumer.stops().await;
    let last = |span: &Received| upload_of(span, "q");
    assert_eq!(collector.all(last).len(), 1);
}

fn upload_of(span: &Received, project: &str) -> bool {
    upload(span) && span.text("flowlift.project") == project
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_upload_is_an_error_in_the_trace_of_its_publishing() {
    let Some(mut stage) = Stage::set("refused").await else {
        return;
    };
    let collector = Collector::start().await;
    stage.traces(&collector.url());
    stage.refuses("flow_000001");
    let _consumer = stage.consumer("traced-3").await;
    let run = stage.publish(&["--project", "p", "--flows", "1", "--wait"]).await;
    assert_eq!(run.code(), Some(1), "{}", run.err);
    let publish = collector.span(|span| span.name == "publish").await;
    let upload = collector.span(upload).await;
    assert_eq!((&upload.trace, &upload.parent), (&publish.trace, &publish.id));
    assert_eq!(upload.text("flowlift.result"), "refused");
    assert_eq!(upload.number("flowlift.dead"), 1);
    assert!(upload.failed && !upload.error.is_empty(), "{upload:?}");
    let sent = collector.below(&upload);
    assert!(sent.iter().any(|step| step.name == "send zip" && step.failed));

    stage.refuses_nothing();
    let words = ["dead", "requeue", "--run", run.out.trim(), "--yes", "--wait"];
    stage.flowlift(&words).await.succeeded();
    let requeue = collector.span(|span| span.name == "requeue").await;
    let landed = collector.span(|span| span.trace == requeue.trace && span.name == "upload");
    let landed = landed.await;
    assert_eq!(landed.parent, requeue.id);
    assert_eq!(landed.text("flowlift.result"), "landed");
    assert_eq!(requeue.number("flowlift.changes"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publishing_that_failed_is_told_with_its_reason() {
    let Some(mut stage) = Stage::set("failed").await else {
        return;
    };
    let collector = Collector::start().await;
    stage.traces(&collector.url());
    stage.variable("FLOWLIFT_AMQP_URL", "amqp://me:s3cret@127.0.0.1:1/%2f");
    let run = stage.publish(&["--project", "p", "--flows", "1"]).await;
    assert_eq!(run.code(), Some(69), "{}", run.err);
    let publish = collector.span(|span| span.name == "publish").await;
    assert!(
        publish.failed && publish.error.contains("cannot be reached"),
        "{publish:?}"
    );
    assert!(!publish.error.contains("s3cret"), "{publish:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_down_costs_one_warning_and_nothing_else() {
    let Some(mut stage) = Stage::set("down").await else {
        return;
    };
    let gone = collector::nobody().await;
    stage.traces(&gone);
    let mut consumer = stage.consumer("traced-4").await;
    let warning = format!("traces cannot be handed to the collector at {gone}");
    for round in 1..=3 {
        let template = format!("command=echo {round}");
        let words = [
            "--project",
            "p",
            "--flows",
            "2",
            "--wait",
            "--template",
            &template,
        ];
        let run = stage.publish(&words).await;
        assert_eq!(run.code(), Some(0), "{}", run.err);
        assert_eq!(run.err.matches(&warning).count(), 1, "{}", run.err);
    }
    let log = consumer.stops().await;
    assert_eq!(log.matches(&warning).count(), 1, "{log}");
    assert_eq!(log.matches("settled 2 applied").count(), 3, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_never_answers_holds_nobody_up() {
    let Some(mut stage) = Stage::set("mute").await else {
        return;
    };
    let mute = collector::mute().await;
    stage.traces(&mute.url);
    let mut consumer = stage.consumer("traced-5").await;
    let run = stage.publish(&["--project", "p", "--flows", "2"]).await;
    assert_eq!(run.code(), Some(0), "{}", run.err);
    let patience = run.err.matches("it has not answered within 2 s").count();
    assert_eq!(patience, 1, "{}", run.err);
    consumer.until("settled 2 applied").await;
    let log = consumer.stops().await;
    let warnings = log.matches("traces cannot be handed").count();
    assert_eq!(warnings, 1, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_collectors_secret_goes_to_it_and_nowhere_else() {
    let Some(mut stage) = Stage::set("secret").await else {
        return;
    };
    let collector = Collector::start().await;
    stage.traces(&collector.url());
    stage.variable("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20s3cret");
    stage.variable("FLOWLIFT_LOG_LEVEL", "trace");
    // what a machine may have set for others, and we do not do
    stage.variable("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    stage.variable("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip");
    stage.variable("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1");
    let mut consumer = stage.consumer("traced-6").await;
    let run = stage.publish(&["--project", "p", "--flows", "1", "--wait"]).await;
    assert_eq!(run.code(), Some(0), "{}", run.err);
    collector.span(upload).await;
    let log = consumer.stops().await;
    assert!(!run.err.contains("s3cret"), "{}", run.err);
    assert!(!log.contains("s3cret"), "{log}");
    let seen = collector.authorizations();
    assert!(
        !seen.is_empty() && seen.iter().all(|value| value == "Bearer s3cret"),
        "{seen:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn variables_of_the_standard_alone_switch_nothing_on() {
    let Some(mut stage) = Stage::set("off").await else {
        return;
    };
    let collector = Collector::start().await;
    stage.variable("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url());
    stage.variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &collector.url());
    stage.variable("OTEL_TRACES_EXPORTER", "otlp");
    let mut consumer = stage.consumer("traced-7").await;
    let run = stage.publish(&["--project", "p", "--flows", "1", "--wait"]).await;
    assert_eq!(run.code(), Some(0), "{}", run.err);
    consumer.stops().await;
    assert!(collector.all(|_| true).is_empty());
    assert_eq!(collector.requests(), 0);
}
