//! Every alert is made to fire by its fault, in a Prometheus that is sure of it within seconds.

use std::collections::BTreeSet;

use crate::ALONE;
use crate::prometheus::{Answer, Patience, Prometheus};
use crate::stage::Stage;

/// What has fired.
struct Alarms<'a> {
    prometheus: &'a Prometheus,
    fired: BTreeSet<&'static str>,
}

impl Alarms<'_> {
    /// The fault is there now: its alert was quiet before and fires soon.
    async fn fires(&mut self, name: &'static str) {
        self.prometheus.until_alert(name, &["firing"]).await;
        self.fired.insert(name);
    }

    async fn quiet(&self, name: &str) {
        self.prometheus.until_alert(name, &["inactive"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_alert_is_made_to_fire_by_its_fault() {
    let _alone = ALONE.lock().await;
    let Some(mut stage) = Stage::set().await else {
        return;
    };
    let Some(prometheus) = Prometheus::start(&stage.scraped(), Patience::Hurried).await else {
        return;
    };
    prometheus.until_all_are_up(stage.targets()).await;
    let known = prometheus.rules().await.alerts;
    let mut alarms = Alarms {
        prometheus: &prometheus,
        fired: BTreeSet::new(),
    };
    for name in &known {
        alarms.quiet(name).await;
    }

    let free = match prometheus.ask("rabbitmq_disk_space_available_bytes").await {
        Answer::Numbers(free) => free[0],
        other => panic!("the free space of the disk is not known: {other:?}"),
    };
    // still above the limit, so nothing is held back
    let limit = format!("{:.0}", free * 0.6);
    let tight = stage.broker_with(&["set_disk_free_limit", &limit], &["set_disk_free_limit", "50MB"]);
    alarms.fires("FlowliftBrokerDiskLow").await;
    alarms.quiet("FlowliftBrokerBlocked").await;
    drop(tight);
    alarms.quiet("FlowliftBrokerDiskLow").await;

    let back = ["set_vm_memory_high_watermark", "0.6"];
    let tight = stage.broker_with(&["set_vm_memory_high_watermark", "absolute", "1MB"], &back);
    alarms.fires("FlowliftBrokerBlocked").await;
    drop(tight);
    alarms.quiet("FlowliftBrokerBlocked").await;

    stage.refused_run().await;
    alarms.fires("FlowliftDeadLetters").await;

    alarms.quiet("FlowliftShardsUnowned").await;
    let (mut unseen, _) = stage.consumer("unseen").await;
    alarms.fires("FlowliftShardsUnowned").await;
    unseen.kill().await.unwrap();

    stage.denied_run().await;
    alarms.fires("FlowliftProjectsParked").await;

    for name in [
        "FlowliftBreakerOpen",
        "FlowliftNothingSettled",
        "FlowliftDeadlineInDanger",
    ] {
        alarms.quiet(name).await;
    }
    stage.azkaban_goes_away().await;
    alarms.fires("FlowliftBreakerOpen").await;
    alarms.fires("FlowliftNothingSettled").await;
    alarms.fires("FlowliftDeadlineInDanger").await;
    alarms.fires("FlowliftOldestChangeTooOld").await;

    alarms.quiet("FlowliftNoConsumer").await;
    stage.kill_consumers().await;
    alarms.fires("FlowliftNoConsumer").await;

    let known: BTreeSet<&str> = known.iter().map(String::as_str).collect();
    assert_eq!(alarms.fired, known, "every alert has its fault here");
}
