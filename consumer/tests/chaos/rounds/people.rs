//! People who upload by hand while Flowlift works on their projects.

use crate::load::{GIVEN_UP, given_up};
use crate::patience::for_seconds;
use crate::people::{Copy, Person};
use crate::scene::Scene;

/// Zips taken home early are uploaded late: what they lack or have older must come back.
pub(super) async fn stale_zips(scene: &mut Scene<'_>) -> u64 {
    let mut person = Person::log_in(&scene.azkaban, &scene.folder).await;
    let mut times = 0;
    for _ in 0..3 {
        let old = take_home(scene, &person).await;
        for_seconds(6).await;
        for copy in &old {
            person.upload_by_form(copy).await;
            times += 1;
            for_seconds(1).await;
        }
    }
    times
}

/// Zips packed anew by a tool that leaves hidden files out: from the latest, and old ones with a flow of their own in it.
pub(super) async fn no_manifest(scene: &mut Scene<'_>) -> u64 {
    let mut person = Person::log_in(&scene.azkaban, &scene.folder).await;
    let mut times = 0;
    for n in 0..3 {
        let old = take_home(scene, &person).await;
        for (at, mut copy) in old.into_iter().enumerate() {
            if at % 2 == 0 {
                for_seconds(4).await;
            } else {
                copy = person.download(&copy.project).await;
            }
            copy.without_hidden_files();
            bring_own(scene, &mut copy, &format!("by_hand_{n}"));
            person.upload_by_form(&copy).await;
            times += 1;
            for_seconds(1).await;
        }
    }
    times
}

/// Edits of the latest version: a flow of their own, with a schedule, later changed; a flow of ours removed on purpose.
pub(super) async fn edits(scene: &mut Scene<'_>) -> u64 {
    let mut person = Person::log_in(&scene.azkaban, &scene.folder).await;
    let mut times = 0;
    for n in 0..GIVEN_UP {
        for project in scene.projects.clone() {
            let mut copy = person.download(&project).await;
            bring_own(scene, &mut copy, "by_hand");
            bring_own(scene, &mut copy, &format!("by_hand_{n}"));
            let removed = given_up(n);
            copy.remove(&removed);
            let version = person.upload_by_script(&copy).await;
            let key = (project.clone(), removed);
            // an upload of ours in between: theirs was not made from our latest
            if version == copy.version + 1 {
                scene.by_hand.removed.insert(key);
            } else {
                scene.by_hand.free.insert(key);
            }
            times += 1;
            if n == 1 {
                schedule_own(scene, &project).await;
            }
            for_seconds(1).await;
        }
    }
    times
}

async fn take_home(scene: &Scene<'_>, person: &Person) -> Vec<Copy> {
    let mut copies = Vec::new();
    for project in &scene.projects {
        copies.push(person.download(project).await);
    }
    copies
}

fn bring_own(scene: &mut Scene<'_>, copy: &mut Copy, flow: &str) {
    let text = format!("version {} of {}", copy.version, copy.project);
    let command = copy.put(flow, &text);
    let key = (copy.project.clone(), flow.to_owned());
    scene.by_hand.flows.insert(key, command);
}

async fn schedule_own(scene: &mut Scene<'_>, project: &str) {
    const CRON: &str = "0 0 1 ? * SUN";
    let name = flowlift_azkaban::ProjectName::new(project).expect("a name");
    let set = scene.azkaban.client.schedule_cron(&name, "by_hand", CRON).await;
    set.expect("a schedule by hand is set");
    let key = (project.to_owned(), "by_hand".to_owned());
    scene.by_hand.crons.insert(key, CRON.to_owned());
}
