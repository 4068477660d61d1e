//! Announced attempts: written to the stream, confirmed, on the connection that holds the shard.

use std::rc::Rc;
use std::time::Duration;

use flowlift_common::ledger::{Attempt, AttemptEvent};
use flowlift_common::topology::shard_of;
use flowlift_common::{Envelope, RunId, Seen};
use flowlift_consumer::project::{Doubtful, Event, Landing, Limits, OpenAttempt};

use super::super::floor::{Place, What, broken};
use super::super::session::{as_u16, with};
use super::base;
use crate::broker::link::{Link, Lost};
use crate::clock::OUTSIDE;
use crate::world::{W, tell};

/// What former holders left: all that was confirmed before the question.
pub(crate) async fn take_over(w: W, here: Place) -> What {
    let Some(link) = w.link(here.conn) else {
        return What::Broken;
    };
    let Ok(upto) = link.confirmed(&w, |broker| broker.attempts.len()).await else {
        return What::Broken;
    };
    let now = w.now();
    let found = with(&w, here.node, here.conn, |session| {
        let broker = w.broker.borrow();
        for event in &broker.attempts[session.read.min(upto)..upto] {
            session.attempts.take(event.clone(), now);
        }
        session.read = session.read.max(upto);
        let log = &session.attempts;
        (log.open_for(&here.project), log.seen_for(&here.project))
    });
    let (open, seen) = found.unwrap_or_default();
    let open = here.bench(&w, |bench| {
        bench.seen.merge(seen);
        let open = open.into_iter().map(|attempt| {
            bench.left.insert(attempt.attempt.clone(), attempt.server);
            OpenAttempt {
                attempt: attempt.attempt,
                consumer: attempt.consumer,
                flows: attempt.flows,
            }
        });
        open.collect::<Vec<_>>()
    });
    What::Heard(Event::OpenAttempts(open.unwrap_or_default()))
}

/// Writes down that an upload begins.
pub(crate) async fn announce(w: W, here: Place) -> What {
    let begun = w.now();
    let server = base::server(&w, &here).await;
    let prepared = here.bench(&w, |bench| {
        bench.server.clone_from(&server);
        bench.prepared.clone()
    });
    let (Some(link), Some(prepared)) = (w.link(here.conn), prepared.flatten()) else {
        return What::Broken;
    };
    let attempt = Attempt {
        attempt: prepared.attempt.clone(),
        project: here.project.clone(),
        generation: prepared.generation,
        consumer: link.name.clone(),
        at_ms: w.now(),
        zip_bytes: 1,
        flows: prepared.expected.len() as u64,
        server,
    };
    let event = AttemptEvent::Begun(attempt);
    if link
        .confirmed(&w, move |broker| broker.attempts.push(event))
        .await
        .is_err()
    {
        return What::Broken;
    }
    tell!(w, "{}: has announced {}", link.name, prepared.attempt);
    w.nodes[here.node].heard(begun);
    here.bench(&w, |bench| bench.announced = Some(begun));
    What::Heard(Event::Announced)
}

/// Writes down that an upload is decided; the road does not wait for it.
pub(crate) fn end(w: &W, here: &Place, whose: &Doubtful, landing: Landing) {
    let (attempt, _) = attempt_of(w, here, whose);
    let node = here.node + 1;
    tell!(w, "night-{node}: notes that {attempt} is decided: {landing:?}");
    let event = AttemptEvent::Ended {
        attempt,
        project: here.project.clone(),
        landed: landing == Landing::Landed,
    };
    let in_doubt = landing == Landing::NotSeen;
    here.bench(w, |bench| bench.seen.doubt |= in_doubt);
    let may_land = in_doubt && w.safeguards.second_look;
    let owner = with(w, here.node, here.conn, |session| session.owner);
    let (Some(owner), Some(link)) = (owner, w.link(here.conn)) else {
        return;
    };
    let (world, here) = (Rc::clone(w), here.clone());
    w.clock.spawn(owner, async move {
        let noted = async {
            if may_land {
                for after in Limits::default().later_looks {
                    check_later(&world, &here, &link, after).await?;
                }
            }
            if in_doubt {
                let doubt = AttemptEvent::Seen {
                    project: here.project.clone(),
                    seen: Seen::of_doubt(),
                };
                link.confirmed(&world, move |broker| broker.attempts.push(doubt))
                    .await?;
            }
            link.confirmed(&world, move |broker| broker.attempts.push(event))
                .await
        };
        if noted.await.is_err() {
            broken(&world, here.node, here.conn);
        }
    });
}

/// Has the broker keep a check of the project until it is due.
async fn check_later(w: &W, here: &Place, link: &Link, after: Duration) -> Result<(), Lost> {
    let shard = usize::from(shard_of(&here.project, as_u16(w.weather.shards)));
    let check = Rc::new(Envelope::check(here.project.clone(), RunId(w.uuid()), 0));
    let world = Rc::clone(w);
    link.confirmed(w, move |_| {
        let due = world.now() + u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
        let broker = Rc::clone(&world);
        world.clock.spawn(OUTSIDE, async move {
            broker.clock.sleep_until(due).await;
            let number = broker.broker.borrow_mut().put(shard, check);
            tell!(
                broker,
                "broker: a check that was due later, message {number}, waits in shard {shard}"
            );
            broker.pump(shard);
        });
    })
    .await
}

/// An attempt's id, and the process of Azkaban it was sent to.
pub(super) fn attempt_of(w: &W, here: &Place, whose: &Doubtful) -> (String, Option<String>) {
    let found = here.bench(w, |bench| match whose {
        Doubtful::Left(attempt) => (attempt.clone(), bench.left.get(attempt).cloned().flatten()),
        Doubtful::Own => {
            let own = bench.prepared.as_ref().map(|prepared| prepared.attempt.clone());
            (own.unwrap_or_default(), bench.server.clone())
        }
    });
    found.unwrap_or_default()
}
