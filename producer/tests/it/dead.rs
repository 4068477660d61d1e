//! `flowlift dead` on a real RabbitMQ; the tests say so and pass where there is none (`dev/broker run -- cargo test`).

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use flowlift_azkaban::{FlowName, ProjectName};
use flowlift_common::amqp::{Headers, Sender, declare, lock, properties};
use flowlift_common::envelope::{Rules, VERSION};
use flowlift_common::ledger::{self, DeadLetter, Outcome, REASON_HEADER, RunEvent, SETTLED_VERSION};
use flowlift_common::topology::{DEAD, DEAD_READER, Retention};
use flowlift_common::{Act, Change, Envelope, RunId};
use lapin::types::{AMQPValue, FieldTable};
use serde_json::Value;

use crate::patience::ended;
use crate::person::Person;
use crate::publish::{run_of, words};
use crate::vhost::{SHARDS, Vhost};

const RUN: &str = "019e0a5c-7c30-7d10-a3c5-2f6f0c6bfa0d";

pub(crate) fn run() -> RunId {
    RUN.parse().unwrap()
}

/// A letter with deletions of `flow_000001`, ... of project `p`.
pub(crate) fn letter(run: RunId, rank: u64, seqs: impl IntoIterator<Item = u64>) -> DeadLetter {
    let change = |seq: u64| Change {
        seq,
        act: Act::Delete {
            flow: FlowName::new(format!("flow_{seq:06}")).unwrap(),
        },
    };
    let changes: Vec<Change> = seqs.into_iter().map(change).collect();
    DeadLetter {
        parts: None,
        v: SETTLED_VERSION,
        consumer: "c-1".into(),
        at_ms: 1_764_000_000_000,
        reasons: changes
            .iter()
            .map(|change| (change.seq, format!("job a of {} has No Type", change.label())))
            .collect(),
        envelope: Envelope {
            v: VERSION,
            project: ProjectName::new("p").unwrap(),
            run,
            rank,
            owner: "team".into(),
            published_ms: 1_763_999_000_000,
            rules: Rules::default(),
            changes,
            deadline_ms: Some(1_764_000_000_000),
        },
    }
}

impl Vhost {
    /// Puts letters where consumers put them.
    pub(crate) async fn buries(&self, letters: &[DeadLetter]) {
        let link = self.link().await;
        declare(&link, SHARDS, &Retention::default()).await.unwrap();
        let sender = Sender::open(&link).await.unwrap();
        let bodies: Vec<Vec<u8>> = letters.iter().map(ledger::encode).collect();
        let sent = bodies.iter().zip(letters).map(|(body, letter)| {
            let (first, last) = letter.envelope.span();
            let headers = Headers::of(&letter.envelope, first, last);
            sender.send(DEAD, body, properties(&headers))
        });
        futures_util::future::try_join_all(sent).await.unwrap();
        link.close().await;
    }

    /// A body that nobody can read.
    async fn buries_junk(&self, body: &[u8], reason: &str) {
        let link = self.link().await;
        declare(&link, SHARDS, &Retention::default()).await.unwrap();
        let mut table = FieldTable::default();
        table.insert(REASON_HEADER.into(), AMQPValue::LongString(reason.into()));
        table.insert("flowlift-project".into(), AMQPValue::LongString("p".into()));
        let properties = properties(&Headers::default()).with_headers(table);
        let sender = Sender::open(&link).await.unwrap();
        sender.send(DEAD, body, properties).await.unwrap();
        link.close().await;
    }

    /// A person in Greenwich.
    pub(crate) fn somebody(&self) -> Person {
        self.person().with("TZ", "UTC")
    }

    /// The ids that are there.
    pub(crate) fn ids(&self) -> Vec<String> {
        let said = self.somebody().calls(&words("dead list --json --quiet"));
        assert_eq!(said.code, 0, "{}", said.err);
        let lines = said.out.lines().map(|line| serde_json::from_str(line).unwrap());
        lines
            .map(|line: Value| line["id"].as_str().unwrap().to_owned())
            .collect()
    }
}

