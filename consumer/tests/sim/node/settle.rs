//! Makes outcomes known, then acknowledges; sets messages aside. Mirrors `src/settle.rs`; the records are production's own.

use std::rc::Rc;

use flowlift_common::ledger::{AttemptEvent, Detail, Settled};
use flowlift_consumer::account::{Account, Facts};
use flowlift_consumer::project::Settlement;

use super::floor::{Held, Place, What};
use super::hands::looks;
use super::session::with;
use crate::world::{W, tell};

/// What needed no upload is remembered, dead letters are confirmed, then the ledger, then the messages go.
pub(super) async fn settle(w: W, here: Place, settlement: Settlement) -> What {
    match settled(&w, &here, &settlement).await {
        Some(()) => What::Settled {
            receipts: settlement.receipts,
            uploaded: settlement.uploaded,
            unwritten: settlement.unwritten,
        },
        None => What::Broken,
    }
}

async fn settled(w: &W, here: &Place, settlement: &Settlement) -> Option<()> {
    let link = w.link(here.conn)?;
    let kept = here.bench(w, |bench| {
        (bench.prepared.clone(), bench.upload.clone(), bench.created)
    });
    let (prepared, upload, created) = kept?;
    let uploaded = settlement.uploaded;
    let seen = prepared
        .as_ref()
        .map(|prepared| prepared.seen.clone())
        .filter(|_| settlement.unwritten);
    if let Some(seen) = seen.filter(|seen| !seen.is_empty()) {
        let project = here.project.clone();
        let event = AttemptEvent::Seen { project, seen };
        link.confirmed(w, move |broker| broker.attempts.push(event))
            .await
            .ok()?;
    }
    let restored = prepared.map(|prepared| prepared.restored).filter(|_| uploaded);
    let facts = Facts {
        project: &here.project,
        consumer: &link.name,
        now_ms: w.now(),
        upload: upload.filter(|_| uploaded),
        created,
        restored: restored.unwrap_or_default(),
        detail: Detail::default(),
    };
    let held = in_hand(w, here, settlement);
    let mut account = Account::of(&facts, settlement);
    for one in &held {
        for letter in account.add(one.receipt, &one.envelope) {
            link.confirmed(w, move |broker| broker.dead.push(letter))
                .await
                .ok()?;
        }
    }
    for record in account.records() {
        tell!(w, "{}: settles {}", link.name, told(&record));
        link.confirmed(w, move |broker| broker.outcomes.push(record))
            .await
            .ok()?;
    }
    for one in held
        .iter()
        .filter(|one| settlement.receipts.contains(&one.receipt))
    {
        tell!(w, "{}: acknowledges message {}", link.name, one.number);
        link.ack(w, one.shard, one.tag);
    }
    Some(())
}

fn in_hand(w: &W, here: &Place, settlement: &Settlement) -> Vec<Held> {
    let touched = |receipt: &u64| {
        settlement.receipts.contains(receipt)
            || settlement.changes.iter().any(|(id, _)| id.receipt == *receipt)
    };
    let held = with(w, here.node, here.conn, |session| {
        let held = session.floor.held.values().filter(|held| touched(&held.receipt));
        held.cloned().collect()
    });
    held.unwrap_or_default()
}

/// Moves messages to the parked queue: each is confirmed there before it is acknowledged here.
pub(super) async fn park(w: W, here: Place, receipts: Vec<u64>) -> What {
    let Some(link) = w.link(here.conn) else {
        return What::Broken;
    };
    let held = with(&w, here.node, here.conn, |session| {
        let held = receipts
            .iter()
            .filter_map(|receipt| session.floor.held.get(receipt));
        held.cloned().collect::<Vec<Held>>()
    });
    for one in held.unwrap_or_default() {
        let (shard, envelope) = (one.shard, Rc::clone(&one.envelope));
        if link
            .confirmed(&w, move |broker| broker.parked[shard].push_back(envelope))
            .await
            .is_err()
        {
            return What::Broken;
        }
        tell!(w, "{}: parks message {}", link.name, one.number);
        link.ack(&w, shard, one.tag);
    }
    for node in &w.nodes {
        let conn = node.session.borrow().as_ref().map(|session| session.link.id);
        if let Some(conn) = conn {
            looks::after_parked(&w, node.index, conn);
        }
    }
    What::Parked(receipts)
}

fn told(record: &Settled) -> String {
    let words = record.results.iter().map(|result| {
        let note = result
            .note
            .as_ref()
            .map_or_else(String::new, |note| format!(" ({note})"));
        format!("{} {}{note}", result.labels.join(", "), result.outcome)
    });
    words.collect::<Vec<_>>().join("; ")
}
