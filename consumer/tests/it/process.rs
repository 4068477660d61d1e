//! The real program: killed, cut off, stopped, named twice.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use flowlift_common::Schedule;
use flowlift_common::ledger::Outcome;
use flowlift_common::topology::shard_queue;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};

use crate::broker::{SHARDS, SOON};
use crate::rig::{Rig, flow, flow_with};

/// A running `flowlift-consumer`; killed when dropped.
pub(crate) struct Program {
    child: Child,
    log: Lines<BufReader<ChildStderr>>,
}

impl Program {
    fn start(rig: &Rig, url: &str, name: &str) -> Self {
        Self::start_with(rig, url, name, "azkaban")
    }

    fn start_with(rig: &Rig, url: &str, name: &str, password: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_flowlift-consumer"))
            .args([
                "--name",
                name,
                "--metrics-listen",
                "127.0.0.1:0",
                "--grace",
                "60s",
            ])
            .env("FLOWLIFT_AMQP_URL", url)
            .env("FLOWLIFT_AZKABAN_URL", rig.standin.url())
            .env("FLOWLIFT_AZKABAN_PASSWORD", password)
            .env("FLOWLIFT_SHARDS", SHARDS.to_string())
            .stderr(Stdio::piped())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("the program starts");
        let log = BufReader::new(child.stderr.take().expect("its log")).lines();
        Self { child, log }
    }

    pub(crate) async fn subscribed(rig: &Rig, url: &str, name: &str) -> Self {
        let mut program = Self::start(rig, url, name);
        program.until("subscribed").await;
        program
    }

    /// Reads the log up to a line with this text.
    pub(crate) async fn until(&mut self, text: &str) -> String {
        let search = async {
            loop {
                let line = self
                    .log
                    .next_line()
                    .await
                    .expect("a log")
                    .unwrap_or_else(|| panic!("no line has {text:?}"));
                if line.contains(text) {
                    return line;
                }
            }
        };
        tokio::time::timeout(SOON, search)
            .await
            .unwrap_or_else(|_| panic!("no line with {text:?} came in time"))
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().expect("it runs").to_string();
        let sent = std::process::Command::new("kill")
            .args(["-s", name, &id])
            .status()
            .expect("kill runs");
        assert!(sent.success());
    }

    pub(crate) async fn ended(&mut self) -> ExitStatus {
        tokio::time::timeout(SOON, self.child.wait())
            .await
            .expect("it ends in time")
            .expect("a status")
    }
}

