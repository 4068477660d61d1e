//! Publishing and waiting on a real RabbitMQ; the tests say so and pass where there is none (`dev/broker run -- cargo test`).

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use flowlift_azkaban::ProjectName;
use flowlift_common::amqp::{Sender, Start, StreamReader};
use flowlift_common::ledger::{self, Outcome, Outcomes, RunEvent, SETTLED_VERSION, Settled};
use flowlift_common::topology::{OUTCOMES, RUNS, shard_of, shard_queue};
use flowlift_common::{Act, Envelope, RunId};

use futures_util::StreamExt as _;
use lapin::options::BasicConsumeOptions;
use lapin::types::FieldTable;

use crate::patience::{PATIENCE, Watch, ended};
use crate::person::{Person, Said};
use crate::vhost::{SHARDS, Vhost};

/// Whatever is waited for comes within this, or the test fails.
const SOON: Duration = Duration::from_secs(60);
impl Vhost {
    /// All messages of a shard, in the order in which they lie there.
    pub(crate) async fn messages(&self, project: &str, count: usize) -> Vec<Envelope> {
        let queue = shard_queue(shard_of(&ProjectName::new(project).unwrap(), SHARDS));
        let link = self.link().await;
        let channel = link.channel().await.unwrap();
        let consumer = channel.basic_consume(
            queue.as_str().into(),
            "".into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        );
        let mut consumer = consumer.await.unwrap();
        let mut found = Vec::new();
        while found.len() < count {
            let delivery = tokio::time::timeout(SOON, consumer.next())
                .await
                .expect("the message is there");
            found.push(Envelope::decode(&delivery.unwrap().unwrap().data).unwrap());
        }
        link.close().await;
        found
    }

    /// What the stream of runs says about a run, up to its closing.
    pub(crate) async fn events(&self, run: RunId) -> Vec<RunEvent> {
        let link = self.link().await;
        let mut reader = StreamReader::open(&link, RUNS, Start::First).await.unwrap();
        let mut events = Vec::new();
        loop {
            let next = tokio::time::timeout(PATIENCE, reader.next());
            let record = next.await.expect("the run is closed").unwrap();
            let event: RunEvent = ledger::decode(&record.body).unwrap();
            if event.run() != run {
                continue;
            }
            let closed = matches!(event, RunEvent::Closed { .. });
            events.push(event);
            if closed {
                return events;
            }
        }
    }

    /// Settles changes as a consumer would.
    pub(crate) async fn settle(&self, run: RunId, outcome: Outcome, range: (u64, u64), note: Option<&str>) {
        let settled = Settled {
            v: SETTLED_VERSION,
            project: ProjectName::new("p").unwrap(),
            consumer: "test".into(),
            at_ms: 0,
            upload: None,
            created_project: false,
            results: vec![Outcomes {
                run,
                outcome,
                note: note.map(str::to_owned),
                ranges: vec![range],
                labels: (range.0..=range.1).map(|n| format!("flow_{n:06}")).collect(),
                published_ms: 0,
                spread: Vec::new(),
            }],
            detail: ledger::Detail::default(),
        };
        let link = self.link().await;
        Sender::open(&link)
            .await
            .unwrap()
            .record(OUTCOMES, &ledger::encode(&settled))
            .await
            .unwrap();
        link.close().await;
    }
}

pub(crate) fn run_of(said: &Said) -> RunId {
    assert_eq!(said.code, 0, "{}", said.err);
    id_of(said)
}

/// The same of one that was followed, however it ended.
pub(crate) fn id_of(said: &Said) -> RunId {
    said.out
        .trim_end()
        .parse()
        .expect("the run's id stands alone on standard output")
}

pub(crate) fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

#[tokio::test]
async fn what_is_published_lies_in_its_shard_in_order_and_the_run_says_how_much() {
    let Some(vhost) = Vhost::new() else { return };
    let said = vhost
        .person()
        .calls(&words("publish --project p --flows 3000 --owner me --no-adopt"));
    let run = run_of(&said);
    let events = vhost.events(run).await;
    let [
        RunEvent::Opening { .. },
        RunEvent::Opened {
            rank, source, owner, ..
        },
        RunEvent::Closed {
            projects, partial, ..
        },
    ] = events.as_slice()
    else {
        panic!("{events:?}");
    };
    assert_eq!(
        (source.as_str(), owner.as_str(), *partial),
        ("3,000 generated flows", "me", false)
    );
    assert_eq!(
        projects,
        &BTreeMap::from([(ProjectName::new("p").unwrap(), 3000)])
    );
    let count: usize = said
        .err
        .split(" in ")
        .nth(1)
        .unwrap()
        .split(' ')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    let messages = vhost.messages("p", count).await;
    assert!(
        messages
            .iter()
            .all(|one| one.rank == *rank && one.owner == "me" && !one.rules.adopt && one.rules.create)
    );
    let changes: Vec<_> = messages.into_iter().flat_map(|one| one.changes).collect();
    assert!(
        changes
            .iter()
            .zip(1..)
            .all(|(change, n)| change.seq == n && change.label() == format!("flow_{n:06}"))
    );
    assert_eq!(changes.len(), 3000);
}

