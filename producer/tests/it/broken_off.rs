//! `flowlift dead` that is broken off in the middle: nothing is lost, and what is said is true.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use flowlift_azkaban::ProjectName;
use flowlift_common::RunId;
use flowlift_common::amqp::depth;
use flowlift_common::ledger::{DeadLetter, Outcome, RunEvent};
use flowlift_common::topology::{shard_of, shard_queue};

use crate::dead::{letter, run};
use crate::patience::ended;
use crate::person::Person;
use crate::publish::{first_line, run_of, words};
use crate::vhost::{SHARDS, Vhost};
use crate::wire::Wire;

/// Many more than are under way at once.
const LETTERS: u64 = 400;
/// A message for a shard, as it stands in what a program sends.
const FOR_A_SHARD: &[u8] = b"flowlift.shard.";
/// The head of a `basic.ack`: class 60, method 80.
const ACK: &[u8] = b"\x00\x3c\x00\x50";
/// The broker is asked for what it has, after so many messages: more than are under way at once.
const MIDDLE: usize = 100;

impl Vhost {
    async fn buries_many(&self) {
        let letters: Vec<DeadLetter> = (1..=LETTERS).map(|seq| letter(run(), 5, [seq])).collect();
        self.buries(&letters).await;
    }

    /// Somebody whose RabbitMQ is at the end of this wire.
    fn behind(&self, wire: &Wire) -> Person {
        self.somebody().with("FLOWLIFT_AMQP_URL", &wire.url)
    }

    /// The flows of dead letters, by number.
    fn dead(&self) -> BTreeSet<u64> {
        let numbers = self
            .ids()
            .into_iter()
            .map(|id| id.split_once('.').unwrap().1.parse().unwrap());
        numbers.collect()
    }
}

/// The number before these words, in the last line that has them.
fn number(text: &str, after: &str) -> u64 {
    let line = text.lines().rfind(|line| line.contains(after)).expect(after);
    let (before, _) = line.split_once(after).unwrap();
    before
        .rsplit(' ')
        .next()
        .unwrap()
        .replace(',', "")
        .parse()
        .unwrap()
}

/// The flows that lie in the shard, by number, and the run they belong to. There may be more of them than the broker got to
/// confirm.
async fn queued(vhost: &Vhost, confirmed: u64) -> (BTreeSet<u64>, BTreeSet<RunId>) {
    let link = vhost.link().await;
    let queue = shard_queue(shard_of(&ProjectName::new("p").unwrap(), SHARDS));
    let there = u64::from(depth(&link, &queue).await.unwrap().waiting);
    link.close().await;
    assert!(there >= confirmed, "{there} there, {confirmed} confirmed");
    let messages = vhost.messages("p", usize::try_from(there).unwrap()).await;
    let flows = messages.iter().flat_map(|message| &message.changes);
    let flows = flows.map(|change| change.label().trim_start_matches("flow_").parse().unwrap());
    (
        flows.collect(),
        messages.iter().map(|message| message.run).collect(),
    )
}

#[tokio::test]
async fn a_connection_that_is_cut_while_letters_are_purged_leaves_the_others_there() {
    let Some(vhost) = Vhost::new() else { return };
    vhost.buries_many().await;
    let wire = Wire::cutting(&vhost.url, ACK, MIDDLE);
    let said = vhost
        .behind(&wire)
        .calls(&words("dead purge --all --yes --quiet"));
    assert_eq!((said.code, said.out.as_str()), (69, ""), "{}", said.err);
    let at_most = number(
        &said.err,
        " dead letters are purged, all others are there as before",
    );
    let last = said.err.lines().last().unwrap();
    assert!(
        last.starts_with("the connection to RabbitMQ was lost: "),
        "{last}"
    );
    assert!((1..LETTERS).contains(&at_most), "{}", said.err);
    let left = vhost.dead().len() as u64;
    assert!(
        (LETTERS - at_most..=LETTERS).contains(&left),
        "at most {at_most} purged, {left} left"
    );
}

