//! Project folders of other people: what `flowlift` brings up must be what the folder's zip brings up by hand.
//!
//! `FOLDERS=DIR` names a folder of project folders (for example a copy of Azkaban's own test resources), `AZKABAN_URL` a
//! server; without one a stand-in is started. `dev/broker run -- cargo test -p flowlift --test folders -- --nocapture`
//! gives it a broker and shows a line for each folder.

mod folder;
mod stage;
mod verdict;

use stage::Stage;
use verdict::{Verdict, judge};

#[tokio::test(flavor = "multi_thread")]
async fn folders_and_zips_of_other_people_list_the_same_flows_as_their_zip_uploaded_by_hand() {
    let Some(folders) = std::env::var_os("FOLDERS") else {
        println!("skipped: FOLDERS names no folder of project folders");
        return;
    };
    let projects = folder::projects(folders.as_ref());
    assert!(
        !projects.is_empty(),
        "{} holds no project folder",
        folders.display()
    );
    let stage = Stage::set().await;
    let (mut alike, mut refused, mut lossy, mut different) = (0, 0, 0, Vec::new());
    for (number, path) in projects.iter().enumerate() {
        let name = path.file_name().unwrap_or_default().display().to_string();
        let verdict = judge(&stage, number + 1, path).await;
        println!("{name:<36} {verdict}");
        match verdict {
            Verdict::Same { flows } => alike += flows,
            Verdict::BothRefuse { .. } => refused += 1,
            Verdict::RefusedForLoss { .. } => lossy += 1,
            Verdict::Different(why) => different.push(format!("{name}: {why}")),
        }
    }
    stage.strike().await;
    println!(
        "{} folders on {}: {alike} flows alike, {refused} folders refused by both, {lossy} refused because Azkaban would lose \
         flows, {} different",
        projects.len(),
        stage.azkaban(),
        different.len()
    );
    assert!(different.is_empty(), "{}", different.join("\n"));
}
