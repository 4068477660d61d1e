//! All projects in hand: events go to the real hearts, their actions to the hands. Mirrors `src/floor.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use flowlift_azkaban::ProjectName;
use flowlift_common::{Envelope, Seen};
use flowlift_consumer::breaker::Breaker;
use flowlift_consumer::project::{Action, Arrival, Event, Limits, Project};

use super::azkaban::{want_permit, watch, wind_breaker};
use super::hands::Bench;
use super::session::{self, End, with};
use super::{hands, life, settle};
use crate::broker::queue::ConnId;
use crate::clock::{Ms, TaskId};
use crate::world::{W, tell};

/// A message that is not settled.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    /// Its number in this session.
    pub(crate) receipt: u64,
    pub(crate) shard: usize,
    /// Its delivery tag.
    pub(crate) tag: u64,
    /// Its number on the broker.
    pub(crate) number: u64,
    pub(crate) envelope: Rc<Envelope>,
    pub(crate) returns: u64,
}

/// One project in hand.
pub(crate) struct Room {
    shard: usize,
    heart: Project,
    pub(crate) bench: Bench,
    epoch: u64,
    running: Option<TaskId>,
    permit: bool,
    timer: Option<(Ms, TaskId)>,
    /// It tries for all whether Azkaban is back.
    pub(super) probing: bool,
}

impl Room {
    /// What it stands at, for people.
    pub(crate) fn words(&self) -> String {
        format!(
            "{:?}, timer {:?}, running {}",
            self.heart,
            self.heart.next_timer(),
            self.running.is_some()
        )
    }
}

/// All projects of a session.
#[derive(Default)]
pub(crate) struct Floor {
    pub(crate) rooms: BTreeMap<String, Room>,
    pub(crate) held: BTreeMap<u64, Held>,
    per_shard: BTreeMap<usize, usize>,
    draining: BTreeSet<usize>,
    receipts: u64,
    pub(super) breaker: Breaker,
    /// Projects that want to turn to Azkaban while it is away, and when the next may try.
    pub(super) kept_waiting: Vec<String>,
    pub(super) retry: Option<(Ms, TaskId)>,
}

/// What an action brings back.
pub(crate) enum What {
    /// An event for the heart.
    Heard(Event),
    /// A permit was granted.
    Permit,
    /// Messages are acknowledged.
    Settled {
        receipts: Vec<u64>,
        uploaded: bool,
        unwritten: bool,
    },
    /// Messages lie in the parked queue.
    Parked(Vec<u64>),
    /// The connection to the broker broke.
    Broken,
}

impl Floor {
    /// The shards that have messages in hand.
    pub(crate) fn busy_shards(&self) -> BTreeSet<usize> {
        let busy = self.per_shard.iter().filter(|(_, count)| **count > 0);
        busy.map(|(shard, _)| *shard).collect()
    }

    /// Whether some upload is being decided.
    pub(crate) fn is_begun(&self) -> bool {
        self.rooms.values().any(|room| room.heart.is_begun())
    }

    /// Whether nothing is in hand.
    pub(crate) fn is_idle(&self) -> bool {
        self.held.is_empty() && self.rooms.values().all(|room| room.heart.is_quiet())
    }

    fn let_go(&mut self, receipts: &[u64]) {
        for receipt in receipts {
            if let Some(held) = self.held.remove(receipt)
                && let Some(count) = self.per_shard.get_mut(&held.shard)
            {
                *count = count.saturating_sub(1);
            }
        }
    }

    fn of_shard(&self, shard: usize) -> Vec<String> {
        let mine = self.rooms.iter().filter(|(_, room)| room.shard == shard);
        mine.map(|(key, _)| key.clone()).collect()
    }
}

/// Which project, on which machine, by which connection.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) node: usize,
    pub(crate) conn: ConnId,
    pub(crate) project: ProjectName,
}

impl Place {
    /// The project's key.
    pub(crate) fn key(&self) -> String {
        self.project.key()
    }

