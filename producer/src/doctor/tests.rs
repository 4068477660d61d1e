use flowlift_azkaban::client::ServerStatus;
use flowlift_common::amqp::AmqpError;
use flowlift_common::state::{ConsumerState, Rate};
use flowlift_common::steer::{SteerEvent, Steering};
use flowlift_common::topology::Record;

use super::*;
use crate::status::Now;
use crate::status::gather::{Depths, ShardDepth};

const NOW_MS: u64 = 1_764_000_000_000;

fn record() -> Record {
    Record {
        id: uuid::Uuid::nil(),
        shards: 2,
        wire: 1,
        prefetch: 64,
        azkaban: Some("http://azkaban:8081".into()),
        permits: Some(8),
    }
}

fn consumer(name: &str) -> ConsumerState {
    ConsumerState {
        name: name.into(),
        version: env!("CARGO_PKG_VERSION").into(),
        since_ms: 0,
        at_ms: Some(NOW_MS + 300),
        shards: vec![0, 1],
        messages: 0,
        changes: 0,
        oldest_ms: 0,
        deadline_ms: None,
        projects: Vec::new(),
        more_projects: 0,
        breaker_open: false,
        permits_held: 0,
        permits_waiting: 0,
        lately: Rate::default(),
    }
}

fn now(consumers: Vec<ConsumerState>) -> Now {
    let shard = |shard| ShardDepth {
        shard,
        waiting: 0,
        parked: 0,
        consumed: !consumers.is_empty(),
    };
    Now {
        broker: "rabbit:5672/".into(),
        record: record(),
        steering: Steering::default(),
        depths: Depths {
            shards: vec![shard(0), shard(1)],
            dead: 0,
        },
        consumers,
        unsettled: crate::status::unsettled::Unsettled::default(),
        at_ms: NOW_MS,
    }
}

fn told(findings: &[Finding]) -> Vec<(&'static str, Verdict)> {
    findings
        .iter()
        .map(|finding| (finding.what, finding.verdict))
        .collect()
}

#[test]
fn a_healthy_vhost_has_nothing_to_say() {
    let findings = broker::work(&now(vec![consumer("c-1")]));
    assert_eq!(
        told(&findings),
        [
            ("consumers", Verdict::Good),
            ("shards", Verdict::Good),
            ("dead letters", Verdict::Good)
        ]
    );
    assert!(findings.iter().all(|finding| finding.advice.is_none()));
}

#[test]
fn what_is_wrong_with_the_work_is_told_with_what_to_do() {
    assert_eq!(told(&broker::work(&now(vec![])))[0], ("consumers", Verdict::Bad));
    let mut ill = consumer("c-1");
    ill.version = "0.0.1".into();
    ill.at_ms = Some(NOW_MS - 60_000);
    ill.breaker_open = true;
    let mut now = now(vec![ill]);
    now.depths.shards[1].consumed = false;
    now.depths.shards[0].parked = 3;
    now.depths.dead = 2;
    now.steering.take(SteerEvent::Paused {
        project: None,
        who: "me@here".into(),
        at_ms: NOW_MS,
    });
    let findings = broker::work(&now);
    assert_eq!(
        told(&findings),
        [
            ("consumers", Verdict::Good),
            ("versions", Verdict::Hint),
            ("clocks", Verdict::Hint),
            ("shards", Verdict::Bad),
            ("Azkaban", Verdict::Bad),
            ("paused", Verdict::Hint),
            ("dead letters", Verdict::Hint),
            ("parked", Verdict::Hint),
        ]
    );
    let advised = findings.iter().filter(|finding| finding.verdict > Verdict::Good);
    assert!(advised.clone().all(|finding| finding.advice.is_some()));
    assert!(findings[2].seen.contains("c-1 by 1 min 0 s"), "{findings:?}");
}

#[test]
fn the_vhost_and_the_settings_have_to_agree() {
    let verdict = |shards, azkaban| broker::set_up(Some(&record()), shards, azkaban).verdict;
    assert_eq!(verdict(2, None), Verdict::Good);
    assert_eq!(verdict(2, Some("http://azkaban:8081")), Verdict::Good);
    assert_eq!(verdict(256, None), Verdict::Bad);
    assert_eq!(verdict(2, Some("http://production:8081")), Verdict::Bad);
    assert_eq!(broker::set_up(None, 256, None).verdict, Verdict::Hint);
    let away = AmqpError::Unreachable {
        broker: "rabbit:5672/".into(),
        reason: "Connection refused".into(),
    };
    assert!(
        broker::unusable(&away)
            .advice
            .unwrap()
            .contains("flowlift config")
    );
}

#[test]
fn azkaban_is_told_by_its_status_and_its_connections() {
    let status = |database_up, clock_ms| ServerStatus {
        version: "4.0.0".into(),
        pid: "1".into(),
        database_up,
        used_memory: 100 << 20,
        max_memory: 1 << 30,
        clock_ms,
    };
    let well = azkaban::server(&status(true, Some(NOW_MS - 900)), NOW_MS);
    assert_eq!(
        told(&well),
        [("reached", Verdict::Good), ("clock", Verdict::Good)]
    );
    assert_eq!(well[0].seen, "version 4.0.0, 100 of 1024 MiB heap in use");
    let ill = azkaban::server(&status(false, Some(NOW_MS + 3_600_000)), NOW_MS);
    assert_eq!(
        told(&ill),
        [
            ("reached", Verdict::Good),
            ("database", Verdict::Bad),
            ("clock", Verdict::Hint)
        ]
    );
    let permits =
        |permits| azkaban::connections(&Record { permits, ..record() }).map(|finding| finding.verdict);
    assert_eq!(permits(None), None);
    assert_eq!(permits(Some(8)), Some(Verdict::Good));
    assert_eq!(permits(Some(100)), Some(Verdict::Hint));
}

#[test]
fn people_and_programs_read_the_same() {
    let chapters = [Chapter {
        about: "RabbitMQ",
        findings: vec![
            Finding::good("reached", "rabbit:5672/, RabbitMQ 4.0.5"),
            Finding::hint("dead letters", "2 messages", "flowlift dead list"),
        ],
    }];
    assert_eq!(
        words(&chapters),
        "RabbitMQ\n  ok    reached      rabbit:5672/, RabbitMQ 4.0.5\n  hint  dead letters 2 messages\n                     -> flowlift dead list\n"
    );
    assert_eq!(json(&chapters)["healthy"], true);
    assert_eq!(json(&chapters)["findings"][1]["advice"], "flowlift dead list");
    assert_eq!(worst(&chapters), Verdict::Hint);
}

#[test]
fn a_node_of_a_cluster_that_is_away_is_named_while_the_others_work() {
    assert_eq!(broker::nodes(1, &[]), None, "no cluster");
    assert_eq!(broker::nodes(3, &[]).unwrap().verdict, Verdict::Good);
    let away = AmqpError::Unreachable {
        broker: "rabbit-2:5672/".into(),
        reason: "Connection refused (os error 111)".into(),
    };
    let found = broker::nodes(3, &[away]).unwrap();
    assert_eq!(found.verdict, Verdict::Hint);
    assert!(
        found
            .seen
            .starts_with("no answer from 1 of the 3 nodes in the address: ")
            && found.seen.contains("rabbit-2:5672/"),
        "{}",
        found.seen
    );
}
