//! RabbitMQ and the way to it.

use std::time::Duration;

use flowlift_common::topology::{OUTCOMES, shard_queue};

use crate::patience::{for_seconds, or_go_on, until};
use crate::scene::{SHARDS, Scene};

pub(super) async fn kill(scene: &mut Scene<'_>) -> u64 {
    for _ in 0..3 {
        scene.upload_under_way().await;
        scene.broker.kill().await;
        for_seconds(2).await;
        scene.broker.restart().await;
        for_seconds(4).await;
    }
    3
}

pub(super) async fn restart(scene: &mut Scene<'_>) -> u64 {
    for _ in 0..2 {
        scene.upload_under_way().await;
        scene.broker.restart().await;
        for_seconds(5).await;
    }
    2
}

pub(super) async fn cut(scene: &mut Scene<'_>) -> u64 {
    for _ in 0..10 {
        scene.upload_under_way().await;
        for consumer in &scene.fleet {
            consumer.wire.cut();
        }
        scene.producer.cut();
        for_seconds(2).await;
    }
    10
}

pub(super) async fn one_without_network(scene: &mut Scene<'_>, seconds: u64) -> u64 {
    for _ in 0..2 {
        scene.upload_under_way().await;
        let who = scene.anybody();
        scene.fleet[who].wire.silence();
        for_seconds(seconds).await;
        scene.fleet[who].wire.restore();
        for_seconds(2).await;
    }
    2
}

pub(super) async fn nobody_has_network(scene: &mut Scene<'_>) -> u64 {
    scene.upload_under_way().await;
    for consumer in &scene.fleet {
        consumer.wire.silence();
    }
    scene.producer.silence();
    for_seconds(30).await;
    for consumer in &scene.fleet {
        consumer.wire.restore();
    }
    scene.producer.restore();
    for_seconds(5).await;
    1
}

/// RabbitMQ closes channels when it finds a mistake on them; here it is told that there was one.
pub(super) async fn close_channels(scene: &mut Scene<'_>) -> u64 {
    let closing = "[exit(Pid, {amqp_error, precondition_failed, \"chaos\", none}) || Pid <- rabbit_channel:list_local()], ok.";
    for _ in 0..5 {
        scene.upload_under_way().await;
        scene.broker.ctl(&["eval", closing]).await;
        for_seconds(3).await;
    }
    5
}

pub(super) async fn memory_alarm(scene: &mut Scene<'_>) -> u64 {
    for _ in 0..2 {
        scene.upload_under_way().await;
        scene
            .broker
            .ctl(&["set_vm_memory_high_watermark", "absolute", "1MB"])
            .await;
        for_seconds(20).await;
        scene.broker.ctl(&["set_vm_memory_high_watermark", "0.6"]).await;
        for_seconds(3).await;
    }
    2
}

/// What lies in a queue goes with it, so only empty ones are deleted, while the producer is held back.
pub(super) async fn delete_shards(scene: &mut Scene<'_>) -> u64 {
    let mut deleted = 0;
    for turn in 0..4 {
        scene.producer.silence();
        let mine: Vec<String> = (0..SHARDS)
            .filter(|shard| shard % 4 == turn)
            .map(shard_queue)
            .collect();
        or_go_on(Duration::from_secs(60), async || {
            let depths = scene.depths().await;
            mine.iter()
                .all(|queue| depths.get(queue).map(String::as_str) == Some("0"))
        })
        .await;
        let depths = scene.depths().await;
        for queue in &mine {
            if depths.get(queue).map(String::as_str) == Some("0") {
                scene
                    .broker
                    .ctl(&["delete_queue", "-p", &scene.vhost, queue])
                    .await;
                deleted += 1;
            }
        }
        scene.producer.restore();
        for_seconds(4).await;
    }
    deleted
}

pub(super) async fn delete_outcomes(scene: &mut Scene<'_>) -> u64 {
    scene.upload_under_way().await;
    scene
        .broker
        .ctl(&["delete_queue", "-p", &scene.vhost, OUTCOMES])
        .await;
    until(
        "the stream of outcomes is declared again",
        Duration::from_secs(120),
        async || scene.broker.depth(&scene.vhost, OUTCOMES).await,
    )
    .await;
    for_seconds(2).await;
    1
}