#[tokio::test]
async fn a_folder_travels_as_files_first_then_units_then_the_pruning() {
    let Some(vhost) = Vhost::new() else { return };
    let person = vhost.person();
    for (path, text) in [
        ("d/a.job", "type=noop\ndependencies=s\n"),
        ("d/b.job", "type=noop\ndependencies=s\n"),
        ("d/s.job", "type=noop\n"),
        ("d/z.properties", "x=1\n"),
        ("d/.git/config", "x"),
    ] {
        person.has(path, text);
    }
    run_of(&person.calls(&words("publish d --project p --into team --prune --cron none")));
    let changes = vhost.messages("p", 1).await.remove(0).changes;
    let labels: Vec<String> = changes.iter().map(|change| change.label()).collect();
    assert_eq!(labels, ["file team/z.properties", "a, b", "flows matching *"]);
    let Act::DeleteMatching(pattern) = &changes[2].act else {
        panic!("the last change prunes")
    };
    assert_eq!(
        pattern
            .except
            .iter()
            .map(|flow| flow.as_str())
            .collect::<Vec<_>>(),
        ["a", "b"]
    );
}

#[tokio::test]
async fn many_projects_of_one_input_each_get_their_own_messages() {
    let Some(vhost) = Vhost::new() else { return };
    let lines: String = (0..40)
        .map(|n| {
            format!(
                "{{\"project\":\"p{}\",\"flow\":\"f{n}\",\"command\":\"x\"}}\n",
                n % 4
            )
        })
        .collect();
    let said = vhost
        .person()
        .calls_with(&["publish", "-", "--json"], lines.as_bytes());
    let json: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(
        (said.code, &json["changes"], &json["messages"]),
        (0, &40.into(), &4.into())
    );
    assert_eq!(
        json["projects"],
        serde_json::json!({"p0": 10, "p1": 10, "p2": 10, "p3": 10})
    );
}

