//! Queues one-flow messages, as a foreign producer that does not group them would, and one message at the broker's size limit.
//! `dev/memory` measures with it what a consumer needs while they wait.
//!
//! `flood MESSAGES PROJECTS`; the broker is FLOWLIFT_AMQP_URL.

use std::process::ExitCode;

use flowlift_azkaban::{Flow, FlowName, Job, ProjectName};
use flowlift_common::amqp::{self, AmqpError, Headers, Link, Needs, Outgoing, Publisher, properties};
use flowlift_common::envelope::{Rules, VERSION};
use flowlift_common::topology::{Retention, SHARDS, shard_of, shard_queue};
use flowlift_common::{Act, Body, Change, Envelope, RunId, Schedule, Upsert};
use tokio_util::sync::CancellationToken;

/// RabbitMQ's default for the largest message.
const LARGEST: usize = 16 * 1024 * 1024;

#[tokio::main]
async fn main() -> ExitCode {
    let numbers: Vec<usize> = std::env::args()
        .skip(1)
        .filter_map(|number| number.parse().ok())
        .collect();
    let (Ok(url), &[messages, projects]) = (std::env::var("FLOWLIFT_AMQP_URL"), &numbers[..]) else {
        tell("usage: FLOWLIFT_AMQP_URL=amqp://... flood MESSAGES PROJECTS");
        return ExitCode::from(64);
    };
    match flood(&url, messages, projects.max(1)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&error.to_string());
            ExitCode::from(error.exit_code())
        }
    }
}

async fn flood(url: &str, messages: usize, projects: usize) -> Result<(), AmqpError> {
    let link = Link::connect(url, "flood").await?;
    amqp::declare(&link, SHARDS, &Retention::default()).await?;
    amqp::agree(
        &link,
        Needs {
            shards: SHARDS,
            azkaban: None,
        },
    )
    .await?;
    link.close().await;
    let mut publisher = Publisher::open(url, "flood", CancellationToken::new(), |_| {}).await?;
    let run = RunId::fresh();
    for n in 0..messages {
        publisher.send(one(run, n, projects)).await?;
    }
    let largest = Outgoing {
        queue: shard_queue(0),
        body: vec![b'x'; LARGEST].into(),
        parcel: None,
        properties: properties(&Headers::default()),
        tag: 0,
    };
    publisher.send(largest).await?;
    publisher.flush().await?;
    publisher.close().await;
    Ok(())
}

#[expect(clippy::expect_used, reason = "the names are made of digits and letters")]
fn one(run: RunId, n: usize, projects: usize) -> Outgoing {
    let project = ProjectName::new(format!("flood_{:04}", n % projects)).expect("a good name");
    let name = format!("flow_{n:07}");
    let props = [("command".to_owned(), format!("echo {n}"))].into();
    let job = Job {
        name: name.clone(),
        kind: "command".into(),
        props,
        depends_on: vec![],
    };
    let flow = Flow {
        name: FlowName::new(name).expect("a good name"),
        jobs: vec![job],
        props: [].into(),
    };
    let act = Act::Upsert(Upsert {
        body: Body::Flow(flow),
        schedule: Schedule::Keep,
    });
    let seq = n as u64 + 1;
    let queue = shard_queue(shard_of(&project, SHARDS));
    let changes = vec![Change { seq, act }];
    let envelope = Envelope {
        v: VERSION,
        project,
        run,
        rank: 1,
        owner: String::new(),
        published_ms: 0,
        rules: Rules::default(),
        changes,
        deadline_ms: None,
    };
    let properties = properties(&Headers::of(&envelope, seq, seq));
    Outgoing {
        queue,
        body: envelope.encode().into(),
        parcel: None,
        properties,
        tag: 0,
    }
}

#[expect(clippy::print_stderr, reason = "a tool for measuring talks to its terminal")]
fn tell(text: &str) {
    eprintln!("{text}");
}