pub(crate) async fn upload_begins(rig: &Rig, count: u64) {
    let mut look = tokio::time::interval(Duration::from_millis(5));
    let begun = async {
        while rig.standin.stats().uploads < count {
            look.tick().await;
        }
    };
    tokio::time::timeout(SOON, begun)
        .await
        .expect("the upload begins");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_killed_in_mid_upload_loses_nothing_and_its_successor_waits_for_what_it_left() {
    let Some(rig) = Rig::make("kill9").await else {
        return;
    };
    rig.standin.set_faults(|faults| faults.ms_per_flow = 400.0);
    let url = rig.vhost.url();
    let victim = Program::subscribed(&rig, &url, "victim").await;
    let first = rig
        .publish("p", (1..=5).map(|n| flow(&format!("f{n}"), "x")).collect())
        .await;
    upload_begins(&rig, 1).await;
    let second = rig.publish("p", vec![flow("f1", "newer"), flow("f6", "x")]).await;
    victim.signal("KILL");
    let _heir = Program::subscribed(&rig, &url, "heir").await;
    let (one, two) = (rig.settled(first).await, rig.settled(second).await);
    assert_eq!((one.done(), two.done()), (5, 2));
    assert_eq!(one.count(Outcome::Dead) + two.count(Outcome::Dead), 0);
    assert_eq!(rig.flows("p").await.len(), 6);
    assert_eq!(rig.standin.stats().uploads_overlapped, 0);
    for shard in 0..SHARDS {
        assert_eq!(rig.waiting(&shard_queue(shard)).await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_connection_costs_nothing_but_a_moment() {
    let Some(rig) = Rig::make("cut").await else { return };
    let (url, wire) = rig.vhost.cuttable_url().await;
    let mut program = Program::subscribed(&rig, &url, "one").await;
    for n in 0..3 {
        let before = rig.publish("p", vec![flow(&format!("f{n}"), "x")]).await;
        wire.cut();
        program.until("subscribed").await;
        assert_eq!(rig.settled(before).await.done(), 1);
    }
    assert_eq!(rig.flows("p").await.len(), 3);
    program.signal("TERM");
    assert_eq!(program.ended().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_twice_leaves_at_once_and_nothing_is_lost() {
    let Some(rig) = Rig::make("twice").await else {
        return;
    };
    rig.standin.set_faults(|faults| faults.ms_per_flow = 1_000.0);
    let url = rig.vhost.url();
    let mut program = Program::subscribed(&rig, &url, "one").await;
    let run = rig
        .publish("p", (1..=4).map(|n| flow(&format!("f{n}"), "x")).collect())
        .await;
    upload_begins(&rig, 1).await;
    program.signal("TERM");
    program.until("leaving").await;
    program.signal("TERM");
    assert_eq!(program.ended().await.code(), Some(75));
    let _next = Program::subscribed(&rig, &url, "one").await;
    assert_eq!(rig.settled(run).await.done(), 4);
    assert_eq!(rig.flows("p").await.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_lives_already_and_another_azkaban_end_the_program_with_a_sentence() {
    let Some(rig) = Rig::make("refused").await else {
        return;
    };
    let url = rig.vhost.url();
    let _one = Program::subscribed(&rig, &url, "one").await;
    let mut twin = Program::start(&rig, &url, "one");
    twin.until("is held by another live consumer").await;
    assert_eq!(twin.ended().await.code(), Some(78));
    let other = azkaban_standin::Standin::start(azkaban_standin::Options::default())
        .await
        .unwrap();
    let elsewhere = Rig {
        standin: other,
        ..rig
    };
    let mut stranger = Program::start(&elsewhere, &url, "two");
    stranger.until("one vhost serves one Azkaban").await;
    assert_eq!(stranger.ended().await.code(), Some(78));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_ends_the_program_before_it_takes_anything() {
    let Some(rig) = Rig::make("password").await else {
        return;
    };
    let run = rig.publish("p", vec![flow("a", "x")]).await;
    let mut stranger = Program::start_with(&rig, &rig.vhost.url(), "one", "wrong");
    let line = stranger.until("azkaban").await;
    assert!(!line.contains("wrong"), "{line}");
    assert_eq!(stranger.ended().await.code(), Some(77));
    let _next = Program::subscribed(&rig, &rig.vhost.url(), "one").await;
    assert_eq!(rig.settled(run).await.count(Outcome::Applied), 1);
}

/// Where on the road a consumer is killed: the call of Azkaban's that it never hears an answer of, in a first run into a
/// new project.
const STEPS: [(&str, &str); 6] = [
    ("before the upload", "create"),
    ("with the body sent", "upload"),
    ("in doubt, after the commit", "fetchProjectLogs"),
    ("before it is verified", "fetchprojectflows"),
    ("before the schedule is set", "scheduleCronFlow"),
    ("before the schedule is read back", "fetchSchedules"),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_killed_at_any_step_of_the_road_leaves_nothing_undone() {
    let Some(rig) = Rig::make("steps").await else {
        return;
    };
    let url = rig.vhost.url();
    for (at, (step, call)) in STEPS.into_iter().enumerate() {
        let project = format!("step{at}");
        let mut victim = Program::subscribed(&rig, &url, &format!("victim-{at}")).await;
        rig.standin.set_faults(|faults| {
            call.clone_into(&mut faults.stops_at);
            faults.drop_after_commit = u32::from(call == "fetchProjectLogs");
        });
        let daily = Schedule::Set("0 0 3 ? * *".into());
        let run = rig
            .publish(&project, vec![flow_with("a", "x", daily), flow("b", "x")])
            .await;
        tokio::time::timeout(SOON, rig.standin.until_one_stands())
            .await
            .unwrap_or_else(|_| panic!("{step}: {call} is not asked"));
        victim.signal("KILL");
        victim.ended().await;
        rig.standin.set_faults(|faults| {
            faults.stops_at.clear();
            faults.drop_after_commit = 0;
        });
        let heir = Program::subscribed(&rig, &url, &format!("heir-{at}")).await;
        let state = rig.settled(run).await;
        assert_eq!((state.done(), state.count(Outcome::Dead)), (2, 0), "{step}");
        assert_eq!(rig.flows(&project).await, ["a", "b"], "{step}");
        let schedules = rig.client.schedules().await.unwrap();
        let here = schedules.iter().filter(|one| one.project == project);
        assert_eq!(here.map(|one| &one.flow).collect::<Vec<_>>(), ["a"], "{step}");
        drop(heir);
    }
    assert_eq!(rig.standin.stats().uploads_overlapped, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_killed_when_the_outcome_is_told_tells_it_once() {
    let Some(rig) = Rig::make("told").await else {
        return;
    };
    let url = rig.vhost.url();
    let victim = Program::subscribed(&rig, &url, "victim").await;
    let run = rig.publish("p", vec![flow("a", "x"), flow("b", "x")]).await;
    rig.settled(run).await;
    // its acknowledgement may be on the way or not
    victim.signal("KILL");
    let _heir = Program::subscribed(&rig, &url, "heir").await;
    let after = rig.publish("p", vec![flow("c", "x")]).await;
    assert_eq!(rig.settled(after).await.done(), 1);
    let state = rig.settled(run).await;
    assert_eq!((state.done(), state.count(Outcome::Applied)), (2, 2));
    assert_eq!(rig.flows("p").await, ["a", "b", "c"]);
    assert_eq!(rig.standin.stats().uploads, 2, "what came again needed no upload");
}