#[test]
fn nothing_there_is_a_sentence_and_no_failure() {
    let Some(vhost) = Vhost::new() else { return };
    let person = vhost.somebody();
    for (args, sentence) in [
        ("dead list", "there are no dead letters\n"),
        (
            "dead list --project p",
            "there are no dead letters in project p\n",
        ),
        ("dead requeue --all --yes", "there are no dead letters\n"),
        (
            "dead purge --reason x --yes",
            "there are no dead letters with \"x\" in the reason\n",
        ),
    ] {
        let said = person.calls(&words(args));
        assert!(said.err.ends_with(sentence), "{args}: {}", said.err);
        assert_eq!(said.code, 0, "{args}: {}", said.err);
    }
    person.is_refused(
        "dead show 0c6bfa0d.17 --quiet",
        66,
        "there is no dead letter 0c6bfa0d.17; `flowlift dead list` shows those that are there",
    );
}

#[tokio::test]
async fn a_list_shows_each_change_once_and_takes_nothing_away() {
    let Some(vhost) = Vhost::new() else { return };
    vhost
        .buries(&[
            letter(run(), 5, [1, 2]),
            letter(run(), 5, [2]),
            letter(run(), 5, [3]),
        ])
        .await;
    vhost.buries_junk(b"junk", "unreadable message: not gzip").await;
    let person = vhost.somebody();
    let wanted = "\
id                 died              project  what                     reason
0c6bfa0d.1         2025-11-24 16:00  p        deletion of flow_000001  job a of flow_000001 has No Type
0c6bfa0d.2         2025-11-24 16:00  p        deletion of flow_000002  job a of flow_000002 has No Type
0c6bfa0d.3         2025-11-24 16:00  p        deletion of flow_000003  job a of flow_000003 has No Type
";
    for _ in 0..2 {
        let said = person.calls(&words("dead list"));
        assert_eq!(said.code, 0, "{}", said.err);
        let (changes, junk) = said.out.split_at(wanted.len());
        assert_eq!(changes, wanted);
        assert!(
            junk.starts_with('x')
                && junk.ends_with("p        unreadable               unreadable message: not gzip\n"),
            "{junk}"
        );
        assert!(
            said.err.ends_with("3 dead letters; 1 message cannot be read\n"),
            "{}",
            said.err
        );
    }
    for (filter, ids) in [
        ("--reason 000002", vec!["0c6bfa0d.2"]),
        ("--reason nothing", vec![]),
        ("--run 0c6bfa0d --reason 3", vec!["0c6bfa0d.3"]),
        ("--older-than 9999w --run 0c6bfa0d", vec![]),
        ("--newer-than 1s", vec![]),
        ("--project q", vec![]),
    ] {
        let said = person.calls(&words(&format!("dead list --json --quiet {filter}")));
        let found: Vec<String> = said
            .out
            .lines()
            .map(|line| {
                let line: Value = serde_json::from_str(line).unwrap();
                line["id"].as_str().unwrap().to_owned()
            })
            .collect();
        assert_eq!(
            (said.code, found),
            (0, ids.into_iter().map(str::to_owned).collect()),
            "{filter}"
        );
    }
}

#[tokio::test]
async fn many_letters_are_all_there_in_the_same_order_each_time() {
    let Some(vhost) = Vhost::new() else { return };
    for count in [1_100, 6_300] {
        same_order(&vhost, count).await;
    }
}

/// On one channel, and on two.
async fn same_order(vhost: &Vhost, count: u64) {
    assert_eq!(vhost.somebody().calls(&words("dead purge --all --yes")).code, 0);
    let letters: Vec<DeadLetter> = (1..=count).map(|seq| letter(run(), 5, [seq])).collect();
    vhost.buries(&letters).await;
    let first = vhost.ids();
    assert_eq!(first.len() as u64, count);
    assert_eq!(vhost.somebody().calls(&words("dead show 0c6bfa0d.7")).code, 0);
    for _ in 0..3 {
        let again = vhost.ids();
        let moved: Vec<_> = first
            .iter()
            .zip(&again)
            .filter(|(one, other)| one != other)
            .collect();
        assert_eq!(again.len() as u64, count);
        assert!(
            moved.is_empty(),
            "{} moved: {:?}",
            moved.len(),
            &moved[..3.min(moved.len())]
        );
    }
}

#[tokio::test]
async fn a_letter_is_shown_in_full() {
    let Some(vhost) = Vhost::new() else { return };
    vhost.buries(&[letter(run(), 5, [17])]).await;
    let said = vhost.somebody().calls(&words("dead show 0c6bfa0d.17"));
    let wanted = format!(
        "dead letter  0c6bfa0d.17\nproject      p\nwhat         deletion of flow_000017\nowner        team\nrun          {RUN}\n\
         place in it  17, rank 5\npublished    2025-11-24 15:43:20 UTC\ndied         2025-11-24 16:00:00 UTC, given up by c-1\n\n\
         reason:\n  job a of flow_000017 has No Type\n\nchange:\n  {{\n    \"project\": \"p\",\n    \"flow\": \"flow_000017\",\n    \"delete\": true\n  }}\n"
    );
    assert_eq!((said.code, said.out), (0, wanted), "{}", said.err);
    let said = vhost.somebody().calls(&words("dead show 0c6bfa0d.17 --json"));
    let json: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(
        (&json["rank"], &json["change"]["op"]),
        (&5.into(), &"delete".into())
    );
}

