//! Files too large for one message.

use std::collections::BTreeMap;

use bytes::Bytes;
use flowlift_azkaban::ProjectName;
use flowlift_azkaban::archive::{self, ZipLimits};
use flowlift_common::amqp::{AmqpError, Parcel, Sender, delete_parts, depth, named, send_parts};
use flowlift_common::ledger::Outcome;
use flowlift_common::parts::Named;
use flowlift_common::topology::{DEAD, shard_of, shard_queue};
use flowlift_common::{Act, Content};
use futures_util::StreamExt as _;
use lapin::Channel;
use lapin::message::Delivery;
use lapin::options::{BasicConsumeOptions, BasicGetOptions, QueuePurgeOptions};
use lapin::types::FieldTable;

use crate::broker::{SHARDS, SOON};
use crate::process::Program;
use crate::rig::{Rig, flow};

/// The size of a file that needs five parts or six.
const LARGE: usize = 20_000_000;

/// Bytes that do not pack.
fn noise(length: usize) -> Bytes {
    let mut state = 1_u64;
    let next = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    });
    next.take(length).collect()
}

fn put(file: &Bytes) -> Act {
    Act::PutFile {
        path: "lib/large.jar".into(),
        content: Content(file.clone()),
    }
}

fn acts(file: &Bytes) -> Vec<Act> {
    vec![put(file), flow("a", "java -jar lib/large.jar"), flow("b", "echo")]
}

impl Rig {
    fn queue_of(project: &str) -> String {
        shard_queue(shard_of(&ProjectName::new(project).unwrap(), SHARDS))
    }

    /// The message of a project's shard that names parts; nothing is taken.
    async fn small(&self, project: &str) -> (Delivery, Named) {
        let link = self.vhost.link().await;
        let channel = link.channel().await.unwrap();
        let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
        let queue = Self::queue_of(project);
        let consumer = channel.basic_consume(queue.as_str().into(), "".into(), options, none);
        let mut consumer = consumer.await.unwrap();
        let look = async {
            loop {
                let delivery = consumer.next().await.unwrap().unwrap();
                let headers = delivery.properties.headers().as_ref();
                if let Some(named) = headers.and_then(named) {
                    return (delivery, named.expect("it names them well"));
                }
            }
        };
        let found = tokio::time::timeout(SOON, look).await;
        link.close().await;
        found.expect("a message that names parts")
    }

    async fn named(&self, project: &str) -> Named {
        self.small(project).await.1
    }

    /// Waits until the parts are deleted.
    async fn until_gone(&self, named: &Named) {
        let link = self.vhost.link().await;
        let queue = named.queue().name;
        let look = async {
            let mut tick = tokio::time::interval(std::time::Duration::from_millis(50));
            loop {
                match depth(&link, &queue).await {
                    Err(AmqpError::Missing { .. }) => return,
                    looked => drop(looked.expect("RabbitMQ answers")),
                }
                tick.tick().await;
            }
        };
        tokio::time::timeout(SOON, look).await.expect("the parts go");
    }

    async fn file(&self, project: &str) -> Option<Bytes> {
        let tree = archive::read_zip(&self.download(project).await.zip, &ZipLimits::default()).unwrap();
        tree.get("lib/large.jar").cloned()
    }

    /// The reason in the headers of the only dead letter.
    async fn reason(&self) -> String {
        let link = self.vhost.link().await;
        let channel = link.channel().await.unwrap();
        let got = channel.basic_get(DEAD.into(), BasicGetOptions::default());
        let got = got.await.unwrap().expect("a dead letter");
        assert_eq!(got.message_count, 0, "the only one");
        let headers = got.delivery.properties.headers().clone().expect("headers");
        assert!(named(&headers).expect("it names its parts").is_ok());
        let reason = headers.inner().get("flowlift-reason").cloned();
        link.close().await;
        reason
            .and_then(|reason| Some(reason.as_long_string()?.to_string()))
            .expect("a reason")
    }
}

