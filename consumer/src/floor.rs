//! The floor: all projects that have messages in hand. It hands events to hearts and their actions to hands.
//!
//! One loop owns the hearts; each action runs in a task of its own and comes back as an event. Answers carry the project's
//! epoch: what was aborted meanwhile is dropped unheard.

mod azkaban;
mod leaving;
mod state;
mod tasks;
mod told;
mod words;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use flowlift_azkaban::ProjectName;
use flowlift_azkaban::client::Client;
use flowlift_common::Seen;
use flowlift_common::amqp::{AmqpError, Link, Sender};
use flowlift_common::steer::{Hold, SteerEvent, Steering};
use flowlift_common::topology::parked_queue;
use flowlift_common::trace::Traces;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{AbortHandle, JoinSet};

use crate::attempts::OpenAttempts;
use crate::breaker::Breaker;
use crate::hands::{DESKS, Hands};
use crate::held::Held;
use crate::lease::Lease;
use crate::looks::{Look, Looks};
use crate::metrics::{InHand, Metrics};
use crate::permits::{Permit, Permits};
use crate::project::{Action, Arrival, Event, Landing, Limits, PlanAsk, Project, Settlement};
use crate::rates::Rates;
use crate::settle;
use crate::trail::Trail;

/// After a look that Azkaban did not answer, the next try.
const LOOK_RETRY_MS: u64 = 60_000;

/// What the projects of one session share.
#[derive(Clone)]
pub struct Tools {
    /// Who works here.
    pub consumer: Arc<str>,
    /// Azkaban.
    pub client: Client,
    /// The connection that holds the shards.
    pub link: Arc<Link>,
    /// Confirmed publishing on the connection that holds the shards.
    pub sender: Sender,
    /// Announcements of uploads.
    pub attempts: Arc<OpenAttempts>,
    /// The bound on connections to Azkaban.
    pub permits: Permits,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Where it is told what batches went through.
    pub traces: Traces,
    /// Whether the broker was heard of late.
    pub lease: Lease,
    /// Looks to be taken later; they outlive a lost connection.
    pub looks: Arc<Mutex<Looks>>,
    /// When the clock of hearts and looks began.
    pub began: Instant,
    /// Times.
    pub limits: Limits,
    /// K.
    pub shards: u16,
    /// Unsettled messages the broker hands over per shard.
    pub prefetch: u16,
}

struct Room {
    shard: u16,
    heart: Project,
    hands: Hands,
    epoch: u64,
    /// The action under way.
    running: Option<AbortHandle>,
    permit: Option<Permit>,
    timer: Option<u64>,
    /// It tries for all whether Azkaban is back.
    probing: bool,
    /// What its batch went through, where anybody wants to know.
    trail: Option<Trail>,
}

/// An answer on its way back.
struct Back {
    key: String,
    epoch: u64,
    what: What,
}

enum What {
    Heard(Event),
    Permit(Box<Permit>),
    Settled {
        receipts: Vec<u64>,
        changes: u64,
        uploaded: bool,
        unwritten: bool,
    },
    Parked(Vec<u64>),
    /// A look was taken at a project that need not be in hand; `false`: it could not be.
    Looked(Look, bool),
    Broken(AmqpError),
}

/// What the loop has to tell its session.
#[derive(Debug)]
pub enum News {
    /// Nothing of this shard is begun any more; these messages are to be given back.
    Quiet(u16, Vec<Arc<Held>>),
    /// The shard holds messages for a newer Flowlift.
    TooNew(u16),
}

/// All projects in hand.
pub struct Floor {
    tools: Tools,
    rooms: HashMap<String, Room>,
    held: HashMap<u64, Arc<Held>>,
    per_shard: HashMap<u16, usize>,
    timers: BTreeSet<(u64, String)>,
    breaker: Breaker,
    /// Projects that want to turn to Azkaban while it is away.
    kept_waiting: Vec<String>,
    draining: BTreeSet<u16>,
    steering: Steering,
    rates: Rates,
    desks: Arc<Semaphore>,
    tasks: JoinSet<()>,
    back: mpsc::UnboundedSender<Back>,
    answers: mpsc::UnboundedReceiver<Back>,
    receipts: u64,
}

