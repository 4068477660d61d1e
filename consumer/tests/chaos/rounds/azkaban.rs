//! Azkaban and the way to it.

use std::time::Duration;

use serde_json::json;

use crate::patience::{for_seconds, or_go_on};
use crate::scene::Scene;

/// Sets a counted fault, again and again until so many uploads were hit.
async fn hit(scene: &Scene<'_>, name: &str, times: u64) -> u64 {
    for n in 0..times {
        let fault = match name {
            // said without the other it would count as both
            "fail_persist" => json!({"fail_persist": 1, "fail_persist_after": n * 3}),
            _ => json!({name: 1}),
        };
        scene.azkaban.faults(fault).await;
        let hit = or_go_on(Duration::from_secs(60), async || {
            scene.azkaban.fault(name).await == 0
        })
        .await;
        if !hit {
            return n;
        }
    }
    times
}

pub(super) async fn latency(scene: &mut Scene<'_>) -> u64 {
    scene.azkaban.faults(json!({"ms_per_request": 300})).await;
    let before = scene.azkaban.stat("connections").await;
    for_seconds(20).await;
    scene.azkaban.stat("connections").await - before
}

pub(super) async fn html_500(scene: &mut Scene<'_>) -> u64 {
    hit(scene, "html_500", 6).await
}

pub(super) async fn drop_after_commit(scene: &mut Scene<'_>) -> u64 {
    hit(scene, "drop_after_commit", 6).await
}

pub(super) async fn persist_fails(scene: &mut Scene<'_>) -> u64 {
    hit(scene, "fail_persist", 5).await
}

/// An upload hangs, its consumer is killed, and the upload goes on later without it.
pub(super) async fn hang(scene: &mut Scene<'_>) -> u64 {
    for _ in 0..3 {
        scene.azkaban.faults(json!({"hang": 1, "hang_ms": 20_000})).await;
        or_go_on(Duration::from_secs(30), async || {
            scene.azkaban.fault("hang").await == 0
        })
        .await;
        for victim in scene.fleet.drain(..) {
            victim.program.signal("KILL");
        }
        for _ in 0..2 {
            scene.launch().await;
        }
        for_seconds(5).await;
    }
    3
}

/// Whoever uploads is killed once the body is with Azkaban, which takes seconds to store it.
pub(super) async fn zombies(scene: &mut Scene<'_>) -> u64 {
    const TIMES: u64 = 5;
    for _ in 0..TIMES {
        scene.azkaban.faults(json!({"ms_per_flow": 150})).await;
        let before = scene.azkaban.stat("uploads").await;
        or_go_on(Duration::from_secs(30), async || {
            scene.azkaban.stat("uploads").await > before
        })
        .await;
        for victim in scene.fleet.drain(..) {
            victim.program.signal("KILL");
        }
        // those that are under way keep their pace, what comes after them is quick
        scene.azkaban.faults(json!({"ms_per_flow": 1})).await;
        for _ in 0..2 {
            scene.launch().await;
        }
        for_seconds(4).await;
    }
    TIMES
}

pub(super) async fn database_down(scene: &mut Scene<'_>, seconds: u64) -> u64 {
    let times = if seconds > 60 { 1 } else { 3 };
    for _ in 0..times {
        scene.upload_under_way().await;
        scene.azkaban.faults(json!({"db_down": true})).await;
        for_seconds(seconds).await;
        scene.azkaban.faults(json!({"db_down": false})).await;
        for_seconds(4).await;
    }
    times
}

pub(super) async fn restart(scene: &mut Scene<'_>) -> u64 {
    for _ in 0..5 {
        scene.azkaban.faults(json!({"ms_per_flow": 20})).await;
        scene.upload_under_way().await;
        scene.azkaban.restart().await;
        for_seconds(3).await;
    }
    5
}

pub(super) async fn kill(scene: &mut Scene<'_>) -> u64 {
    for _ in 0..4 {
        scene.azkaban.faults(json!({"ms_per_flow": 20})).await;
        scene.upload_under_way().await;
        scene.azkaban.kill().await;
        for_seconds(4).await;
    }
    4
}

pub(super) async fn answers_lost(scene: &mut Scene<'_>) -> u64 {
    const TIMES: u32 = 6;
    for n in 1..=TIMES {
        scene.http.swallow_answers(1);
        or_go_on(Duration::from_secs(60), async || {
            scene.http.traffic().swallowed >= n
        })
        .await;
        for_seconds(1).await;
    }
    u64::from(scene.http.traffic().swallowed)
}

pub(super) async fn cut(scene: &mut Scene<'_>) -> u64 {
    for _ in 0..4 {
        scene.upload_under_way().await;
        scene.http.cut();
        for_seconds(1).await;
        scene.upload_under_way().await;
        scene.http.refuse();
        for_seconds(8).await;
        scene.http.restore();
        for_seconds(2).await;
    }
    8
}

pub(super) async fn silent(scene: &mut Scene<'_>) -> u64 {
    for _ in 0..2 {
        scene.upload_under_way().await;
        scene.http.silence();
        for_seconds(20).await;
        scene.http.restore();
        for_seconds(4).await;
    }
    2
}
