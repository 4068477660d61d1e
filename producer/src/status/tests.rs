use flowlift_azkaban::ProjectName;
use flowlift_common::order::RunId;
use flowlift_common::state::{ConsumerState, ProjectState, Rate, Step};
use flowlift_common::steer::{SteerEvent, Steering};
use flowlift_common::topology::Record;
use jiff::tz::TimeZone;

use super::gather::{Depths, ShardDepth};
use super::unsettled::{RunLeft, Unsettled};
use super::*;
use crate::runs::State;

fn consumer(name: &str, changes: u64, step: Step) -> ConsumerState {
    ConsumerState {
        name: name.into(),
        version: "1".into(),
        since_ms: 0,
        at_ms: None,
        shards: if name.ends_with('1') { vec![0] } else { vec![1] },
        messages: 3,
        changes: 300,
        oldest_ms: 4_000,
        deadline_ms: None,
        projects: vec![ProjectState {
            project: ProjectName::new(format!("a_project_with_a_rather_long_name_{name}")).unwrap(),
            shard: 0,
            messages: 3,
            step,
            for_ms: 2_500,
            flows: 10_000,
            zip_bytes: 2_000_000,
        }],
        more_projects: 0,
        breaker_open: false,
        permits_held: 1,
        permits_waiting: 2,
        lately: Rate {
            seconds: 60.0,
            changes,
            messages: 60,
            uploads: 6,
        },
    }
}

fn now(consumers: Vec<ConsumerState>, waiting: u64) -> Now {
    let shard = |shard, waiting| ShardDepth {
        shard,
        waiting,
        parked: 0,
        consumed: !consumers.is_empty(),
    };
    Now {
        broker: "rabbit:5672/".into(),
        record: Record {
            id: uuid::Uuid::nil(),
            shards: 2,
            wire: 1,
            prefetch: 64,
            azkaban: Some("http://azkaban:8081".into()),
            permits: Some(8),
        },
        steering: Steering::default(),
        depths: Depths {
            shards: vec![shard(0, waiting), shard(1, 0)],
            dead: 0,
        },
        consumers,
        unsettled: Unsettled::default(),
        at_ms: 1_764_000_000_000,
    }
}

#[test]
fn what_is_left_is_reckoned_from_what_was_settled_lately() {
    let two = vec![
        consumer("c-1", 6_000, Step::Uploading),
        consumer("c-2", 3_000, Step::Fenced),
    ];
    let now = now(two, 114);
    let (changes, messages, uploads) = now.rates();
    assert!((changes - 150.0).abs() < 1e-9 && (messages - 2.0).abs() < 1e-9 && (uploads - 0.2).abs() < 1e-9);
    assert_eq!(
        now.left(),
        Some(Duration::from_secs(60)),
        "114 wait, 6 are in hand"
    );
    let text = words(&now, &TimeZone::UTC);
    for line in [
        "RabbitMQ      rabbit:5672/: 2 consumers, 2 shards\n",
        "Azkaban       http://azkaban:8081\n",
        "backlog       114 messages wait, 6 in hand (600 changes), the oldest for 4.0 s\n",
        "rate          150.0 changes/s, 12.0 uploads/min\n",
        "done          in about 1 min 0 s (at 2025-11-24 16:01) at this rate\n",
        "dead letters  none\n",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert!(text.contains("0      114      0       c-1"), "{text}");
}

#[test]
fn a_deadline_in_danger_is_said() {
    let due = |ms: u64| {
        let mut state = consumer("c-1", 6_000, Step::Uploading);
        state.deadline_ms = Some(ms);
        words(&now(vec![state], 117), &TimeZone::UTC)
    };
    let begin = 1_764_000_000_000;
    assert!(
        due(begin + 180_000)
            .contains("deadline      2025-11-24 16:03: in time, 1 min 0 s to spare at this rate\n")
    );
    assert!(
        due(begin + 60_000)
            .contains("deadline      2025-11-24 16:01: in danger, 1 min 0 s too late at this rate\n")
    );
    assert!(due(begin - 1).contains("deadline      2025-11-24 15:59: missed, and not all is done\n"));
}

#[test]
fn what_is_left_is_told_by_run_and_by_project() {
    let mut now = now(vec![consumer("c-1", 6_000, Step::Uploading)], 117);
    now.unsettled = Unsettled {
        runs: vec![
            RunLeft {
                run: RunId(uuid::Uuid::from_u128(7)),
                state: State::Closed,
                total: Some(2_000),
                done: 500,
                deadline_ms: Some(1_764_000_060_000),
            },
            RunLeft {
                run: RunId(uuid::Uuid::from_u128(8)),
                state: State::Open,
                total: None,
                done: 20,
                deadline_ms: None,
            },
        ],
        projects: (0..12)
            .map(|n| (ProjectName::new(format!("p{n}")).unwrap(), 200 - n))
            .collect(),
    };
    let text = words(&now, &TimeZone::UTC);
    let has = |line: &str| assert!(text.contains(line), "{line}\n{text}");
    has("left          2,334 changes in 12 projects, 2 runs\n");
    has("closed  500   1,500  2025-11-24 16:01\n");
    has("open    20    -      -\n");
    has("p0       200\n");
    has("and 2 projects more\n");
    assert!(!text.contains("p11"), "{text}");
    let told = json(&now);
    assert_eq!(
        told["backlog"]["projects"][0],
        serde_json::json!({"project": "p0", "changes": 200})
    );
    assert_eq!(told["runs"][0]["left"], 1_500);
    assert_eq!(told["runs"][1]["left"], serde_json::Value::Null);
}

#[test]
fn why_nothing_moves_is_said() {
    let nobody = now(vec![], 5);
    assert!(words(&nobody, &TimeZone::UTC).contains("done          never: nobody consumes"));
    let mut paused = now(vec![consumer("c-1", 0, Step::Held)], 5);
    paused.consumers[0].lately = Rate::default();
    paused.steering.take(SteerEvent::Paused {
        project: None,
        who: "me@here".into(),
        at_ms: 1_764_000_000_000,
    });
    let text = words(&paused, &TimeZone::UTC);
    assert!(
        text.contains("paused        everything, since 2025-11-24 16:00 by me@here\n"),
        "{text}"
    );
    assert!(
        text.contains("done          when work goes on (flowlift resume)\n"),
        "{text}"
    );
    assert!(words(&now(vec![], 0), &TimeZone::UTC).contains("done          nothing waits\n"));
}

#[test]
fn a_screen_fits_whatever_terminal_there_is() {
    let many: Vec<ConsumerState> = (1..=30)
        .map(|n| consumer(&format!("consumer-on-a-host-{n}"), n * 100, Step::Uploading))
        .collect();
    let mut history = History::default();
    (0..700).for_each(|n| history.add(f64::from(n % 50)));
    for (width, height) in [(80, 24), (160, 48), (40, 12), (20, 5)] {
        for now in [now(many.clone(), 9), now(vec![], 0)] {
            let look = Look {
                width,
                height,
                colour: false,
            };
            let lines = screen(&now, &history, &TimeZone::UTC, look);
            assert!(lines.len() <= height, "{width}x{height}: {} lines", lines.len());
            let widest = lines.iter().map(|line| line.chars().count()).max().unwrap();
            assert!(
                width < 40 || widest <= width,
                "{width}x{height}: {widest}: {lines:#?}"
            );
            assert!(
                lines.iter().all(|line| !line.contains('\x1b')),
                "no colour was asked for"
            );
        }
    }
}
