//! One connection's life: subscribe, take messages, hand over, leave. Mirrors `src/session.rs` and `src/shards.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Instant;

use flowlift_common::topology::shard_of;
use flowlift_consumer::attempts::AttemptLog;
use flowlift_consumer::looks::Looks;
use flowlift_consumer::parked::Pauses;
use flowlift_consumer::project::Limits;
use flowlift_consumer::rendezvous::{weight, winner};

use super::floor::{self, Floor, Held};
use super::hands;
use crate::broker::link::Link;
use crate::broker::queue::{ConnId, HandedOut, Return};
use crate::clock::{Owner, Promise, first};
use crate::world::{W, tell};

/// The longest a leaving consumer finishes what it has begun.
const GRACE: u64 = 60_000;
/// How long the last records may take when leaving.
const LAST_WORDS: u64 = 2_000;

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The connection is gone.
    Lost,
    /// It left in order.
    Left,
}

/// All that hangs on one connection.
pub(crate) struct Session {
    pub(crate) link: Link,
    pub(crate) owner: Owner,
    pub(crate) floor: Floor,
    /// The fold of the stream of attempts, and how far it was read.
    pub(crate) attempts: AttemptLog,
    pub(crate) read: usize,
    /// The present subscription to each shard.
    generations: BTreeMap<usize, u64>,
    pub(crate) ended: Promise<End>,
    /// Looks to be taken later.
    pub(crate) looks: Looks,
    /// When parked messages come back, on a clock that begins with the night.
    pub(crate) pauses: Pauses,
    pub(crate) began: Instant,
    /// Whether somebody looks after parked queues.
    pub(crate) unparking: bool,
    /// Whether it was asked to leave: messages are not given back, their socket will be dropped.
    leaving: bool,
}

/// Works on a connection until it ends.
pub(super) async fn run(w: &W, node: usize, link: Link, owner: Owner) -> End {
    let ended = Promise::new(&w.clock);
    let session = Session {
        link: link.clone(),
        owner,
        floor: Floor::default(),
        attempts: AttemptLog::default(),
        read: 0,
        generations: (0..w.weather.shards).map(|shard| (shard, 0)).collect(),
        ended: ended.clone(),
        looks: Looks::default(),
        pauses: Pauses::new(Limits::default().unpark),
        began: Instant::now(),
        unparking: false,
        leaving: false,
    };
    *w.nodes[node].session.borrow_mut() = Some(session);
    for shard in 0..w.weather.shards {
        link.subscribe(w, shard, 0, weight(&link.name, as_u16(shard)));
    }
    link.hello(w);
    hands::looks::after_parked(w, node, link.id);
    tell!(w, "{}: has subscribed", link.name);
    let end = first(ended, link.closed()).await.unwrap_or(End::Lost);
    w.clock.kill(owner);
    w.nodes[node].session.borrow_mut().take();
    if end == End::Lost {
        w.nodes[node].troubled_at.set(w.now());
        tell!(w, "{}: has lost the broker", link.name);
    }
    link.drop_socket(w);
    end
}

/// Does something with a session, if it is still the one of this connection.
pub(crate) fn with<T>(w: &W, node: usize, conn: ConnId, act: impl FnOnce(&mut Session) -> T) -> Option<T> {
    let mut session = w.nodes[node].session.borrow_mut();
    session.as_mut().filter(|one| one.link.id == conn).map(act)
}

fn node_of(w: &W, conn: ConnId) -> usize {
    w.broker.borrow().conns[&conn].node
}

/// A message has come.
pub(crate) fn take(w: &W, conn: ConnId, shard: usize, handed: &HandedOut) {
    let node = node_of(w, conn);
    let (tag, message) = (handed.tag, &handed.message);
    let present = with(w, node, conn, |session| {
        session.generations.get(&shard) == Some(&handed.generation)
    });
    if present != Some(true) {
        if let Some(link) = w.link(conn) {
            link.nack(w, shard, tag, Return::InOrder);
        }
        return;
    }
    let Some(envelope) = message.letter.envelope.clone() else {
        return;
    };
    let home = usize::from(shard_of(&envelope.project, as_u16(w.weather.shards)));
    assert_eq!(home, shard, "a producer put a message into a foreign shard");
    tell!(
        w,
        "night-{}: takes message {} ({} {}){}",
        node + 1,
        message.letter.number,
        envelope.project,
        crate::truth::labels(&envelope),
        if message.returns > 0 { ", again" } else { "" }
    );
    let held = Held {
        receipt: 0,
        shard,
        tag,
        number: message.letter.number,
        envelope: Rc::clone(&envelope),
        returns: message.returns,
    };
    floor::arrived(w, node, conn, held);
}

/// Somebody joined: shards that fall to it are handed over.
pub(crate) fn hear_hello(w: &W, conn: ConnId, joined: &str) {
    let node = node_of(w, conn);
    let Some((me, busy)) = with(w, node, conn, |session| {
        (session.link.name.clone(), session.floor.busy_shards())
    }) else {
        return;
    };
    let falls = |shard: &usize| {
        winner([joined, me.as_str()].into_iter(), as_u16(*shard)) == Some(joined)
    };
    let lost: BTreeSet<usize> = busy.into_iter().filter(falls).collect();
    if !lost.is_empty() {
        tell!(w, "{me}: hands shards {lost:?} over to {joined}");
        floor::drain(w, node, conn, &lost);
    }
}

/// A draining shard is quiet: gives its messages back, cancels, subscribes again.
pub(super) fn quiet(w: &W, node: usize, conn: ConnId, shard: usize, held: &[Held]) {
    let Some(link) = w.link(conn) else { return };
    if with(w, node, conn, |session| session.leaving) != Some(false) {
        return;
    }
    let how = *w.pick(&[Return::InOrder, Return::NewestFirst, Return::AtTheEnd]);
    for one in held {
        link.nack(w, shard, one.tag, how);
    }
    step_back(w, node, conn, shard, true);
}

/// Cancels and subscribes again.
pub(super) fn step_back(w: &W, node: usize, conn: ConnId, shard: usize, readable: bool) {
    let Some(link) = w.link(conn) else { return };
    let generation = with(w, node, conn, |session| {
        let generation = session.generations.entry(shard).or_default();
        *generation += 1;
        *generation
    });
    let Some(generation) = generation else { return };
    link.cancel(w, shard);
    let priority = if readable {
        weight(&link.name, as_u16(shard))
    } else {
        -1
    };
    link.subscribe(w, shard, generation, priority);
}

/// SIGTERM: finishes what is begun, then drops the socket without closing AMQP.
pub(crate) fn leave(w: &W, node: usize) {
    let Some((conn, busy, ended, owner)) = w.nodes[node].session.borrow().as_ref().map(|session| {
        let busy = session.floor.busy_shards();
        (session.link.id, busy, session.ended.clone(), session.owner)
    }) else {
        return;
    };
    tell!(w, "night-{}: is asked to leave", node + 1);
    let world = Rc::clone(w);
    w.clock.spawn(owner, async move {
        with(&world, node, conn, |session| session.leaving = true);
        floor::leave(&world, node, conn, &busy);
        let until = world.now() + GRACE;
        let begun = || with(&world, node, conn, |session| session.floor.is_begun()) == Some(true);
        while begun() && world.now() < until {
            world.clock.sleep(100).await;
        }
        world.clock.sleep(LAST_WORDS).await;
        ended.keep(End::Left);
    });
}

/// A shard's number on the wire.
pub(crate) fn as_u16(shard: usize) -> u16 {
    u16::try_from(shard).unwrap_or(u16::MAX)
}
