//! Nights written out by hand, each for one trap.

use std::collections::BTreeMap;
use std::rc::Rc;

use bytes::Bytes;
use flowlift_azkaban::{Flow, FlowName, Job};
use flowlift_common::envelope::{Rules, VERSION};
use flowlift_common::manifest::{self, BaseRef, Manifest, digest};
use flowlift_common::{Act, Body, Change, Envelope, RunId, Schedule, Upsert};
use flowlift_consumer::project::Safeguards;
use uuid::Uuid;

use crate::azkaban::content::Content;
use crate::azkaban::install::{Upload, install};
use crate::clock::{Ms, OUTSIDE, Promise};
use crate::dice::Dice;
use crate::night;
use crate::node::{life, session};
use crate::producer;
use crate::story::Story;
use crate::weather::Weather;
use crate::world::{W, World};

const CRON: &str = "0 0 1 ? * *";

/// A calm world with so many consumers, of which the first is started.
fn world(nodes: usize) -> W {
    let mut dice = Dice::new(7);
    let weather = Weather {
        nodes,
        projects: 1,
        flows: 5,
        shards: 1,
        prefetch: 8,
        tokens: 4,
        owners: 1,
        flow2: false,
        night: 600_000,
        latency: 2,
        install: (200, 200),
        // the last look is taken by the message that people's nights end with
        visits: 1,
        ..Weather::calm(&mut dice)
    };
    let w = World::new(weather, dice, Safeguards::ALL, &Rc::new(Story::new(true)));
    life::start(&w, 0);
    w.clock.run(1_000);
    w
}

fn put(flow: &str, command: &str, schedule: Schedule) -> Act {
    let job = Job {
        name: "end".into(),
        kind: "command".into(),
        props: BTreeMap::from([("command".into(), command.into())]),
        depends_on: vec![],
    };
    let flow = Flow {
        name: FlowName::new(flow).expect("a good name"),
        jobs: vec![job],
        props: BTreeMap::new(),
    };
    Act::Upsert(Upsert {
        body: Body::Flow(flow),
        schedule,
    })
}

/// Publishes one message with this rank.
fn publish(w: &W, rank: u64, acts: Vec<Act>) {
    let changes = acts.into_iter().zip(1..).map(|(act, seq)| Change { seq, act });
    let envelope = Rc::new(Envelope {
        v: VERSION,
        project: producer::project(0),
        run: RunId(Uuid::from_u128(u128::from(rank))),
        rank,
        owner: String::new(),
        published_ms: 0,
        rules: Rules::default(),
        changes: changes.collect(),
        deadline_ms: None,
    });
    w.truth.borrow_mut().stored(&envelope, w.now());
    w.publish(0, envelope);
}

fn pass(w: &W, time: Ms) {
    w.clock.run(w.now() + time);
}

/// Everything must come to its end and be as asked for.
fn ends_well(w: &W) {
    let judged = night::finish(w);
    w.clock.end();
    if let Err(wrong) = judged {
        panic!("{}\n{}", w.story.text(), wrong.join("\n"));
    }
}

fn content(w: &W) -> BTreeMap<String, Bytes> {
    let mut state = w.azkaban.state.borrow_mut();
    let project = state.project("p0").expect("the project is there");
    project
        .content
        .as_ref()
        .map(|content| content.tree.clone())
        .unwrap_or_default()
}

fn has(w: &W, path: &str, words: &str) -> bool {
    let tree = content(w);
    let text = tree
        .get(path)
        .map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    text.is_some_and(|text| text.contains(words))
}

/// Lands a zip on the server, whoever sent it.
fn land(w: &W, who: &str, file: &str, tree: BTreeMap<String, Bytes>) {
    let upload = Upload {
        key: "p0".into(),
        who: who.into(),
        file: file.into(),
        content: Content::of(tree),
    };
    w.clock
        .spawn(OUTSIDE, install(Rc::clone(w), upload, Promise::new(&w.clock)));
    pass(w, 1_000);
}

#[test]
fn a_zombie_that_lands_over_an_acknowledged_upload_is_taken_back() {
    let w = world(1);
    publish(&w, 10, vec![put("f1", "echo old", Schedule::Keep)]);
    pass(&w, 15_000);
    let mut zombie = content(&w);
    publish(
        &w,
        11,
        vec![
            put("f1", "echo new", Schedule::Keep),
            put("f2", "echo 2", Schedule::Keep),
        ],
    );
    pass(&w, 3_000);
    assert!(has(&w, "f1.job", "echo new"));
    // built on version 1 like the upload that was acknowledged, and slower
    let mut manifest = Manifest::read(&zombie.remove(manifest::PATH).unwrap()).unwrap();
    manifest.base = Some(BaseRef {
        version: 1,
        file: manifest.attempt.clone(),
    });
    manifest.generation += 1;
    manifest.attempt = "flowlift-zombie.zip".into();
    zombie.insert("f1.job".into(), "type=command\ncommand=echo zombie\n".into());
    manifest.digest = digest(&zombie);
    zombie.insert(manifest::PATH.into(), manifest.write().into());
    land(&w, "flowlift", "flowlift-zombie.zip", zombie);
    assert!(has(&w, "f1.job", "echo zombie"));
    // nothing else comes: the second look finds it
    pass(&w, 60_000);
    assert!(
        has(&w, "f1.job", "echo new") && has(&w, "f2.job", "echo 2"),
        "{}",
        w.story.text()
    );
    ends_well(&w);
}

