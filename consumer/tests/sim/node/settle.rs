//! Makes outcomes known, then acknowledges. Mirrors `src/settle.rs`.

use std::collections::BTreeMap;

use flowlift_common::RunId;
use flowlift_common::ledger::{DeadLetter, Outcome, Outcomes, SETTLED_VERSION, Settled};
use flowlift_consumer::plan::ChangeId;
use flowlift_consumer::project::{Final, Settlement};

use super::floor::{Place, What};
use super::hands::Prepared;
use super::session::with;
use crate::world::{W, tell};

/// Dead letters confirmed, then the ledger, then the messages go.
pub(super) async fn settle(w: W, here: Place, settlement: Settlement) -> What {
    let Some(link) = w.link(here.conn) else { return What::Broken };
    let kept = here.bench(&w, |bench| (bench.prepared.clone(), bench.upload.clone(), bench.created));
    let (Some(prepared), upload, created) = kept.unwrap_or_default() else {
        return What::Broken;
    };
    for letter in dead_letters(&prepared, &settlement, &link.name) {
        if link.confirmed(&w, move |broker| broker.dead.push(letter)).await.is_err() {
            return What::Broken;
        }
    }
    let record = Settled {
        v: SETTLED_VERSION,
        project: here.project.clone(),
        consumer: link.name.clone(),
        at_ms: w.now(),
        upload: upload.filter(|_| settlement.uploaded),
        created_project: created,
        results: results(&prepared, &settlement),
    };
    tell!(w, "{}: settles {}", link.name, told(&record));
    if link.confirmed(&w, move |broker| broker.outcomes.push(record)).await.is_err() {
        return What::Broken;
    }
    let acks = with(&w, here.node, here.conn, |session| {
        let held = settlement.receipts.iter().filter_map(|receipt| session.floor.held.get(receipt));
        held.map(|held| (held.shard, held.tag, held.number)).collect::<Vec<_>>()
    });
    for (shard, tag, number) in acks.unwrap_or_default() {
        tell!(w, "{}: acknowledges message {number}", link.name);
        link.ack(&w, shard, tag);
    }
    What::Settled {
        receipts: settlement.receipts,
        uploaded: settlement.uploaded,
    }
}

fn finals(settlement: &Settlement) -> BTreeMap<ChangeId, &Final> {
    settlement.changes.iter().map(|(id, last)| (*id, last)).collect()
}

fn dead_letters(prepared: &Prepared, settlement: &Settlement, consumer: &str) -> Vec<DeadLetter> {
    let finals = finals(settlement);
    let mut letters = Vec::new();
    for (receipt, envelope) in prepared.envelopes.iter() {
        let mut reasons = BTreeMap::new();
        for change in &envelope.changes {
            let id = ChangeId {
                receipt: *receipt,
                seq: change.seq,
            };
            if let Some(last) = finals.get(&id).filter(|last| last.outcome == Outcome::Dead) {
                reasons.insert(change.seq, last.note.clone().unwrap_or_default());
            }
        }
        if reasons.is_empty() {
            continue;
        }
        let mut dead = (**envelope).clone();
        dead.changes.retain(|change| reasons.contains_key(&change.seq));
        letters.push(DeadLetter {
            v: SETTLED_VERSION,
            consumer: consumer.to_owned(),
            at_ms: 0,
            reasons,
            envelope: dead,
        });
    }
    letters
}

fn results(prepared: &Prepared, settlement: &Settlement) -> Vec<Outcomes> {
    let finals = finals(settlement);
    let mut groups: BTreeMap<(RunId, Outcome, Option<String>), Vec<(u64, String)>> = BTreeMap::new();
    for (receipt, envelope) in prepared.envelopes.iter() {
        for change in &envelope.changes {
            let id = ChangeId {
                receipt: *receipt,
                seq: change.seq,
            };
            if let Some(last) = finals.get(&id) {
                let key = (envelope.run, last.outcome, last.note.clone());
                groups.entry(key).or_default().push((change.seq, change.label()));
            }
        }
    }
    let outcome = |((run, outcome, note), mut changes): ((RunId, Outcome, Option<String>), Vec<(u64, String)>)| {
        changes.sort();
        changes.dedup_by_key(|(seq, _)| *seq);
        Outcomes {
            run,
            outcome,
            note,
            ranges: changes.iter().map(|(seq, _)| (*seq, *seq)).collect(),
            labels: changes.into_iter().map(|(_, label)| label).collect(),
            published_ms: 0,
        }
    };
    groups.into_iter().map(outcome).collect()
}

fn told(record: &Settled) -> String {
    let words = record.results.iter().map(|result| {
        let note = result.note.as_ref().map_or_else(String::new, |note| format!(" ({note})"));
        format!("{} {}{note}", result.labels.join(", "), result.outcome)
    });
    words.collect::<Vec<_>>().join("; ")
}
