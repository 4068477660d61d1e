//! A shard's queue: quorum semantics with a single active consumer and priorities, as tried on RabbitMQ 4.0.5. Pure.

use std::collections::{BTreeMap, VecDeque};

use super::Letter;

/// A connection's number.
pub(crate) type ConnId = u64;

/// How messages that are given back line up before the others; all of these were seen on a real broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Return {
    /// As they came: an abrupt loss of the connection.
    InOrder,
    /// Each to the very front, so the newest comes first: nacks one by one.
    NewestFirst,
    /// Behind what waits already.
    AtTheEnd,
}

/// A message in a queue.
#[derive(Debug, Clone)]
pub(crate) struct Queued {
    pub(crate) letter: Letter,
    /// How often it was handed out and came back.
    pub(crate) returns: u64,
}

/// A subscription.
#[derive(Debug, Clone)]
pub(crate) struct Subscriber {
    pub(crate) conn: ConnId,
    /// The subscription's number on its connection, told with each message.
    pub(crate) generation: u64,
    priority: i32,
    prefetch: usize,
}

/// A message handed out.
#[derive(Debug, Clone)]
pub(crate) struct HandedOut {
    pub(crate) conn: ConnId,
    pub(crate) generation: u64,
    pub(crate) tag: u64,
    pub(crate) message: Queued,
}

/// One queue.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    ready: VecDeque<Queued>,
    subscribers: Vec<Subscriber>,
    active: Option<(ConnId, u64)>,
    /// A draining holder gave its last message back by nack and stays subscribed: the real broker then serves nobody.
    hung: bool,
    unsettled: BTreeMap<u64, HandedOut>,
    tags: u64,
}

impl Queue {
    /// Takes a message; it waits at the end.
    pub(crate) fn put(&mut self, letter: Letter) {
        self.ready.push_back(Queued { letter, returns: 0 });
    }

    /// Messages waiting and handed out.
    pub(crate) fn len(&self) -> usize {
        self.ready.len() + self.unsettled.len()
    }

    /// Who is served.
    pub(crate) fn active(&self) -> Option<ConnId> {
        self.active.map(|(conn, _)| conn)
    }

    /// Begins a subscription.
    pub(crate) fn subscribe(&mut self, conn: ConnId, generation: u64, priority: i32, prefetch: usize) {
        self.subscribers.push(Subscriber {
            conn,
            generation,
            priority,
            prefetch,
        });
    }

    /// Ends a connection's subscription; what it holds stays with its channel.
    pub(crate) fn cancel(&mut self, conn: ConnId) {
        self.subscribers.retain(|one| one.conn != conn);
        if self.active() == Some(conn) {
            self.active = None;
            self.hung = false;
        }
    }

    /// A connection is gone: what it held comes back in order.
    pub(crate) fn lose(&mut self, conn: ConnId) -> usize {
        self.cancel(conn);
        let held: Vec<u64> = self
            .unsettled
            .values()
            .filter(|one| one.conn == conn)
            .map(|one| one.tag)
            .collect();
        for tag in held.iter().rev() {
            self.give_back(conn, *tag, Return::NewestFirst);
        }
        held.len()
    }

    /// Settles; `false`: it was not (any more) this connection's.
    pub(crate) fn ack(&mut self, conn: ConnId, tag: u64) -> bool {
        let mine = self.unsettled.get(&tag).is_some_and(|one| one.conn == conn);
        if mine {
            self.unsettled.remove(&tag);
        }
        mine
    }

    /// A nack with requeue.
    pub(crate) fn nack(&mut self, conn: ConnId, tag: u64, how: Return) {
        let draining = self.is_draining();
        self.give_back(conn, tag, how);
        let holds_none = !self.unsettled.values().any(|one| one.conn == conn);
        self.hung |= draining && holds_none && self.active() == Some(conn);
    }

    fn give_back(&mut self, conn: ConnId, tag: u64, how: Return) {
        if self.unsettled.get(&tag).is_none_or(|one| one.conn != conn) {
            return;
        }
        if let Some(HandedOut { mut message, .. }) = self.unsettled.remove(&tag) {
            message.returns += 1;
            match how {
                Return::NewestFirst => self.ready.push_front(message),
                Return::AtTheEnd => self.ready.push_back(message),
                Return::InOrder => {
                    let at = self.ready.iter().take_while(|one| one.returns > 0).count();
                    self.ready.insert(at, message);
                }
            }
        }
    }

