//! Queues that somebody deleted, and how little is declared where all stands.

use flowlift_azkaban::ProjectName;
use flowlift_common::amqp::depth;
use flowlift_common::topology::{DEAD, OUTCOMES, RUNS, parked_queue, shard_of, shard_queue};
use lapin::options::QueueDeleteOptions;

use crate::dead::{letter, run};
use crate::publish::{run_of, words};
use crate::vhost::{SHARDS, Vhost};

impl Vhost {
    async fn loses(&self, queue: &str) {
        let link = self.link().await;
        let channel = link.channel().await.unwrap();
        let deleted = channel.queue_delete(queue.into(), QueueDeleteOptions::default());
        deleted.await.unwrap();
        link.close().await;
    }

    async fn has(&self, queue: &str) -> bool {
        let link = self.link().await;
        let stands = depth(&link, queue).await.is_ok();
        link.close().await;
        stands
    }
}

fn shard() -> String {
    shard_queue(shard_of(&ProjectName::new("p").unwrap(), SHARDS))
}

#[tokio::test]
async fn a_queue_that_was_deleted_is_made_anew_for_the_messages_that_need_it() {
    let Some(vhost) = Vhost::new() else { return };
    let person = vhost.person();
    run_of(&person.calls(&words("publish --project p --flows 1")));
    vhost.counts_its_record().await;
    vhost.loses(&shard()).await;
    let said = person.calls(&words("publish --project p --flows 20000"));
    let again = run_of(&said);
    let warning = format!(
        "queue {} was missing in RabbitMQ and is made anew; what lay in it is gone with it\n",
        shard()
    );
    assert_eq!(
        said.err.matches(&warning).count(),
        1,
        "once, however many messages: {}",
        said.err
    );
    let json = person.calls(&words("topology show --json"));
    let json: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    let count = usize::try_from(json["waiting"].as_u64().unwrap()).unwrap();
    let mut seqs: Vec<u64> = Vec::new();
    for message in vhost.messages("p", count).await {
        assert_eq!(message.run, again);
        seqs.extend(message.changes.iter().map(|change| change.seq));
    }
    seqs.sort_unstable();
    assert_eq!(seqs, (1..=20_000).collect::<Vec<_>>());
}

#[tokio::test]
async fn dead_letters_are_requeued_into_a_queue_that_was_deleted() {
    let Some(vhost) = Vhost::new() else { return };
    vhost.buries(&[letter(run(), 5, [1])]).await;
    run_of(&vhost.person().calls(&words("publish --project q --flows 1")));
    vhost.counts_its_record().await;
    vhost.loses(&shard()).await;
    let again = run_of(&vhost.somebody().calls(&words("dead requeue --all --yes")));
    assert_eq!(vhost.messages("p", 1).await.remove(0).run, again);
}

#[tokio::test]
async fn streams_and_dead_letters_that_were_deleted_stand_again_with_the_next_command() {
    let Some(vhost) = Vhost::new() else { return };
    let person = vhost.person();
    run_of(&person.calls(&words("publish --project p --flows 1")));
    for queue in [RUNS, OUTCOMES, DEAD] {
        vhost.loses(queue).await;
    }
    person.is_refused(
        "wait --quiet 019e0a5c-7c30-7d10-a3c5-2f6f0c6bfa0d",
        66,
        "there is no run 019e0a5c-7c30-7d10-a3c5-2f6f0c6bfa0d in this RabbitMQ (runs are kept for 90 days)",
    );
    for queue in [RUNS, OUTCOMES, DEAD] {
        assert!(vhost.has(queue).await, "{queue}");
    }
}

#[tokio::test]
async fn where_the_record_stands_the_queues_of_shards_are_left_alone() {
    let Some(vhost) = Vhost::new() else { return };
    let person = vhost.person();
    run_of(&person.calls(&words("publish --project p --flows 1")));
    vhost.counts_its_record().await;
    vhost.loses(&parked_queue(0)).await;
    run_of(&person.calls(&words("publish --project p --flows 1")));
    assert!(!vhost.has(&parked_queue(0)).await, "nobody needed it");
    let shown = person.calls(&words("topology show --json --quiet"));
    assert_eq!(shown.code, 0, "{}", shown.err);
    let warning = format!(
        "queue {} was missing in RabbitMQ and is made anew; what lay in it is gone with it",
        parked_queue(0)
    );
    assert!(shown.err.contains(&warning), "{}", shown.err);
    assert!(vhost.has(&parked_queue(0)).await);
    // a disagreement is told before anything of another topology is declared
    person.is_refused(
        "wait 019e0a5c-7c30-7d10-a3c5-2f6f0c6bfa0d --shards 3",
        78,
        "this vhost has 2 shards, this program is set to 3; the number of shards changes only when drained",
    );
    assert!(!vhost.has(&shard_queue(2)).await);
}

impl Vhost {
    /// The broker's count of a stream lags; until it says that there is a record, everything is declared.
    async fn counts_its_record(&self) {
        let link = self.link().await;
        let mut look = tokio::time::interval(std::time::Duration::from_millis(50));
        let counted = async {
            while depth(&link, flowlift_common::topology::RECORD)
                .await
                .unwrap()
                .waiting
                == 0
            {
                look.tick().await;
            }
        };
        let counted = tokio::time::timeout(std::time::Duration::from_secs(60), counted).await;
        counted.expect("the broker counts the record within a minute");
        link.close().await;
    }
}
