//! What others put over ours: abandoned uploads, and zips that people upload by hand.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use flowlift_azkaban::archive::{self, ZipLimits};
use flowlift_azkaban::{ProjectName, Tree};
use flowlift_common::envelope::Rules;
use flowlift_common::ledger::Outcome;
use flowlift_common::manifest;
use flowlift_common::{Act, Schedule};
use flowlift_consumer::attempts::OpenAttempts;
use flowlift_consumer::project::Limits;

use crate::attempts::attempt;
use crate::rig::{Rig, flow, flow_with};

/// The second look is taken at once.
fn soon() -> Limits {
    Limits {
        second_look: Duration::from_millis(300),
        ..Limits::default()
    }
}

fn files(zip: &[u8]) -> Tree {
    archive::read_zip(zip, &ZipLimits::default()).unwrap()
}

/// The zip with a job of a person in it, with or without our hidden file.
fn edited(zip: &[u8], job: &str, command: &str, with_manifest: bool) -> Bytes {
    let mut tree = files(zip);
    tree.insert(
        format!("{job}.job"),
        format!("type=command\ncommand={command}\n").into(),
    );
    if !with_manifest {
        tree.remove(manifest::PATH).expect("it was there");
    }
    archive::write_zip(&tree).into()
}

fn map(flows: &[(&str, &str)]) -> BTreeMap<String, String> {
    flows
        .iter()
        .map(|(flow, is)| ((*flow).to_owned(), (*is).to_owned()))
        .collect()
}