    /// Whether somebody with a higher priority waits for the active one to settle what it holds.
    fn is_draining(&self) -> bool {
        let Some((conn, generation)) = self.active else {
            return false;
        };
        let mine = (self.subscribers.iter())
            .find(|one| one.conn == conn && one.generation == generation)
            .map(|one| one.priority);
        (self.subscribers.iter()).any(|one| mine.is_some_and(|mine| one.priority > mine))
    }

    fn load_of(&self, conn: ConnId) -> usize {
        self.unsettled.values().filter(|one| one.conn == conn).count()
    }

    /// Hands out what can be handed out now.
    pub(crate) fn hand_out(&mut self) -> Vec<HandedOut> {
        let mut out = Vec::new();
        if self.hung {
            return out;
        }
        if self.is_draining() && self.active().is_some_and(|conn| self.load_of(conn) == 0) {
            self.active = None;
        }
        if self.active.is_none() {
            // of equals the one that has waited longest
            let mut best: Option<&Subscriber> = None;
            for one in &self.subscribers {
                if best.is_none_or(|best| one.priority > best.priority) {
                    best = Some(one);
                }
            }
            self.active = best.map(|one| (one.conn, one.generation));
        }
        let Some((conn, generation)) = self.active else {
            return out;
        };
        if self.is_draining() {
            return out;
        }
        let prefetch = (self.subscribers.iter())
            .find(|one| one.conn == conn)
            .map_or(0, |one| one.prefetch);
        while self.load_of(conn) < prefetch {
            let Some(message) = self.ready.pop_front() else {
                break;
            };
            self.tags += 1;
            let handed = HandedOut {
                conn,
                generation,
                tag: self.tags,
                message,
            };
            self.unsettled.insert(self.tags, handed.clone());
            out.push(handed);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::super::Letter;
    use super::*;

    fn numbers(out: &[HandedOut]) -> Vec<u64> {
        out.iter().map(|one| one.message.letter.number).collect()
    }

    fn queue(messages: u64) -> Queue {
        let mut queue = Queue::default();
        (1..=messages).for_each(|number| queue.put(Letter::blank(number)));
        queue
    }

    #[test]
    fn one_consumer_is_served_until_it_goes_and_then_the_next() {
        let mut queue = queue(3);
        queue.subscribe(1, 0, 5, 2);
        assert_eq!(numbers(&queue.hand_out()), [1, 2]);
        queue.subscribe(2, 0, 5, 2);
        assert!(queue.hand_out().is_empty());
        assert_eq!(queue.lose(1), 2);
        let out = queue.hand_out();
        assert_eq!(numbers(&out), [1, 2], "in order after an abrupt loss");
        assert_eq!((out[0].conn, out[0].message.returns), (2, 1));
    }

    #[test]
    fn a_higher_priority_waits_until_the_holder_has_settled() {
        let mut queue = queue(2);
        queue.subscribe(1, 0, 5, 1);
        let held = queue.hand_out();
        queue.subscribe(2, 0, 9, 1);
        assert!(queue.hand_out().is_empty());
        assert!(queue.ack(1, held[0].tag));
        let out = queue.hand_out();
        assert_eq!((out[0].conn, numbers(&out)), (2, vec![2]));
        assert!(!queue.ack(1, out[0].tag), "somebody else's message");
    }

    #[test]
    fn a_drained_holder_whose_last_word_is_a_nack_hangs_the_queue_until_it_cancels() {
        let mut queue = queue(1);
        queue.subscribe(1, 0, 5, 4);
        let held = queue.hand_out();
        queue.subscribe(2, 0, 9, 4);
        queue.nack(1, held[0].tag, Return::InOrder);
        assert!(queue.hand_out().is_empty());
        queue.cancel(1);
        assert_eq!(queue.hand_out()[0].conn, 2);
    }

    #[test]
    fn nacks_one_by_one_may_bring_the_newest_first() {
        let mut queue = queue(3);
        queue.subscribe(1, 0, 5, 3);
        let held = queue.hand_out();
        held.iter().for_each(|one| queue.nack(1, one.tag, Return::NewestFirst));
        assert_eq!(numbers(&queue.hand_out()), [3, 2, 1]);
    }
}
