//! The road of a change, on real parts.

use flowlift_azkaban::{FlowName, ProjectName};
use flowlift_common::amqp::{Headers, Sender, properties};
use flowlift_common::envelope::{Rules, pack_json};
use flowlift_common::ledger::Outcome;
use flowlift_common::topology::{DEAD, shard_of, shard_queue};
use flowlift_common::{Act, Schedule};
use flowlift_consumer::session::Left;

use crate::broker::SHARDS;
use crate::rig::{Rig, flow, flow_with};

fn delete(name: &str) -> Act {
    Act::Delete {
        flow: FlowName::new(name).unwrap(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_flows_travel_in_one_upload_and_are_read_back() {
    let Some(rig) = Rig::make("many").await else {
        return;
    };
    let flows = |command: &str| {
        (1..=2_000)
            .map(|n| flow(&format!("f{n:05}"), &format!("{command} {n}")))
            .collect()
    };
    let run = rig.publish("Many", flows("echo")).await;
    let worker = rig.worker("one").await;
    let state = rig.settled(run).await;
    assert_eq!((state.count(Outcome::Applied), state.uploads()), (2_000, 1));
    assert_eq!(state.created().len(), 1, "the project was made for it");
    assert_eq!(rig.flows("many").await.len(), 2_000);
    let again = rig.publish("many", flows("echo")).await;
    let state = rig.settled(again).await;
    assert_eq!((state.count(Outcome::Unchanged), state.uploads()), (2_000, 0));
    assert_eq!(rig.standin.stats().uploads, 1);
    worker.stop.cancel();
    assert_eq!(worker.session.await.unwrap().unwrap(), Left::Drained);
}

#[tokio::test(flavor = "multi_thread")]
async fn culprits_are_dead_lettered_and_the_rest_is_applied() {
    let Some(rig) = Rig::make("culprits").await else {
        return;
    };
    let _worker = rig.worker("one").await;
    let long = "x".repeat(129);
    let mut acts: Vec<Act> = (1..=20).map(|n| flow(&format!("f{n}"), "echo")).collect();
    acts.push(flow("F3", "differs in case"));
    let run = rig.publish("p", acts).await;
    let state = rig.settled(run).await;
    assert_eq!(
        (state.count(Outcome::Applied), state.count(Outcome::Dead)),
        (20, 1)
    );
    assert!(
        state.dead()[0].reason.contains("differs in case only"),
        "{:?}",
        state.dead()
    );
    assert_eq!(rig.waiting(DEAD).await, 1);
    assert!(FlowName::new(long).is_err());
}

/// Publishes a thousand flows, three of which Azkaban alone refuses with these words; the number of uploads.
async fn a_thousand_with_three_culprits(name: &str, words: impl Fn(&str) -> String) -> Option<u64> {
    const CULPRITS: [&str; 3] = ["f0007", "f0500", "f0993"];
    let rig = Rig::make(name).await?;
    rig.standin.set_faults(|faults| {
        let refused = CULPRITS.map(|flow| (flow.to_owned(), words(flow)));
        faults.refuses = refused.into();
    });
    let all = (1..=1_000).map(|n| flow(&format!("f{n:04}"), "echo")).collect();
    let run = rig.publish("p", all).await;
    let _worker = rig.worker("one").await;
    let state = rig.settled(run).await;
    assert_eq!(
        (state.count(Outcome::Applied), state.count(Outcome::Dead)),
        (997, 3)
    );
    let mut dead: Vec<(String, String)> = state
        .dead()
        .iter()
        .map(|dead| (dead.label.clone(), dead.reason.clone()))
        .collect();
    dead.sort();
    for (culprit, (label, reason)) in CULPRITS.iter().zip(&dead) {
        assert_eq!(label, culprit);
        assert!(reason.contains(&words(culprit)), "{reason}");
    }
    assert_eq!(rig.flows("p").await.len(), 997);
    Some(rig.standin.stats().uploads)
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_thousand_the_three_that_azkaban_refuses_without_a_name_are_found_by_halving() {
    let mute = |_: &str| "Cyclical dependency found at a>>b".to_owned();
    if let Some(uploads) = a_thousand_with_three_culprits("mute", mute).await {
        // 3 x log2(1,000) is 30; each search begins and ends with one more
        assert!((20..=36).contains(&uploads), "{uploads} uploads");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_thousand_the_three_that_azkaban_names_cost_one_more_upload() {
    let named = |flow: &str| format!("{flow} cannot find dependency nope");
    if let Some(uploads) = a_thousand_with_three_culprits("named", named).await {
        assert_eq!(uploads, 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn schedules_are_set_kept_removed_and_a_refused_one_leaves_the_flow() {
    let Some(rig) = Rig::make("schedules").await else {
        return;
    };
    let _worker = rig.worker("one").await;
    let set = |cron: &str| Schedule::Set(cron.into());
    let acts = vec![
        flow_with("kept", "echo", set("0 0 3 ? * *")),
        flow_with("removed", "echo", set("0 0 4 ? * *")),
        flow_with("bad", "echo", set("every full moon")),
    ];
    let run = rig.publish("p", acts).await;
    let state = rig.settled(run).await;
    assert_eq!(
        (state.count(Outcome::Applied), state.count(Outcome::Dead)),
        (2, 1)
    );
    assert!(
        state.dead()[0].reason.contains("its schedule was refused"),
        "{:?}",
        state.dead()
    );
    let run = rig
        .publish(
            "p",
            vec![
                flow("kept", "changed"),
                flow_with("removed", "echo", Schedule::Remove),
            ],
        )
        .await;
    let state = rig.settled(run).await;
    assert_eq!(state.done(), 2);
    let crons: Vec<(String, String)> = rig
        .client
        .schedules()
        .await
        .unwrap()
        .into_iter()
        .map(|one| (one.flow, one.cron))
        .collect();
    assert_eq!(crons, [("kept".to_owned(), "0 0 3 ? * *".to_owned())]);
    assert_eq!(rig.flows("p").await, ["bad", "kept", "removed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreadable_message_goes_to_the_dead_letters_and_stops_nobody() {
    let Some(rig) = Rig::make("unreadable").await else {
        return;
    };
    let link = rig.vhost.link().await;
    let sender = Sender::open(&link).await.unwrap();
    let queue = shard_queue(shard_of(&ProjectName::new("p").unwrap(), SHARDS));
    let named = Headers {
        texts: vec![("flowlift-project", "p".into())],
        numbers: vec![],
    };
    sender
        .send(&queue, b"junk", properties(&Headers::default()))
        .await
        .unwrap();
    sender
        .send(&queue, b"junk of p", properties(&named))
        .await
        .unwrap();
    sender
        .send(
            &queue,
            &pack_json(&serde_json::json!({"v": 1, "project": "p"})),
            properties(&named),
        )
        .await
        .unwrap();
    let elsewhere = shard_queue(1 - shard_of(&ProjectName::new("p").unwrap(), SHARDS));
    let foreign = pack_json(&serde_json::json!({
        "v": 1, "project": "q", "run": uuid::Uuid::nil(), "rank": 1, "published_ms": 0,
        "changes": [{"seq": 1, "op": "delete", "flow": "a"}]
    }));
    sender.send(&queue, &foreign, properties(&named)).await.unwrap();
    sender
        .send(&elsewhere, b"by the wrong shard", properties(&named))
        .await
        .unwrap();
    let run = rig.publish("p", vec![flow("a", "echo")]).await;
    let _worker = rig.worker("one").await;
    assert_eq!(rig.settled(run).await.count(Outcome::Applied), 1);
    let emptied = async {
        while rig.waiting(DEAD).await != 5 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(crate::broker::SOON, emptied)
        .await
        .expect("five dead letters");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_takes_flow_and_schedule_and_a_missing_project_is_not_made_when_ruled_out() {
    let Some(rig) = Rig::make("delete").await else {
        return;
    };
    let _worker = rig.worker("one").await;
    let run = rig
        .publish(
            "p",
            vec![
                flow_with("a", "x", Schedule::Set("0 0 3 ? * *".into())),
                flow("b", "x"),
            ],
        )
        .await;
    rig.settled(run).await;
    let run = rig.publish("p", vec![delete("a"), delete("never-there")]).await;
    let state = rig.settled(run).await;
    assert_eq!(
        (state.count(Outcome::Applied), state.count(Outcome::Unchanged)),
        (1, 1)
    );
    assert_eq!(rig.flows("p").await, ["b"]);
    assert!(rig.client.schedules().await.unwrap().is_empty());
    let strict = Rules {
        create: false,
        ..Rules::default()
    };
    let run = rig
        .publish_with("mistyped", strict, "", vec![flow("a", "x")])
        .await;
    assert_eq!(rig.settled(run).await.count(Outcome::Dead), 1);
    assert_eq!(
        rig.client
            .project_id(&ProjectName::new("mistyped").unwrap())
            .await
            .unwrap(),
        None
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_whose_answer_was_lost_is_found_in_the_log_and_counts_once() {
    let Some(rig) = Rig::make("lost-answer").await else {
        return;
    };
    let _worker = rig.worker("one").await;
    let run = rig.publish("p", vec![flow("a", "x")]).await;
    rig.settled(run).await;
    rig.standin.set_faults(|faults| faults.drop_after_commit = 1);
    let run = rig.publish("p", vec![flow("b", "x")]).await;
    let state = rig.settled(run).await;
    assert_eq!(state.count(Outcome::Applied), 1);
    assert_eq!(rig.standin.stats().uploads, 2);
    assert_eq!(rig.flows("p").await, ["a", "b"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_sessions_and_a_failed_persist_cost_only_another_try() {
    let Some(rig) = Rig::make("faults").await else {
        return;
    };
    let _worker = rig.worker("one").await;
    let run = rig.publish("p", vec![flow("a", "x")]).await;
    rig.settled(run).await;
    rig.standin.lose_sessions();
    rig.standin.set_faults(|faults| faults.html_500 = 1);
    let run = rig.publish("p", vec![flow("b", "x"), flow("c", "x")]).await;
    assert_eq!(rig.settled(run).await.count(Outcome::Applied), 2);
    assert_eq!(rig.flows("p").await, ["a", "b", "c"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_joiner_gets_its_shards_and_nothing_is_uploaded_twice_at_a_time() {
    let Some(rig) = Rig::make("join").await else {
        return;
    };
    rig.standin.set_faults(|faults| faults.ms_per_request = 20.0);
    let first = rig.worker("one").await;
    let mut runs = Vec::new();
    for n in 0..40 {
        runs.push(rig.publish(&format!("p{n}"), vec![flow("a", "x")]).await);
    }
    let second = rig.worker("two").await;
    let third = rig.worker("three").await;
    for run in runs {
        assert_eq!(rig.settled(run).await.count(Outcome::Applied), 1);
    }
    assert_eq!(rig.standin.stats().uploads_overlapped, 0);
    for worker in [first, second, third] {
        worker.stop.cancel();
        assert_eq!(worker.session.await.unwrap().unwrap(), Left::Drained);
    }
    for shard in 0..SHARDS {
        assert_eq!(rig.waiting(&shard_queue(shard)).await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_finishes_the_upload_in_flight_and_leaves_the_rest_queued() {
    let Some(rig) = Rig::make("stop").await else {
        return;
    };
    rig.standin.set_faults(|faults| faults.ms_per_flow = 300.0);
    let worker = rig.worker("one").await;
    let run = rig
        .publish("p", (1..=5).map(|n| flow(&format!("f{n}"), "x")).collect())
        .await;
    let begun = async {
        while rig.standin.stats().uploads == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(crate::broker::SOON, begun)
        .await
        .expect("the upload begins");
    let later = rig.publish("p", vec![flow("later", "x")]).await;
    worker.stop.cancel();
    assert_eq!(worker.session.await.unwrap().unwrap(), Left::Drained);
    assert_eq!(rig.settled(run).await.count(Outcome::Applied), 5);
    assert_eq!(rig.flows("p").await.len(), 5, "what was not begun waits");
    rig.standin.set_faults(|faults| faults.ms_per_flow = 0.0);
    let _next = rig.worker("two").await;
    assert_eq!(rig.settled(later).await.count(Outcome::Applied), 1);
}
