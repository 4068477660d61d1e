//! Pauses and cancellations, under load.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use flowlift_azkaban::ProjectName;
use serde_json::Value;

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

/// Flows of a run that is cancelled, and the projects they are spread over.
const CANCELLED: (usize, usize) = (120, 6);

/// What each flow of a run is called, by `project/flow`.
type Fates = BTreeMap<String, BTreeSet<String>>;

/// Cancels runs of which some is applied, some under way and some waits; RabbitMQ and a consumer die right after.
pub(super) async fn cancel(scene: &mut Scene<'_>) -> u64 {
    const TIMES: u64 = 4;
    let mut runs = Vec::new();
    if scene.azkaban.is_standin() {
        let slow = serde_json::json!({"ms_per_flow": 10});
        scene.azkaban.faults(slow).await;
    }
    for n in 0..TIMES {
        let project = format!("{}_cancelled_{n}", scene.projects[0]);
        let (flows, projects) = CANCELLED;
        let (template, flows) = (format!("{project}_{{n%{projects}}}"), flows.to_string());
        let publish = ["publish", "--project", &template, "--flows", &flows, "--quiet"];
        // one that consumers have in hand and have not begun, then one of which they begin what they can
        let held = n % 2 == 0;
        if held {
            scene.flowlift(&["pause"]).await;
        }
        let run = scene.flowlift(&publish).await;
        if !held {
            scene.upload_under_way().await;
        }
        scene.flowlift(&["cancel", &run, "--no-wait"]).await;
        if held {
            scene.flowlift(&["resume"]).await;
        }
        if n < 2 {
            scene.broker.kill().await;
        }
        scene.broker.restart().await;
        let victim = scene.anybody();
        scene.fleet[victim].program.signal("KILL");
        scene.fleet.remove(victim).program.ended().await;
        scene.join().await;
        runs.push((run, project));
    }
    let mut told = Vec::new();
    for (run, _) in &runs {
        told.push(all_fates(scene, run).await);
    }
    // what was begun before it was cancelled could land now
    for_seconds(8).await;
    for ((run, project), fates) in runs.iter().zip(&told) {
        let faults = contradictions(scene, project, fates).await;
        let faults = faults.into_iter().map(|fault| format!("run {run}: {fault}"));
        scene.faults.extend(faults);
    }
    let cancelled = told.iter().flat_map(BTreeMap::values);
    if !cancelled.flatten().any(|outcome| outcome == "cancelled") {
        scene.faults.push("nothing was cancelled".into());
    }
    TIMES
}

/// Waits until each flow of a run has its outcome.
async fn all_fates(scene: &Scene<'_>, run: &str) -> Fates {
    until(
        "a cancelled run is settled",
        Duration::from_secs(300),
        async || {
            let shown = scene.calls(&["show", "--run", run, "--json", "--quiet"]).await;
            let mut fates = Fates::new();
            for line in String::from_utf8_lossy(&shown.stdout).lines() {
                let fate: Value = serde_json::from_str(line).expect("an object on each line");
                let text = |name: &str| fate[name].as_str().expect("a text").to_owned();
                let flow = format!("{}/{}", text("project"), text("what"));
                fates.entry(flow).or_default().insert(text("outcome"));
            }
            (fates.len() == CANCELLED.0).then_some(fates)
        },
    )
    .await
}

/// Flows that are not where their outcome says.
async fn contradictions(scene: &mut Scene<'_>, project: &str, fates: &Fates) -> Vec<String> {
    let mut there = BTreeSet::new();
    for n in 0..CANCELLED.1 {
        let project = format!("{project}_{n}");
        let name = ProjectName::new(project.as_str()).expect("a name");
        // one that was cancelled as a whole was never made
        if let Ok(found) = scene.azkaban.client.flows(&name).await {
            there.extend(found.flows.into_iter().map(|flow| format!("{project}/{flow}")));
            scene.projects.push(project);
        }
    }
    let is_right = |flow: &String, called: &BTreeSet<String>| {
        // whoever takes over what landed unseen calls it unchanged
        let right: &[&str] = match there.contains(flow) {
            true => &["applied", "unchanged"],
            false => &["cancelled"],
        };
        called.iter().all(|outcome| right.contains(&outcome.as_str()))
    };
    let wrong = fates.iter().filter(|(flow, called)| !is_right(flow, called));
    let wrong = wrong.map(|(flow, called)| {
        let not = if there.contains(flow) { "" } else { "not " };
        format!("{flow} is called {called:?} and is {not}there")
    });
    let unknown = there.iter().filter(|flow| !fates.contains_key(*flow));
    wrong
        .chain(unknown.map(|flow| format!("{flow} is there and has no outcome")))
        .collect()
}
