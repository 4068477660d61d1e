//! The state for people.

use std::time::Duration;

use flowlift_common::state::{ConsumerState, ProjectState, Step};
use jiff::tz::TimeZone;

use super::Now;
use crate::steer::by;
use crate::table::table;
use crate::when::minute_ms;
use crate::words::{count, some, span, thousands};

/// Rows of a table that are shown.
const ROWS: usize = 10;

/// A summary, the consumers, what they have in hand, and where most waits. `zone` is that of whoever looks.
#[must_use]
pub fn words(now: &Now, zone: &TimeZone) -> String {
    let mut text = String::new();
    for (name, value) in summary(now, zone) {
        text += &format!("{name:<13} {value}\n");
    }
    if !now.consumers.is_empty() {
        text += "\n";
        text += &table(&CONSUMERS, now.consumers.iter().map(consumer));
    }
    let busy = in_hand(now);
    if !busy.is_empty() {
        let rows = busy
            .iter()
            .take(ROWS)
            .map(|(name, project)| project_row(name, project));
        text += "\n";
        text += &table(&PROJECTS, rows);
        let told: u64 = now.consumers.iter().map(|state| state.more_projects).sum();
        let more = busy.len().saturating_sub(ROWS) as u64 + told;
        if more > 0 {
            text += &format!("and {} more\n", count(more, "project"));
        }
    }
    text += &unsettled(now, zone);
    let full = now.fullest(ROWS);
    if !full.is_empty() {
        let rows = full.iter().map(|depth| {
            vec![
                depth.shard.to_string(),
                thousands(depth.waiting),
                thousands(depth.parked),
                now.holder(depth.shard).unwrap_or("nobody").to_owned(),
            ]
        });
        text += "\n";
        text += &table(&["shard", "waiting", "parked", "consumer"], rows);
    }
    text
}

/// The runs that are not settled, and where most of their changes are still to go.
fn unsettled(now: &Now, zone: &TimeZone) -> String {
    let (runs, projects) = (&now.unsettled.runs, &now.unsettled.projects);
    let mut text = String::new();
    if !runs.is_empty() {
        let rows = runs.iter().rev().take(ROWS).map(|run| {
            let dash = || "-".to_owned();
            vec![
                run.run.to_string(),
                run.state.word().to_owned(),
                thousands(run.done),
                run.left().map_or_else(dash, thousands),
                run.deadline_ms.map_or_else(dash, |at| minute_ms(at, zone)),
            ]
        });
        text += "\n";
        text += &table(&["run", "state", "done", "left", "deadline"], rows);
        text += &more(runs.len(), "run");
    }
    if !projects.is_empty() {
        let rows = projects.iter().take(ROWS);
        text += "\n";
        text += &table(
            &["project", "changes left"],
            rows.map(|(project, changes)| vec![project.to_string(), thousands(*changes)]),
        );
        text += &more(projects.len(), "project");
    }
    text
}

/// What a table leaves out.
fn more(all: usize, what: &str) -> String {
    match all.saturating_sub(ROWS) as u64 {
        0 => String::new(),
        left => format!("and {} more\n", count(left, what)),
    }
}

/// The lines on top: name and value.
pub(super) fn summary(now: &Now, zone: &TimeZone) -> Vec<(&'static str, String)> {
    let (messages, changes) = now.in_hand();
    let (changes_rate, _, uploads_rate) = now.rates();
    let mut lines = vec![("RabbitMQ", broker(now)), ("Azkaban", azkaban(now))];
    if let Some(pause) = now.steering.all() {
        lines.push(("paused", format!("everything, {}", by(pause, zone))));
    }
    for pause in now.steering.projects() {
        let name = pause
            .project
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default();
        lines.push(("paused", format!("project {name}, {}", by(pause, zone))));
    }
    let mut backlog = format!("{} wait", count_of(now.waiting(), "message", "messages"));
    if now.parked() > 0 {
        backlog += &format!(", {} set aside", thousands(now.parked()));
    }
    if messages > 0 {
        backlog += &format!(
            ", {} in hand ({}), the oldest for {}",
            thousands(messages),
            count(changes, "change"),
            span(now.oldest())
        );
    }
    lines.push(("backlog", backlog));
    if !now.unsettled.runs.is_empty() {
        lines.push(("left", left(now)));
    }
    lines.push((
        "rate",
        format!(
            "{changes_rate:.1} changes/s, {:.1} uploads/min",
            uploads_rate * 60.0
        ),
    ));
    lines.push(("done", done(now, zone)));
    if let Some(deadline) = now.deadline_ms() {
        lines.push(("deadline", due(now, deadline, zone)));
    }
    lines.push(("dead letters", dead(now.depths.dead)));
    lines
}

fn left(now: &Now) -> String {
    let (runs, projects) = (now.unsettled.runs.len(), now.unsettled.projects.len());
    let changes = match now.unsettled.changes() {
        // of a run that is still published it is not known yet
        0 => "not known yet".to_owned(),
        changes => format!(
            "{} in {}",
            count(changes, "change"),
            count(projects as u64, "project")
        ),
    };
    format!("{changes}, {}", count(runs as u64, "run"))
}

