//! The model broker: shard queues, streams, dead letters, permits, names, and connections that each side sees end at a
//! time of its own.

pub(crate) mod link;
pub(crate) mod queue;

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use flowlift_common::Envelope;
use flowlift_common::ledger::{AttemptEvent, DeadLetter, RunEvent, Settled};

use crate::clock::{Ms, Promise};
use queue::{ConnId, Queue};

/// A message, as it lies in a queue.
#[derive(Debug, Clone)]
pub(crate) struct Letter {
    /// Its number on the broker, for the story.
    pub(crate) number: u64,
    /// What it holds; `None` in the tests of the queue alone.
    pub(crate) envelope: Option<Rc<Envelope>>,
}

impl Letter {
    #[cfg(test)]
    pub(crate) fn blank(number: u64) -> Self {
        Self {
            number,
            envelope: None,
        }
    }
}

/// A connection as the broker and its client see it.
#[derive(Debug)]
pub(crate) struct Conn {
    /// Which machine it comes from.
    pub(crate) node: usize,
    /// Whether the broker thinks that it is there.
    pub(crate) open: bool,
    /// The name it claims.
    pub(crate) name: String,
    /// Tokens taken out of the queue of permits.
    pub(crate) tokens: usize,
    /// The last arrival at the broker and at the client: a connection keeps its order.
    pub(crate) last: [Ms; 2],
}

/// All that survives a restart of the broker, and the connections that do not.
#[derive(Default)]
pub(crate) struct Broker {
    pub(crate) up: bool,
    pub(crate) shards: Vec<Queue>,
    pub(crate) conns: BTreeMap<ConnId, Conn>,
    next_conn: ConnId,
    next_letter: u64,
    /// The stream of runs.
    pub(crate) runs: Vec<RunEvent>,
    /// The stream of attempts.
    pub(crate) attempts: Vec<AttemptEvent>,
    /// The ledger.
    pub(crate) outcomes: Vec<Settled>,
    /// The parked queue of each shard.
    pub(crate) parked: Vec<VecDeque<Rc<Envelope>>>,
    /// The queue of dead letters.
    pub(crate) dead: Vec<DeadLetter>,
    /// Permits that lie in their queue, and who waits for one.
    pub(crate) tokens: usize,
    pub(crate) waiting: VecDeque<(ConnId, Promise<()>)>,
}

impl Broker {
    /// A broker with empty queues.
    pub(crate) fn new(shards: usize, tokens: usize) -> Self {
        Self {
            up: true,
            shards: (0..shards).map(|_| Queue::default()).collect(),
            parked: vec![VecDeque::new(); shards],
            tokens,
            ..Self::default()
        }
    }

    /// Takes a message into a shard.
    pub(crate) fn put(&mut self, shard: usize, envelope: Rc<Envelope>) -> u64 {
        self.next_letter += 1;
        let letter = Letter {
            number: self.next_letter,
            envelope: Some(envelope),
        };
        self.shards[shard].put(letter);
        self.next_letter
    }

    /// The highest rank that any run stated.
    pub(crate) fn last_rank(&self) -> Option<u64> {
        self.runs.iter().filter_map(RunEvent::rank).max()
    }

    /// Whether all messages of all shards are settled, parked ones too.
    pub(crate) fn is_drained(&self) -> bool {
        self.shards.iter().all(|queue| queue.len() == 0) && self.parked.iter().all(VecDeque::is_empty)
    }

    fn open(&mut self, node: usize, wanted: &str) -> (ConnId, String) {
        self.next_conn += 1;
        let taken = |name: &str| self.conns.values().any(|conn| conn.open && conn.name == name);
        let mut name = wanted.to_owned();
        let mut number = 1;
        while taken(&name) {
            number += 1;
            name = format!("{wanted}-{number}");
        }
        self.conns.insert(
            self.next_conn,
            Conn {
                node,
                open: true,
                name: name.clone(),
                tokens: 0,
                last: [0; 2],
            },
        );
        (self.next_conn, name)
    }

    /// The broker gives a connection up: its messages and tokens come back. Returns how many messages.
    fn close(&mut self, id: ConnId) -> Option<usize> {
        let conn = self.conns.get_mut(&id).filter(|conn| conn.open)?;
        conn.open = false;
        self.tokens += std::mem::take(&mut conn.tokens);
        self.waiting.retain(|(waiting, _)| *waiting != id);
        let back = self.shards.iter_mut().map(|queue| queue.lose(id)).sum();
        self.give_tokens();
        Some(back)
    }

    /// A connection gives a permit back.
    fn take_token_back(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.get_mut(&id).filter(|conn| conn.tokens > 0) {
            conn.tokens -= 1;
            self.tokens += 1;
            self.give_tokens();
        }
    }

    /// Tokens go to whoever has waited longest.
    fn give_tokens(&mut self) {
        while self.tokens > 0 {
            let Some((id, promise)) = self.waiting.pop_front() else {
                return;
            };
            if let Some(conn) = self.conns.get_mut(&id).filter(|conn| conn.open) {
                self.tokens -= 1;
                conn.tokens += 1;
                promise.keep(());
            }
        }
    }
}
