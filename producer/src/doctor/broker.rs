//! RabbitMQ and what works on it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use flowlift_common::amqp::{AmqpError, Link, Sender, look_at_record, own_queue};
use flowlift_common::config::Settings;
use flowlift_common::state::ConsumerState;
use flowlift_common::topology::{self, Record};
use futures_util::StreamExt as _;

use super::Finding;
use crate::publish::now_ms;
use crate::status::gather::{Depths, depths};
use crate::status::{Ears, Now};
use crate::words::{count, some, span};

/// A message to oneself takes milliseconds; a broker that holds publishers back never confirms it.
const ROUND_TRIP: Duration = Duration::from_secs(10);
/// Where rabbitmq_prometheus listens by default.
const METRICS_PORT: u16 = 15692;
/// Nobody looks longer than this for a port.
const CONNECTING: Duration = Duration::from_secs(2);
/// Clocks that differ by more make latencies wrong that people look at.
const CLOCKS: Duration = Duration::from_secs(2);

/// What the examination of Azkaban wants to know of it.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// The record all programs of the vhost agree on.
    pub record: Option<Record>,
}

/// Looks at all of it.
pub async fn examine(settings: &Settings) -> (Vec<Finding>, Known) {
    let mut known = Known::default();
    let link = match Link::connect(settings.amqp_url(), "flowlift doctor").await {
        Ok(link) => link,
        Err(error) => return (vec![unusable(&error)], known),
    };
    let version = link.version().unwrap_or("of an unknown version");
    let mut findings = vec![Finding::good(
        "reached",
        format!("{}, RabbitMQ {version}", link.broker()),
    )];
    match Link::greetings(settings.amqp_url()).await {
        Ok((named, away)) => findings.extend(nodes(named, &away)),
        Err(error) => findings.push(trouble("nodes", &error)),
    }
    findings.push(match round_trip(&link).await {
        Ok(took) => Finding::good(
            "rights",
            format!("declare, write and read; a message to itself took {}", span(took)),
        ),
        Err(error) => not_allowed(&error, link.is_blocked()),
    });
    findings.push(plugin(link.broker()).await);
    match look_at_record(&link).await {
        Ok(record) => {
            findings.push(set_up(record.as_ref(), settings.shards, settings.told_azkaban()));
            known.record = record;
        }
        Err(error) => findings.push(trouble("set up", &error)),
    }
    if let Some(record) = &known.record {
        match at_work(&link, record).await {
            Ok(now) => findings.extend(work(&now)),
            Err(error) => findings.push(trouble("queues", &error)),
        }
    }
    link.close().await;
    (findings, known)
}

/// Whether RabbitMQ's own metrics can be read where they are by default.
async fn plugin(broker: &str) -> Finding {
    let host = broker.rsplit_once(':').map_or(broker, |(host, _)| host);
    let address = format!("{host}:{METRICS_PORT}");
    let connecting = tokio::net::TcpStream::connect(&address);
    match tokio::time::timeout(CONNECTING, connecting).await {
        Ok(Ok(_)) => Finding::good("metrics", format!("RabbitMQ's own answer at {address}")),
        _ => Finding::hint(
            "metrics",
            format!("nobody answers at {address}"),
            "for RabbitMQ's dashboard and alerts: rabbitmq-plugins enable rabbitmq_prometheus; fine where it has another port",
        ),
    }
}

/// Writes a message to a queue of one's own and reads it.
async fn round_trip(link: &Link) -> Result<Duration, AmqpError> {
    let begun = Instant::now();
    let trip = async {
        let (queue, mut read) = own_queue(link, None).await?;
        Sender::open(link)
            .await?
            .answer(&queue, b"flowlift doctor")
            .await?;
        match read.next().await {
            Some(delivery) => delivery.map(drop).map_err(AmqpError::from),
            None => Err(AmqpError::Lost("the broker ended the reading".into())),
        }
    };
    let over = || AmqpError::Lost(format!("no confirm within {} s", ROUND_TRIP.as_secs()));
    tokio::time::timeout(ROUND_TRIP, trip)
        .await
        .unwrap_or_else(|_| Err(over()))?;
    Ok(begun.elapsed())
}

