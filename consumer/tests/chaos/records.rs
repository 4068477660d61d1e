//! What stands in RabbitMQ after a round: ranks of runs, outcomes, dead letters, and queues that must be empty.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use flowlift_common::RunId;
use flowlift_common::amqp::{Link, Start, StreamReader};
use flowlift_common::fold::RunState;
use flowlift_common::ledger::{self, DeadLetter, Mark, Outcome, RunEvent, Settled};
use flowlift_common::topology::{DEAD, OUTCOMES, RUNS};
use lapin::options::BasicGetOptions;
use tokio::time::timeout;

use crate::expected::{Run, What};

/// Records that were confirmed can be read at once; a failing round waits so long.
const READING: Duration = Duration::from_secs(60);

/// The rank each run opened with.
pub(crate) async fn ranks(link: &Link, runs: &[Run]) -> BTreeMap<String, u64> {
    let mut missing: BTreeSet<&str> = runs.iter().map(|run| run.id.as_str()).collect();
    let mut ranks = BTreeMap::new();
    let mut reader = StreamReader::open(link, RUNS, Start::First)
        .await
        .expect("a stream");
    while !missing.is_empty() {
        let Ok(record) = timeout(READING, reader.next()).await else {
            panic!("the stream of runs lacks {missing:?}");
        };
        let event = ledger::decode::<RunEvent>(&record.expect("a record").body).expect("an event");
        let id = event.run().to_string();
        match event {
            RunEvent::Opened { rank, .. } => {
                ranks.insert(id, rank);
            }
            RunEvent::Closed { .. } => {
                missing.remove(id.as_str());
            }
            RunEvent::Opening { .. } | RunEvent::Renewed { .. } | RunEvent::Cancelled { .. } => {}
        }
    }
    ranks
}

/// Reads the ledger and says what is wrong with it: changes without an outcome, or with two that contradict each other.
pub(crate) async fn outcomes(link: &Link, runs: &[Run]) -> Vec<String> {
    let mut states: BTreeMap<RunId, RunState> = BTreeMap::new();
    let mut totals: BTreeMap<RunId, (u64, u64)> = BTreeMap::new();
    for run in runs {
        let id: RunId = run.id.parse().expect("a run's id");
        let dead = run.lines.iter().filter(|line| line.what == What::Poison).count();
        states.insert(id, RunState::new(id));
        totals.insert(id, (run.lines.len() as u64, dead as u64));
    }
    let mut told: BTreeMap<(RunId, u64), BTreeSet<Outcome>> = BTreeMap::new();
    let open = |states: &BTreeMap<RunId, RunState>| {
        let short = states.iter().filter(|(id, state)| state.done() < totals[id].0);
        short.count()
    };
    let mut reader = StreamReader::open(link, OUTCOMES, Start::First)
        .await
        .expect("a stream");
    while open(&states) > 0 {
        let Ok(record) = timeout(READING, reader.next()).await else {
            break;
        };
        let body = record.expect("a record").body;
        if ledger::decode::<Mark>(&body).is_ok() {
            continue;
        }
        let record = ledger::decode::<Settled>(&body).expect("a record");
        for result in &record.results {
            let Some(state) = states.get_mut(&result.run) else {
                continue;
            };
            state.settled(&Settled {
                results: vec![result.clone()],
                ..record.clone()
            });
            for seq in result.ranges.iter().flat_map(|(first, last)| *first..=*last) {
                told.entry((result.run, seq)).or_default().insert(result.outcome);
            }
        }
    }
    let mut faults = Vec::new();
    for (id, state) in &states {
        let (total, dead) = totals[id];
        if state.done() != total {
            faults.push(format!(
                "run {id}: {} of {total} changes have an outcome",
                state.done()
            ));
        } else if state.count(Outcome::Dead) != dead {
            let found: Vec<String> = state
                .dead()
                .iter()
                .map(|dead| format!("{} in {}: {}", dead.label, dead.project, dead.reason))
                .collect();
            faults.push(format!(
                "run {id}: {dead} should be dead and these are: {found:?}"
            ));
        }
    }
    let contradicts = |outcomes: &BTreeSet<Outcome>| outcomes.contains(&Outcome::Dead) && outcomes.len() > 1;
    for ((run, seq), outcomes) in told.iter().filter(|(_, outcomes)| contradicts(outcomes)) {
        faults.push(format!("run {run}, change {seq} has the outcomes {outcomes:?}"));
    }
    faults
}

/// Empties the dead letters; says what does not belong there, or is missing.
pub(crate) async fn dead_letters(link: &Link, runs: &[Run]) -> Vec<String> {
    let poison = |run: &Run| {
        let dead = run.lines.iter().filter(|line| line.what == What::Poison);
        dead.map(|line| (run.id.clone(), line.project.clone(), line.flow.clone()))
            .collect::<Vec<_>>()
    };
    let mut missing: BTreeSet<(String, String, String)> = runs.iter().flat_map(poison).collect();
    let wanted = missing.clone();
    let known: BTreeSet<&str> = runs.iter().map(|run| run.id.as_str()).collect();
    let names: BTreeSet<String> = wanted.iter().map(|(_, _, flow)| flow.clone()).collect();
    let mut faults = Vec::new();
    let channel = link.channel().await.expect("a channel");
    while let Some(message) = channel
        .basic_get(DEAD.into(), BasicGetOptions { no_ack: true })
        .await
        .expect("the queue is there")
    {
        let letter = match ledger::decode::<DeadLetter>(&message.delivery.data) {
            Ok(letter) => letter,
            Err(error) => {
                let headers = message.delivery.properties.headers();
                faults.push(format!("a dead letter that nobody can read: {error} {headers:?}"));
                continue;
            }
        };
        let run = letter.envelope.run.to_string();
        for change in &letter.envelope.changes {
            let key = (run.clone(), letter.envelope.project.to_string(), change.label());
            missing.remove(&key);
            // what an interrupted publishing left may have had the same poison in it
            let of_an_interrupted_run = !known.contains(run.as_str()) && names.contains(&key.2);
            if !wanted.contains(&key) && !of_an_interrupted_run {
                let reason = letter.reasons.get(&change.seq);
                faults.push(format!("an innocent among the dead letters: {key:?}, {reason:?}"));
            }
        }
    }
    faults.extend(
        missing
            .iter()
            .map(|key| format!("poison that is not among the dead letters: {key:?}")),
    );
    faults
}
