//! What must hold: some of it is watched at every step, the rest is judged when everything has come to its end.

mod hand;
pub(crate) mod last;
pub(crate) mod ledger;
pub(crate) mod quiet;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

use flowlift_azkaban::client::ProjectId;
use flowlift_common::manifest::{self, Manifest};

use crate::azkaban::install::Upload;
use crate::broker::queue::ConnId;
use crate::clock::Ms;
use crate::node::floor::Place;
use crate::node::hands::Prepared;
use crate::people;
use crate::story::at;
use crate::world::{W, World, tell};

/// The most actions that hearts may ask for in a minute in which Azkaban is down, per project: a look every half second.
const BUSY: u64 = 200;

struct Sending {
    node: usize,
    conn: ConnId,
    key: String,
    since: Ms,
}

/// What is watched on the way.
#[derive(Default)]
pub(crate) struct Watch {
    wrong: RefCell<Vec<String>>,
    sending: RefCell<BTreeMap<String, Sending>>,
    landings: Cell<u64>,
    active: RefCell<BTreeSet<(ProjectId, u32)>>,
    /// The minute, whether Azkaban was down all the time, and the actions in it.
    minute: Cell<(Ms, bool, u64)>,
}

impl Watch {
    /// All that was wrong so far.
    pub(crate) fn wrong(&self) -> Vec<String> {
        self.wrong.borrow().clone()
    }

    /// How many uploads landed.
    pub(crate) fn landings(&self) -> u64 {
        self.landings.get()
    }

    fn blame(&self, w: &World, words: &str) {
        tell!(w, "WRONG: {words}");
        self.wrong.borrow_mut().push(format!("{}: {words}", at(w.now())));
    }

    /// A heart asks for an action.
    pub(crate) fn action(&self, w: &W, _node: usize) {
        let minute = w.now() / 60_000;
        let (last, mut down, mut count) = self.minute.get();
        if last != minute {
            (down, count) = (true, 0);
        }
        down &= !w.azkaban.up.get();
        count += 1;
        self.minute.set((minute, down, count));
        if down && count == BUSY * w.weather.projects as u64 {
            self.blame(w, &format!("{count} actions in a minute while Azkaban is down"));
        }
    }

    /// A consumer begins to upload.
    pub(crate) fn upload_begins(&self, w: &W, here: &Place, prepared: &Prepared) {
        self.not_needless(w, here, prepared);
        let key = here.key();
        let mut sending = self.sending.borrow_mut();
        sending.retain(|_, one| {
            let session = w.nodes[one.node].session.borrow();
            session
                .as_ref()
                .is_some_and(|session| session.link.id == one.conn)
        });
        for one in sending.values().filter(|one| one.key == key) {
            let excused = [one.node, here.node]
                .iter()
                .any(|node| w.nodes[*node].troubled_at.get() >= one.since);
            if !excused {
                let words = format!(
                    "night-{} uploads to {key} while night-{} is still at it, and nobody died, froze or was cut off",
                    here.node + 1,
                    one.node + 1
                );
                self.blame(w, &words);
            }
        }
        let one = Sending {
            node: here.node,
            conn: here.conn,
            key,
            since: w.now(),
        };
        sending.insert(prepared.attempt.clone(), one);
    }

    /// Its call has come to an end.
    pub(crate) fn upload_ends(&self, attempt: &str) {
        self.sending.borrow_mut().remove(attempt);
    }

    fn not_needless(&self, w: &W, here: &Place, prepared: &Prepared) {
        let Some(zip) = prepared.zip.as_ref().filter(|_| !prepared.forced) else {
            return;
        };
        let mut after = zip.tree.clone();
        let new = after
            .remove(manifest::PATH)
            .and_then(|json| Manifest::read(&json).ok());
        let old = prepared.base.manifest.clone();
        let same_words = match (old, new) {
            (Some(old), Some(new)) => {
                let apart = Manifest {
                    attempt: old.attempt.clone(),
                    generation: old.generation,
                    project: old.project.clone(),
                    base: old.base.clone(),
                    digest: old.digest.clone(),
                    ..new
                };
                apart == old
            }
            _ => false,
        };
        if prepared.base.tree == after && same_words && !prepared.base.repair {
            self.blame(
                w,
                &format!("{} of {} changes nothing", prepared.attempt, here.project),
            );
        }
    }

    /// The server made an upload active.
    pub(crate) fn landed(&self, w: &W, id: ProjectId, version: u32, upload: &Upload) {
        self.landings.set(self.landings.get() + 1);
        self.active.borrow_mut().insert((id, version));
        people::landed(w, &upload.who);
    }

    /// The server made an upload active and answered that it failed.
    pub(crate) fn half_landed(&self, w: &W, id: ProjectId, version: u32, upload: &Upload) {
        self.active.borrow_mut().insert((id, version));
        people::half_landed(w, &upload.who);
    }

    /// Whether a version ever became active.
    pub(crate) fn was_active(&self, id: ProjectId, version: u32) -> bool {
        self.active.borrow().contains(&(id, version))
    }
}

/// Whether every message is settled and nobody has anything in hand.
pub(crate) fn is_drained(w: &World) -> bool {
    let idle = |node: &std::rc::Rc<crate::node::Node>| {
        node.session
            .borrow()
            .as_ref()
            .is_none_or(|session| session.floor.is_idle())
    };
    w.broker.borrow().is_drained() && w.nodes.iter().all(idle)
}

/// What is left where everything should have been settled.
pub(crate) fn not_drained(w: &World) -> String {
    let broker = w.broker.borrow();
    let shards: Vec<String> = (broker.shards.iter().enumerate())
        .filter(|(_, queue)| queue.len() > 0)
        .map(|(shard, queue)| {
            format!(
                "{} messages in shard {shard}, served to {:?}",
                queue.len(),
                queue.active()
            )
        })
        .collect();
    let parked: usize = broker.parked.iter().map(std::collections::VecDeque::len).sum();
    let nodes = w.nodes.iter().filter_map(|node| {
        let session = node.session.borrow();
        let rooms = session
            .as_ref()
            .filter(|session| !session.floor.is_idle())?
            .floor
            .rooms
            .values();
        Some(format!(
            "night-{} is busy with {:?}",
            node.index + 1,
            rooms.map(|room| room.words()).collect::<Vec<_>>()
        ))
    });
    let nodes: Vec<String> = nodes.collect();
    format!(
        "{} after the last fault something is left: {}; {parked} messages parked; {}",
        at(w.now() - w.weather.night),
        shards.join("; "),
        nodes.join("; ")
    )
}