async fn at_work(link: &Link, record: &Record) -> Result<Now, AmqpError> {
    let depths = depths(link, record.shards).await?;
    let (steering, consumers) = Ears::open(link).await?.hear().await?;
    Ok(Now {
        broker: link.broker().to_owned(),
        record: record.clone(),
        steering,
        consumers,
        depths,
        unsettled: Default::default(),
        at_ms: now_ms(),
    })
}

/// The nodes of a cluster that the address names; nothing where it names one alone.
pub(super) fn nodes(named: usize, away: &[AmqpError]) -> Option<Finding> {
    if named < 2 {
        return None;
    }
    if away.is_empty() {
        return Some(Finding::good(
            "nodes",
            format!("all {named} of the address answer"),
        ));
    }
    let reasons: Vec<String> = away.iter().map(ToString::to_string).collect();
    Some(Finding::hint(
        "nodes",
        format!(
            "no answer from {} of the {named} nodes in the address: {}",
            away.len(),
            reasons.join("; ")
        ),
        "start them again, or correct the address: a cluster works only as long as most of its nodes do",
    ))
}

/// Why RabbitMQ cannot be used at all.
pub(super) fn unusable(error: &AmqpError) -> Finding {
    let advice = match error {
        AmqpError::Unreachable { .. } => {
            "is RabbitMQ running there, and does the way to it exist? `flowlift config` tells where the address comes from"
        }
        AmqpError::Access { .. } => {
            "name a user that exists there with its password, and give it rights in the vhost: rabbitmqctl set_permissions"
        }
        AmqpError::TooOld { .. } => "use RabbitMQ 4.0 or newer",
        _ => "look at the settings: flowlift config",
    };
    Finding::bad("reached", error.to_string(), advice)
}

fn not_allowed(error: &AmqpError, blocked: bool) -> Finding {
    if blocked {
        let advice =
            "its memory or its disk is short: rabbitmq-diagnostics alarms (docs/RUNBOOK.md, broker blocked)";
        return Finding::bad("rights", "RabbitMQ takes no messages at the moment", advice);
    }
    let advice = "this user may not declare, write or read; what each program needs stands in SECURITY.md (a user who only looks needs \
                  less than this asks for)";
    Finding::hint("rights", error.to_string(), advice)
}

fn trouble(what: &'static str, error: &AmqpError) -> Finding {
    let advice = match error {
        AmqpError::Missing { .. } => {
            "somebody deleted it; the next publishing or consumer makes it anew, what was in it is lost"
        }
        _ => "try again; if it stays so, look into RabbitMQ's log",
    };
    Finding::bad(what, error.to_string(), advice)
}

/// What the vhost's record says, against what this program was told.
pub(super) fn set_up(record: Option<&Record>, shards: u16, azkaban: Option<&str>) -> Finding {
    let Some(record) = record else {
        let advice = "nothing to do: the first publishing or consumer sets it up";
        return Finding::hint("set up", "not yet", advice);
    };
    if let Err(disagreement) = topology::agree(record, shards, azkaban) {
        let advice =
            "give all programs of one vhost the same settings, or use another vhost (flowlift topology show)";
        return Finding::bad("set up", disagreement.to_string(), advice);
    }
    let azkaban = record.azkaban.as_deref().unwrap_or("not named yet");
    Finding::good(
        "set up",
        format!(
            "{} shards, wire version {}, Azkaban {azkaban}",
            record.shards, record.wire
        ),
    )
}