#[tokio::test]
async fn a_connection_that_is_cut_while_letters_are_requeued_loses_none() {
    let Some(vhost) = Vhost::new() else { return };
    vhost.buries_many().await;
    let wire = Wire::cutting(&vhost.url, FOR_A_SHARD, MIDDLE);
    let said = vhost
        .behind(&wire)
        .calls(&words("dead requeue --all --yes --quiet"));
    assert_eq!(said.code, 69, "{}", said.err);
    let again: RunId = said
        .out
        .trim_end()
        .parse()
        .expect("the run's id is known all the same");
    let told = format!(
        " changes are queued as run {again}, which is closed as partial; all others are in the dead letters as before"
    );
    let confirmed = number(&said.err, &told);
    assert!((1..LETTERS).contains(&confirmed), "{}", said.err);
    let Some(RunEvent::Closed {
        projects, partial, ..
    }) = vhost.events(again).await.pop()
    else {
        panic!("a run ends with its closing");
    };
    assert_eq!((projects.values().sum::<u64>(), partial), (confirmed, true));
    let dead = vhost.dead();
    let (queued, runs) = queued(&vhost, confirmed).await;
    assert_eq!(runs, BTreeSet::from([again]));
    let all: BTreeSet<u64> = dead.union(&queued).copied().collect();
    assert_eq!(
        all,
        (1..=LETTERS).collect(),
        "each is in a shard or in the dead letters"
    );
}

/// Calls flowlift through a wire that stops, interrupts it there, and lets it go on.
fn interrupted(vhost: &Vhost, args: &str, mark: &'static [u8]) -> (i32, String, String) {
    let (wire, stop) = Wire::stopping(&vhost.url, mark, MIDDLE);
    let child = Command::new(env!("CARGO_BIN_EXE_flowlift"))
        .args(words(args))
        .env("FLOWLIFT_AMQP_URL", &wire.url)
        .env("FLOWLIFT_SHARDS", SHARDS.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    stop.wait();
    let killed = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(killed.unwrap().success());
    stop.go();
    let output = ended(child);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap_or(-1),
        text(output.stdout),
        text(output.stderr),
    )
}

#[tokio::test]
async fn an_interrupted_purge_says_how_many_are_gone_and_leaves_the_others() {
    let Some(vhost) = Vhost::new() else { return };
    vhost.buries_many().await;
    let (code, out, err) = interrupted(&vhost, "dead purge --all --yes --quiet", ACK);
    assert_eq!(code, 130, "{err}");
    let purged: u64 = out.trim_end().parse().unwrap();
    let wanted = format!("interrupted: {purged} dead letters are purged, the others are there as before\n");
    assert_eq!(err, wanted);
    assert!((1..LETTERS).contains(&purged));
    assert_eq!(vhost.dead().len() as u64, LETTERS - purged);
}

#[tokio::test]
async fn an_interrupted_requeue_says_what_is_queued_and_leaves_the_others() {
    let Some(vhost) = Vhost::new() else { return };
    vhost.buries_many().await;
    let (code, out, err) = interrupted(&vhost, "dead requeue --all --yes --quiet", FOR_A_SHARD);
    assert_eq!(code, 130, "{err}");
    let again: RunId = out.trim_end().parse().unwrap();
    let rest = format!(" changes are queued as run {again} and will be applied, the rest is not sent");
    let count = number(&err, &rest);
    assert!((1..LETTERS).contains(&count), "{err}");
    assert_eq!(err, format!("interrupted: {count}{rest}\n"));
    let dead = vhost.dead();
    let (queued, _) = queued(&vhost, count).await;
    assert!(
        dead.is_disjoint(&queued),
        "what is queued has left the dead letters"
    );
    let all: BTreeSet<u64> = dead.union(&queued).copied().collect();
    assert_eq!(all, (1..=LETTERS).collect());
}

#[tokio::test]
async fn a_requeue_can_be_followed_to_its_end() {
    let Some(vhost) = Vhost::new() else { return };
    vhost.buries(&[letter(run(), 5, [1, 2])]).await;
    let person = vhost.somebody();
    let said = person.calls(&words("dead requeue --all --yes --wait --timeout 1s"));
    assert_eq!(said.code, 75, "{}", said.err);
    let again: RunId = said.out.trim_end().parse().unwrap();
    let last = said.err.lines().last().unwrap();
    assert!(last.starts_with("0 of 2 changes are settled after 1."), "{last}");
    vhost
        .settle(again, Outcome::Dead, (1, 2), Some("as before"))
        .await;
    vhost.buries(&[letter(again, 5, [1, 2])]).await;
    let mut child = Command::new(env!("CARGO_BIN_EXE_flowlift"))
        .args(words("dead requeue --all --yes --wait"))
        .env("FLOWLIFT_AMQP_URL", &vhost.url)
        .env("FLOWLIFT_SHARDS", SHARDS.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let third: RunId = first_line(&mut child).parse().unwrap();
    vhost.settle(third, Outcome::Applied, (1, 2), None).await;
    let output = ended(child);
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{err}");
    assert!(err.contains("\n2 changes: 2 applied; 0 uploads, "), "{err}");
    run_of(&person.calls(&words("publish --project p --flows 1")));
}
