//! Consumers that die, freeze, come and go.

use crate::patience::for_seconds;
use crate::scene::Scene;

/// Uploads take a while, so that there is something to break.
async fn slow(scene: &Scene<'_>) {
    if scene.azkaban.is_standin() {
        scene.azkaban.faults(serde_json::json!({"ms_per_flow": 8})).await;
    }
}

pub(super) async fn kill(scene: &mut Scene<'_>) -> u64 {
    slow(scene).await;
    const KILLS: u64 = 12;
    for _ in 0..KILLS {
        scene.upload_under_way().await;
        let victim = scene.anybody();
        scene.fleet[victim].program.signal("KILL");
        scene.fleet.remove(victim).program.ended().await;
        scene.launch().await;
        for_seconds(1).await;
    }
    KILLS
}

pub(super) async fn terminate(scene: &mut Scene<'_>) -> u64 {
    slow(scene).await;
    leave(scene, 8, 1).await
}

pub(super) async fn terminate_twice(scene: &mut Scene<'_>) -> u64 {
    slow(scene).await;
    leave(scene, 6, 2).await
}

pub(super) async fn join_and_leave(scene: &mut Scene<'_>) -> u64 {
    slow(scene).await;
    let mut moves = 0;
    for _ in 0..4 {
        scene.join().await;
        moves += 1;
        for_seconds(1).await;
        moves += leave(scene, 1, 1).await;
        scene.join().await;
        for_seconds(1).await;
    }
    moves
}

/// Consumers leave one by one while uploads are under way, each replaced by a new one.
async fn leave(scene: &mut Scene<'_>, times: u64, signals: usize) -> u64 {
    for _ in 0..times {
        scene.upload_under_way().await;
        let who = scene.anybody();
        let mut leaving = scene.fleet.remove(who);
        for _ in 0..signals {
            leaving.program.signal("TERM");
        }
        scene.join().await;
        let status = leaving.program.ended().await;
        let allowed: &[i32] = if signals == 1 { &[0] } else { &[0, 75] };
        if !status.code().is_some_and(|code| allowed.contains(&code)) {
            let name = leaving.name;
            scene
                .faults
                .push(format!("{name} ended with {status} after SIGTERM"));
        }
    }
    times
}

pub(super) async fn freeze(scene: &mut Scene<'_>) -> u64 {
    slow(scene).await;
    // the broker gives a silent connection up after two heartbeats of 20 s at most
    const SECONDS: u64 = 50;
    for _ in 0..2 {
        scene.upload_under_way().await;
        let who = scene.anybody();
        scene.fleet[who].program.signal("STOP");
        for_seconds(SECONDS).await;
        scene.fleet[who].program.signal("CONT");
        for_seconds(3).await;
    }
    2
}
