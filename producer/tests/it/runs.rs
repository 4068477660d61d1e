//! `flowlift runs` on a real RabbitMQ, and what a deadline does.

use flowlift_azkaban::ProjectName;
use flowlift_common::amqp::{OpenRun, Sender};
use flowlift_common::ledger::{
    self, Detail, Outcome, Outcomes, RunEvent, SETTLED_VERSION, Settled, UploadFacts,
};
use flowlift_common::topology::{OUTCOMES, RUNS};
use flowlift_common::{Envelope, RunId};
use serde_json::Value;

use crate::publish::{run_of, words};
use crate::vhost::Vhost;

/// The clock, in ms since 1970.
pub(crate) fn now_ms() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap()
}

/// One result of an upload.
pub(crate) fn settled(run: RunId, project: &str, outcome: Outcome, range: (u64, u64)) -> Settled {
    let at_ms = now_ms();
    Settled {
        v: SETTLED_VERSION,
        project: ProjectName::new(project).unwrap(),
        consumer: "test-1".into(),
        at_ms,
        upload: (outcome == Outcome::Applied).then(|| UploadFacts {
            attempt: format!("{project}-{}.zip", range.0),
            version: 3,
            zip_bytes: 12_345,
            flows: 100,
            upload_ms: 700,
        }),
        created_project: false,
        results: vec![Outcomes {
            run,
            outcome,
            note: (outcome == Outcome::Dead).then(|| "no type <script>alert(1)</script>".into()),
            ranges: vec![range],
            labels: (range.0..=range.1).map(|n| format!("flow_{n:06}")).collect(),
            published_ms: at_ms - 5_000,
            spread: Vec::new(),
        }],
        detail: Detail {
            version: Some("9.9.9".into()),
            waited_ms: Some(100),
            ..Detail::default()
        },
    }
}

impl Vhost {
    /// Writes records as consumers would.
    pub(crate) async fn record(&self, records: &[Settled]) {
        let link = self.link().await;
        let sender = Sender::open(&link).await.unwrap();
        for record in records {
            sender.record(OUTCOMES, &ledger::encode(record)).await.unwrap();
        }
        link.close().await;
    }
}

/// The objects a command printed, one a line.
pub(crate) fn objects(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test]
async fn past_runs_are_listed_the_newest_last_with_their_states() {
    let Some(vhost) = Vhost::new() else { return };
    let person = vhost.person();
    let none = person.calls(&["runs"]);
    assert_eq!((none.code, none.out.as_str()), (0, ""), "{}", none.err);
    let done = run_of(&person.calls(&words(
        "publish --project p --flows 10 --owner me --deadline 23:59:59",
    )));
    let waiting = run_of(&person.calls(&words("publish --project q --flows 5")));
    // a producer that died long ago: opened, never closed
    let link = vhost.link().await;
    let gone = RunId::fresh();
    let opened = |rank| RunEvent::Opened {
        run: gone,
        rank,
        who: "me@gone".into(),
        source: "a folder".into(),
        owner: String::new(),
        at_ms: 1_000,
        deadline_ms: None,
        version: None,
        shards: None,
    };
    // its rank tells the clock it had
    Sender::open(&link)
        .await
        .unwrap()
        .record(RUNS, &ledger::encode(&opened(1_000)))
        .await
        .unwrap();
    link.close().await;
    vhost
        .record(&[
            settled(done, "p", Outcome::Applied, (1, 8)),
            settled(done, "p", Outcome::Dead, (9, 10)),
            settled(done, "p", Outcome::Dead, (9, 10)),
        ])
        .await;

    let said = person.calls(&["runs", "--json"]);
    let runs = objects(&said.out);
    let of = |run: RunId| runs.iter().find(|one| one["run"] == run.to_string()).unwrap();
    assert_eq!(runs.len(), 3, "{}", said.out);
    assert_eq!(
        (
            &of(done)["state"],
            &of(done)["changes"],
            &of(done)["done"],
            &of(done)["dead"]
        ),
        (&"settled".into(), &10.into(), &10.into(), &2.into())
    );
    assert_eq!(
        (&of(done)["owner"], &of(done)["deadline_kept"]),
        (&"me".into(), &true.into())
    );
    assert_eq!(
        (&of(waiting)["state"], &of(waiting)["done"]),
        (&"closed".into(), &0.into())
    );
    assert_eq!(
        (&of(gone)["state"], &of(gone)["changes"]),
        (&"open, producer gone".into(), &Value::Null)
    );

    let table = person.calls(&["runs"]).out;
    let lines: Vec<&str> = table.lines().collect();
    assert!(
        lines[0].starts_with("run") && lines[0].ends_with("deadline"),
        "{table}"
    );
    assert!(
        lines[1].starts_with(&done.to_string()) && lines[1].contains("kept, "),
        "{table}"
    );
    assert!(
        lines[2].starts_with(&waiting.to_string()) && lines[3].contains("open, producer gone"),
        "{table}"
    );

    let newest = objects(
        &person
            .calls(&["runs", "--json", "--limit", "2", "--since", "1h"])
            .out,
    );
    let ids: Vec<&Value> = newest.iter().map(|one| &one["run"]).collect();
    assert_eq!(
        ids,
        [&Value::from(done.to_string()), &waiting.to_string().into()],
        "of the last hour"
    );
}