/// The queues and the consumers.
pub(super) fn work(now: &Now) -> Vec<Finding> {
    let mut findings = vec![consumers(now)];
    findings.extend(versions(&now.consumers));
    findings.extend(clocks(&now.consumers, now.at_ms));
    findings.extend(shards(now));
    let away: Vec<String> = now
        .consumers
        .iter()
        .filter(|state| state.breaker_open)
        .map(|state| state.name.clone())
        .collect();
    if !away.is_empty() {
        let advice = "see what is found about Azkaban below, as seen from the consumers' machines";
        findings.push(Finding::bad(
            "Azkaban",
            format!("counts as away for {}", some(&away, 3)),
            advice,
        ));
    }
    if let Some(pause) = now.steering.all() {
        findings.push(Finding::hint(
            "paused",
            format!("everything, by {}", pause.who),
            "flowlift resume",
        ));
    }
    for pause in now.steering.projects() {
        let project = pause
            .project
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default();
        let advice = format!("flowlift resume {project}");
        findings.push(Finding::hint(
            "paused",
            format!("project {project}, by {}", pause.who),
            advice,
        ));
    }
    findings.push(letters(&now.depths));
    if now.parked() > 0 {
        let seen = format!("{} of projects that cannot go on", count(now.parked(), "message"));
        findings.push(Finding::hint(
            "parked",
            seen,
            "the consumers' logs tell why (rights, as a rule); they are tried again by themselves",
        ));
    }
    findings
}

fn consumers(now: &Now) -> Finding {
    let names: Vec<String> = now.consumers.iter().map(|state| state.name.clone()).collect();
    match names.len() as u64 {
        0 => Finding::bad(
            "consumers",
            "nobody consumes: what is published waits",
            "start flowlift-consumer",
        ),
        n => Finding::good(
            "consumers",
            format!("{}: {}", count(n, "consumer"), some(&names, 5)),
        ),
    }
}

fn versions(consumers: &[ConsumerState]) -> Option<Finding> {
    let ours = env!("CARGO_PKG_VERSION");
    let theirs: BTreeSet<&str> = consumers.iter().map(|state| state.version.as_str()).collect();
    let differ = theirs.iter().any(|version| *version != ours);
    differ.then(|| {
        let theirs: Vec<&str> = theirs.into_iter().collect();
        let seen = format!(
            "consumers are of version {}, this is {ours}",
            theirs.join(" and ")
        );
        Finding::hint(
            "versions",
            seen,
            "upgrade consumers first, then whoever publishes",
        )
    })
}

/// The clocks of consumers against this one; an answer takes some time, so a little is no difference.
fn clocks(consumers: &[ConsumerState], at_ms: u64) -> Option<Finding> {
    let differs = |state: &&ConsumerState| state.at_ms.is_some_and(|theirs| apart(theirs, at_ms) > CLOCKS);
    let wrong: Vec<String> = consumers
        .iter()
        .filter(differs)
        .map(|state| {
            format!(
                "{} by {}",
                state.name,
                span(apart(state.at_ms.unwrap_or(at_ms), at_ms))
            )
        })
        .collect();
    (!wrong.is_empty()).then(|| {
        let advice = "order does not hang on clocks, but latencies and deadlines do: let NTP set them";
        Finding::hint(
            "clocks",
            format!("differ from this machine's: {}", some(&wrong, 3)),
            advice,
        )
    })
}

/// How far two times in ms are apart.
pub(super) fn apart(one: u64, other: u64) -> Duration {
    Duration::from_millis(one.abs_diff(other))
}

fn shards(now: &Now) -> Option<Finding> {
    if now.consumers.is_empty() {
        return None;
    }
    let (all, unowned) = (now.record.shards, now.unowned());
    let most = now
        .consumers
        .iter()
        .map(|state| state.shards.len())
        .max()
        .unwrap_or_default();
    Some(match unowned {
        0 => Finding::good(
            "shards",
            format!("all {all} are served, the busiest consumer has {most}"),
        ),
        _ => Finding::bad(
            "shards",
            format!("{unowned} of {all} are served by nobody"),
            "a consumer that hangs or has just gone: look at its log, or end it; others take its shards over",
        ),
    })
}

fn letters(depths: &Depths) -> Finding {
    match depths.dead {
        0 => Finding::good("dead letters", "none"),
        n => Finding::hint("dead letters", count(n, "message"), "flowlift dead list"),
    }
}