impl Floor {
    /// An empty floor; this is what people have asked of the work so far.
    #[must_use]
    pub fn new(tools: Tools, steering: Steering) -> Self {
        let (back, answers) = mpsc::unbounded_channel();
        Self {
            tools,
            rooms: HashMap::new(),
            held: HashMap::new(),
            per_shard: HashMap::new(),
            timers: BTreeSet::new(),
            breaker: Breaker::default(),
            kept_waiting: Vec::new(),
            draining: BTreeSet::new(),
            steering,
            rates: Rates::default(),
            desks: Arc::new(Semaphore::new(DESKS as usize)),
            tasks: JoinSet::new(),
            back,
            answers,
            receipts: 0,
        }
    }

    fn looks(&self) -> MutexGuard<'_, Looks> {
        self.tools.looks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.tools.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// A number for the next message.
    pub fn next_receipt(&mut self) -> u64 {
        self.receipts += 1;
        self.receipts
    }

    /// Takes a message whose project is known.
    pub fn arrived(&mut self, project: &ProjectName, held: Held) -> Vec<News> {
        let shard = held.shard;
        let in_hand = self.per_shard.entry(shard).or_default();
        *in_hand += 1;
        let window_full = *in_hand >= usize::from(self.tools.prefetch);
        let arrival = Arrival {
            receipt: held.receipt,
            returns: held.returns(),
            changes: held.changes(),
            window_full,
        };
        let (key, draining) = (project.key(), self.draining.contains(&shard));
        self.tools.metrics.message_arrived(held.returns() > 0);
        self.held.insert(held.receipt, Arc::new(held));
        if !self.rooms.contains_key(&key) {
            let room = self.furnish(project, shard);
            self.rooms.insert(key.clone(), room);
        }
        let mut news = self.hear(&key, Event::Arrived(arrival));
        if draining {
            news.extend(self.hear(&key, Event::Drain));
        } else if window_full {
            news.extend(self.fill(shard));
        }
        news
    }

    /// Nothing more can come for this shard: batches that are held open begin.
    fn fill(&mut self, shard: u16) -> Vec<News> {
        let now = self.now_ms();
        let keys = self.keys_of(|of| of == shard);
        for key in &keys {
            if let Some(room) = self.rooms.get_mut(key) {
                room.heart.window_filled();
            }
        }
        keys.into_iter()
            .filter(|key| self.due(key, now))
            .collect::<Vec<_>>()
            .iter()
            .flat_map(|key| self.hear(key, Event::Timer))
            .collect()
    }

    /// The projects in hand of some shards.
    fn keys_of(&self, shard: impl Fn(u16) -> bool) -> Vec<String> {
        let rooms = self.rooms.iter().filter(|(_, room)| shard(room.shard));
        rooms.map(|(key, _)| key.clone()).collect()
    }

    fn due(&self, key: &str, now: u64) -> bool {
        self.rooms
            .get(key)
            .and_then(|room| room.heart.next_timer())
            .is_some_and(|due| due <= now)
    }

    fn hands(&self, project: &ProjectName) -> Hands {
        Hands {
            project: project.clone(),
            consumer: Arc::clone(&self.tools.consumer),
            client: self.tools.client.clone(),
            work: Arc::default(),
            metrics: Arc::clone(&self.tools.metrics),
            lease: self.tools.lease.clone(),
            desks: Arc::clone(&self.desks),
        }
    }

    fn furnish(&self, project: &ProjectName, shard: u16) -> Room {
        let hands = self.hands(project);
        let mut heart = Project::new(self.tools.limits, rand::random());
        let hold = self.steering.hold(project);
        if hold != Hold::No {
            // with nothing in hand there is nothing to be done about it
            heart.handle(Event::Hold(hold), self.now_ms());
        }
        Room {
            shard,
            heart,
            hands,
            epoch: 0,
            running: None,
            permit: None,
            timer: None,
            probing: false,
            trail: self.tools.traces.is_on().then(|| {
                let consumer = self.tools.consumer.to_string();
                Trail::new(project.clone(), consumer)
            }),
        }
    }

