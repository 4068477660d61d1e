//! Looks taken later at projects that need not be in hand; parked messages that come back. Mirrors `look_again` of
//! `src/floor/tasks.rs` and `src/parked.rs`.

use std::rc::Rc;
use std::time::Duration;

use flowlift_common::topology::shard_of;
use flowlift_common::{Envelope, RunId};
use flowlift_consumer::looks::Look;
use flowlift_consumer::rendezvous::winner;

use super::super::floor::{Place, broken};
use super::super::session::{as_u16, with};
use super::base::is_still;
use crate::broker::link::Lost;
use crate::broker::queue::ConnId;
use crate::world::{W, tell};

/// After a look that Azkaban did not answer, the next try.
const RETRY: u64 = 60_000;
/// How often parked queues are looked at.
const EVERY: u64 = 30_000;

/// Notes a look.
pub(crate) fn later(w: &W, here: &Place, after: Duration) {
    let attempt = here.bench(w, |bench| {
        let upload = bench.upload.as_ref().map(|upload| upload.attempt.clone());
        upload.or_else(|| bench.known.as_ref().map(|known| known.attempt.clone()))
    });
    let Some(attempt) = attempt.flatten() else { return };
    let at = w.now() + u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
    let look = Look {
        project: here.project.clone(),
        attempt,
    };
    put(w, here, at, look);
}

fn put(w: &W, here: &Place, at: u64, look: Look) {
    let owner = with(w, here.node, here.conn, |session| {
        session.looks.put(at, look);
        session.owner
    });
    let Some(owner) = owner else { return };
    let (world, here) = (Rc::clone(w), here.clone());
    w.clock.spawn(owner, async move {
        world.clock.sleep_until(at).await;
        let look = with(&world, here.node, here.conn, |session| {
            session.looks.take(world.now())
        });
        if let Some(look) = look.flatten() {
            match again(&world, &here, &look).await {
                Ok(true) => {}
                Ok(false) => put(&world, &here, world.now() + RETRY, look),
                Err(Lost) => broken(&world, here.node, here.conn),
            }
        }
    });
}

async fn again(w: &W, here: &Place, look: &Look) -> Result<bool, Lost> {
    let here = Place {
        project: look.project.clone(),
        ..here.clone()
    };
    let link = w.link(here.conn).ok_or(Lost)?;
    link.permit(w).await?;
    let still = is_still(w, &here, &look.attempt).await;
    link.drop_permit(w);
    let key = here.key();
    tell!(
        w,
        "night-{}: looks at {key} again; still as uploaded: {still:?}",
        here.node + 1
    );
    match still {
        Some(true) => Ok(true),
        None => Ok(false),
        Some(false) => {
            let check = Envelope::check(here.project.clone(), RunId(w.uuid()), 0);
            let shard = usize::from(shard_of(&here.project, as_u16(w.weather.shards)));
            let (check, world) = (Rc::new(check), Rc::clone(w));
            link.confirmed(w, move |broker| broker.put(shard, check)).await?;
            world.pump(shard);
            Ok(true)
        }
    }
}

/// Looks after the parked queues of the shards that fall to this consumer, as long as something lies in any.
pub(crate) fn after_parked(w: &W, node: usize, conn: ConnId) {
    let parked = |w: &W| w.broker.borrow().parked.iter().any(|queue| !queue.is_empty());
    let owner = with(w, node, conn, |session| {
        let begin = parked(w) && !std::mem::replace(&mut session.unparking, true);
        begin.then_some(session.owner)
    });
    let Some(owner) = owner.flatten() else { return };
    let world = Rc::clone(w);
    w.clock.spawn(owner, async move {
        while parked(&world) {
            world.clock.sleep(EVERY).await;
            for shard in 0..world.weather.shards {
                if bring_back(&world, node, conn, shard).await.is_err() {
                    return broken(&world, node, conn);
                }
            }
        }
        with(&world, node, conn, |session| session.unparking = false);
    });
}

async fn bring_back(w: &W, node: usize, conn: ConnId, shard: usize) -> Result<(), Lost> {
    let link = w.link(conn).ok_or(Lost)?;
    let mine = {
        let broker = w.broker.borrow();
        let names = broker
            .conns
            .values()
            .filter(|conn| conn.open)
            .map(|conn| conn.name.as_str());
        winner(names, as_u16(shard)) == Some(link.name.as_str())
    };
    if !mine {
        return Ok(());
    }
    let count = link
        .confirmed(w, move |broker| broker.parked[shard].len())
        .await?;
    let over = with(w, node, conn, |session| {
        let now = session.began + Duration::from_millis(w.now());
        if count == 0 {
            session.pauses.is_empty_now(as_u16(shard));
        }
        count > 0 && session.pauses.is_over(as_u16(shard), now)
    });
    if over != Some(true) {
        return Ok(());
    }
    tell!(
        w,
        "night-{}: tries again what is parked of shard {shard}",
        node + 1
    );
    for _ in 0..count {
        // confirmed in the shard before it leaves the parked queue: who dies in between leaves it in both
        let copied = link.confirmed(w, move |broker| {
            let first = broker.parked[shard].front().cloned();
            if let Some(envelope) = &first {
                broker.put(shard, Rc::clone(envelope));
            }
            first
        });
        let Some(envelope) = copied.await? else { break };
        w.pump(shard);
        link.confirmed(w, move |broker| {
            if broker.parked[shard]
                .front()
                .is_some_and(|front| Rc::ptr_eq(front, &envelope))
            {
                broker.parked[shard].pop_front();
            }
        })
        .await?;
    }
    Ok(())
}
