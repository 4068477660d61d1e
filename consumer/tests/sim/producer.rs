//! Model producers: runs with ranks drawn as production draws them, clocks hours apart, confirms that get lost.

use std::collections::BTreeMap;
use std::rc::Rc;

use flowlift_azkaban::{Flow, FlowName, Format, Job, ProjectName};
use flowlift_common::change::Content;
use flowlift_common::envelope::{Rules, VERSION};
use flowlift_common::ledger::RunEvent;
use flowlift_common::order::next_rank;
use flowlift_common::topology::shard_of;
use flowlift_common::{Act, Body, Change, Envelope, Pattern, RunId, Schedule, Unit, Upsert};

use crate::azkaban::calls::BAD_CRON;
use crate::azkaban::content::{POISON, Poison};
use crate::clock::Ms;
use crate::node::session::as_u16;
use crate::world::{W, tell};

/// The schedules that are asked for.
pub(crate) const CRONS: [&str; 3] = ["0 0 1 ? * *", "0 0 2 ? * *", "0 30 3 ? * *"];

/// The name of a project.
pub(crate) fn project(number: usize) -> ProjectName {
    ProjectName::new(format!("p{number}")).expect("a good name")
}

/// One publishing, from opening to closing.
pub(crate) async fn run(w: W, number: usize) {
    let run = RunId(w.uuid());
    // clocks are up to six hours off
    let clock = 100_000_000 + w.between(0, 43_200_000);
    let owner = ["", "team-a", "team-b"][usize::try_from(w.between(1, w.weather.owners as u64)).unwrap_or(1)
        * usize::from(w.weather.owners > 1 || number % 2 == 1)];
    w.broker.borrow_mut().runs.push(RunEvent::Opening { run });
    let last = w.broker.borrow().last_rank();
    w.clock.sleep(w.latency()).await;
    let mut rank = next_rank(clock + w.now(), last);
    let opened = RunEvent::Opened {
        run,
        rank,
        who: "somebody".into(),
        source: "changes".into(),
        owner: owner.to_owned(),
        at_ms: clock + w.now(),
    };
    w.broker.borrow_mut().runs.push(opened);
    tell!(w, "run {}: opens with rank {rank}, owner {owner:?}", short(run));
    let mut seq = 0;
    let mut confirmed: BTreeMap<ProjectName, u64> = BTreeMap::new();
    let messages = w.skewed(1, 8);
    let mut renewed = w.now();
    for _ in 0..messages {
        if w.now() - renewed > 10_000 {
            let last = w.broker.borrow().last_rank();
            rank = next_rank(clock + w.now(), last).max(rank + 1);
            renewed = w.now();
            w.broker.borrow_mut().runs.push(RunEvent::Renewed { run, rank });
        }
        let project = project(w.index(w.weather.projects));
        let count = w.skewed(1, 6);
        let changes: Vec<Change> = (0..count)
            .map(|_| {
                seq += 1;
                Change { seq, act: act(&w) }
            })
            .collect();
        let envelope = Rc::new(Envelope {
            v: VERSION,
            project: project.clone(),
            run,
            rank,
            owner: owner.to_owned(),
            published_ms: clock + w.now(),
            rules: Rules {
                format: format(&w),
                ..Rules::default()
            },
            changes,
            deadline_ms: None,
        });
        if !publish(&w, &envelope).await {
            tell!(w, "run {}: its producer dies", short(run));
            return;
        }
        *confirmed.entry(project).or_default() += count;
        let pause = w.skewed(1, 20_000);
        w.clock.sleep(pause).await;
    }
    tell!(w, "run {}: closes", short(run));
    w.broker.borrow_mut().runs.push(RunEvent::Closed {
        run,
        rank,
        projects: confirmed,
        partial: false,
        at_ms: clock + w.now(),
    });
}

/// Has a project checked.
pub(crate) fn check(w: &W, number: usize) {
    let project = project(number);
    let shard = usize::from(shard_of(&project, as_u16(w.weather.shards)));
    let check = Envelope::check(project, RunId(w.uuid()), 0);
    tell!(w, "project {} is checked", check.project);
    w.publish(shard, Rc::new(check));
}