    /// Takes what somebody asks of the work; a pause says how each project in hand is held from now on.
    pub fn steered(&mut self, event: SteerEvent) -> Vec<News> {
        self.steering.take(event);
        let rooms = self.rooms.iter();
        let holds: Vec<(String, Hold)> = rooms
            .map(|(key, room)| (key.clone(), self.steering.hold(&room.hands.project)))
            .collect();
        holds
            .into_iter()
            .flat_map(|(key, hold)| self.hear(&key, Event::Hold(hold)))
            .collect()
    }

    /// What people have asked of the work.
    #[must_use]
    pub fn steering(&self) -> &Steering {
        &self.steering
    }

    /// Waits for the next answer or timer and deals with it.
    ///
    /// # Errors
    /// When the connection to RabbitMQ broke in some action: the session is over.
    pub async fn turn(&mut self) -> Result<Vec<News>, AmqpError> {
        let due = [
            self.timers.first().map(|(at, _)| *at),
            self.looks().next_ms(),
            self.breaker
                .retry_at_ms()
                .filter(|_| !self.kept_waiting.is_empty()),
        ];
        let due = due.into_iter().flatten().min();
        let due = due.map(|at| self.tools.began + Duration::from_millis(at));
        let sleep = async {
            match due {
                Some(due) => tokio::time::sleep_until(due.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            Some(back) = self.answers.recv() => self.answer(back),
            () = sleep => Ok(self.time_has_come()),
            Some(_) = self.tasks.join_next() => Ok(Vec::new()),
        }
    }

    fn time_has_come(&mut self) -> Vec<News> {
        let now = self.now_ms();
        let due: Vec<Look> = std::iter::from_fn(|| self.looks().take(now)).collect();
        for look in due {
            self.look_again(look);
        }
        self.admit_waiting(now);
        let due = self.timers.first().filter(|(at, _)| *at <= now);
        let key = due.map(|(_, key)| key.clone());
        key.map_or_else(Vec::new, |key| self.hear(&key, Event::Timer))
    }

    fn answer(&mut self, back: Back) -> Result<Vec<News>, AmqpError> {
        match back.what {
            What::Broken(error) if !self.rooms.contains_key(&back.key) => return Err(error),
            What::Looked(look, told) => {
                if !told {
                    self.looks().put(self.now_ms() + LOOK_RETRY_MS, look);
                }
                return Ok(Vec::new());
            }
            _ => {}
        }
        let Some(room) = self
            .rooms
            .get_mut(&back.key)
            .filter(|room| room.epoch == back.epoch)
        else {
            return Ok(Vec::new());
        };
        room.running = None;
        let event = match back.what {
            What::Broken(error) => return Err(error),
            What::Heard(event) => event,
            What::Permit(permit) => {
                room.permit = Some(*permit);
                Event::Permit
            }
            What::Settled {
                receipts,
                changes,
                uploaded,
                unwritten,
            } => {
                room.hands.work().settled(uploaded, unwritten);
                let (messages, now) = (receipts.len() as u64, self.now_ms());
                self.rates.settled(changes, messages, u64::from(uploaded), now);
                for receipt in receipts {
                    self.let_go(receipt);
                }
                Event::Settled
            }
            What::Parked(receipts) => {
                for receipt in receipts {
                    self.let_go(receipt);
                }
                Event::Parked
            }
            What::Looked(..) => return Ok(Vec::new()),
        };
        Ok(self.hear(&back.key, event))
    }

    fn let_go(&mut self, receipt: u64) {
        if let Some(held) = self.held.remove(&receipt)
            && let Some(in_hand) = self.per_shard.get_mut(&held.shard)
        {
            *in_hand = in_hand.saturating_sub(1);
        }
    }

    fn hear(&mut self, key: &str, event: Event) -> Vec<News> {
        let now = self.now_ms();
        let Some(room) = self.rooms.get_mut(key) else {
            return Vec::new();
        };
        told::heard(room, &event, &self.tools.traces);
        let fenced = room.heart.is_fenced().then(|| room.heart.in_phase_for(now));
        self.watch(key, &event, now);
        let Some(room) = self.rooms.get_mut(key) else {
            return Vec::new();
        };
        let actions = room.heart.handle(event, now);
        told::asked(room, &actions, &self.held);
        if let Some(waited) = fenced.filter(|_| !room.heart.is_fenced()) {
            self.tools.metrics.fenced(waited);
        }
        let mut news = Vec::new();
        for action in actions {
            news.extend(self.act(key, action));
        }
        self.wind(key);
        let Some(room) = self.rooms.get(key) else {
            return news;
        };
        let shard = room.shard;
        if room.heart.is_quiet() && room.heart.receipts().next().is_none() {
            self.wind_down(key);
        }
        news.extend(self.quiet(shard));
        news
    }

    /// Keeps the timer of a project in step with its heart.
    fn wind(&mut self, key: &str) {
        let Some(room) = self.rooms.get_mut(key) else {
            return;
        };
        let next = room.heart.next_timer();
        if room.timer != next {
            if let Some(before) = room.timer {
                self.timers.remove(&(before, key.to_owned()));
            }
            if let Some(next) = next {
                self.timers.insert((next, key.to_owned()));
            }
            room.timer = next;
        }
    }

    /// A heart without work keeps only what saves a look at the stream of attempts; a few bytes per project.
    fn wind_down(&self, key: &str) {
        if let Some(room) = self.rooms.get(key) {
            let mut work = room.hands.work();
            work.forget();
            // asked for anew at the next message
            work.seen = Seen::default();
        }
    }

    fn act(&mut self, key: &str, action: Action) -> Vec<News> {
        let Some(room) = self.rooms.get_mut(key) else {
            return Vec::new();
        };
        let (hands, room_shard) = (room.hands.clone(), room.shard);
        match action {
            Action::WantPermit => {
                let now = self.now_ms();
                if self.kept_waiting.is_empty() && self.breaker.admit(now) {
                    self.want_permit(key);
                } else {
                    self.kept_waiting.push(key.to_owned());
                }
            }
            Action::DropPermit => {
                room.permit = None;
                if std::mem::take(&mut room.probing) {
                    let now = self.now_ms();
                    self.breaker.gave_up(now);
                }
                self.kept_waiting.retain(|waiting| waiting != key);
            }
            Action::AskOpenAttempts => {
                let attempts = Arc::clone(&self.tools.attempts);
                self.run(key, async move { tasks::take_over(&attempts, &hands).await });
            }
            Action::ReadBase => {
                let held = room
                    .heart
                    .receipts()
                    .filter_map(|receipt| self.held.get(&receipt));
                let waiting = held.map(|held| held.weight()).fold(0, u64::saturating_add);
                self.run(key, async move { What::Heard(hands.read_base(waiting).await) });
            }
            Action::Make => self.run(key, async move { What::Heard(hands.make().await) }),
            Action::Plan(ask) => {
                let (held, cancelled) = (self.in_hand(&ask), self.tools.attempts.cancelled());
                self.run(
                    key,
                    async move { What::Heard(hands.plan(ask, held, cancelled).await) },
                );
            }
            Action::Announce => {
                let attempts = Arc::clone(&self.tools.attempts);
                self.run(key, async move { tasks::announce(&attempts, &hands).await });
            }
            Action::Upload => self.run(key, async move { What::Heard(hands.upload().await) }),
            Action::Look(whose) => {
                let (attempt, server) = tasks::attempt_of(&hands, &whose);
                self.run(key, async move {
                    What::Heard(hands.look(&attempt, server.as_deref()).await)
                });
            }
            Action::EndAttempt(whose, landing) => {
                let (attempt, _) = tasks::attempt_of(&hands, &whose);
                hands.work().seen.doubt |= landing == Landing::NotSeen;
                self.end_attempt(key, hands, attempt, landing);
            }
            Action::Park(receipts) => self.park(key, room_shard, receipts),
            Action::LookLater(after) => {
                let at_ms = self.now_ms() + u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
                if let Some(attempt) = tasks::uploaded_last(&hands) {
                    let project = hands.project.clone();
                    self.looks().put(at_ms, Look { project, attempt });
                }
            }
            Action::List => self.run(key, async move { What::Heard(hands.list().await) }),
            Action::Schedule => self.run(key, async move { What::Heard(hands.schedule().await) }),
            Action::Settle(settlement) => self.settle(key, hands, settlement),
            Action::Forget => hands.work().forget(),
            Action::Abort => {
                room.epoch += 1;
                if let Some(running) = room.running.take() {
                    running.abort();
                }
            }
            Action::GiveShardBack => return vec![News::TooNew(room.shard)],
            Action::Say(line) => words::say(&hands.project, &line),
        }
        Vec::new()
    }

    fn run(&mut self, key: &str, action: impl Future<Output = What> + Send + 'static) {
        let Some(room) = self.rooms.get_mut(key) else {
            return;
        };
        let (back, key, epoch) = (self.back.clone(), key.to_owned(), room.epoch);
        room.running = Some(self.tasks.spawn(async move {
            let what = action.await;
            // the floor is gone only when the session is over
            let _ = back.send(Back { key, epoch, what });
        }));
    }

    fn in_hand(&self, ask: &PlanAsk) -> Vec<Arc<Held>> {
        ask.receipts
            .iter()
            .filter_map(|receipt| self.held.get(receipt))
            .map(Arc::clone)
            .collect()
    }

    /// Moves messages to the parked queue of their shard.
    fn park(&mut self, key: &str, shard: u16, receipts: Vec<u64>) {
        let held: Vec<Arc<Held>> = receipts
            .iter()
            .filter_map(|receipt| self.held.get(receipt))
            .map(Arc::clone)
            .collect();
        let (sender, metrics) = (self.tools.sender.clone(), Arc::clone(&self.tools.metrics));
        self.run(key, async move {
            match settle::move_to(&sender, &parked_queue(shard), &held).await {
                Ok(()) => {
                    metrics.messages_parked(held.len() as u64);
                    What::Parked(receipts)
                }
                Err(error) => What::Broken(error),
            }
        });
    }

    fn end_attempt(&mut self, key: &str, hands: Hands, attempt: String, landing: Landing) {
        let (tools, back, key) = (self.tools.clone(), self.back.clone(), key.to_owned());
        let epoch = self.rooms.get(&key).map_or(0, |room| room.epoch);
        self.tasks.spawn(async move {
            if let Err(error) = tasks::end_attempt(&tools, &hands.project, &attempt, landing).await {
                let _ = back.send(Back {
                    key,
                    epoch,
                    what: What::Broken(error),
                });
            }
        });
    }

    fn settle(&mut self, key: &str, hands: Hands, settlement: Settlement) {
        let (sender, metrics) = (self.tools.sender.clone(), Arc::clone(&self.tools.metrics));
        let link = Arc::clone(&self.tools.link);
        let attempts = Arc::clone(&self.tools.attempts);
        let touched: BTreeSet<u64> = settlement.changes.iter().map(|(id, _)| id.receipt).collect();
        let wanted = |held: &&Arc<Held>| {
            touched.contains(&held.receipt) || settlement.receipts.contains(&held.receipt)
        };
        let held: Vec<Arc<Held>> = self.held.values().filter(wanted).map(Arc::clone).collect();
        self.run(key, async move {
            match tasks::settle_one((&link, &sender), &attempts, &hands, &settlement, &held, &metrics).await {
                Ok(()) => What::Settled {
                    changes: settlement.changes.len() as u64,
                    receipts: settlement.receipts,
                    uploaded: settlement.uploaded,
                    unwritten: settlement.unwritten,
                },
                Err(error) => What::Broken(error),
            }
        });
    }

    /// Brings the gauges up to date.
    pub fn count(&self) {
        let active = self.rooms.values().filter(|room| !room.heart.is_quiet()).count();
        let fenced = self.rooms.values().filter(|room| room.heart.is_fenced()).count();
        self.tools.metrics.floor(self.held.len(), active, fenced);
    }

    /// What the messages in hand tell about time.
    #[must_use]
    pub fn times(&self) -> InHand {
        let received = self.held.values().map(|held| held.since).min();
        let published = self.held.values().filter_map(|held| held.published_ms).min();
        InHand {
            since_received: received.map(|since| since.elapsed()),
            since_published: published
                .map(|at_ms| Duration::from_millis(tasks::wall_ms().saturating_sub(at_ms))),
            deadline_ms: self.held.values().filter_map(|held| held.deadline_ms).min(),
        }
    }
}
