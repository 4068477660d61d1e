//! How much waits, and since when: what consumers tell of it without any plugin of the broker's.

use std::time::Duration;

use flowlift_azkaban::ProjectName;
use flowlift_common::RunId;
use flowlift_common::amqp::{Headers, Link, Sender, properties};
use flowlift_common::envelope::Envelope;
use flowlift_common::topology::{DEAD, shard_queue};
use flowlift_consumer::held::Held;
use flowlift_consumer::metrics::Waiting;
use flowlift_consumer::waiting::Queues;
use lapin::options::BasicGetOptions;
use lapin::types::FieldTable;

use crate::broker::{SOON, Vhost};

/// A check with a deadline, as a message; `headers`: whether they tell what the body does.
fn message(headers: bool) -> (Vec<u8>, lapin::BasicProperties) {
    let project = ProjectName::new("p").unwrap();
    let envelope = Envelope {
        deadline_ms: Some(9_000),
        ..Envelope::check(project, RunId::fresh(), 5_000)
    };
    let all = properties(&Headers::of(&envelope, 1, 1));
    let properties = if headers {
        all
    } else {
        all.with_headers(FieldTable::default())
    };
    (envelope.encode(), properties)
}

async fn until(queues: &Queues, shards: &[u16], expected: Waiting) {
    let mut pause = tokio::time::interval(Duration::from_millis(20));
    let look = async {
        while queues.look(shards).await.expect("the queues stand") != expected {
            pause.tick().await;
        }
    };
    if tokio::time::timeout(SOON, look).await.is_err() {
        let found = queues.look(shards).await;
        panic!("{found:?} should come to {expected:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lies_in_ones_own_shards_and_among_the_dead_letters_is_counted() {
    let Some(vhost) = Vhost::make("waiting").await else {
        return;
    };
    let link = vhost.link().await;
    let (queues, sender) = (
        Queues::open(&link).await.unwrap(),
        Sender::open(&link).await.unwrap(),
    );
    assert_eq!(queues.look(&[0, 1]).await.unwrap(), Waiting::default());
    for (queue, count) in [(shard_queue(0), 3), (shard_queue(1), 5), (DEAD.to_owned(), 2)] {
        for _ in 0..count {
            let (body, properties) = message(true);
            sender.send(&queue, &body, properties).await.unwrap();
        }
    }
    let waiting = |in_shards| Waiting { in_shards, dead: 2 };
    until(&queues, &[0, 1], waiting(8)).await;
    until(&queues, &[1], waiting(5)).await;
    until(&queues, &[], waiting(0)).await;
}

async fn held(link: &Link, sender: &Sender, headers: bool) -> Held {
    // a shard has a single active consumer, and lets nobody get
    let (body, properties) = message(headers);
    sender.send(DEAD, &body, properties).await.unwrap();
    let channel = link.channel().await.unwrap();
    let mut pause = tokio::time::interval(Duration::from_millis(20));
    let get = async {
        loop {
            let options = BasicGetOptions { no_ack: true };
            let got = channel.basic_get(DEAD.into(), options).await;
            match got.unwrap() {
                Some(got) => return got.delivery,
                // confirmed, and not ready yet
                None => pause.tick().await,
            };
        }
    };
    let delivery = tokio::time::timeout(SOON, get).await;
    Held::new(1, 0, delivery.expect("it lies there"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_tells_when_it_was_published_and_is_due_by_its_headers_or_else_by_its_body() {
    let Some(vhost) = Vhost::make("times").await else {
        return;
    };
    let link = vhost.link().await;
    let sender = Sender::open(&link).await.unwrap();
    for headers in [true, false] {
        let held = held(&link, &sender, headers).await;
        let times = (held.published_ms, held.deadline_ms);
        assert_eq!(times, (Some(5_000), Some(9_000)), "headers: {headers}");
    }
}
