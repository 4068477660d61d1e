//! Project folders and zips of other people: the stand-in must make of them what Azkaban makes.
//!
//! `FOLDERS=DIR` names a folder of project folders (for example a copy of Azkaban's own test resources). Each is zipped
//! and uploaded to the stand-in and, with `AZKABAN_URL`, to that server: both must list the same flows and jobs, or
//! refuse the zip in the same words. Without a server the answers are shown.

mod project;
mod seen;

use crate::support::azkaban::Azkaban;
use azkaban_standin::Options;
use project::Project;
use seen::Seen;

#[tokio::test]
async fn folders_of_other_people_are_taken_and_refused_as_by_azkaban() {
    let Some(folders) = std::env::var_os("FOLDERS") else {
        println!("skipped: FOLDERS names no folder of project folders");
        return;
    };
    let projects = Project::all(folders.as_ref());
    assert!(!projects.is_empty(), "{} holds no project", folders.display());
    let standin = Azkaban::standin(Options::default()).await;
    let real = match std::env::var_os("AZKABAN_URL") {
        Some(_) => Some(Azkaban::start().await),
        None => None,
    };
    let (mut flows, mut refused, mut different) = (0, 0, Vec::new());
    for project in &projects {
        let mine = Seen::on(&standin, project).await;
        println!("{:<60} {mine}", project.name);
        match mine.flows() {
            Some(listed) => flows += listed,
            None => refused += 1,
        }
        if let Some(real) = &real {
            let theirs = Seen::on(real, project).await;
            if let Some(difference) = mine.difference(&theirs) {
                different.push(format!("{}: {difference}", project.name));
            }
        }
    }
    let compared = match real {
        Some(_) => format!("{} differ from Azkaban's", different.len()),
        None => "AZKABAN_URL names no server to compare with".to_owned(),
    };
    println!(
        "{} projects: {flows} flows, {refused} projects refused; {compared}",
        projects.len()
    );
    assert!(different.is_empty(), "{}", different.join("\n"));
}