/// Publishes until it is confirmed; `false`: the producer died.
pub(crate) async fn publish(w: &W, envelope: &Rc<Envelope>) -> bool {
    let shard = usize::from(shard_of(&envelope.project, as_u16(w.weather.shards)));
    loop {
        if w.strikes(w.weather.producer_death) {
            return false;
        }
        w.clock.sleep(w.latency()).await;
        if w.broker.borrow().up {
            w.truth.borrow_mut().stored(envelope, w.now());
            w.publish(shard, Rc::clone(envelope));
            w.clock.sleep(w.latency()).await;
            if !w.strikes(w.weather.lost_confirm) {
                return true;
            }
            tell!(
                w,
                "run {}: a confirm is lost, it publishes again",
                short(envelope.run)
            );
        }
        let pause: Ms = w.between(100, 3_000);
        w.clock.sleep(pause).await;
    }
}

fn short(run: RunId) -> String {
    run.0.simple().to_string()[..4].to_owned()
}

fn format(w: &W) -> Format {
    if w.weather.flow2 { Format::V2 } else { Format::V1 }
}

fn act(w: &W) -> Act {
    let what = w.between(0, 99);
    match what {
        0..=61 => Act::Upsert(Upsert {
            body: Body::Flow(flow(w)),
            schedule: schedule(w),
        }),
        62..=71 if !w.weather.flow2 => Act::Upsert(Upsert {
            body: Body::Unit(unit(w)),
            schedule: schedule(w),
        }),
        62..=84 => Act::Delete { flow: name(w) },
        85..=90 => Act::DeleteMatching(Pattern {
            glob: (*w.pick(&["*", "f[12]", "F?", "g*"])).to_owned(),
            except: if w.between(0, 1) == 0 {
                vec![]
            } else {
                vec![name(w)]
            },
        }),
        91..=96 => Act::PutFile {
            path: script(w),
            content: Content(format!("echo {}", w.between(1, 3)).into()),
        },
        _ => Act::DeleteFile { path: script(w) },
    }
}

fn script(w: &W) -> String {
    format!("lib/s{}.sh", w.between(1, 2))
}

fn name(w: &W) -> FlowName {
    let number = w.between(1, w.weather.flows as u64);
    FlowName::new(format!("f{number}")).expect("a good name")
}

fn flow(w: &W) -> Flow {
    let mut props: BTreeMap<String, String> = BTreeMap::new();
    // few contents, so that the same one comes again and again
    props.insert("command".into(), format!("echo {}", w.between(1, 4)));
    if w.strikes(w.weather.poison) {
        let kind = *w.pick(&[Poison::Named, Poison::Mute, Poison::Storing]);
        props.insert(POISON.into(), kind.word().into());
    }
    let end = Job {
        name: "end".into(),
        kind: "command".into(),
        props,
        depends_on: vec![],
    };
    let mut jobs = vec![end];
    if w.between(0, 3) == 0 {
        let first = Job {
            name: "start".into(),
            kind: "noop".into(),
            props: BTreeMap::new(),
            depends_on: vec![],
        };
        jobs[0].depends_on = vec!["start".into()];
        jobs.insert(0, first);
    }
    Flow {
        name: name(w),
        jobs,
        props: BTreeMap::new(),
    }
}

/// Two flows that share a job file.
fn unit(w: &W) -> Unit {
    let content = |text: String| Content(text.into());
    let end = |number: u64| format!("type=command\ndependencies=gshared\ncommand=echo {number}\n");
    let files = BTreeMap::from([
        ("ga.job".to_owned(), content(end(w.between(1, 2)))),
        ("gb.job".to_owned(), content(end(w.between(1, 2)))),
        (
            "gshared.job".to_owned(),
            content(format!("type=command\ncommand=echo {}\n", w.between(1, 3))),
        ),
    ]);
    Unit {
        format: Format::V1,
        flows: ["ga", "gb"]
            .map(|name| FlowName::new(name).expect("a good name"))
            .into(),
        files,
    }
}

fn schedule(w: &W) -> Schedule {
    if w.strikes(w.weather.poison / 2) {
        return Schedule::Set(BAD_CRON.into());
    }
    match w.between(0, 9) {
        0..=4 => Schedule::Keep,
        5..=8 => Schedule::Set((*w.pick(&CRONS)).to_owned()),
        _ => Schedule::Remove,
    }
}