fn broker(now: &Now) -> String {
    let unowned = match now.unowned() {
        0 => String::new(),
        n => format!(" ({n} without a consumer)"),
    };
    let consumers = count(now.consumers.len() as u64, "consumer");
    format!(
        "{}: {consumers}, {} shards{unowned}",
        now.broker, now.record.shards
    )
}

fn azkaban(now: &Now) -> String {
    let url = now.record.azkaban.as_deref().unwrap_or("none was named yet");
    let away = now.consumers.iter().filter(|state| state.breaker_open);
    let away: Vec<String> = away.map(|state| state.name.clone()).collect();
    if away.is_empty() {
        return url.to_owned();
    }
    format!("{url} counts as away for {}", some(&away, 3))
}

fn done(now: &Now, zone: &TimeZone) -> String {
    let nothing = now.waiting() + now.in_hand().0 + now.parked() == 0;
    match now.left() {
        Some(left) => {
            let at = minute_ms(
                now.at_ms
                    .saturating_add(u64::try_from(left.as_millis()).unwrap_or(u64::MAX)),
                zone,
            );
            format!("in about {} (at {at}) at this rate", span(left))
        }
        None if nothing => "nothing waits".into(),
        None if now.consumers.is_empty() => "never: nobody consumes (start flowlift-consumer)".into(),
        None if now.steering.all().is_some() => "when work goes on (flowlift resume)".into(),
        None => "cannot be told: nothing was settled in the last minute".into(),
    }
}

/// How the earliest deadline looks at this rate.
fn due(now: &Now, deadline_ms: u64, zone: &TimeZone) -> String {
    let at = minute_ms(deadline_ms, zone);
    let left = Duration::from_millis(deadline_ms.saturating_sub(now.at_ms));
    match now.left() {
        _ if left.is_zero() => format!("{at}: missed, and not all is done"),
        Some(needed) if needed > left => {
            format!("{at}: in danger, {} too late at this rate", span(needed - left))
        }
        Some(needed) => format!("{at}: in time, {} to spare at this rate", span(left - needed)),
        None => format!("{at}: in {}", span(left)),
    }
}

fn dead(letters: u64) -> String {
    match letters {
        0 => "none".into(),
        n => format!("{} (flowlift dead list)", count(n, "message")),
    }
}

fn count_of(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", thousands(n), if n == 1 { one } else { many })
}

const CONSUMERS: [&str; 8] = [
    "consumer",
    "shards",
    "in hand",
    "projects",
    "changes/s",
    "uploads/min",
    "connections",
    "state",
];

fn consumer(state: &ConsumerState) -> Vec<String> {
    let lately = state.lately;
    let waits = match state.permits_waiting {
        0 => String::new(),
        n => format!(" (+{n} waiting)"),
    };
    vec![
        state.name.clone(),
        state.shards.len().to_string(),
        thousands(state.messages),
        thousands(state.projects.len() as u64 + state.more_projects),
        format!("{:.1}", lately.per_second(lately.changes)),
        format!("{:.1}", lately.per_second(lately.uploads) * 60.0),
        format!("{}{waits}", state.permits_held),
        condition(state).to_owned(),
    ]
}

/// A word for how a consumer is.
pub(super) fn condition(state: &ConsumerState) -> &'static str {
    let at = |step: Step| state.projects.iter().any(|project| project.step == step);
    if state.breaker_open {
        "Azkaban away"
    } else if at(Step::Uploading) {
        "uploading"
    } else if at(Step::Fenced) {
        "fenced"
    } else if state.projects.is_empty() {
        "idle"
    } else if state.projects.iter().all(|project| project.step == Step::Held) {
        "paused"
    } else {
        "working"
    }
}

const PROJECTS: [&str; 6] = ["project", "consumer", "messages", "step", "for", "zip"];

fn project_row(consumer: &str, project: &ProjectState) -> Vec<String> {
    let zip = match (project.flows, project.zip_bytes) {
        (_, 0) => String::new(),
        (flows, bytes) => format!("{}, {}", count(flows, "flow"), size(bytes)),
    };
    vec![
        project.project.to_string(),
        consumer.to_owned(),
        thousands(project.messages),
        project.step.as_str().to_owned(),
        span(Duration::from_millis(project.for_ms)),
        zip,
    ]
}

/// All projects in hand: those at work first, each step by how long it takes.
pub(super) fn in_hand(now: &Now) -> Vec<(&str, &ProjectState)> {
    let mut all: Vec<(&str, &ProjectState)> = now
        .consumers
        .iter()
        .flat_map(|state| {
            state
                .projects
                .iter()
                .map(|project| (state.name.as_str(), project))
        })
        .collect();
    all.sort_by_key(|(_, project)| (place(project.step), std::cmp::Reverse(project.for_ms)));
    all
}

/// What Azkaban works on first, then what is in trouble, then what waits.
fn place(step: Step) -> u8 {
    match step {
        Step::Uploading => 0,
        Step::Verifying => 1,
        Step::Settling => 2,
        Step::Fenced => 3,
        Step::BackingOff => 4,
        Step::Planning => 5,
        Step::Permit => 6,
        Step::Gathering => 7,
        Step::Held => 8,
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1_024 => format!("{bytes} bytes"),
        1_024..1_048_576 => format!("{} KiB", bytes / 1_024),
        _ => format!("{} MiB", bytes / 1_048_576),
    }
}
