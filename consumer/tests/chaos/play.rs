//! Plays one round: consumers, ground, load under the fault, healing, and what must then be so.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use flowlift_azkaban::ProjectName;
use flowlift_azkaban::client::LogEntry;
use flowlift_common::topology::{parked_queue, shard_queue};
use tokio_util::sync::CancellationToken;

use crate::broker::Broker;
use crate::expected::{self, Flow, Run, State};
use crate::load::Load;
use crate::options::Options;
use crate::patience::or_go_on;
use crate::readback::{self, Differences};
use crate::records;
use crate::rounds::Round;
use crate::scene::{CONNECTIONS, SHARDS, Scene};

/// The longest until everything published has its outcome once the fault is over; the fence of 70 s is in it several times.
const SETTLING: Duration = Duration::from_secs(600);
/// The longest until a second look has repaired what an upload that landed late has done.
const REPAIRING: Duration = Duration::from_secs(90);

/// What a round came to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Verdict {
    /// How often the fault was tried.
    pub(crate) tried: u64,
    /// Changes published meanwhile.
    pub(crate) changes: u64,
    pub(crate) found: Differences,
    /// Anything else that is wrong.
    pub(crate) faults: Vec<String>,
}

impl Verdict {
    pub(crate) fn is_good(&self) -> bool {
        self.found.is_empty() && self.faults.is_empty()
    }
}

pub(crate) async fn play(
    options: &Options,
    broker: &Broker,
    round: Round,
    folder: PathBuf,
    seed: u64,
) -> Verdict {
    let name = format!("{}-{seed}", round.name);
    let mut scene = Scene::set(broker, options, &name, folder, seed).await;
    let prefix = format!(
        "flowlift_chaos_{}_{}_{seed}",
        std::process::id(),
        round.name.replace('-', "_")
    );
    let url = broker.url(&scene.vhost, &scene.producer.address);
    let mut load = Load::new(options.clone(), url, &prefix, seed);
    scene.projects.clone_from(&load.projects);
    for _ in 0..round.consumers {
        scene.join().await;
    }
    load.lay_ground().await;
    let direct = broker.url(&scene.vhost, broker.address());
    for run in &load.runs {
        settled(options, &direct, run).await;
    }

    let stop = CancellationToken::new();
    let fault = async {
        let tried = (round.play)(&mut scene).await;
        stop.cancel();
        tried
    };
    let (tried, ()) = tokio::join!(fault, load.run(&stop));
    scene.heal().await;
    let mut known = 0;
    if round.ledger_lost {
        known = load.runs.len();
        load.one().await;
    }
    if round.touch || round.ledger_lost {
        load.touch_all().await;
    }
    for run in &load.runs[known..] {
        settled(options, &direct, run).await;
    }
    let mut verdict = judge(&mut scene, round, &load, known).await;
    verdict.tried = tried;
    scene.end().await;
    verdict.faults.append(&mut scene.faults);
    if verdict.is_good() || scene.azkaban.is_standin() {
        clean(&scene).await;
    }
    verdict
}

/// `flowlift wait`, as a person would.
async fn settled(options: &Options, url: &str, run: &Run) {
    let waiting = options
        .command("flowlift", url)
        .args([
            "wait",
            &run.id,
            "--quiet",
            "--timeout",
            &format!("{}s", SETTLING.as_secs()),
        ])
        .output();
    let out = waiting.await.expect("flowlift runs");
    let said = String::from_utf8_lossy(&out.stderr);
    let code = out.status.code();
    assert!(
        matches!(code, Some(0 | 1)),
        "run {} is not settled: {code:?}, {said}",
        run.id
    );
}

