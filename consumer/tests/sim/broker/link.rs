//! Connections to the model broker: packets that keep their order, take time, wait while a path is cut, and are lost with
//! their connection. Broker and client notice an end each at its own time.

use std::collections::BTreeMap;
use std::rc::Rc;

use flowlift_common::Envelope;

use super::Broker;
use super::queue::{ConnId, HandedOut, Return};
use crate::clock::{Ms, OUTSIDE, Owner, Promise, first};
use crate::node;
use crate::world::{W, tell};

/// The connection is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lost;

/// The least and the longest time after which silence is taken for an end (heartbeat 20 s).
pub(crate) const PATIENCE: (Ms, Ms) = (20_000, 60_000);

/// The client's side of all connections.
#[derive(Default)]
pub(crate) struct Links {
    by_id: BTreeMap<ConnId, Link>,
}

/// A client's side of a connection.
#[derive(Clone)]
pub(crate) struct Link {
    /// Its number.
    pub(crate) id: ConnId,
    /// The name it claimed.
    pub(crate) name: String,
    node: usize,
    owner: Owner,
    /// Kept when the client knows that it is gone.
    lost: Promise<()>,
}

const UP: usize = 0;
const DOWN: usize = 1;

impl Link {
    /// Connects and claims a name; tasks of this connection belong to `owner`.
    pub(crate) async fn open(w: &W, node: usize, wanted: &str, owner: Owner) -> Result<Self, Lost> {
        w.clock.sleep(w.latency()).await;
        if !w.broker.borrow().up || w.nodes[node].is_cut_off(w.now()) {
            return Err(Lost);
        }
        let (id, name) = w.broker.borrow_mut().open(node, wanted);
        let link = Self {
            id,
            name,
            node,
            owner,
            lost: Promise::new(&w.clock),
        };
        w.links.borrow_mut().by_id.insert(id, link.clone());
        w.clock.sleep(w.latency()).await;
        Ok(link)
    }

    /// Whether the client thinks that it is there.
    pub(crate) fn is_open(&self) -> bool {
        !self.lost.is_kept()
    }

    /// Waits until the client knows that it is gone.
    pub(crate) async fn closed(&self) {
        self.lost.clone().await;
    }

    /// Sends something to the broker; it takes effect if the connection is there when it arrives.
    fn send(&self, w: &W, effect: impl FnOnce(&W) + 'static) {
        let arrival = w.arrival(self.id, self.node, UP);
        let (id, world) = (self.id, Rc::clone(w));
        w.clock.spawn(OUTSIDE, async move {
            world.clock.sleep_until(arrival).await;
            let there = |broker: &Broker| broker.up && broker.conns.get(&id).is_some_and(|conn| conn.open);
            let open = there(&world.broker.borrow());
            if open {
                effect(&world);
            } else {
                world.reset(id);
            }
        });
    }

    /// Has something done at the broker and waits for the confirm.
    pub(crate) async fn confirmed<T: Clone + 'static>(
        &self,
        w: &W,
        effect: impl FnOnce(&mut Broker) -> T + 'static,
    ) -> Result<T, Lost> {
        if !self.is_open() {
            return Err(Lost);
        }
        let done = Promise::new(&w.clock);
        let (kept, id) = (done.clone(), self.id);
        self.send(w, move |w| {
            let value = effect(&mut w.broker.borrow_mut());
            w.tell_client(id, move |_| kept.keep(value));
        });
        first(done, self.closed()).await.map_err(|()| Lost)
    }

    /// Subscribes to a shard.
    pub(crate) fn subscribe(&self, w: &W, shard: usize, generation: u64, priority: i32) {
        let (id, prefetch) = (self.id, w.weather.prefetch);
        self.send(w, move |w| {
            w.broker.borrow_mut().shards[shard].subscribe(id, generation, priority, prefetch);
            w.pump(shard);
        });
    }

    /// Cancels the subscription to a shard.
    pub(crate) fn cancel(&self, w: &W, shard: usize) {
        let id = self.id;
        self.send(w, move |w| {
            w.broker.borrow_mut().shards[shard].cancel(id);
            w.pump(shard);
        });
    }

    /// Acknowledges a message.
    pub(crate) fn ack(&self, w: &W, shard: usize, tag: u64) {
        let id = self.id;
        self.send(w, move |w| {
            w.broker.borrow_mut().shards[shard].ack(id, tag);
            w.pump(shard);
        });
    }

    /// Gives a message back to its queue.
    pub(crate) fn nack(&self, w: &W, shard: usize, tag: u64, how: Return) {
        let id = self.id;
        self.send(w, move |w| {
            w.broker.borrow_mut().shards[shard].nack(id, tag, how);
            w.pump(shard);
        });
    }

    /// Waits for a permit; whoever stops waiting gives up its place, or the permit that is on its way.
    pub(crate) async fn permit(&self, w: &W) -> Result<(), Lost> {
        let granted = Promise::new(&w.clock);
        let (kept, id) = (granted.clone(), self.id);
        self.send(w, move |w| {
            let mut broker = w.broker.borrow_mut();
            broker.waiting.push_back((id, kept));
            broker.give_tokens();
        });
        let mut place = Waiting {
            link: self.clone(),
            w: Rc::clone(w),
            granted: granted.clone(),
            over: false,
        };
        first(granted, self.closed()).await.map_err(|()| Lost)?;
        w.clock.sleep(w.latency()).await;
        place.over = true;
        Ok(())
    }

    /// Gives a permit back.
    pub(crate) fn drop_permit(&self, w: &W) {
        let id = self.id;
        self.send(w, move |w| w.broker.borrow_mut().take_token_back(id));
    }

    /// Says hello to all others.
    pub(crate) fn hello(&self, w: &W) {
        let me = self.clone();
        self.send(w, move |w| {
            let others: Vec<ConnId> = {
                let broker = w.broker.borrow();
                let open = broker.conns.iter().filter(|(id, conn)| conn.open && **id != me.id);
                open.map(|(id, _)| *id).collect()
            };
            for id in others {
                let name = me.name.clone();
                w.tell_client(id, move |w| node::session::hear_hello(w, id, &name));
            }
        });
    }

    /// The client's process ends or drops its socket: the kernel tells the broker.
    pub(crate) fn drop_socket(&self, w: &W) {
        self.lost.keep(());
        let id = self.id;
        self.send(w, move |w| w.broker_closes(id, "its socket was closed"));
    }

    /// The client gives it up without a word that arrives (heartbeat missed, power lost).
    pub(crate) fn give_up(&self) {
        self.lost.keep(());
    }
}

