use std::time::Duration;

use flowlift_common::amqp::{self, Link};
use flowlift_common::topology::PERMITS;
use flowlift_consumer::permits::{DEFAULT_TOTAL, Permit, Permits};
use futures_util::future::{join_all, try_join_all};
use tokio::time::timeout;

use crate::broker::{PLACES, SOON, Vhost, permits_queue, until_permits_queue};

async fn acquire(permits: &Permits) -> Permit {
    timeout(SOON, permits.acquire())
        .await
        .expect("a permit comes soon")
        .expect("the broker is there")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_third_waits_until_one_of_two_is_released() {
    let Some(vhost) = Vhost::make("third").await else {
        return;
    };
    let (near, far) = (vhost.link().await, vhost.link().await);
    let here = Permits::open(&near, Some(2)).await.unwrap();
    let there = Permits::open(&far, None).await.unwrap();
    assert_eq!((here.total(), there.total()), (2, 2));
    let (first, second) = (acquire(&here).await, acquire(&here).await);

    let waiter = there.clone();
    let third = tokio::spawn(async move { waiter.acquire().await });
    until_permits_queue(&near, (0, 1)).await;
    assert!(!third.is_finished());
    assert_eq!((here.held(), there.held(), there.waiting()), (2, 0, 1));

    first.release();
    let third = timeout(SOON, third).await.unwrap().unwrap().unwrap();
    assert_eq!((there.held(), there.waiting()), (1, 0));
    drop((second, third));
    until_permits_queue(&near, (2, 0)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_broker_takes_the_permits_of_the_dead_back() {
    let Some(vhost) = Vhost::make("dead").await else {
        return;
    };
    let (dying, wire) = vhost.cuttable().await;
    let doomed = Permits::open(&dying, Some(2)).await.unwrap();
    let held = [acquire(&doomed).await, acquire(&doomed).await];
    let link = vhost.link().await;
    let permits = Permits::open(&link, None).await.unwrap();

    drop(wire);
    let taken = [acquire(&permits).await, acquire(&permits).await];
    assert!(doomed.acquire().await.is_err(), "its connection is gone");
    drop(held);
    drop(taken);
    until_permits_queue(&link, (2, 0)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_gives_up_at_any_moment_takes_no_token_along() {
    let Some(vhost) = Vhost::make("gives-up").await else {
        return;
    };
    let link = vhost.link().await;
    let permits = Permits::open(&link, Some(3)).await.unwrap();
    for step in 0..200 {
        // a token comes within some milliseconds: before, while and after it does
        let patience = Duration::from_micros(step * 50);
        drop(timeout(patience, permits.acquire()).await);
    }
    until_permits_queue(&link, (3, 0)).await;
    assert_eq!((permits.held(), permits.waiting()), (0, 0));
    let all = join_all((0..3).map(|_| acquire(&permits))).await;
    assert_eq!(all.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn consumers_that_start_together_lay_the_tokens_once() {
    let Some(vhost) = Vhost::make("together").await else {
        return;
    };
    let mut links = Vec::new();
    for _ in 0..6 {
        links.push(vhost.link().await);
    }
    let opened = try_join_all(links.iter().map(|link| Permits::open(link, None))).await;
    for permits in opened.unwrap() {
        assert_eq!(permits.total(), DEFAULT_TOTAL);
    }
    assert_eq!(permits_queue(&links[0]).await, (u32::from(DEFAULT_TOTAL), 0));
    assert_eq!(amqp::permits(&links[0]).await.unwrap(), Some(DEFAULT_TOTAL));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_number_is_laid_anew_under_those_who_wait() {
    let Some(vhost) = Vhost::make("anew").await else {
        return;
    };
    let (near, far) = (vhost.link().await, vhost.link().await);
    let before = Permits::open(&near, Some(1)).await.unwrap();
    let held = acquire(&before).await;
    let outside = Permits::open(&far, None).await.unwrap();
    let waiter = outside.clone();
    let waiting = tokio::spawn(async move { waiter.acquire().await });
    until_permits_queue(&far, (0, 1)).await;

    let after = Permits::open(&near, Some(3)).await.unwrap();
    assert_eq!(after.total(), 3);
    let served = timeout(SOON, waiting).await.unwrap().unwrap().unwrap();
    until_permits_queue(&far, (2, 0)).await;
    drop(served);
    until_permits_queue(&far, (3, 0)).await;

    // the token of the old queue is gone with it, and its channel serves again
    held.release();
    let all = [
        acquire(&after).await,
        acquire(&after).await,
        acquire(&after).await,
    ];
    let fourth = tokio::spawn(async move { before.acquire().await });
    until_permits_queue(&far, (0, 1)).await;
    assert!(!fourth.is_finished(), "three tokens are out, there is no fourth");
    fourth.abort();
    until_permits_queue(&far, (0, 0)).await;
    drop(all);
    until_permits_queue(&far, (3, 0)).await;
    assert_eq!(Permits::open(&far, None).await.unwrap().total(), 3);
}

async fn delete(link: &Link, queue: &str) {
    let channel = link.channel().await.unwrap();
    let options = lapin::options::QueueDeleteOptions::default();
    channel.queue_delete(queue.into(), options).await.unwrap();
}

/// What is gone with a node, as seen by those on other nodes: subscriptions end, and the queue is not found.
#[tokio::test(flavor = "multi_thread")]
async fn who_waits_when_the_tokens_go_is_served_from_those_laid_anew() {
    let Some(vhost) = Vhost::make("go").await else {
        return;
    };
    let links = [vhost.link().await, vhost.link().await];
    let mut permits = Vec::new();
    for link in &links {
        permits.push(Permits::open(link, Some(2)).await.unwrap());
    }
    let held = [acquire(&permits[0]).await, acquire(&permits[1]).await];
    let waiting: Vec<_> = (0..6)
        .map(|n| {
            let permits = permits[n % 2].clone();
            tokio::spawn(async move { permits.acquire().await.map(drop) })
        })
        .collect();
    until_permits_queue(&links[0], (0, 4)).await;

    delete(&links[0], PERMITS).await;
    for waiter in waiting {
        timeout(SOON, waiter).await.unwrap().unwrap().unwrap();
    }
    drop(held);
    until_permits_queue(&links[0], (2, 0)).await;
    assert_eq!(standing(&links[0]).await, [PERMITS]);
}

/// What a node that was away brings back: tokens that were laid elsewhere meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn tokens_at_two_places_are_laid_once_more_by_the_next_who_opens() {
    let Some(vhost) = Vhost::make("two").await else {
        return;
    };
    let link = vhost.link().await;
    let early = Permits::open(&link, Some(2)).await.unwrap();
    let channel = link.channel().await.unwrap();
    let options = lapin::options::QueueDeclareOptions {
        durable: true,
        ..Default::default()
    };
    for queue in ["flowlift.permits.2", "flowlift.permits.2.laid"] {
        let declared = channel.queue_declare(queue.into(), options, lapin::types::FieldTable::default());
        declared.await.unwrap();
    }

    let late = Permits::open(&link, None).await.unwrap();
    assert_eq!(late.total(), 2);
    assert_eq!(standing(&link).await, ["flowlift.permits.3"]);
    let all = [acquire(&early).await, acquire(&late).await];
    until_permits_queue(&link, (0, 0)).await;
    drop(all);
    until_permits_queue(&link, (2, 0)).await;
}

async fn standing(link: &Link) -> Vec<&'static str> {
    let mut standing = Vec::new();
    for place in PLACES {
        if amqp::depth(link, place).await.is_ok() {
            standing.push(place);
        }
    }
    standing
}

#[tokio::test(flavor = "multi_thread")]
async fn who_dies_while_laying_leaves_the_work_to_the_next() {
    let Some(vhost) = Vhost::make("half-laid").await else {
        return;
    };
    let link = vhost.link().await;
    let permits = Permits::open(&link, Some(4)).await.unwrap();
    drop(acquire(&permits).await);
    until_permits_queue(&link, (4, 0)).await;

    // what a killed one leaves behind: the sign that all are laid is gone, some tokens are not there yet
    delete(&link, "flowlift.permits.laid").await;
    let channel = link.channel().await.unwrap();
    channel
        .queue_purge(PERMITS.into(), lapin::options::QueuePurgeOptions::default())
        .await
        .unwrap();

    let next = Permits::open(&link, None).await.unwrap();
    assert_eq!(next.total(), 4);
    until_permits_queue(&link, (4, 0)).await;
}