    /// Does something with the project's bench, if the session is still there.
    pub(crate) fn bench<T>(&self, w: &W, act: impl FnOnce(&mut Bench) -> T) -> Option<T> {
        with(w, self.node, self.conn, |session| {
            session
                .floor
                .rooms
                .get_mut(&self.key())
                .map(|room| act(&mut room.bench))
        })?
    }
}

/// Takes a message.
pub(super) fn arrived(w: &W, node: usize, conn: ConnId, mut held: Held) {
    let (shard, project) = (held.shard, held.envelope.project.clone());
    let place = Place { node, conn, project };
    let key = place.key();
    let seed = w.seed();
    let prefetch = w.weather.prefetch;
    let limits = Limits {
        safeguards: w.safeguards,
        ..Limits::default()
    };
    let Some((arrival, draining, full)) = with(w, node, conn, |session| {
        let floor = &mut session.floor;
        floor.receipts += 1;
        held.receipt = floor.receipts;
        let in_hand = floor.per_shard.entry(shard).or_default();
        *in_hand += 1;
        let arrival = Arrival {
            receipt: held.receipt,
            returns: held.returns,
            changes: held.envelope.changes.len() as u64,
            window_full: *in_hand >= prefetch,
        };
        floor.held.insert(held.receipt, held);
        floor.rooms.entry(key.clone()).or_insert_with(|| Room {
            shard,
            heart: Project::new(limits, seed),
            bench: Bench::default(),
            epoch: 0,
            running: None,
            permit: false,
            timer: None,
            probing: false,
        });
        let full = arrival.window_full;
        (arrival, floor.draining.contains(&shard), full)
    }) else {
        return;
    };
    hear(w, &place, Event::Arrived(arrival));
    if draining {
        hear(w, &place, Event::Drain);
    } else if full {
        fill(w, node, conn, shard);
    }
}

/// Nothing more can come for this shard: batches that are held open begin.
fn fill(w: &W, node: usize, conn: ConnId, shard: usize) {
    let now = w.now();
    let due = with(w, node, conn, |session| {
        let floor = &mut session.floor;
        let mut due = Vec::new();
        for key in floor.of_shard(shard) {
            if let Some(room) = floor.rooms.get_mut(&key) {
                room.heart.window_filled();
                if room.heart.next_timer().is_some_and(|at| at <= now) {
                    due.push(key);
                }
            }
        }
        due
    });
    for key in due.unwrap_or_default() {
        hear(w, &place_of(node, conn, &key), Event::Timer);
    }
}

pub(super) fn place_of(node: usize, conn: ConnId, key: &str) -> Place {
    let project = ProjectName::new(key).expect("a key is a name");
    Place { node, conn, project }
}

/// Tells a heart something and has its actions carried out.
pub(crate) fn hear(w: &W, place: &Place, event: Event) {
    let (now, key) = (w.now(), place.key());
    watch(w, place, &event);
    let actions = with(w, place.node, place.conn, |session| {
        let room = session.floor.rooms.get_mut(&key)?;
        Some(room.heart.handle(event, now))
    });
    let Some(actions) = actions.flatten() else { return };
    for action in actions {
        act(w, place, action);
    }
    wind(w, place);
    let shard = with(w, place.node, place.conn, |session| {
        let room = session.floor.rooms.get_mut(&key)?;
        if room.heart.is_quiet() && room.heart.receipts().next().is_none() {
            room.bench.forget();
            // asked for anew at the next message
            room.bench.seen = Seen::default();
        }
        Some(room.shard)
    });
    wind_breaker(w, place.node, place.conn);
    if let Some(shard) = shard.flatten() {
        look_quiet(w, place.node, place.conn, shard);
    }
}

/// Keeps the timer of a project in step with its heart.
fn wind(w: &W, place: &Place) {
    let key = place.key();
    let (world, again) = (Rc::clone(w), place.clone());
    with(w, place.node, place.conn, |session| {
        let owner = session.owner;
        let Some(room) = session.floor.rooms.get_mut(&key) else {
            return;
        };
        let next = room.heart.next_timer();
        if room.timer.as_ref().map(|(at, _)| *at) == next {
            return;
        }
        if let Some((_, task)) = room.timer.take() {
            world.clock.abort(task);
        }
        if let Some(at) = next {
            let inner = Rc::clone(&world);
            let task = world.clock.spawn(owner, async move {
                inner.clock.sleep_until(at).await;
                with(&inner, again.node, again.conn, |session| {
                    if let Some(room) = session.floor.rooms.get_mut(&again.key()) {
                        room.timer = None;
                    }
                });
                hear(&inner, &again, Event::Timer);
            });
            room.timer = Some((at, task));
        }
    });
}