#[tokio::test]
async fn waiting_ends_when_every_change_is_settled() {
    let Some(vhost) = Vhost::new() else { return };
    let run = run_of(&vhost.person().calls(&words("publish --project p --flows 100")));
    vhost.settle(run, Outcome::Applied, (1, 60), None).await;
    vhost.settle(run, Outcome::Superseded, (50, 100), None).await;
    let said = vhost
        .person()
        .calls(&["wait", &run.to_string(), "--timeout", "60s"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(
        said.out
            .starts_with("100 changes: 60 applied, 40 superseded; 0 uploads, "),
        "{}",
        said.out
    );
    let json = vhost
        .person()
        .calls(&["wait", &run.to_string(), "--json", "--quiet"]);
    let json: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(
        (&json["changes"], &json["outcomes"]["superseded"]),
        (&100.into(), &40.into())
    );
}

#[tokio::test]
async fn dead_changes_are_named_with_their_reason_and_the_answer_is_no() {
    let Some(vhost) = Vhost::new() else { return };
    let run = run_of(&vhost.person().calls(&words("publish --project p --flows 3")));
    vhost.settle(run, Outcome::Applied, (1, 1), None).await;
    vhost
        .settle(run, Outcome::Dead, (2, 3), Some("flow x belongs to owner y"))
        .await;
    let said = vhost.person().calls(&["wait", &run.to_string()]);
    assert_eq!((said.code, said.out.as_str()), (1, ""));
    let wanted =
        "2 changes could not be applied:\n  p: flow_000002, flow_000003: flow x belongs to owner y\n";
    assert!(said.err.ends_with(wanted), "{}", said.err);
}

#[tokio::test]
async fn a_run_that_nobody_consumes_times_out_and_says_why() {
    let Some(vhost) = Vhost::new() else { return };
    let said = vhost
        .person()
        .calls(&words("publish --project p --flows 3 --wait --timeout 9s"));
    assert_eq!(said.code, 75);
    assert!(
        said.err.contains("nobody is consuming these changes"),
        "{}",
        said.err
    );
    let last = said.err.lines().last().unwrap();
    assert!(
        last.starts_with("0 of 3 changes are settled after 9.") && last.contains("the run goes on"),
        "{last}"
    );
    assert!(last.contains(said.out.trim_end()), "the run's id is in the hint");
}

#[test]
fn a_run_that_nobody_knows_is_no_input() {
    let Some(vhost) = Vhost::new() else { return };
    vhost.person().is_refused(
        "wait --quiet 019e0a5c-7c30-7d10-a3c5-2f6f0c6bfa0d",
        66,
        "there is no run 019e0a5c-7c30-7d10-a3c5-2f6f0c6bfa0d in this RabbitMQ (runs are kept for 90 days)",
    );
}

#[test]
fn another_number_of_shards_is_a_disagreement() {
    let Some(vhost) = Vhost::new() else { return };
    run_of(&vhost.person().calls(&words("publish --project p --flows 1")));
    vhost.person().is_refused(
        "publish --project p --flows 1 --shards 3",
        78,
        "this vhost has 2 shards, this program is set to 3; the number of shards changes only when drained",
    );
    let shown = vhost.person().calls(&words("topology show --json"));
    let json: serde_json::Value = serde_json::from_str(&shown.out).unwrap();
    assert_eq!((&json["shards"], &json["waiting"]), (&2.into(), &1.into()));
}

/// `flowlift publish - --stream` with a pipe that stays open.
fn streaming(vhost: &Vhost) -> (Person, Child) {
    let person = vhost.person();
    let mut command = Command::new(env!("CARGO_BIN_EXE_flowlift"));
    command
        .args(["publish", "-", "--project", "p", "--stream"])
        .current_dir(person.path());
    command
        .env("FLOWLIFT_AMQP_URL", &vhost.url)
        .env("FLOWLIFT_SHARDS", SHARDS.to_string());
    let child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    (person, child)
}

fn write(child: &mut Child, text: &str) {
    let input = child.stdin.as_mut().unwrap();
    input.write_all(text.as_bytes()).unwrap();
    input.flush().unwrap();
}

#[tokio::test]
async fn an_endless_input_is_sent_as_it_comes_and_bad_lines_are_left_out() {
    let Some(vhost) = Vhost::new() else { return };
    let (_person, mut child) = streaming(&vhost);
    write(&mut child, "{\"flow\":\"a\",\"command\":\"x\"}\n{\"flw\":1}\n");
    let run: RunId = first_line(&mut child).parse().unwrap();
    until_queued(&vhost, 1).await;
    write(
        &mut child,
        "{\"flow\":\"b\",\"command\":\"x\",\"cron\":\"x\"}\n{\"flow\":\"c\",\"command\":\"x\"}\n",
    );
    drop(child.stdin.take());
    let output = ended(child);
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(65), "{err}");
    assert!(err.contains("standard input:2: unknown field `flw`"), "{err}");
    assert!(err.contains("standard input:3: cron: \"x\" of b: "), "{err}");
    assert!(
        err.ends_with("2 mistakes in standard input; those lines were left out, all others are queued\n"),
        "{err}"
    );
    let RunEvent::Closed {
        projects, partial, ..
    } = vhost.events(run).await.pop().unwrap()
    else {
        panic!("a run ends with its closing");
    };
    assert_eq!((projects.values().sum::<u64>(), partial), (2, false));
}

#[tokio::test]
async fn an_endless_input_that_never_pauses_is_sent_all_the_same() {
    let Some(vhost) = Vhost::new() else { return };
    let (_person, mut child) = streaming(&vhost);
    write(&mut child, "{\"flow\":\"first\",\"command\":\"x\"}\n");
    first_line(&mut child);
    let mut input = child.stdin.take().unwrap();
    let mut trickle = tokio::time::interval(std::time::Duration::from_millis(60));
    let drips = async {
        for n in 0.. {
            trickle.tick().await;
            writeln!(input, "{{\"flow\":\"f{n}\",\"command\":\"x\"}}").unwrap();
        }
    };
    tokio::select! {
        () = drips => {}
        // the first line, and what came within two seconds
        () = until_queued(&vhost, 3) => {}
    }
    drop(input);
    assert_eq!(ended(child).status.code(), Some(0));
}

#[tokio::test]
async fn a_signal_closes_the_run_as_partial_and_says_what_is_queued() {
    let Some(vhost) = Vhost::new() else { return };
    let (_person, mut child) = streaming(&vhost);
    write(&mut child, "{\"flow\":\"a\",\"command\":\"x\"}\n");
    let run: RunId = first_line(&mut child).parse().unwrap();
    until_queued(&vhost, 1).await;
    let pid = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &pid])
            .status()
            .unwrap()
            .success()
    );
    // its standard input stays open: the signal alone has to end it
    let input = child.stdin.take();
    let output = ended(child);
    drop(input);
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{err}");
    assert!(
        err.ends_with(&format!(
            "interrupted: 1 change is queued as run {run} and will be applied, the rest is not sent\n"
        )),
        "{err}"
    );
    let Some(RunEvent::Closed {
        projects, partial, ..
    }) = vhost.events(run).await.pop()
    else {
        panic!("a run ends with its closing");
    };
    assert_eq!((projects.values().sum::<u64>(), partial), (1, true));
}

pub(crate) fn first_line(child: &mut Child) -> String {
    let _watch = Watch::over(child);
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    line.trim_end().to_owned()
}

/// Until this many messages lie in the shard of `p`, as the broker counts them.
async fn until_queued(vhost: &Vhost, count: u32) {
    let queue = shard_queue(shard_of(&ProjectName::new("p").unwrap(), SHARDS));
    let link = vhost.link().await;
    let waited = tokio::time::timeout(SOON, async {
        while flowlift_common::amqp::depth(&link, &queue).await.unwrap().waiting < count {
            tokio::task::yield_now().await;
        }
    });
    waited.await.expect("the change is queued within a minute");
    link.close().await;
}
