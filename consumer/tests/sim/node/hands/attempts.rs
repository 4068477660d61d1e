//! Announced attempts: written to the stream, confirmed, on the connection that holds the shard.

use flowlift_common::ledger::{Attempt, AttemptEvent};
use flowlift_consumer::project::{Doubtful, Event, OpenAttempt};

use super::super::floor::{Place, What, broken};
use super::super::session::with;
use crate::world::{W, tell};

/// What former holders left open: all that was confirmed before the question.
pub(crate) async fn open_attempts(w: W, here: Place) -> What {
    let Some(link) = w.link(here.conn) else { return What::Broken };
    let Ok(upto) = link.confirmed(&w, |broker| broker.attempts.len()).await else {
        return What::Broken;
    };
    let now = w.now();
    let open = with(&w, here.node, here.conn, |session| {
        let broker = w.broker.borrow();
        for event in &broker.attempts[session.read.min(upto)..upto] {
            session.attempts.take(event.clone(), now);
        }
        session.read = session.read.max(upto);
        session.attempts.open_for(&here.project)
    });
    let open: Vec<OpenAttempt> = (open.unwrap_or_default().into_iter())
        .map(|attempt| OpenAttempt {
            attempt: attempt.attempt,
            consumer: attempt.consumer,
        })
        .collect();
    What::Heard(Event::OpenAttempts(open))
}

/// Writes down that an upload begins.
pub(crate) async fn announce(w: W, here: Place) -> What {
    let prepared = here.bench(&w, |bench| bench.prepared.clone()).flatten();
    let (Some(link), Some(prepared)) = (w.link(here.conn), prepared) else {
        return What::Broken;
    };
    let attempt = Attempt {
        attempt: prepared.attempt.clone(),
        project: here.project.clone(),
        generation: prepared.generation,
        consumer: link.name.clone(),
        at_ms: w.now(),
        zip_bytes: 1,
    };
    let event = AttemptEvent::Begun(attempt);
    if link.confirmed(&w, move |broker| broker.attempts.push(event)).await.is_err() {
        return What::Broken;
    }
    tell!(w, "{}: has announced {}", link.name, prepared.attempt);
    let now = w.now();
    here.bench(&w, |bench| bench.announced = Some(now));
    What::Heard(Event::Announced)
}

/// Writes down that an upload is decided; the road does not wait for it.
pub(crate) fn end(w: &W, here: &Place, whose: &Doubtful) {
    let attempt = name_of(w, here, whose);
    let event = AttemptEvent::Ended {
        attempt,
        project: here.project.clone(),
    };
    let owner = with(w, here.node, here.conn, |session| session.owner);
    let (Some(owner), Some(link)) = (owner, w.link(here.conn)) else { return };
    let (world, here) = (std::rc::Rc::clone(w), here.clone());
    w.clock.spawn(owner, async move {
        if link.confirmed(&world, move |broker| broker.attempts.push(event)).await.is_err() {
            broken(&world, here.node, here.conn);
        }
    });
}

/// An attempt's id.
pub(super) fn name_of(w: &W, here: &Place, whose: &Doubtful) -> String {
    match whose {
        Doubtful::Left(attempt) => attempt.clone(),
        Doubtful::Own => {
            let own = here.bench(w, |bench| bench.prepared.as_ref().map(|prepared| prepared.attempt.clone()));
            own.flatten().unwrap_or_default()
        }
    }
}