#[tokio::test]
async fn an_id_that_may_mean_two_changes_is_refused_and_the_full_one_is_not() {
    let Some(vhost) = Vhost::new() else { return };
    let twin = "019e0a5c-7c30-7d10-a3c5-000000000000".parse::<RunId>().unwrap();
    let twin = RunId(uuid_with_end(twin));
    vhost.buries(&[letter(run(), 5, [1]), letter(twin, 6, [1])]).await;
    vhost.somebody().is_refused(
        "dead purge 0c6bfa0d.1 --yes --quiet",
        64,
        &format!("0c6bfa0d.1 may mean {twin}.1 or {RUN}.1; name one of them in full"),
    );
    let said = vhost
        .somebody()
        .calls(&["dead", "purge", &format!("{RUN}.1"), "--yes"]);
    assert_eq!((said.code, said.out.as_str()), (0, "1\n"), "{}", said.err);
    assert_eq!(vhost.ids(), ["0c6bfa0d.1"]);
}

/// The same last eight digits as [`RUN`].
fn uuid_with_end(run: RunId) -> uuid::Uuid {
    uuid::Uuid::from_u128(run.0.as_u128() | 0x0c6b_fa0d)
}

#[tokio::test]
async fn purging_asks_and_keeps_the_rest_of_a_letter() {
    let Some(vhost) = Vhost::new() else { return };
    vhost
        .buries(&[letter(run(), 5, 1..=4), letter(run(), 5, [2])])
        .await;
    vhost.buries_junk(b"junk", "not gzip").await;
    let person = vhost.somebody();
    person.is_refused(
        "dead purge --project p --quiet",
        64,
        "Delete 5 dead letters in project p for good? Without a terminal this needs --yes",
    );
    assert_eq!(vhost.ids().len(), 5, "a question alone deletes nothing");
    let said = person.calls(&words("dead purge 0c6bfa0d.2 0c6bfa0d.4 --yes"));
    assert_eq!((said.code, said.out.as_str()), (0, "2\n"), "{}", said.err);
    assert!(said.err.ends_with("purged 2 dead letters\n"), "{}", said.err);
    let left = vhost.ids();
    let changes: Vec<&String> = left.iter().filter(|id| !id.starts_with('x')).collect();
    assert_eq!(changes, ["0c6bfa0d.1", "0c6bfa0d.3"]);
    person.is_refused(
        "dead purge 0c6bfa0d.1 0c6bfa0d.9 0c6bfa0d.4 --yes --quiet",
        66,
        "there are no dead letters 0c6bfa0d.9, 0c6bfa0d.4; nothing was done",
    );
    assert_eq!(vhost.ids().len(), 3);
    assert_eq!(
        person.calls(&words("dead purge --all --yes --json")).out,
        "{\"purged\":3}\n"
    );
    assert!(vhost.ids().is_empty());
}

#[tokio::test]
async fn requeued_changes_are_a_new_run_of_the_old_rank() {
    let Some(vhost) = Vhost::new() else { return };
    // twice there: it goes out once
    vhost
        .buries(&[letter(run(), 5, [1, 2, 7]), letter(run(), 5, [2])])
        .await;
    let person = vhost.somebody();
    person.is_refused(
        &format!("dead requeue --run {RUN} --quiet"),
        64,
        "Requeue 3 dead letters in project p? Without a terminal this needs --yes",
    );
    let said = person.calls(&["dead", "requeue", "--run", RUN, "--yes"]);
    let again = run_of(&said);
    assert!(again > run());
    assert!(
        said.err.contains("queued 3 changes for project p in 1 message"),
        "{}",
        said.err
    );
    let message = vhost.messages("p", 1).await.remove(0);
    assert_eq!(
        (message.run, message.rank, message.owner.as_str()),
        (again, 5, "team")
    );
    assert_eq!(
        message.deadline_ms, None,
        "the old run's deadline is none of this one's"
    );
    let sent: Vec<(u64, String)> = message
        .changes
        .iter()
        .map(|change| (change.seq, change.label()))
        .collect();
    let wanted = [(1, 1), (2, 2), (3, 7)].map(|(seq, flow)| (seq, format!("flow_{flow:06}")));
    assert_eq!(sent, wanted);
    let events = vhost.events(again).await;
    let [
        RunEvent::Opening { .. },
        RunEvent::Opened { source, owner, .. },
        RunEvent::Closed {
            projects, partial, ..
        },
    ] = events.as_slice()
    else {
        panic!("{events:?}");
    };
    assert_eq!(
        (source.as_str(), owner.as_str(), *partial),
        ("3 dead letters requeued", "team", false)
    );
    assert_eq!(projects, &BTreeMap::from([(ProjectName::new("p").unwrap(), 3)]));
    assert!(vhost.ids().is_empty());
    vhost.settle(again, Outcome::Superseded, (1, 3), None).await;
    let said = person.calls(&["wait", &again.to_string()]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.out.starts_with("3 changes: 3 superseded"), "{}", said.out);
}

