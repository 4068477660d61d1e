use flowlift_azkaban::ProjectName;
use flowlift_common::amqp::{AmqpError, Link, Start, StreamReader};
use flowlift_common::ledger::{self, Attempt, AttemptEvent};
use flowlift_common::topology::ATTEMPTS;
use flowlift_consumer::attempts::OpenAttempts;
use futures_util::future::try_join_all;
use tokio::time::timeout;

use crate::broker::{SOON, Vhost};

pub(crate) fn attempt(id: &str, project: &ProjectName) -> Attempt {
    Attempt {
        attempt: id.into(),
        project: project.clone(),
        generation: 1,
        consumer: "night-1".into(),
        at_ms: 1,
        zip_bytes: 10,
        flows: 1,
        server: None,
    }
}

async fn ids(attempts: &OpenAttempts, project: &ProjectName) -> Vec<String> {
    let open = timeout(SOON, attempts.open_for(project)).await.unwrap().unwrap();
    open.0.into_iter().map(|open| open.attempt).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_successor_sees_what_its_predecessor_left_open() {
    let Some(vhost) = Vhost::make("open").await else {
        return;
    };
    let (p, q) = (ProjectName::new("p").unwrap(), ProjectName::new("q").unwrap());
    let before = vhost.link().await;
    let predecessor = OpenAttempts::open(&before).await.unwrap();
    predecessor.announce(&attempt("a", &p)).await.unwrap();
    predecessor.announce(&attempt("b", &p)).await.unwrap();
    predecessor.ended("a", &p, true).await.unwrap();

    let after = vhost.link().await;
    let successor = OpenAttempts::open(&after).await.unwrap();
    assert_eq!(ids(&successor, &p).await, ["b"]);
    assert!(ids(&successor, &q).await.is_empty());
    // the answer is never older than the question
    for round in 0..20 {
        let id = format!("r{round}");
        predecessor.announce(&attempt(&id, &q)).await.unwrap();
        assert_eq!(ids(&successor, &q).await, [id.as_str()]);
        predecessor.ended(&id, &q, true).await.unwrap();
        assert!(ids(&successor, &q).await.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_who_ask_together_share_marks() {
    let Some(vhost) = Vhost::make("marks").await else {
        return;
    };
    let link = vhost.link().await;
    let attempts = OpenAttempts::open(&link).await.unwrap();
    let p = ProjectName::new("p").unwrap();
    attempts.announce(&attempt("a", &p)).await.unwrap();
    let asked = try_join_all((0..300).map(|_| attempts.open_for(&p)));
    let answers = timeout(SOON, asked).await.unwrap().unwrap();
    assert!(answers.iter().all(|open| open.0.len() == 1));
    attempts.ended("a", &p, true).await.unwrap();
    let marks = marks_before_end(&link).await;
    assert!((1..=3).contains(&marks), "300 questions took {marks} marks");
}

async fn marks_before_end(link: &Link) -> usize {
    let mut reader = StreamReader::open(link, ATTEMPTS, Start::First).await.unwrap();
    let mut marks = 0;
    loop {
        let read = timeout(SOON, reader.next()).await.unwrap().unwrap();
        match ledger::decode(&read.body).unwrap() {
            AttemptEvent::Mark { .. } => marks += 1,
            AttemptEvent::Ended { .. } => return marks,
            AttemptEvent::Seen { .. } | AttemptEvent::Begun(_) | AttemptEvent::Cancelled { .. } => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_is_an_error_and_no_answer() {
    let Some(vhost) = Vhost::make("lost").await else {
        return;
    };
    let (link, wire) = vhost.cuttable().await;
    let attempts = OpenAttempts::open(&link).await.unwrap();
    let p = ProjectName::new("p").unwrap();
    assert!(ids(&attempts, &p).await.is_empty());
    drop(wire);
    for _ in 0..3 {
        let answer = timeout(SOON, attempts.open_for(&p)).await.unwrap();
        assert!(matches!(answer, Err(AmqpError::Lost(_))));
    }
    assert!(attempts.announce(&attempt("a", &p)).await.is_err());
}