/// Carries an action out; where a kill is due, it comes before the action, in its middle or right after it.
fn act(w: &W, place: &Place, action: Action) {
    w.watch.action(w, place.node);
    let short = matches!(
        action,
        Action::Forget | Action::Abort | Action::Say(_) | Action::DropPermit
    );
    if !short && w.strikes(w.weather.kill) {
        tell!(
            w,
            "night-{}: is about to die at {}",
            place.node + 1,
            word(&action)
        );
        life::doom(w, place.node);
    }
    let ambush = *w.ambush.borrow();
    if ambush.is_some_and(|step| step == word(&action)) {
        w.ambush.borrow_mut().take();
        tell!(w, "night-{}: dies at {}", place.node + 1, word(&action));
        life::die(w, place.node);
    }
    let here = place.clone();
    match action {
        Action::WantPermit => {
            let admitted = with(w, place.node, place.conn, |session| {
                let floor = &mut session.floor;
                let admitted = floor.kept_waiting.is_empty() && floor.breaker.admit(w.now());
                if !admitted {
                    floor.kept_waiting.push(place.key());
                }
                admitted
            });
            if admitted == Some(true) {
                want_permit(w, place);
            }
        }
        Action::DropPermit => {
            let had = with(w, place.node, place.conn, |session| {
                let floor = &mut session.floor;
                floor.kept_waiting.retain(|waiting| *waiting != place.key());
                let room = floor.rooms.get_mut(&place.key())?;
                if std::mem::take(&mut room.probing) {
                    floor.breaker.gave_up(w.now());
                }
                Some(std::mem::take(&mut room.permit))
            });
            if let Some(link) = w.link(here.conn).filter(|_| had.flatten() == Some(true)) {
                link.drop_permit(w);
            }
        }
        Action::AskOpenAttempts => run(w, place, hands::attempts::take_over),
        Action::ReadBase => run(w, place, hands::base::read_base),
        Action::Make => run(w, place, hands::base::make),
        Action::Plan(ask) => run(w, place, |w, here| hands::plan::plan_batch(w, here, ask)),
        Action::Announce => run(w, place, hands::attempts::announce),
        Action::Upload => run(w, place, hands::upload::upload),
        Action::Look(whose) => run(w, place, |w, here| hands::base::look(w, here, whose)),
        Action::EndAttempt(whose, landing) => hands::attempts::end(w, &here, &whose, landing),
        Action::Park(receipts) => run(w, place, |w, here| settle::park(w, here, receipts)),
        Action::LookLater(after) => hands::looks::later(w, &here, after),
        Action::List => run(w, place, hands::base::list),
        Action::Schedule => run(w, place, hands::schedule::schedule),
        Action::Settle(settlement) => run(w, place, |w, here| settle::settle(w, here, settlement)),
        Action::Forget => {
            place.bench(w, Bench::forget);
        }
        Action::Abort => abort(w, place),
        Action::GiveShardBack => {
            tell!(w, "night-{}: gives a shard back", place.node + 1);
        }
        Action::Say(line) => tell!(w, "night-{}: says of {}: {line:?}", place.node + 1, place.project),
    }
}

fn word(action: &Action) -> String {
    let text = format!("{action:?}");
    text.split(['(', ' ', '{']).next().unwrap_or_default().to_owned()
}

fn abort(w: &W, place: &Place) {
    let running = with(w, place.node, place.conn, |session| {
        let room = session.floor.rooms.get_mut(&place.key())?;
        room.epoch += 1;
        room.running.take()
    });
    if let Some(task) = running.flatten() {
        w.clock.abort(task);
    }
}