#[tokio::test]
async fn as_new_ranks_highest_keeps_the_order_and_asks_before_it_overwrites() {
    let Some(vhost) = Vhost::new() else { return };
    let person = vhost.somebody();
    let older = run_of(&person.calls(&words("publish --project p --flows 2")));
    let newer = run_of(&person.calls(&words("publish --project p --flows 1")));
    let published = vhost.messages("p", 2).await;
    let rank = |run| published.iter().find(|message| message.run == run).unwrap().rank;
    vhost.settle(newer, Outcome::Applied, (1, 1), None).await;
    // the newer letter lies first
    vhost
        .buries(&[
            letter(newer, rank(newer), [5]),
            letter(older, rank(older), [1, 2, 5]),
        ])
        .await;
    let wanted = format!(
        "1 applied change is newer: flow_000001 in p by run {newer}. Requeue 4 dead letters in project p as new and overwrite that? \
         Without a terminal this needs --yes"
    );
    person.is_refused("dead requeue --all --as-new --quiet", 64, &wanted);
    let said = person.calls(&words("dead requeue --all --as-new --yes"));
    let again = run_of(&said);
    // those published at first, and one for each letter
    let messages = vhost.messages("p", 4).await;
    let mut sent: Vec<(u64, String)> = messages
        .iter()
        .filter(|message| message.run == again)
        .flat_map(|message| message.changes.iter().map(|change| (change.seq, change.label())))
        .collect();
    sent.sort();
    let wanted = [(1, 1), (2, 2), (3, 5), (4, 5)].map(|(seq, flow)| (seq, format!("flow_{flow:06}")));
    assert_eq!(sent, wanted, "the newer change of flow 5 stays the newer one");
    let mut requeued = messages.iter().filter(|message| message.run == again);
    assert!(requeued.all(|message| message.rank > rank(newer)));
}

#[tokio::test]
async fn a_change_that_its_own_run_overtook_stays_dead_unless_as_new() {
    let Some(vhost) = Vhost::new() else { return };
    vhost.buries(&[letter(run(), 5, [1])]).await;
    let person = vhost.somebody();
    // what a consumer says about the dead change itself, whatever it is
    vhost.settle(run(), Outcome::Applied, (1, 1), None).await;
    let said = person.calls(&words("dead requeue 0c6bfa0d.1"));
    assert_eq!(said.code, 0, "its own record overtakes nothing: {}", said.err);
    vhost.buries(&[letter(run(), 5, [1])]).await;
    vhost.settle_as(run(), 9, "flow_000001").await;
    let said = person.calls(&words("dead requeue 0c6bfa0d.1"));
    let wanted = format!(
        "1 dead letter is left: a later change of the same run is applied already (flow_000001 in p by run {RUN}); \
         --as-new queues such a change all the same\nnothing was queued\n"
    );
    assert_eq!((said.code, said.out.as_str()), (1, ""));
    assert!(said.err.ends_with(&wanted), "{}", said.err);
    assert_eq!(vhost.ids(), ["0c6bfa0d.1"]);
}