/// A place in the line for a permit.
struct Waiting {
    link: Link,
    w: W,
    granted: Promise<()>,
    over: bool,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        let (id, granted) = (self.link.id, self.granted.clone());
        self.link.send(&self.w, move |w| {
            let mut broker = w.broker.borrow_mut();
            if granted.is_kept() {
                broker.take_token_back(id);
            } else {
                broker.waiting.retain(|(_, promise)| !promise.is(&granted));
            }
        });
    }
}

impl super::super::world::World {
    /// When a packet sent now arrives: in order, and not while the path is cut.
    fn arrival(&self, id: ConnId, node: usize, way: usize) -> Ms {
        let open_again = self.nodes[node].cut_until.get();
        let at = (self.now() + self.latency()).max(open_again);
        let mut broker = self.broker.borrow_mut();
        let Some(conn) = broker.conns.get_mut(&id) else { return at };
        conn.last[way] = conn.last[way].max(at);
        conn.last[way]
    }

    /// Hands out what can be handed out of a shard.
    pub(crate) fn pump(self: &Rc<Self>, shard: usize) {
        if !self.broker.borrow().up {
            return;
        }
        let out = self.broker.borrow_mut().shards[shard].hand_out();
        for handed in out {
            let HandedOut { conn, .. } = handed;
            self.tell_client(conn, move |w| node::session::take(w, conn, shard, &handed));
        }
    }

    /// Sends something to a client; it is heard if the client still has the connection then.
    fn tell_client(self: &Rc<Self>, id: ConnId, hear: impl FnOnce(&W) + 'static) {
        let Some(link) = self.links.borrow().by_id.get(&id).cloned() else {
            return;
        };
        let arrival = self.arrival(id, link.node, DOWN);
        let world = Rc::clone(self);
        self.clock.spawn(link.owner, async move {
            world.clock.sleep_until(arrival).await;
            if link.is_open() {
                hear(&world);
            }
        });
    }

    /// Tells a client whose connection the broker does not know (any more).
    fn reset(self: &Rc<Self>, id: ConnId) {
        let link = self.links.borrow().by_id.get(&id).cloned();
        if let Some(link) = link {
            self.tell_client(id, move |_| link.give_up());
        }
    }

    /// The broker gives a connection up.
    pub(crate) fn broker_closes(self: &Rc<Self>, id: ConnId, why: &str) {
        let Some(back) = self.broker.borrow_mut().close(id) else {
            return;
        };
        let name = self.broker.borrow().conns[&id].name.clone();
        tell!(self, "broker: drops {name}: {why}; {back} messages come back");
        self.reset(id);
        (0..self.weather.shards).for_each(|shard| self.pump(shard));
    }

    /// The open connections of a machine, as the broker sees them.
    pub(crate) fn conns_of(&self, node: usize) -> Vec<ConnId> {
        let broker = self.broker.borrow();
        let mine = broker.conns.iter().filter(|(_, conn)| conn.open && conn.node == node);
        mine.map(|(id, _)| *id).collect()
    }

    /// The client's side of a connection.
    pub(crate) fn link(&self, id: ConnId) -> Option<Link> {
        self.links.borrow().by_id.get(&id).cloned()
    }

    /// Puts a message into its shard, on behalf of a producer.
    pub(crate) fn publish(self: &Rc<Self>, shard: usize, envelope: Rc<Envelope>) -> bool {
        if !self.broker.borrow().up {
            return false;
        }
        let number = self.broker.borrow_mut().put(shard, envelope);
        tell!(self, "broker: message {number} waits in shard {shard}");
        self.pump(shard);
        true
    }

    /// The broker goes down: every connection ends, what is stored stays.
    pub(crate) fn broker_stops(self: &Rc<Self>) {
        tell!(self, "broker: stops");
        self.broker.borrow_mut().up = false;
        let open: Vec<ConnId> = {
            let broker = self.broker.borrow();
            let open = broker.conns.iter().filter(|(_, conn)| conn.open);
            open.map(|(id, _)| *id).collect()
        };
        open.into_iter().for_each(|id| self.broker_closes(id, "it stops"));
    }

    /// It is back.
    pub(crate) fn broker_starts(self: &Rc<Self>) {
        tell!(self, "broker: is back");
        self.broker.borrow_mut().up = true;
    }
}
