//! Plans the batch with the real planner and makes the new zip as a tree. Mirrors `src/hands/plan.rs`.

use std::rc::Rc;

use flowlift_common::{Envelope, manifest};
use flowlift_consumer::plan::{Asked, ChangeId, Decision, plan};
use flowlift_consumer::project::{Event, PlanAsk, Planned};

use super::super::floor::{Place, What};
use super::super::session::with;
use super::{BaseInHand, Prepared};
use crate::azkaban::content::Content;
use crate::world::{W, tell};

/// Plans what was asked for.
pub(crate) async fn plan_batch(w: W, here: Place, ask: PlanAsk) -> What {
    let time = w.between(0, 5);
    w.clock.sleep(time).await;
    let envelopes = with(&w, here.node, here.conn, |session| {
        let held = ask.receipts.iter().filter_map(|receipt| session.floor.held.get(receipt));
        held.map(|held| (held.receipt, Rc::clone(&held.envelope))).collect::<Vec<_>>()
    });
    let envelopes = envelopes.unwrap_or_default();
    let base = here.bench(&w, |bench| bench.base.take()).flatten();
    let base = base.expect("a base is read before anything is planned");
    let seen = here.bench(&w, |bench| bench.seen.clone()).unwrap_or_default();
    let attempt = format!("flowlift-{}.zip", w.uuid().simple());
    let (planned, prepared) = prepare(&base, &ask, envelopes, &seen, attempt);
    tell!(
        w,
        "night-{}: plans {} on version {} (generation {}): {}{}",
        here.node + 1,
        here.project,
        base.highest,
        prepared.generation,
        decisions(&planned, &prepared),
        if planned.upload { "" } else { "; no upload needed" }
    );
    here.bench(&w, |bench| bench.prepared = Some(prepared));
    What::Heard(Event::Planned(planned))
}

fn prepare(
    base: &BaseInHand,
    ask: &PlanAsk,
    envelopes: Vec<(u64, Rc<Envelope>)>,
    seen: &flowlift_consumer::plan::Seen,
    attempt: String,
) -> (Planned, Prepared) {
    let out = |id: &ChangeId| ask.settled.contains(id) || ask.held_back.contains(id);
    let asked: Vec<Asked<'_>> = (envelopes.iter())
        .flat_map(|(receipt, envelope)| asked(*receipt, envelope))
        .filter(|one| !out(&one.id))
        .collect();
    let (asked, homeless): (Vec<_>, Vec<_>) =
        asked.into_iter().partition(|one| base.exists || one.rules.create);
    let plan = plan(&base.base, &asked, seen);
    let upload = plan.upload || ask.force;
    let zip = upload.then(|| {
        let mut tree = base.base.tree.clone();
        tree.retain(|path, _| !plan.remove.contains(path));
        tree.extend(plan.put.clone());
        let mut written = plan.manifest.clone();
        attempt.clone_into(&mut written.attempt);
        tree.insert(manifest::PATH.to_owned(), written.write().into());
        Content::of(tree)
    });
    let mut decisions = plan.decisions;
    let missing = "the project does not exist, and creating it was ruled out";
    decisions.extend(homeless.iter().map(|one| (one.id, Decision::Dead(missing.into()))));
    let planned = Planned {
        decisions,
        unreadable: Vec::new(),
        newer: Vec::new(),
        upload,
        schedules: !plan.schedules.is_empty(),
        may_create: !base.exists,
    };
    let prepared = Prepared {
        envelopes: Rc::new(envelopes),
        attempt,
        generation: plan.manifest.generation,
        zip,
        base: Rc::clone(&base.base),
        forced: ask.force,
        expected: Rc::new(plan.expected),
        schedules: Rc::new(plan.schedules),
        highest: base.highest,
        seen: plan.seen,
    };
    (planned, prepared)
}

fn asked(receipt: u64, envelope: &Envelope) -> impl Iterator<Item = Asked<'_>> {
    envelope.changes.iter().map(move |change| Asked {
        id: ChangeId {
            receipt,
            seq: change.seq,
        },
        order: envelope.order(change),
        owner: &envelope.owner,
        rules: envelope.rules,
        change,
    })
}

fn decisions(planned: &Planned, prepared: &Prepared) -> String {
    let label = |id: &ChangeId| {
        let envelope = prepared.envelopes.iter().find(|(receipt, _)| *receipt == id.receipt);
        envelope.map_or_else(String::new, |(_, envelope)| {
            crate::truth::label_of(envelope, id.seq)
        })
    };
    let words = planned.decisions.iter().map(|(id, decision)| format!("{} {decision:?}", label(id)));
    words.collect::<Vec<_>>().join(", ")
}
