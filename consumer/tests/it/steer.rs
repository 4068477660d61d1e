//! Cancelling and pausing, with the real program, which is killed meanwhile.

use flowlift_azkaban::ProjectName;
use flowlift_common::RunId;
use flowlift_common::amqp::{cancel_run, wish};
use flowlift_common::ledger::Outcome;
use flowlift_common::steer::SteerEvent;
use flowlift_common::topology::{parked_queue, shard_of, shard_queue};

use crate::broker::SHARDS;
use crate::process::{Program, upload_begins};
use crate::rig::{Rig, flow, now_ms};

impl Rig {
    async fn cancel(&self, run: RunId) {
        let link = self.vhost.link().await;
        let cancelled = cancel_run(&link, run, "it", now_ms()).await;
        cancelled.expect("the wish is written down");
    }

    async fn pause(&self, project: Option<&str>) {
        let event = SteerEvent::Paused {
            project: project.map(|name| ProjectName::new(name).unwrap()),
            who: "it".into(),
            at_ms: now_ms(),
        };
        let link = self.vhost.link().await;
        wish(&link, &event).await.expect("the wish is written down");
    }

    async fn resume(&self, project: Option<&str>) {
        let event = SteerEvent::Resumed {
            project: project.map(|name| ProjectName::new(name).unwrap()),
            who: "it".into(),
            at_ms: now_ms(),
        };
        let link = self.vhost.link().await;
        wish(&link, &event).await.expect("the wish is written down");
    }
}

fn shard(project: &str) -> u16 {
    shard_of(&ProjectName::new(project).unwrap(), SHARDS)
}

fn flows(count: u32) -> Vec<flowlift_common::Act> {
    (1..=count).map(|n| flow(&format!("f{n}"), "x")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_called_cancelled_is_never_applied_and_an_upload_under_way_is_called_what_it_is() {
    let Some(rig) = Rig::make("cancel").await else {
        return;
    };
    let url = rig.vhost.url();
    rig.standin.set_faults(|faults| faults.ms_per_flow = 400.0);
    let victim = Program::subscribed(&rig, &url, "victim").await;
    let begun = rig.publish("p", flows(5)).await;
    upload_begins(&rig, 1).await;
    let waits = rig.publish("p", vec![flow("f1", "newer"), flow("f6", "x")]).await;
    let other = rig.publish("p", vec![flow("f7", "x")]).await;
    rig.cancel(begun).await;
    rig.cancel(waits).await;
    victim.signal("KILL");
    rig.standin.set_faults(|faults| faults.ms_per_flow = 0.0);
    let _heir = Program::subscribed(&rig, &url, "heir").await;
    let [begun, waits, other] = [
        rig.settled(begun).await,
        rig.settled(waits).await,
        rig.settled(other).await,
    ];
    assert_eq!(
        (
            begun.done(),
            begun.count(Outcome::Cancelled),
            begun.count(Outcome::Dead)
        ),
        (5, 0, 0),
        "the upload that its consumer did not live to see the end of has landed"
    );
    assert_eq!((waits.done(), waits.count(Outcome::Cancelled)), (2, 2));
    assert_eq!(other.count(Outcome::Applied), 1);
    assert_eq!(rig.flows("p").await, ["f1", "f2", "f3", "f4", "f5", "f7"]);
    assert_eq!(rig.commands("p").await["f1"], "x");
    assert_eq!(rig.standin.stats().uploads_overlapped, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_cancelled_while_nobody_consumed_comes_to_nothing() {
    let Some(rig) = Rig::make("nobody").await else {
        return;
    };
    let run = rig.publish("p", flows(50)).await;
    rig.cancel(run).await;
    let _worker = rig.worker("one").await;
    let state = rig.settled(run).await;
    assert_eq!((state.done(), state.count(Outcome::Cancelled)), (50, 50));
    assert_eq!(rig.standin.stats().uploads, 0, "no project is made for it either");
    assert!(rig.client.flows(&ProjectName::new("p").unwrap()).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_project_waits_holds_nobody_up_and_outlives_its_consumers() {
    let Some(rig) = Rig::make("pause").await else {
        return;
    };
    let url = rig.vhost.url();
    rig.pause(Some("p")).await;
    let first = Program::subscribed(&rig, &url, "first").await;
    let paused = rig.publish("P", flows(3)).await;
    let neighbour = (0..)
        .map(|n| format!("n{n}"))
        .find(|name| shard(name) == shard("p"))
        .unwrap();
    let run = rig.publish(&neighbour, flows(1)).await;
    assert_eq!(rig.settled(run).await.count(Outcome::Applied), 1);
    rig.until_waiting(&parked_queue(shard("p")), |messages| messages > 0)
        .await;
    first.signal("KILL");
    let _second = Program::subscribed(&rig, &url, "second").await;
    let more = rig.publish("p", vec![flow("f4", "x")]).await;
    rig.until_waiting(&parked_queue(shard("p")), |messages| messages > 1)
        .await;
    assert_eq!(rig.standin.stats().uploads, 1, "only the neighbour's");
    rig.resume(Some("p")).await;
    let (paused, more) = (rig.settled(paused).await, rig.settled(more).await);
    assert_eq!(
        (paused.count(Outcome::Applied), more.count(Outcome::Applied)),
        (3, 1)
    );
    assert_eq!(rig.flows("p").await, ["f1", "f2", "f3", "f4"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_everything_is_paused_nothing_new_is_begun_and_nothing_is_lost() {
    let Some(rig) = Rig::make("pauseall").await else {
        return;
    };
    let url = rig.vhost.url();
    rig.standin.set_faults(|faults| faults.ms_per_flow = 300.0);
    let mut first = Program::subscribed(&rig, &url, "first").await;
    let begun = rig.publish("p", flows(4)).await;
    upload_begins(&rig, 1).await;
    rig.pause(None).await;
    first.until("paused: nothing new is begun").await;
    let waits = rig.publish("p", vec![flow("f5", "x")]).await;
    assert_eq!(rig.settled(begun).await.count(Outcome::Applied), 4);
    first.signal("KILL");
    first.ended().await;
    let _second = Program::subscribed(&rig, &url, "second").await;
    rig.until_waiting(&shard_queue(shard("p")), |ready| ready == 0)
        .await;
    assert_eq!(rig.standin.stats().uploads, 1);
    rig.resume(None).await;
    assert_eq!(rig.settled(waits).await.count(Outcome::Applied), 1);
    assert_eq!(rig.flows("p").await.len(), 5);
}