impl Vhost {
    /// A change that was applied.
    async fn settle_as(&self, run: RunId, seq: u64, label: &str) {
        let settled = ledger::Settled {
            v: SETTLED_VERSION,
            project: ProjectName::new("p").unwrap(),
            consumer: "test".into(),
            at_ms: 0,
            upload: None,
            created_project: false,
            results: vec![ledger::Outcomes {
                run,
                outcome: Outcome::Applied,
                note: None,
                ranges: vec![(seq, seq)],
                labels: vec![label.into()],
                published_ms: 0,
                spread: Vec::new(),
            }],
            detail: ledger::Detail::default(),
        };
        let link = self.link().await;
        let sender = Sender::open(&link).await.unwrap();
        sender
            .record(flowlift_common::topology::OUTCOMES, &ledger::encode(&settled))
            .await
            .unwrap();
        link.close().await;
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_shown_and_purged_but_not_requeued() {
    let Some(vhost) = Vhost::new() else { return };
    vhost.buries_junk(b"junk", "unreadable message: not gzip").await;
    let person = vhost.somebody();
    let id = vhost.ids().remove(0);
    let shown = person.calls(&["dead", "show", &id]);
    assert!(
        shown.out.ends_with("reason:\n  unreadable message: not gzip\n"),
        "{}",
        shown.out
    );
    let said = person.calls(&["dead", "requeue", &id]);
    assert_eq!(said.code, 65, "{}", said.err);
    let said = person.calls(&["dead", "edit", &id, "--set", "-"]);
    assert_eq!(said.code, 65, "{}", said.err);
    assert_eq!(person.calls(&["dead", "purge", &id, "--yes"]).code, 0);
    assert!(vhost.ids().is_empty());
}

#[tokio::test]
async fn an_edited_change_is_checked_queued_as_a_new_one_and_its_letter_goes() {
    let Some(vhost) = Vhost::new() else { return };
    vhost.buries(&[letter(run(), 5, [1, 2])]).await;
    let person = vhost.somebody();
    person.has(
        "bad.json",
        "{\"flow\":\"f\",\"cron\":\"@daily\",\n\"jobs\":[{\"name\":\"a\",\"type\":\"\"}]}",
    );
    person.is_refused(
        "dead edit 0c6bfa0d.1 --set bad.json --quiet",
        65,
        "bad.json: jobs.a.type: job \"a\" has no type (flow f)\n\
         bad.json: cron: \"@daily\" of f: a cron expression has 6 or 7 fields (second minute hour day-of-month month day-of-week [year]), this has 1\n\
         2 mistakes; nothing was queued",
    );
    person.is_refused(
        "dead edit 0c6bfa0d.1 --set none.json --quiet",
        66,
        "none.json: there is no such file",
    );
    assert_eq!(vhost.ids(), ["0c6bfa0d.1", "0c6bfa0d.2"]);
    let good = br#"{"flow": "flow_000001", "command": "echo 2G"}"#;
    let said = person.calls_with(&words("dead edit 0c6bfa0d.1 --set -"), good);
    let again = run_of(&said);
    let message = vhost.messages("p", 1).await.remove(0);
    assert_eq!((message.run, message.owner.as_str()), (again, "team"));
    assert!(message.rank > 5 && matches!(message.changes[0].act, Act::Upsert(_)));
    assert_eq!(vhost.ids(), ["0c6bfa0d.2"], "the rest of the letter stays");
    // what `show` prints may be given back as it is
    let shown = person.calls(&words("dead show 0c6bfa0d.2 --json")).out;
    let mut message: Value = serde_json::from_str::<Value>(&shown).unwrap()["change"].clone();
    message["project"] = "p".into();
    let text = message.to_string();
    let said = person.calls_with(&words("dead edit 0c6bfa0d.2 --set -"), text.as_bytes());
    run_of(&said);
    assert!(vhost.ids().is_empty());
}

#[tokio::test]
async fn who_looks_second_is_told_and_waits() {
    let Some(vhost) = Vhost::new() else { return };
    vhost.buries(&[letter(run(), 5, [1])]).await;
    let holder = vhost.link().await;
    assert!(lock(&holder, DEAD_READER).await.unwrap());
    let mut child = Command::new(env!("CARGO_BIN_EXE_flowlift"))
        .args(["dead", "list"])
        .env("FLOWLIFT_AMQP_URL", &vhost.url)
        .env("FLOWLIFT_SHARDS", SHARDS.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    let mut err = BufReader::new(child.stderr.take().unwrap());
    while !said.contains("waiting for them to finish") {
        let before = said.len();
        err.read_line(&mut said).unwrap();
        assert!(said.len() > before, "it ended without waiting: {said}");
    }
    holder.close().await;
    let output = ended(child);
    assert!(output.status.success());
    let out = String::from_utf8(output.stdout).unwrap();
    assert!(out.contains("0c6bfa0d.1 "), "{out}");
}