async fn judge(scene: &mut Scene<'_>, round: Round, load: &Load, known: usize) -> Verdict {
    let mut verdict = Verdict {
        changes: load.runs.iter().map(|run| run.lines.len() as u64).sum(),
        ..Verdict::default()
    };
    let link = scene.broker.link(&scene.vhost).await;
    let ranks = records::ranks(&link, &load.runs).await;
    if let Some(pair) = load
        .runs
        .windows(2)
        .find(|pair| ranks[&pair[0].id] >= ranks[&pair[1].id])
    {
        let fault = format!("run {} has no higher rank than the one before it", pair[1].id);
        verdict.faults.push(fault);
    }
    verdict
        .faults
        .extend(records::outcomes(&link, &load.runs[known..]).await);
    empty_queues(scene, &mut verdict.faults).await;

    write_history(&load.runs, &ranks, scene);
    std::fs::write(scene.folder.join("repeated.txt"), load.repeated.join("\n")).expect("a file");
    let mut state = expected::fold(&load.runs, |run| ranks[run]);
    take_away(&mut state, scene);
    let as_it_must_be = async || {
        let found = readback::compare(&scene.azkaban.client, &state, &scene.by_hand).await;
        matches!(found, Ok(found) if found.is_empty())
    };
    or_go_on(REPAIRING, as_it_must_be).await;
    match readback::compare(&scene.azkaban.client, &state, &scene.by_hand).await {
        Ok(found) => verdict.found = found,
        Err(error) => verdict.faults.push(format!("it cannot be read back: {error}")),
    }
    verdict
        .faults
        .extend(records::dead_letters(&link, &load.runs).await);
    link.close().await;
    if !verdict.is_good() {
        write_project_logs(scene).await;
    }
    if round.calm {
        calm(scene, &mut verdict.faults).await;
    }
    verdict
}

/// What was published in which order, one change a line, beside the logs.
fn write_history(runs: &[Run], ranks: &BTreeMap<String, u64>, scene: &Scene<'_>) {
    let mut text = String::new();
    for run in runs {
        for line in &run.lines {
            let _ = writeln!(text, "{} {} {}", ranks[&run.id], run.id, line.json().trim_end());
        }
    }
    std::fs::write(scene.folder.join("published.txt"), text).expect("a file");
}

/// What Azkaban says was done to the projects, newest first.
async fn write_project_logs(scene: &Scene<'_>) {
    for project in &scene.projects {
        let name = ProjectName::new(project).expect("a name");
        let Ok(log) = scene.azkaban.client.project_log(&name, 10_000, 0).await else {
            continue;
        };
        let line = |entry: LogEntry| {
            let message = entry.message.unwrap_or_default();
            format!("{} {} {} {message}\n", entry.time_ms, entry.user, entry.kind)
        };
        let text: String = log.into_iter().map(line).collect();
        std::fs::write(scene.folder.join(format!("{project}.txt")), text).expect("a file");
    }
}

/// What people removed from our latest is gone for good.
fn take_away(state: &mut State, scene: &Scene<'_>) {
    let gone = Flow {
        content: None,
        cron: None,
    };
    state.extend(scene.by_hand.removed.iter().map(|key| (key.clone(), gone)));
}

async fn empty_queues(scene: &Scene<'_>, faults: &mut Vec<String>) {
    let not_empty = async || {
        let depths = scene.depths().await;
        let queues = (0..SHARDS).flat_map(|shard| [shard_queue(shard), parked_queue(shard)]);
        let full = queues.filter(|queue| depths.get(queue).map(String::as_str) != Some("0"));
        full.map(|queue| format!("{queue}: {:?}", depths.get(&queue)))
            .collect::<Vec<_>>()
    };
    let is_empty = or_go_on(Duration::from_secs(120), async || not_empty().await.is_empty()).await;
    if !is_empty {
        let full = not_empty().await;
        faults.push(format!("queues that should be empty: {full:?}"));
    }
}

/// Nobody died: no two uploads of a project at a time, and no more connections than allowed.
async fn calm(scene: &Scene<'_>, faults: &mut Vec<String>) {
    let traffic = scene.http.traffic();
    let overlapped = if scene.azkaban.is_standin() {
        scene.azkaban.stat("uploads_overlapped").await
    } else {
        traffic.overlapped
    };
    if overlapped > 0 {
        faults.push(format!("{overlapped} uploads of one project overlapped"));
    }
    if traffic.open_max > CONNECTIONS {
        let open = traffic.open_max;
        faults.push(format!(
            "{open} connections to Azkaban were open at a time, {CONNECTIONS} are allowed"
        ));
    }
    assert!(traffic.uploads > 0, "the wire sees the uploads");
}

/// Takes the projects and the vhost away.
async fn clean(scene: &Scene<'_>) {
    for project in &scene.projects {
        let name = ProjectName::new(project).expect("a name");
        if let Err(error) = scene.azkaban.client.delete_project(&name).await {
            eprintln!("    project {project} stays in Azkaban: {error}");
        }
    }
    scene.broker.ctl(&["delete_vhost", &scene.vhost]).await;
}

/// Writes what was found beside the logs.
pub(crate) fn write_down(verdict: &Verdict, folder: &Path) {
    let text = format!("{verdict:#?}\n");
    std::fs::write(folder.join("verdict.txt"), text).expect("a file");
}
