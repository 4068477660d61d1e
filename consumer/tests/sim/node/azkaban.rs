//! When projects may turn to Azkaban: the real breaker, asked as `src/floor/azkaban.rs` asks it.

use std::rc::Rc;

use flowlift_consumer::project::{Event, Trouble, UploadTrouble};

use super::floor::{Place, What, place_of, run};
use super::session::with;
use crate::broker::link::Lost;
use crate::broker::queue::ConnId;
use crate::world::{W, tell};

/// Gets a permit for a project that was admitted.
pub(super) fn want_permit(w: &W, place: &Place) {
    let there = with(w, place.node, place.conn, |session| {
        let floor = &mut session.floor;
        let probing = floor.breaker.is_open();
        match floor.rooms.get_mut(&place.key()) {
            Some(room) => room.probing = probing,
            None => floor.breaker.gave_up(w.now()),
        }
        floor.rooms.contains_key(&place.key())
    });
    if there != Some(true) {
        return;
    }
    run(w, place, |w, here| async move {
        let got = match w.link(here.conn) {
            Some(link) => link.permit(&w).await,
            None => Err(Lost),
        };
        got.map_or(What::Broken, |()| What::Permit)
    });
}

/// Takes note of whether Azkaban answers.
pub(super) fn watch(w: &W, place: &Place, event: &Event) {
    let Some(answers) = answers(event) else { return };
    let now = w.now();
    let turned = with(w, place.node, place.conn, |session| {
        let floor = &mut session.floor;
        let turned = if answers { floor.breaker.worked() } else { floor.breaker.failed(now) };
        if let Some(room) = floor.rooms.get_mut(&place.key()) {
            room.probing = false;
        }
        turned
    });
    if turned == Some(true) {
        tell!(w, "night-{}: Azkaban {}", place.node + 1, if answers { "answers again" } else { "is away" });
    }
    if answers {
        admit_waiting(w, place.node, place.conn);
    }
}

/// Lets projects turn to Azkaban: all when it works, one when it may be back.
fn admit_waiting(w: &W, node: usize, conn: ConnId) {
    loop {
        let next = with(w, node, conn, |session| {
            let floor = &mut session.floor;
            let admitted = !floor.kept_waiting.is_empty() && floor.breaker.admit(w.now());
            admitted.then(|| floor.kept_waiting.remove(0))
        });
        let Some(key) = next.flatten() else { return };
        want_permit(w, &place_of(node, conn, &key));
    }
}

/// Keeps the timer of the breaker in step.
pub(super) fn wind_breaker(w: &W, node: usize, conn: ConnId) {
    let world = Rc::clone(w);
    with(w, node, conn, |session| {
        let floor = &mut session.floor;
        let due = floor.breaker.retry_at_ms().filter(|_| !floor.kept_waiting.is_empty());
        if floor.retry.as_ref().map(|(at, _)| *at) == due {
            return;
        }
        if let Some((_, task)) = floor.retry.take() {
            world.clock.abort(task);
        }
        if let Some(at) = due {
            let inner = Rc::clone(&world);
            let task = world.clock.spawn(session.owner, async move {
                inner.clock.sleep_until(at).await;
                with(&inner, node, conn, |session| session.floor.retry = None);
                admit_waiting(&inner, node, conn);
                wind_breaker(&inner, node, conn);
            });
            floor.retry = Some((at, task));
        }
    });
}

/// Whether an event shows that Azkaban works, or that it is away; most say nothing.
fn answers(event: &Event) -> Option<bool> {
    match event {
        Event::Base(Err(Trouble::Away(_)))
        | Event::Made(Err(Trouble::Away(_)))
        | Event::Listed(Err(Trouble::Away(_)))
        | Event::Scheduled(Err(Trouble::Away(_)))
        | Event::Uploaded(Err(UploadTrouble::Not(Trouble::Away(_)))) => Some(false),
        Event::Base(_) | Event::Made(_) | Event::Listed(_) | Event::Scheduled(_) | Event::Uploaded(Ok(_)) => Some(true),
        _ => None,
    }
}
