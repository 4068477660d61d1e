//! Files too large for one message, on a real RabbitMQ.

use flowlift_azkaban::ProjectName;
use flowlift_common::amqp::{AmqpError, Parcel, Sender, delete_parts, depth, fetch_parts, named, send_parts};
use flowlift_common::ledger::REASON_HEADER;
use flowlift_common::parts::{Named, read_outline};
use flowlift_common::topology::{DEAD, shard_of, shard_queue};
use flowlift_common::{Act, Envelope, RunId};
use futures_util::StreamExt as _;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions};
use lapin::types::{AMQPValue, FieldTable};

use crate::patience::PATIENCE;
use crate::publish::{run_of, words};
use crate::vhost::{SHARDS, Vhost};
use crate::wire::Wire;

/// The size of a file that needs five parts or six.
const LARGE: usize = 20_000_000;
/// A part, as it stands in what a program sends; the declaration of their queue comes first.
const A_PART: &[u8] = b"flowlift.parts.";

fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let next = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    });
    next.take(length).collect()
}

fn of(delivery: &Delivery) -> Option<Named> {
    named(delivery.properties.headers().as_ref()?)?.ok()
}

impl Vhost {
    /// Takes messages of project `p` out of its shard, in the order in which they lie there.
    async fn takes(&self, count: usize) -> Vec<Delivery> {
        let queue = shard_queue(shard_of(&ProjectName::new("p").unwrap(), SHARDS));
        let link = self.link().await;
        let channel = link.channel().await.unwrap();
        let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
        let consumer = channel.basic_consume(queue.as_str().into(), "".into(), options, none);
        let mut consumer = consumer.await.unwrap();
        let mut taken = Vec::new();
        while taken.len() < count {
            let next = tokio::time::timeout(PATIENCE, consumer.next());
            let delivery = next.await.expect("the message is there").unwrap().unwrap();
            delivery.acker.ack(BasicAckOptions::default()).await.unwrap();
            taken.push(delivery);
        }
        assert_eq!(
            depth(&link, &queue).await.unwrap().waiting,
            0,
            "no more than {count}"
        );
        link.close().await;
        taken
    }

    async fn body(&self, named: &Named) -> Envelope {
        let link = self.link().await;
        let body = fetch_parts(&link, named, tempfile::tempfile().unwrap()).await;
        link.close().await;
        body.unwrap().open().unwrap()
    }

