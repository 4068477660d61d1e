//! Plans the batch with the real planner and makes the new zip as a tree. Mirrors `src/hands/plan.rs`.

use std::collections::BTreeSet;
use std::rc::Rc;

use flowlift_common::{Order, RunId, Seen};
use flowlift_consumer::base::Base;
use flowlift_consumer::pack;
use flowlift_consumer::prepare::{Opened, for_project, prepare};
use flowlift_consumer::project::{Event, PlanAsk, Planned};

use super::super::floor::{Held, Place, What};
use super::super::session::with;
use super::Prepared;
use crate::azkaban::content::Content;
use crate::world::{W, tell};

/// Plans what was asked for.
pub(crate) async fn plan_batch(w: W, here: Place, ask: PlanAsk) -> What {
    let time = w.between(0, 5);
    w.clock.sleep(time).await;
    let held = with(&w, here.node, here.conn, |session| {
        let held = ask
            .receipts
            .iter()
            .filter_map(|receipt| session.floor.held.get(receipt));
        held.cloned().collect::<Vec<Held>>()
    });
    let held = held.unwrap_or_default();
    let found = here.bench(&w, |bench| bench.base.take()).flatten();
    let found = found.expect("a base is read before anything is planned");
    let mut seen = here.bench(&w, |bench| bench.seen.clone()).unwrap_or_default();
    let mut base = Rc::clone(&found.base);
    if !w.safeguards.manifest {
        (base, seen) = (Rc::new(without_orders(&base)), Seen::default());
    }
    let messages: Vec<Opened> = (held.iter())
        .map(|held| {
            (
                held.receipt,
                for_project(Ok((*held.envelope).clone()), &here.project),
            )
        })
        .collect();
    let (planned, mut plan) = prepare(&base, found.exists, &ask, &messages, &seen, &BTreeSet::new());
    let attempt = format!("flowlift-{}.zip", w.uuid().simple());
    let zip = planned
        .upload
        .then(|| Content::of(pack::contents(&here.project, &base, &mut plan, &attempt)));
    tell!(
        w,
        "night-{}: plans {} on version {} (highest {}, generation {}): {}{}{}",
        here.node + 1,
        here.project,
        base.active.as_ref().map_or(0, |active| active.version),
        found.highest,
        plan.manifest.generation,
        decisions(&planned, &held),
        if planned.upload { "" } else { "; no upload needed" },
        planned
            .forbidden
            .as_ref()
            .map_or_else(String::new, |why| format!("; forbidden: {why}"))
    );
    let prepared = Prepared {
        held,
        attempt,
        generation: plan.manifest.generation,
        zip,
        base,
        forced: ask.force || seen.doubt,
        expected: Rc::new(plan.expected),
        schedules: Rc::new(plan.schedules),
        highest: found.highest,
        seen: plan.seen,
        restored: plan.restored,
    };
    here.bench(&w, |bench| bench.prepared = Some(prepared));
    What::Heard(Event::Planned(planned))
}

/// A base whose manifest does not tell what was applied when: what is left when that safeguard is off.
fn without_orders(base: &Base) -> Base {
    let mut base = base.clone();
    if let Some(manifest) = &mut base.manifest {
        let never = Order {
            rank: 0,
            run: RunId(uuid::Uuid::nil()),
            seq: 0,
        };
        manifest.flows.values_mut().for_each(|entry| entry.order = never);
        manifest.files.values_mut().for_each(|entry| entry.order = never);
        manifest.gone_flows.clear();
        manifest.gone_files.clear();
        manifest.gone_patterns.clear();
    }
    base
}

fn decisions(planned: &Planned, held: &[Held]) -> String {
    let words = planned.decisions.iter().map(|(id, decision)| {
        let held = held.iter().find(|held| held.receipt == id.receipt);
        let label = held.map_or_else(String::new, |held| crate::truth::label_of(&held.envelope, id.seq));
        format!("{label} {decision:?}")
    });
    words.collect::<Vec<_>>().join(", ")
}