#[tokio::test]
async fn a_rank_is_drawn_above_all_others_however_often_somebody_looked() {
    let Some(vhost) = Vhost::new() else { return };
    run_of(&vhost.person().calls(&words("publish --project p --flows 1")));
    let link = vhost.link().await;
    let sender = Sender::open(&link).await.unwrap();
    let high = RunEvent::Renewed {
        run: RunId::fresh(),
        rank: u64::MAX / 2,
    };
    sender.record(RUNS, &ledger::encode(&high)).await.unwrap();
    // more marks than are looked at first
    for _ in 0..1_100 {
        sender
            .record(RUNS, &ledger::encode(&RunEvent::Opening { run: RunId::fresh() }))
            .await
            .unwrap();
    }
    let run = RunId::fresh();
    let open = OpenRun::open(&link, run, 5, |rank| RunEvent::Renewed { run, rank })
        .await
        .unwrap();
    assert_eq!(open.rank, u64::MAX / 2 + 1);
    link.close().await;
}

#[tokio::test]
async fn a_deadline_travels_with_the_run_and_each_of_its_messages() {
    let Some(vhost) = Vhost::new() else { return };
    let said = vhost.person().calls(&words(
        "publish --project p --flows 3 --deadline 2099-01-02T07:00:00Z",
    ));
    let run = run_of(&said);
    let events = vhost.events(run).await;
    let RunEvent::Opened {
        deadline_ms,
        version,
        shards,
        ..
    } = &events[1]
    else {
        panic!("{events:?}")
    };
    let wanted = "2099-01-02T07:00:00Z"
        .parse::<jiff::Timestamp>()
        .unwrap()
        .as_millisecond();
    assert_eq!(deadline_ms.map(|ms| i64::try_from(ms).unwrap()), Some(wanted));
    assert_eq!(
        (version.as_deref(), *shards),
        (Some(env!("CARGO_PKG_VERSION")), Some(crate::vhost::SHARDS))
    );
    let messages: Vec<Envelope> = vhost.messages("p", 1).await;
    assert_eq!(
        messages[0].deadline_ms.map(|ms| i64::try_from(ms).unwrap()),
        Some(wanted)
    );

    vhost.record(&[settled(run, "p", Outcome::Applied, (1, 3))]).await;
    let said = vhost.person().calls(&["wait", &run.to_string()]);
    assert!(
        said.out.contains("\ndeadline 2099-01-02 ") && said.out.contains(": kept, "),
        "{} {}",
        said.out,
        said.err
    );
    let json: Value =
        serde_json::from_str(&vhost.person().calls(&["wait", &run.to_string(), "--json"]).out).unwrap();
    assert_eq!(json["deadline"]["kept"], true);
}

#[test]
fn a_deadline_that_is_past_or_none_is_refused_before_any_connection() {
    let person = crate::person::Person::new();
    person.is_refused(
        "publish --project p --flows 1 --deadline 2020-01-01T00:00Z",
        64,
        "--deadline: 2020-01-01 00:00 is past already",
    );
    let said = person.calls(&words("publish --project p --flows 1 --deadline soon"));
    assert_eq!(said.code, 64);
    assert!(
        said.err
            .contains("expected a time such as 07:00, 2026-11-27 07:00 or"),
        "{}",
        said.err
    );
}

#[tokio::test]
async fn what_is_kept_of_outcomes_is_set_with_the_vhost_and_taken_as_it_stands_later() {
    let Some(vhost) = Vhost::new() else { return };
    let person = || vhost.person();
    let first = person().calls(&words("runs --outcomes-age 2D --outcomes-bytes 100MB"));
    assert_eq!(first.code, 0, "{}", first.err);
    let later = person().calls(&["runs"]);
    assert_eq!(later.code, 0, "{}", later.err);
    let other = person().calls(&words("runs --outcomes-age 3D"));
    assert_eq!(other.code, 78, "{}", other.err);
    assert!(
        other
            .err
            .contains("queue flowlift.outcomes stands in this vhost with other arguments"),
        "{}",
        other.err
    );
}