    async fn parts(&self, named: &Named) -> Option<u32> {
        let link = self.link().await;
        let looked = depth(&link, &named.queue().name).await;
        link.close().await;
        match looked {
            Ok(depth) => Some(depth.waiting),
            Err(AmqpError::Missing { .. }) => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// Puts a message among the dead letters as a consumer does.
    async fn buries_in_parts(&self, message: &Delivery) {
        let link = self.link().await;
        let mut headers = message.properties.headers().clone().unwrap();
        let reason = "flow a cannot be loaded";
        headers.insert(REASON_HEADER.into(), AMQPValue::LongString(reason.into()));
        let properties = message.properties.clone().with_headers(headers);
        let sender = Sender::open(&link).await.unwrap();
        sender.send(DEAD, &message.data, properties).await.unwrap();
        link.close().await;
    }
}

fn is_file(envelope: &Envelope, file: &[u8]) -> bool {
    matches!(&envelope.changes[..], [change] if matches!(&change.act, Act::PutFile { path, content }
        if path == "lib/large.jar" && content.0 == file))
}

#[tokio::test]
async fn a_large_file_goes_in_parts_and_a_small_message_names_them() {
    let Some(vhost) = Vhost::new() else { return };
    let person = vhost.person();
    let file = noise(LARGE);
    person.has("d/lib/large.jar", &file);
    person.has("d/a.job", "type=command\ncommand=java -jar lib/large.jar\n");
    let said = person.calls(&words("publish d --project p --dry-run"));
    assert_eq!(said.code, 0, "{}", said.err);
    let said = person.calls(&words("publish d --project p --quiet"));
    assert_eq!(said.code, 0, "{}", said.err);
    let run: RunId = run_of(&said);
    let taken = vhost.takes(2).await;
    let all: Vec<Option<Named>> = taken.iter().map(of).collect();
    let at = all.iter().position(Option::is_some).expect("one is in parts");
    let named = all[at].clone().unwrap();
    assert_eq!(all.iter().flatten().count(), 1);
    assert_eq!(named.run, run);
    assert!((5..=6).contains(&named.count), "{named:?}");
    assert_eq!(vhost.parts(&named).await, Some(named.count));
    assert!(taken[at].data.len() < 1_000, "{}", taken[at].data.len());
    let outline = read_outline(&taken[at].data).unwrap();
    assert_eq!(outline.changes[0].label(), "file lib/large.jar");
    assert!(is_file(&vhost.body(&named).await, &file), "byte for byte");
    assert_eq!(
        vhost.parts(&named).await,
        Some(named.count),
        "reading takes nothing"
    );
}

#[tokio::test]
async fn a_connection_that_is_cut_between_the_parts_costs_nothing() {
    let Some(vhost) = Vhost::new() else { return };
    let file = noise(LARGE);
    let wire = Wire::cutting(&vhost.url, A_PART, 4);
    let person = vhost.person().with("FLOWLIFT_AMQP_URL", &wire.url);
    person.has("d/lib/large.jar", &file);
    person.has("d/a.job", "type=noop\n");
    let said = person.calls(&words("publish d --project p"));
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(
        said.err.contains("RabbitMQ is back, publishing goes on"),
        "{}",
        said.err
    );
    let taken = vhost.takes(2).await;
    let mut named = taken.iter().filter_map(of);
    let first = named.next().expect("one is in parts");
    assert_eq!(named.next(), None);
    assert!(vhost.parts(&first).await >= Some(first.count));
    assert!(is_file(&vhost.body(&first).await, &file), "byte for byte");
}

#[tokio::test]
async fn a_dead_letter_in_parts_is_listed_shown_requeued_with_parts_of_its_own_and_purged() {
    let Some(vhost) = Vhost::new() else { return };
    let person = vhost.person();
    let file = noise(9_000_000);
    person.has("d/lib/large.jar", &file);
    person.has("d/a.job", "type=noop\n");
    assert_eq!(person.calls(&words("publish d --project p --quiet")).code, 0);
    let message = vhost
        .takes(2)
        .await
        .into_iter()
        .find(|one| of(one).is_some())
        .unwrap();
    let named = of(&message).unwrap();
    vhost.buries_in_parts(&message).await;
    let said = person.calls(&words("dead list"));
    assert!(
        said.out.contains("file lib/large.jar") && said.out.contains("flow a cannot be loaded"),
        "{said:?}"
    );
    let id = format!("{}.{}", named.run, named.seq);
    let said = person.calls(&["dead", "show", &id]);
    assert!(
        said.code == 0 && said.out.contains(&format!("in queue {}", named.queue().name)),
        "{said:?}"
    );
    // without its parts it stays, and that is told; they come back, and it goes
    let link = vhost.link().await;
    let body = fetch_parts(&link, &named, tempfile::tempfile().unwrap())
        .await
        .unwrap();
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut body.reader(), &mut bytes).unwrap();
    delete_parts(&link, named.run, named.seq).await.unwrap();
    let said = person.calls(&["dead", "requeue", &id, "--yes"]);
    assert!(
        said.err.contains(&format!(
            "no longer kept (there is no queue {})",
            named.queue().name
        )),
        "{said:?}"
    );
    assert_eq!(depth(&link, DEAD).await.unwrap().waiting, 1);
    let sender = Sender::open(&link).await.unwrap();
    let parcel = Parcel::of(named.run, named.seq, bytes);
    assert_eq!(parcel.named, named);
    send_parts(&link, &sender, &parcel).await.unwrap();
    let said = person.calls(&["dead", "requeue", &id, "--yes", "--quiet"]);
    assert_eq!(said.code, 0, "{said:?}");
    let taken = vhost.takes(1).await;
    let again = of(&taken[0]).expect("in parts again");
    assert_eq!((taken.len(), again.run), (1, run_of(&said)));
    assert!(is_file(&vhost.body(&again).await, &file), "byte for byte");
    assert_eq!(vhost.parts(&named).await, None, "the old ones are gone");
    vhost.buries_in_parts(&taken[0]).await;
    let said = person.calls(&words("dead purge --all --yes --quiet"));
    assert_eq!((said.code, said.out.as_str()), (0, "1\n"), "{}", said.err);
    assert_eq!(
        vhost.parts(&again).await,
        None,
        "and with the letter the new ones"
    );
    link.close().await;
}
