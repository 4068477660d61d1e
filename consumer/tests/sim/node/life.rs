//! A consumer's process: started, connected again and again, killed, frozen, thawed.

use std::rc::Rc;

use super::session::{self, End};
use crate::broker::link::{Link, PATIENCE};
use crate::clock::{Ms, OUTSIDE};
use crate::world::{W, tell};

/// Starts the process if none is running.
pub(crate) fn start(w: &W, index: usize) {
    let node = &w.nodes[index];
    if node.process.get().is_some() {
        return;
    }
    let process = w.clock.owner();
    node.process.set(Some(process));
    tell!(w, "{}: starts", node.name());
    w.clock.spawn(process, live(Rc::clone(w), index));
}

async fn live(w: W, index: usize) {
    loop {
        let owner = w.clock.owner();
        let name = w.nodes[index].name();
        if let Ok(link) = Link::open(&w, index, &name, owner).await
            && session::run(&w, index, link, owner).await == End::Left
        {
            tell!(w, "{name}: has left");
            w.nodes[index].process.set(None);
            return;
        }
        let pause = w.between(500, 10_000);
        w.clock.sleep(pause).await;
    }
}

/// kill -9; with its machine (no word to anybody), or alone (the kernel closes its sockets).
pub(crate) fn kill(w: &W, index: usize, power_lost: bool) {
    let node = &w.nodes[index];
    let Some(process) = node.process.take() else { return };
    tell!(
        w,
        "{}: {}",
        node.name(),
        if power_lost { "its machine dies" } else { "kill -9" }
    );
    node.troubled_at.set(w.now());
    node.frozen.set(false);
    w.clock.kill(process);
    let session = node.session.borrow_mut().take();
    if let Some(session) = session {
        w.clock.kill(session.owner);
        if power_lost {
            session.link.give_up();
            let (world, conn) = (Rc::clone(w), session.link.id);
            w.clock.spawn(OUTSIDE, async move {
                let silence = world.between(PATIENCE.0, PATIENCE.1);
                world.clock.sleep(silence).await;
                world.broker_closes(conn, "no heartbeat");
            });
        } else {
            session.link.drop_socket(w);
        }
    }
}

/// Kills it before anything else happens, and has it started again soon.
pub(crate) fn die(w: &W, index: usize) {
    let world = Rc::clone(w);
    w.clock.spawn(OUTSIDE, async move {
        kill(&world, index, false);
        world.clock.sleep(1_000).await;
        start(&world, index);
    });
}

/// Kills it in the middle of what it is about to do, and has it started again a while later.
pub(crate) fn doom(w: &W, index: usize) {
    let process = w.nodes[index].process.get();
    let delay = match w.between(0, 4) {
        0 | 1 => 0,
        2 => w.between(1, w.weather.latency * 3),
        _ => w.between(1, w.weather.install.0 * 2),
    };
    let world = Rc::clone(w);
    w.clock.spawn(OUTSIDE, async move {
        world.clock.sleep(delay).await;
        if process.is_some() && world.nodes[index].process.get() == process {
            let power_lost = world.between(0, 3) == 0;
            kill(&world, index, power_lost);
        }
        let pause = world.skewed(500, 120_000);
        world.clock.sleep(pause).await;
        start(&world, index);
    });
}

/// SIGSTOP for a while: its kernel still takes packets and sends what was written, but nobody answers heartbeats.
pub(crate) async fn freeze(w: &W, index: usize, time: Ms) {
    let node = &w.nodes[index];
    let Some(process) = node.process.get().filter(|_| !node.frozen.get()) else {
        return;
    };
    tell!(w, "{}: freezes for {} s", node.name(), time / 1_000);
    node.frozen.set(true);
    node.falls_silent(w.now(), w.now() + time + w.between(1, 3_000));
    node.troubled_at.set(w.now());
    let mut owners = vec![process];
    owners.extend(node.session.borrow().as_ref().map(|session| session.owner));
    owners.iter().for_each(|owner| w.clock.freeze(*owner));
    for conn in w.conns_of(index) {
        let silence = w.between(PATIENCE.0, PATIENCE.1);
        if silence < time {
            let world = Rc::clone(w);
            w.clock.spawn(OUTSIDE, async move {
                world.clock.sleep(silence).await;
                world.broker_closes(conn, "no heartbeat");
            });
        }
    }
    w.clock.sleep(time).await;
    if w.nodes[index].process.get() != Some(process) {
        return;
    }
    let node = &w.nodes[index];
    node.frozen.set(false);
    node.troubled_at.set(w.now());
    let news_first = w.between(0, 1) == 0;
    tell!(w, "{}: wakes up", node.name());
    owners.iter().for_each(|owner| w.clock.thaw(*owner, news_first));
}

/// Cuts a machine off from the broker for a while; each side notices when its own patience ends.
pub(crate) fn cut(w: &W, index: usize, time: Ms) {
    let node = &w.nodes[index];
    tell!(w, "{}: is cut off from the broker for {} s", node.name(), time / 1_000);
    node.cut_until.set(node.cut_until.get().max(w.now() + time));
    node.troubled_at.set(w.now());
    node.falls_silent(w.now(), w.now() + time + w.between(1, 3_000));
    for conn in w.conns_of(index) {
        let (theirs, ours) = (w.between(PATIENCE.0, PATIENCE.1), w.between(PATIENCE.0, PATIENCE.1));
        if theirs < time {
            let world = Rc::clone(w);
            w.clock.spawn(OUTSIDE, async move {
                world.clock.sleep(theirs).await;
                world.broker_closes(conn, "no heartbeat");
            });
        }
        if let Some(link) = w.link(conn).filter(|_| ours < time) {
            let world = Rc::clone(w);
            let owner = w.nodes[index].session.borrow().as_ref().map(|session| session.owner);
            w.clock.spawn(owner.unwrap_or(OUTSIDE), async move {
                world.clock.sleep(ours).await;
                link.give_up();
            });
        }
    }
}