pub(super) fn run<F: Future<Output = What> + 'static>(
    w: &W,
    place: &Place,
    action: impl FnOnce(W, Place) -> F,
) {
    let (world, here) = (Rc::clone(w), place.clone());
    let action = action(Rc::clone(w), place.clone());
    with(w, place.node, place.conn, |session| {
        let owner = session.owner;
        let Some(room) = session.floor.rooms.get_mut(&place.key()) else {
            return;
        };
        let epoch = room.epoch;
        let task = world.clock.clone().spawn(owner, async move {
            let what = action.await;
            answer(&world, &here, epoch, what);
        });
        room.running = Some(task);
    });
}

fn answer(w: &W, place: &Place, epoch: u64, what: What) {
    let key = place.key();
    let fresh = with(w, place.node, place.conn, |session| {
        let room = session
            .floor
            .rooms
            .get_mut(&key)
            .filter(|room| room.epoch == epoch);
        room.is_some_and(|room| {
            room.running = None;
            true
        })
    });
    if fresh != Some(true) {
        return;
    }
    let event = match what {
        What::Broken => return broken(w, place.node, place.conn),
        What::Heard(event) => event,
        What::Permit => {
            with(w, place.node, place.conn, |session| {
                if let Some(room) = session.floor.rooms.get_mut(&key) {
                    room.permit = true;
                }
            });
            Event::Permit
        }
        What::Settled {
            receipts,
            uploaded,
            unwritten,
        } => {
            with(w, place.node, place.conn, |session| {
                let floor = &mut session.floor;
                if let Some(room) = floor.rooms.get_mut(&key) {
                    room.bench.settled(uploaded, unwritten);
                }
                floor.let_go(&receipts);
            });
            Event::Settled
        }
        What::Parked(receipts) => {
            with(w, place.node, place.conn, |session| {
                session.floor.let_go(&receipts);
            });
            Event::Parked
        }
    };
    hear(w, place, event);
}

/// The session is over.
pub(crate) fn broken(w: &W, node: usize, conn: ConnId) {
    with(w, node, conn, |session| session.ended.keep(End::Lost));
}

/// Begins nothing new on these shards.
pub(super) fn drain(w: &W, node: usize, conn: ConnId, shards: &BTreeSet<usize>) {
    leave(w, node, conn, shards);
    for shard in shards {
        look_quiet(w, node, conn, *shard);
    }
}

/// As [`drain`], but what is quiet is not given back: the socket will be dropped.
pub(super) fn leave(w: &W, node: usize, conn: ConnId, shards: &BTreeSet<usize>) {
    let keys = with(w, node, conn, |session| {
        session.floor.draining.extend(shards);
        shards
            .iter()
            .flat_map(|shard| session.floor.of_shard(*shard))
            .collect::<Vec<_>>()
    });
    for key in keys.unwrap_or_default() {
        hear(w, &place_of(node, conn, &key), Event::Drain);
    }
}

/// Gives a draining shard back once it is quiet.
fn look_quiet(w: &W, node: usize, conn: ConnId, shard: usize) {
    let held = with(w, node, conn, |session| {
        let floor = &mut session.floor;
        let busy = floor
            .rooms
            .values()
            .any(|room| room.shard == shard && !room.heart.is_quiet());
        if busy || !floor.draining.remove(&shard) {
            return None;
        }
        Some(forget_shard(w, floor, shard))
    });
    if let Some(held) = held.flatten() {
        session::quiet(w, node, conn, shard, &held);
    }
}

fn forget_shard(w: &W, floor: &mut Floor, shard: usize) -> Vec<Held> {
    for key in floor.of_shard(shard) {
        floor.kept_waiting.retain(|waiting| *waiting != key);
        if let Some(room) = floor.rooms.remove(&key) {
            if room.probing {
                floor.breaker.gave_up(w.now());
            }
            let tasks = room.running.into_iter().chain(room.timer.map(|(_, task)| task));
            tasks.for_each(|task| w.clock.abort(task));
        }
    }
    floor.per_shard.remove(&shard);
    let receipts = floor.held.values().filter(|held| held.shard == shard);
    let receipts: Vec<u64> = receipts.map(|held| held.receipt).collect();
    receipts
        .iter()
        .filter_map(|receipt| floor.held.remove(receipt))
        .collect()
}