#[test]
fn a_stale_zip_without_our_hidden_file_takes_no_flows_away() {
    let w = world(1);
    publish(&w, 10, vec![put("f1", "echo 1", Schedule::Keep)]);
    pass(&w, 15_000);
    let mut stale = content(&w);
    stale.remove(manifest::PATH);
    stale.insert("mine.job".into(), "type=noop\n".into());
    publish(&w, 11, vec![put("f2", "echo 2", Schedule::Set(CRON.into()))]);
    pass(&w, 3_000);
    land(&w, "ann", "project.zip", stale);
    assert!(!has(&w, "f2.job", "echo 2"));
    pass(&w, 60_000);
    assert!(
        has(&w, "f2.job", "echo 2") && has(&w, "mine.job", "noop"),
        "{}",
        w.story.text()
    );
    let state = w
        .azkaban
        .state
        .borrow_mut()
        .project("p0")
        .unwrap()
        .schedules
        .clone();
    assert_eq!(state["f2"].2, CRON, "its schedule went with it and is back");
    w.clock.end();
}

#[test]
fn a_burnt_version_is_not_taken_for_the_project() {
    let w = world(1);
    publish(&w, 10, vec![put("f1", "echo good", Schedule::Keep)]);
    pass(&w, 5_000);
    {
        let mut rejected = content(&w);
        rejected.insert("f1.job".into(), "type=command\ncommand=echo rejected\n".into());
        let mut state = w.azkaban.state.borrow_mut();
        let project = state.project("p0").unwrap();
        // `download` hands this one out from now on
        assert_eq!(
            project.add_version("flowlift-rejected.zip", &Content::of(rejected)),
            2
        );
    }
    publish(&w, 11, vec![put("f2", "echo 2", Schedule::Keep)]);
    ends_well(&w);
    assert!(has(&w, "f1.job", "echo good"));
}

#[test]
fn an_older_change_that_comes_later_undoes_nothing() {
    let w = world(1);
    publish(
        &w,
        20,
        vec![
            put("f1", "echo new", Schedule::Keep),
            Act::Delete {
                flow: FlowName::new("f2").unwrap(),
            },
        ],
    );
    pass(&w, 5_000);
    publish(
        &w,
        10,
        vec![
            put("f1", "echo old", Schedule::Set(CRON.into())),
            put("f2", "echo old", Schedule::Keep),
        ],
    );
    pass(&w, 5_000);
    assert!(has(&w, "f1.job", "echo new"));
    ends_well(&w);
}

#[test]
fn whoever_dies_at_whatever_step_leaves_nothing_undone() {
    for step in [
        "WantPermit",
        "AskOpenAttempts",
        "ReadBase",
        "Plan",
        "Make",
        "Announce",
        "Upload",
        "EndAttempt",
        "List",
        "Schedule",
        "Settle",
    ] {
        let w = world(2);
        *w.ambush.borrow_mut() = Some(step);
        publish(&w, 10, vec![put("f1", "echo 1", Schedule::Set(CRON.into()))]);
        pass(&w, 5_000);
        assert!(w.ambush.borrow().is_none(), "nobody came to {step}");
        publish(&w, 11, vec![put("f2", "echo 2", Schedule::Set(CRON.into()))]);
        ends_well(&w);
        assert!(has(&w, "f1.job", "echo 1") && has(&w, "f2.job", "echo 2"));
    }
}

#[test]
fn a_holder_that_freezes_before_its_upload_and_wakes_later_undoes_nothing() {
    let w = world(2);
    publish(&w, 10, vec![put("f1", "echo 1", Schedule::Keep)]);
    pass(&w, 5_000);
    life::start(&w, 1);
    pass(&w, 2_000);
    publish(&w, 11, vec![put("f1", "echo 2", Schedule::Keep)]);
    // in the middle of its work, for longer than the broker's patience
    pass(&w, 180);
    for node in 0..2 {
        let holds = w.nodes[node]
            .session
            .borrow()
            .as_ref()
            .is_some_and(|session| !session.floor.is_idle());
        if holds {
            let world = Rc::clone(&w);
            w.clock
                .spawn(OUTSIDE, async move { life::freeze(&world, node, 200_000).await });
        }
    }
    pass(&w, 100_000);
    publish(&w, 12, vec![put("f1", "echo 3", Schedule::Keep)]);
    ends_well(&w);
    assert!(has(&w, "f1.job", "echo 3"));
}

#[test]
fn a_consumer_that_leaves_in_the_middle_of_an_upload_finishes_it() {
    let w = world(1);
    publish(&w, 10, vec![put("f1", "echo 1", Schedule::Keep)]);
    pass(&w, 700);
    session::leave(&w, 0);
    pass(&w, 20_000);
    assert!(has(&w, "f1.job", "echo 1"), "{}", w.story.text());
    assert!(
        w.broker.borrow().is_drained(),
        "and it was acknowledged: {}",
        w.story.text()
    );
    ends_well(&w);
}
