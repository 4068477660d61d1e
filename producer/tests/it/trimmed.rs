//! A stream of outcomes that RabbitMQ has trimmed.

use flowlift_azkaban::ProjectName;
use flowlift_common::amqp::{Link, Sender, Start, StreamReader, declare};
use flowlift_common::ledger::Outcome;
use flowlift_common::topology::{OUTCOMES, Retention, shard_of, shard_queue};
use futures_util::future::try_join_all;
use lapin::options::QueuePurgeOptions;

use crate::patience::PATIENCE;
use crate::publish::{run_of, words};
use crate::vhost::{SHARDS, Vhost};

/// The offset of the oldest record that is kept.
async fn oldest(link: &Link) -> u64 {
    let mut reader = StreamReader::open(link, OUTCOMES, Start::First).await.unwrap();
    let read = tokio::time::timeout(PATIENCE, reader.next()).await;
    let offset = read.expect("something is kept").unwrap().offset;
    reader.close().await;
    offset
}

#[tokio::test]
async fn what_is_trimmed_is_said_and_what_is_kept_is_told_as_before() {
    let Some(vhost) = Vhost::new() else { return };
    let person = vhost.person();
    let link = vhost.link().await;
    // RabbitMQ drops whole segments, which hold 50 MB
    let little = Retention {
        outcomes_bytes: 60_000_000,
        ..Retention::default()
    };
    declare(&link, SHARDS, &little).await.unwrap();
    let old = run_of(&person.calls(&words("publish --project p --flows 3")));
    vhost.settle(old, Outcome::Applied, (1, 3), None).await;
    assert_eq!(person.calls(&["wait", &old.to_string()]).code, 0);
    let sender = Sender::open(&link).await.unwrap();
    let much = vec![7; 900_000];
    let trimmed = async {
        while oldest(&link).await == 0 {
            try_join_all((0..20).map(|_| sender.record(OUTCOMES, &much)))
                .await
                .unwrap();
        }
    };
    tokio::time::timeout(PATIENCE, trimmed)
        .await
        .expect("RabbitMQ trims the stream");
    let new = run_of(&person.calls(&words("publish --project q --flows 2")));
    vhost.settle(new, Outcome::Applied, (1, 2), None).await;
    let said = person.calls(&["wait", &new.to_string(), "--timeout", "60s"]);
    assert_eq!(said.code, 0, "{}", said.err);
    // as a consumer leaves it that has settled all
    let queue = shard_queue(shard_of(&ProjectName::new("p").unwrap(), SHARDS));
    let channel = link.channel().await.unwrap();
    let emptied = channel.queue_purge(queue.as_str().into(), QueuePurgeOptions::default());
    emptied.await.unwrap();
    let said = person.calls(&["wait", &old.to_string(), "--timeout", "12s"]);
    assert_eq!(said.code, 75, "{}", said.err);
    assert!(
        said.err.contains("RabbitMQ no longer keeps what became of them"),
        "{}",
        said.err
    );
}
