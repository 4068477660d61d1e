//! Several rounds at a time, each lane with a RabbitMQ of its own: most of a round is waiting.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::task::JoinSet;

use crate::broker::Broker;
use crate::options::Options;
use crate::play::{self, Verdict};
use crate::rounds::{self, Needs, Round};
use crate::table::{head, table};

/// A round to be played, and the seed of its chance.
type Due = (Round, u64);

/// Plays what is asked for and prints the table; whether all was well.
pub(crate) async fn play_all(options: &Options) -> bool {
    let begun = Instant::now();
    let is_wanted =
        |round: &Round| options.wants(round.name) && (round.needs == Needs::Any || options.azkaban.is_none());
    let rounds: Vec<Round> = rounds::all().into_iter().filter(is_wanted).collect();
    assert!(!rounds.is_empty(), "there is no such round");
    let seeds = (0..options.rounds as u64).map(|n| options.seed + n);
    let due: VecDeque<Due> = seeds
        .flat_map(|seed| rounds.iter().map(move |round| (*round, seed)))
        .collect();
    let lanes = options.lanes.clamp(1, due.len());
    eprintln!(
        "{} rounds, {lanes} at a time; logs in {}",
        due.len(),
        options.folder.display()
    );
    let due = Arc::new(Mutex::new(due));
    let mut running = JoinSet::new();
    for lane in 0..lanes {
        running.spawn_local(walk(lane, options.clone(), Arc::clone(&due)));
    }
    let mut verdicts = Vec::new();
    let mut versions = Vec::new();
    while let Some(walked) = running.join_next().await {
        let (of_lane, version) = walked.expect("a lane ends");
        verdicts.extend(of_lane);
        versions = vec![version];
    }
    let good = verdicts.iter().all(|(_, verdict)| verdict.is_good());
    let text = table(&rounds, &verdicts);
    println!("\n{text}");
    println!("{} rounds in {} s", verdicts.len(), begun.elapsed().as_secs());
    if let Some(file) = &options.table {
        let head = head(&options.words(), &versions.concat(), begun.elapsed().as_secs());
        std::fs::write(file, format!("{head}\n{text}")).expect("the table can be written");
    }
    good
}

async fn walk(
    lane: usize,
    options: Options,
    due: Arc<Mutex<VecDeque<Due>>>,
) -> (Vec<(&'static str, Verdict)>, String) {
    let mut verdicts = Vec::new();
    let broker = Arc::new(Broker::start(&options.folder.join(format!("broker-{lane}.log"))).await);
    loop {
        let Some((round, seed)) = due.lock().expect("unharmed").pop_front() else {
            break;
        };
        let begun = Instant::now();
        let folder = options.folder.join(format!("{}-{seed}", round.name));
        // in a task of its own: a panic is this round's failure, not the lane's end
        let played = tokio::task::spawn_local({
            let (options, broker, folder) = (options.clone(), Arc::clone(&broker), folder.clone());
            async move { play::play(&options, &broker, round, folder, seed).await }
        });
        let verdict = played.await.unwrap_or_else(|error| Verdict {
            faults: vec![panic_text(error)],
            ..Verdict::default()
        });
        play::write_down(&verdict, &folder);
        let (word, seconds) = (
            if verdict.is_good() { "ok    " } else { "FAILED" },
            begun.elapsed().as_secs(),
        );
        let (tried, changes) = (verdict.tried, verdict.changes);
        eprintln!(
            "{word} {:18} tried {tried:4}, {changes:5} changes, {seconds:4} s",
            round.name
        );
        if !verdict.is_good() {
            let found = &verdict.found;
            let all = found.lost.iter().map(|text| format!("lost: {text}"));
            let all = all.chain(found.undone.iter().map(|text| format!("undone: {text}")));
            let all = all.chain(found.other.iter().chain(&verdict.faults).cloned());
            for line in all.take(12) {
                eprintln!("         {line}");
            }
            eprintln!("         logs: {}", folder.display());
        }
        verdicts.push((round.name, verdict));
    }
    let version = broker.ctl(&["-q", "version"]).await.trim().to_owned();
    if let Ok(broker) = Arc::try_unwrap(broker) {
        broker.end().await;
    }
    (verdicts, version)
}

fn panic_text(error: tokio::task::JoinError) -> String {
    match error.try_into_panic() {
        Ok(panic) => panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_else(|| "it panicked".into()),
        Err(error) => error.to_string(),
    }
}