/// Holds all messages of a queue.
async fn hold(channel: &Channel, queue: &str) -> u32 {
    let mut held = 0;
    while let Some(got) = channel
        .basic_get(queue.into(), BasicGetOptions::default())
        .await
        .unwrap()
    {
        drop(got);
        held += 1;
    }
    held
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_in_parts_is_applied_byte_for_byte_and_its_parts_are_gone() {
    let Some(rig) = Rig::make("parts").await else {
        return;
    };
    let file = noise(LARGE);
    let run = rig.publish("p", acts(&file)).await;
    let named = rig.named("p").await;
    assert!((5..=6).contains(&named.count), "{named:?}");
    assert_eq!(rig.waiting(&named.queue().name).await, named.count);
    let _worker = rig.worker("one").await;
    let state = rig.settled(run).await;
    assert_eq!((state.count(Outcome::Applied), state.uploads()), (3, 1));
    assert!(rig.file("p").await == Some(file.clone()), "byte for byte");
    assert_eq!(
        rig.commands("p").await,
        BTreeMap::from([
            ("a".into(), "java -jar lib/large.jar".into()),
            ("b".into(), "echo".into())
        ])
    );
    rig.until_gone(&named).await;
    let again = rig.publish("p", acts(&file)).await;
    let state = rig.settled(again).await;
    assert_eq!((state.count(Outcome::Unchanged), state.uploads()), (3, 0));
    rig.until_gone(&Named { run: again, ..named }).await;
    assert_eq!(rig.standin.stats().uploads, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_killed_while_it_fetches_loses_nothing() {
    let Some(rig) = Rig::make("parts-kill").await else {
        return;
    };
    let file = noise(9_000_000);
    let run = rig.publish("p", acts(&file)).await;
    let named = rig.named("p").await;
    // a part that another connection holds is waited for: so the victim is in the middle
    let link = rig.vhost.link().await;
    let channel = link.channel().await.unwrap();
    let queue = named.queue().name;
    assert!(
        channel
            .basic_get(queue.as_str().into(), BasicGetOptions::default())
            .await
            .unwrap()
            .is_some()
    );
    let url = rig.vhost.url();
    let mut victim = Program::subscribed(&rig, &url, "victim").await;
    rig.until_waiting(&Rig::queue_of("p"), |waiting| waiting == 0)
        .await;
    // another project goes on meanwhile
    let other = rig.publish("q", vec![flow("c", "echo")]).await;
    assert_eq!(rig.settled(other).await.count(Outcome::Applied), 1);
    victim.signal("KILL");
    victim.ended().await;
    let _heir = Program::subscribed(&rig, &url, "heir").await;
    link.close().await;
    let state = rig.settled(run).await;
    assert_eq!(state.count(Outcome::Applied), 3, "{:?}", state.dead());
    assert!(rig.file("p").await == Some(file), "byte for byte");
    rig.until_gone(&named).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_that_are_gone_are_a_dead_letter_with_the_reason_and_the_rest_is_applied() {
    let Some(rig) = Rig::make("parts-gone").await else {
        return;
    };
    let run = rig.publish("p", acts(&noise(9_000_000))).await;
    let named = rig.named("p").await;
    let link = rig.vhost.link().await;
    delete_parts(&link, named.run, named.seq).await.unwrap();
    let _worker = rig.worker("one").await;
    let state = rig.settled(run).await;
    let counts = (state.count(Outcome::Applied), state.count(Outcome::Dead));
    assert_eq!(counts, (2, 1), "{:?}", state.dead());
    assert_eq!(state.dead()[0].label, "file lib/large.jar");
    let reason = rig.reason().await;
    let wanted = format!(
        "unreadable message: the parts of its body are no longer kept (there is no queue {}), published 2",
        named.queue().name
    );
    assert!(reason.starts_with(&wanted), "{reason}");
    assert_eq!(state.dead()[0].reason, reason);
    assert_eq!(rig.file("p").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_part_is_a_dead_letter_that_keeps_its_parts() {
    let Some(rig) = Rig::make("parts-damaged").await else {
        return;
    };
    let run = rig.publish("p", vec![put(&noise(9_000_000))]).await;
    let named = rig.named("p").await;
    let link = rig.vhost.link().await;
    let (channel, queue) = (link.channel().await.unwrap(), named.queue().name);
    channel
        .queue_purge(queue.as_str().into(), QueuePurgeOptions::default())
        .await
        .unwrap();
    let body = vec![7; usize::try_from(named.bytes).unwrap()].into();
    let parcel = Parcel {
        named: named.clone(),
        body,
    };
    let sender = Sender::open(&link).await.unwrap();
    send_parts(&link, &sender, &parcel).await.unwrap();
    let _worker = rig.worker("one").await;
    let state = rig.settled(run).await;
    assert_eq!(state.count(Outcome::Dead), 1);
    let reason = rig.reason().await;
    assert!(reason.contains("its parts are damaged"), "{reason}");
    rig.until_waiting(&queue, |waiting| waiting == named.count).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_comes_again_after_its_parts_were_deleted_is_known_to_be_applied() {
    let Some(rig) = Rig::make("parts-again").await else {
        return;
    };
    let run = rig.publish("p", vec![put(&noise(9_000_000))]).await;
    // a copy, as of a message whose acknowledgement got lost
    let link = rig.vhost.link().await;
    let (copy, named) = rig.small("p").await;
    let queue = Rig::queue_of("p");
    let _worker = rig.worker("one").await;
    assert_eq!(rig.settled(run).await.count(Outcome::Applied), 1);
    rig.until_gone(&named).await;
    let sender = Sender::open(&link).await.unwrap();
    sender
        .send(&queue, &copy.data, copy.properties.clone())
        .await
        .unwrap();
    // behind it in the same lane: settled after it
    let behind = rig.publish("p", vec![flow("a", "x")]).await;
    assert_eq!(rig.settled(behind).await.count(Outcome::Applied), 1);
    rig.until_waiting(&queue, |waiting| waiting == 0).await;
    assert_eq!(rig.waiting(DEAD).await, 0);
    assert_eq!(hold(&link.channel().await.unwrap(), DEAD).await, 0);
}