async fn apply(rig: &Rig, acts: Vec<Act>) {
    let run = rig.publish("p", acts).await;
    let state = rig.settled(run).await;
    assert_eq!(state.count(Outcome::Dead), 0, "{:?}", state.dead());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abandoned_upload_that_lands_over_a_newer_one_is_undone_with_its_schedules() {
    let Some(rig) = Rig::make("zombie").await else {
        return;
    };
    let _worker = rig.worker_with("one", soon()).await;
    apply(&rig, vec![flow("a", "old")]).await;
    let abandoned = rig.download("p").await;
    let scheduled = flow_with("b", "new", Schedule::Set("0 0 3 ? * *".into()));
    apply(&rig, vec![flow("a", "new"), scheduled]).await;
    // exactly the bytes and the name of the first one, as if its client had gone long ago
    rig.upload("p", &abandoned.file_name, abandoned.zip).await;
    let mut back = rig.restored().await;
    back.sort();
    assert_eq!(rig.commands("p").await, map(&[("a", "new"), ("b", "new")]));
    assert_eq!(rig.flows("p").await, ["a", "b"]);
    assert_eq!(rig.crons().await, map(&[("b", "0 0 3 ? * *")]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abandoned_upload_is_undone_although_the_consumer_that_was_in_doubt_of_it_is_gone() {
    let Some(rig) = Rig::make("orphan").await else {
        return;
    };
    let limits = Limits {
        fence: Duration::from_millis(200),
        look: Duration::from_millis(50),
        later_looks: [Duration::from_secs(2), Duration::from_secs(2)],
        ..Limits::default()
    };
    let one = rig.worker_with("one", limits).await;
    apply(&rig, vec![flow("a", "old")]).await;
    let abandoned = rig.download("p").await;
    // somebody began an upload and died
    let link = rig.vhost.link().await;
    let left = attempt("left.zip", &ProjectName::new("p").unwrap());
    let attempts = OpenAttempts::open(&link).await.unwrap();
    attempts.announce(&left).await.unwrap();
    apply(&rig, vec![flow("a", "new")]).await;
    one.stop.cancel();
    one.session.await.unwrap().unwrap();
    rig.upload("p", &abandoned.file_name, abandoned.zip).await;
    let _two = rig.worker("two").await;
    assert_eq!(rig.restored().await, ["a"]);
    assert_eq!(rig.commands("p").await, map(&[("a", "new")]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_persons_zip_from_a_stale_base_brings_its_own_and_takes_nothing_away() {
    let Some(rig) = Rig::make("stale").await else {
        return;
    };
    let _worker = rig.worker_with("one", soon()).await;
    apply(&rig, vec![flow("a", "old"), flow("gone", "x")]).await;
    let stale = rig.download("p").await;
    let scheduled = flow_with("b", "new", Schedule::Set("0 0 4 ? * *".into()));
    let delete = Act::Delete {
        flow: flowlift_azkaban::FlowName::new("gone").unwrap(),
    };
    apply(&rig, vec![flow("a", "new"), scheduled, delete]).await;
    rig.upload("p", "theirs.zip", edited(&stale.zip, "mine", "m", true))
        .await;
    assert_eq!(rig.restored().await, ["a", "b"]);
    let merged = map(&[("a", "new"), ("b", "new"), ("mine", "m")]);
    assert_eq!(rig.commands("p").await, merged);
    assert_eq!(rig.crons().await, map(&[("b", "0 0 4 ? * *")]));
    // and the same without our hidden file, as packed anew by hand
    rig.upload("p", "theirs.zip", edited(&stale.zip, "mine", "m", false))
        .await;
    let run = rig.publish("p", vec![flow("c", "x")]).await;
    rig.settled(run).await;
    let mut expected = merged;
    expected.insert("c".into(), "x".into());
    assert_eq!(rig.commands("p").await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_does_to_our_latest_stays_done() {
    let Some(rig) = Rig::make("latest").await else {
        return;
    };
    let _worker = rig.worker_with("one", soon()).await;
    apply(&rig, vec![flow("a", "x"), flow("b", "x"), flow("c", "x")]).await;
    let latest = rig.download("p").await;
    let mut tree = files(&edited(&latest.zip, "a", "edited", true));
    tree.remove("b.job");
    rig.upload("p", "theirs.zip", archive::write_zip(&tree).into())
        .await;
    apply(&rig, vec![flow("c", "y")]).await;
    assert_eq!(rig.commands("p").await, map(&[("a", "edited"), ("c", "y")]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_overtook_a_persons_is_merged_with_it_and_then_settled() {
    let Some(rig) = Rig::make("overtook").await else {
        return;
    };
    let _worker = rig.worker("one").await;
    apply(&rig, vec![flow("a", "x")]).await;
    let latest = rig.download("p").await;
    rig.standin
        .set_faults(|faults| (faults.hang, faults.hang_ms) = (1, 1_500));
    let run = rig.publish("p", vec![flow("b", "x")]).await;
    // ours hangs now, on its way into the project
    rig.until(|| rig.standin.faults().hang == 0).await;
    rig.upload("p", "theirs.zip", edited(&latest.zip, "mine", "m", true))
        .await;
    let state = rig.settled(run).await;
    assert_eq!(state.count(Outcome::Applied), 1);
    assert_eq!(rig.flows("p").await, ["a", "b", "mine"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_zip_on_top_is_no_base_although_it_makes_the_same_flows() {
    let Some(rig) = Rig::make("burnt").await else {
        return;
    };
    let _worker = rig.worker("one").await;
    apply(&rig, vec![flow("a", "x"), flow("b", "x")]).await;
    let latest = rig.download("p").await;
    rig.standin
        .set_faults(|faults| (faults.fail_persist, faults.fail_persist_after) = (1, 1));
    let project = ProjectName::new("p").unwrap();
    let failing = edited(&latest.zip, "a", "never active", true);
    let failed = rig
        .client
        .upload(&project, "theirs.zip", failing, Duration::from_secs(60))
        .await;
    assert!(failed.is_err());
    assert_eq!(
        rig.commands("p").await["a"],
        "never active",
        "that is what download hands out"
    );
    apply(&rig, vec![flow("b", "y")]).await;
    assert_eq!(rig.commands("p").await, map(&[("a", "x"), ("b", "y")]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_needed_no_upload_is_not_undone_by_an_older_one_not_even_after_a_restart() {
    let Some(rig) = Rig::make("seen").await else {
        return;
    };
    let worker = rig.worker("one").await;
    apply(&rig, vec![flow("a", "x")]).await;
    let run = rig.publish("p", vec![flow("a", "x"), flow("b", "x")]).await;
    rig.settled(run).await;
    let newest = rig.publish("p", vec![flow("a", "x")]).await;
    assert_eq!(rig.settled(newest).await.count(Outcome::Unchanged), 1);
    worker.stop.cancel();
    worker.session.await.unwrap().unwrap();
    let _worker = rig.worker("two").await;
    let between = rig.rank_of(newest).await - 1;
    let older = vec![flow("a", "older"), flow("b", "older")];
    let older = rig
        .publish_at("p", Rules::default(), "", Some(between), older)
        .await;
    let state = rig.settled(older).await;
    assert_eq!(
        (state.count(Outcome::Superseded), state.count(Outcome::Applied)),
        (1, 1)
    );
    assert_eq!(rig.commands("p").await, map(&[("a", "x"), ("b", "older")]));
}
