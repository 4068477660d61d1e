//! Pauses, under load.

use std::time::Duration;

use crate::patience::{for_seconds, until};
use crate::scene::Scene;

/// Begins nothing while everything is paused, whoever starts anew meanwhile; then all goes on.
pub(super) async fn pause(scene: &mut Scene<'_>) -> u64 {
    const TIMES: u64 = 2;
    for _ in 0..TIMES {
        scene.upload_under_way().await;
        scene.flowlift(&["pause"]).await;
        let calm = Duration::from_secs(120);
        until("uploads under way come to their end", calm, async || {
            (scene.http.traffic().under_way() == 0).then_some(())
        })
        .await;
        // a consumer that had begun heeds the wish when it has finished; the look at what it uploaded comes after it
        for_seconds(2).await;
        let before = scene.http.traffic().uploads;
        let victim = scene.anybody();
        scene.fleet[victim].program.signal("KILL");
        scene.fleet.remove(victim).program.ended().await;
        scene.join().await;
        scene.broker.restart().await;
        for_seconds(8).await;
        let begun = scene.http.traffic().uploads - before;
        if begun > 0 {
            scene
                .faults
                .push(format!("{begun} uploads were begun while everything was paused"));
        }
        scene.flowlift(&["resume"]).await;
        for_seconds(2).await;
    }
    TIMES
}
