//! One connection's life: subscribe, work, hand over, leave. Any trouble with RabbitMQ ends it; [`crate::app`] begins anew.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use flowlift_azkaban::client::{Client, ClientError};
use flowlift_common::amqp::{self, AmqpError, Link, Needs, Sender, Wishes};
use flowlift_common::ledger;
use flowlift_common::steer::SteerEvent;
use flowlift_common::topology::{PREFETCH, Retention, shard_of};
use flowlift_common::trace::Traces;
use lapin::Consumer;
use lapin::message::Delivery;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::attempts::OpenAttempts;
use crate::fetching::{Come, Fetching};
use crate::floor::{Floor, News, Tools};
use crate::held::Held;
use crate::lease::Lease;
use crate::looks::Looks;
use crate::members::{self, Members};
use crate::metrics::{COUNTS, Metrics, Waiting};
use crate::parked::{self, Parked};
use crate::permits::Permits;
use crate::project::Limits;
use crate::settle;
use crate::shards::{FromShard, Shards};
use crate::waiting::{self, Queues};

/// How often gauges are brought up to date.
const TICK: Duration = Duration::from_secs(1);

/// A message that came back so often is buried unread: whoever planned it has probably died of it. Hand-overs count, too, so it
/// is far above what they come to while an Azkaban is down for two nights.
const RETURNS: u64 = 100;

/// How long a permit for the first login is waited for, where there was one a moment ago.
const LOGIN_WAITS: Duration = Duration::from_secs(2);

/// How long the last records may take when leaving; a successor finds out by itself what they would have told.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What a session needs.
pub struct Setup {
    /// The consumer's claimed name.
    pub name: String,
    /// Azkaban.
    pub client: Client,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Where it is told what batches went through.
    pub traces: Traces,
    /// K.
    pub shards: u16,
    /// How long outcomes are kept.
    pub retention: Retention,
    /// Connections to Azkaban of all consumers together; `None`: as recorded.
    pub permits: Option<u16>,
    /// Stop taking and finish.
    pub stop: CancellationToken,
    /// Leave at once.
    pub now: CancellationToken,
    /// How long finishing may take.
    pub grace: Duration,
    /// Times of the projects' roads.
    pub limits: Limits,
    /// Whether Azkaban has taken user and password before.
    pub logged_in: Arc<AtomicBool>,
    /// Looks to be taken later, and when their clock began: they outlive a session.
    pub looks: (Arc<Mutex<Looks>>, Instant),
}

/// How a session ended in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// Everything begun is settled.
    Drained,
    /// Uploads were still under way when the grace time ended; nothing is lost.
    GraceEnded,
    /// Azkaban refuses user and password; nothing was begun.
    LoginRefused,
}

/// Declares, compares, and works until told to stop.
///
/// # Errors
/// When the connection broke, or the vhost is not as this program needs it.
pub async fn run(link: &Arc<Link>, setup: &Setup, ready: impl Fn(bool)) -> Result<Left, AmqpError> {
    amqp::declare(link, setup.shards, &setup.retention).await?;
    let azkaban = setup.client.url().to_owned();
    amqp::agree(
        link,
        Needs {
            shards: setup.shards,
            azkaban: Some(&azkaban),
        },
    )
    .await?;
    setup.metrics.shards(setup.shards);
    let permits = Permits::open(link, setup.permits).await?;
    if !may_log_in(setup, &permits).await? {
        return Ok(Left::LoginRefused);
    }
    let mut session = Session::open(link, setup, permits).await?;
    ready(true);
    let ended = session.work().await;
    ready(false);
    setup.metrics.session_over();
    match ended {
        Ok(left) => Ok(left),
        Err(error) => {
            let lost = session.floor.busy_shards().len();
            setup.metrics.leases_lost(lost as u64);
            Err(error)
        }
    }
}

/// Whether Azkaban takes user and password, as far as it can be told now: with a permit, because a consumer that joins may not
/// open one connection more than all together may have.
async fn may_log_in(setup: &Setup, permits: &Permits) -> Result<bool, AmqpError> {
    if setup.logged_in.load(Ordering::Relaxed) {
        return Ok(true);
    }
    // all are in use: waiting for one would keep this consumer from its first work, and that work logs in as well
    if !permits.are_free().await {
        return Ok(true);
    }
    let Ok(permit) = tokio::time::timeout(LOGIN_WAITS, permits.acquire()).await else {
        return Ok(true);
    };
    let permit = permit?;
    let answer = setup.client.login_check().await;
    permit.release();
    match answer {
        Ok(()) => setup.logged_in.store(true, Ordering::Relaxed),
        Err(ClientError::LoginRefused { .. } | ClientError::Setup(_)) => return Ok(false),
        Err(error) => tracing::warn!("{error}; going on, it is asked again when there is work"),
    }
    Ok(true)
}

struct Session<'s> {
    setup: &'s Setup,
    sender: Sender,
    floor: Floor,
    fetching: Fetching,
    shards: Shards,
    messages: mpsc::UnboundedReceiver<FromShard>,
    words: Consumer,
    wishes: Wishes,
    /// When it subscribed, ms since 1970.
    since_ms: u64,
    members: Members,
    permits: Permits,
    lease: Lease,
    parked: Option<Parked>,
    /// Shards whose parked messages come back at once.
    hurried: BTreeSet<u16>,
    unparking: JoinSet<(Parked, Result<u64, AmqpError>)>,
    queues: Option<Queues>,
    looking: JoinSet<(Queues, Result<Waiting, AmqpError>)>,
}

impl<'s> Session<'s> {
    async fn open(link: &Arc<Link>, setup: &'s Setup, permits: Permits) -> Result<Self, AmqpError> {
        let sender = Sender::open(link).await?;
        let attempts = Arc::new(OpenAttempts::open(link).await?);
        let (steering, wishes) = Wishes::open(link, &sender).await?;
        attempts.cancel(steering.cancelled().iter().copied());
        let lease = Lease::new(link.heartbeat() / 2);
        let tools = Tools {
            consumer: setup.name.as_str().into(),
            client: setup.client.clone(),
            link: Arc::clone(link),
            sender: sender.clone(),
            attempts,
            permits: permits.clone(),
            metrics: Arc::clone(&setup.metrics),
            traces: setup.traces.clone(),
            lease: lease.clone(),
            looks: Arc::clone(&setup.looks.0),
            began: setup.looks.1,
            limits: setup.limits,
            shards: setup.shards,
            prefetch: PREFETCH,
        };
        let words = members::listen(link).await?;
        let (shards, messages) = Shards::subscribe(link, &setup.name, setup.shards, PREFETCH).await?;
        // after all consume-oks: whoever holds a shard that falls to us hands it over now
        members::say(&sender, &setup.name, true).await?;
        let members = Members::new(&setup.name);
        tracing::info!(consumer = %setup.name, shards = setup.shards, broker = link.broker(), "subscribed");
        Ok(Self {
            setup,
            sender,
            floor: Floor::new(tools, steering),
            fetching: Fetching::new(Arc::clone(link)),
            shards,
            messages,
            words,
            wishes,
            since_ms: wall_ms(),
            members,
            permits,
            lease,
            parked: Some(Parked::open(link, setup.limits.unpark).await?),
            hurried: BTreeSet::new(),
            unparking: JoinSet::new(),
            queues: Some(Queues::open(link).await?),
            looking: JoinSet::new(),
        })
    }

    async fn work(&mut self) -> Result<Left, AmqpError> {
        let mut tick = tokio::time::interval(TICK);
        let mut said = Instant::now();
        let mut parked = tokio::time::interval(parked::EVERY.min(self.setup.limits.unpark.0));
        let mut waiting = tokio::time::interval(waiting::EVERY);
        loop {
            tokio::select! {
                () = self.setup.stop.cancelled() => return self.leave().await,
                news = self.floor.turn() => self.heed(news?).await?,
                Some(message) = self.messages.recv() => self.take(message).await?,
                Some(Ok(fetched)) = self.fetching.tasks.join_next() => {
                    let come = self.fetching.done(fetched);
                    self.come_together(come).await?;
                }
                word = members::next(&mut self.words) => self.hear(&word?).await?,
                wish = self.wishes.next() => self.steer(wish?).await?,
                _ = tick.tick() => {
                    self.gauges();
                    if said.elapsed() >= members::EVERY {
                        said = Instant::now();
                        members::say(&self.sender, &self.setup.name, false).await?;
                        self.lease.heard(said);
                    }
                }
                _ = parked.tick() => self.look_after_parked(),
                Some(Ok((parked, looked))) = self.unparking.join_next() => {
                    self.parked = Some(parked);
                    self.setup.metrics.parked(looked?);
                    if !self.hurried.is_empty() {
                        self.look_after_parked();
                    }
                }
                _ = waiting.tick() => self.look_at_queues(),
                Some(Ok((queues, looked))) = self.looking.join_next() => {
                    self.queues = Some(queues);
                    self.setup.metrics.waiting(looked?);
                }
            }
        }
    }

    async fn take(&mut self, message: FromShard) -> Result<(), AmqpError> {
        match message {
            FromShard::Delivered {
                shard,
                generation,
                delivery,
            } => {
                let held = self.hold(shard, *delivery);
                if !self.shards.is_present(shard, generation) {
                    return settle::give_back(&held).await;
                }
                if held.returns() >= RETURNS {
                    let reason = format!("it was handed out {RETURNS} times and never settled");
                    return self.bury(&held, &reason).await;
                }
                let Some(project) = held.project() else {
                    let unread = held.open().err();
                    let reason =
                        unread.map_or_else(|| "it names no project".to_owned(), |error| error.to_string());
                    return self.bury(&held, &reason).await;
                };
                let home = shard_of(&project, self.setup.shards);
                if home != shard {
                    // taken here, two consumers could write one project at the same time
                    let reason =
                        format!("project {project} belongs to shard {home}, it came by shard {shard}");
                    return self.bury(&held, &reason).await;
                }
                match self.fetching.pass(project, held) {
                    Some(come) => self.come(come).await,
                    None => Ok(()),
                }
            }
            FromShard::Ended {
                shard,
                generation,
                reason,
            } if self.shards.is_present(shard, generation) => {
                Err(AmqpError::Lost(format!("shard {shard} was taken away: {reason}")))
            }
            FromShard::Ended { .. } => Ok(()),
        }
    }

    fn hold(&mut self, shard: u16, delivery: Delivery) -> Held {
        let mut held = Held::new(self.floor.next_receipt(), shard, delivery);
        if held.named().is_some() {
            held.came_on(self.shards.channel(shard));
        }
        held
    }

    /// Messages of one project. The shard may be handed over because of one of them: then those behind it go with it.
    async fn come_together(&mut self, messages: Vec<Come>) -> Result<(), AmqpError> {
        let Some(shard) = messages.first().map(|come| come.held().shard) else {
            return Ok(());
        };
        let generation = self.shards.generation(shard);
        for come in messages {
            if self.shards.generation(shard) == generation {
                self.come(come).await?;
            } else {
                settle::give_back(come.held()).await?;
            }
        }
        Ok(())
    }

    /// A message whose body is at hand, or certainly is not.
    async fn come(&mut self, come: Come) -> Result<(), AmqpError> {
        match come {
            Come::Ready(project, held) => {
                let news = self.floor.arrived(&project, held);
                self.heed(news).await
            }
            Come::Bad(held, reason) => self.bury(&held, &reason).await,
        }
    }

    /// A message that no project can take.
    async fn bury(&mut self, held: &Held, reason: &str) -> Result<(), AmqpError> {
        tracing::warn!(shard = held.shard, "a message went to the dead letters: {reason}");
        settle::bury_unread(&self.sender, held, reason).await?;
        settle::acknowledge(held).await?;
        self.setup.metrics.message_dead();
        Ok(())
    }

    async fn hear(&mut self, word: &[u8]) -> Result<(), AmqpError> {
        if let Some(queue) = members::asked(word) {
            self.tell(queue);
            return Ok(());
        }
        let Some(joined) = self.members.hear(word, Instant::now()) else {
            return Ok(());
        };
        members::say(&self.sender, &self.setup.name, false).await?;
        let falls_to_it = |shard: &u16| {
            let names = [joined.as_str(), self.setup.name.as_str()];
            crate::rendezvous::winner(names.into_iter(), *shard) == Some(joined.as_str())
        };
        let busy = self.floor.busy_shards().into_iter().chain(self.fetching.shards());
        let lost: BTreeSet<u16> = busy.filter(falls_to_it).collect();
        tracing::info!(
            joined,
            shards = lost.len(),
            "a consumer joined; handing shards with messages over to it"
        );
        let news = self.floor.drain(&lost);
        self.heed(news).await
    }

    /// Answers how this consumer is, beside everything else; a broken connection is noticed elsewhere.
    fn tell(&mut self, queue: String) {
        let shards = self.members.shards(self.setup.shards, Instant::now());
        let mut state = self.floor.state(shards);
        self.fetching.tell(&mut state);
        state.since_ms = self.since_ms;
        state.at_ms = Some(wall_ms());
        state.permits_held = self.permits.held() as u64;
        state.permits_waiting = self.permits.waiting() as u64;
        let (sender, body) = (self.sender.clone(), ledger::encode(&state));
        tokio::spawn(async move {
            if let Err(error) = sender.answer(&queue, &body).await {
                tracing::debug!(%error, "a question could not be answered");
            }
        });
    }

    /// Heeds a wish. What was set aside for a pause comes back as soon as the pause has ended.
    async fn steer(&mut self, wish: SteerEvent) -> Result<(), AmqpError> {
        words(&wish);
        if let SteerEvent::Resumed {
            project: Some(project),
            ..
        } = &wish
        {
            self.hurried.insert(shard_of(project, self.setup.shards));
        }
        let news = self.floor.steered(wish);
        self.heed(news).await?;
        self.look_after_parked();
        Ok(())
    }

    async fn heed(&mut self, news: Vec<News>) -> Result<(), AmqpError> {
        for piece in news {
            match piece {
                News::Quiet(shard, held) => {
                    let fetched = self.fetching.forget(shard);
                    for held in held.iter().map(Arc::as_ref).chain(&fetched) {
                        settle::give_back(held).await?;
                    }
                    let returned = held.len() + fetched.len();
                    self.setup.metrics.messages_returned(returned as u64);
                    self.shards.step_back(shard, true).await?;
                }
                News::TooNew(shard) => self.too_new(shard).await?,
            }
        }
        Ok(())
    }

    /// Gives a shard back whose messages only a newer Flowlift can read.
    async fn too_new(&mut self, shard: u16) -> Result<(), AmqpError> {
        tracing::error!(
            shard,
            "this shard holds messages for a newer Flowlift; leaving it to one"
        );
        for held in self.floor.forget_shard(shard) {
            settle::give_back(&held).await?;
        }
        for held in self.fetching.forget(shard) {
            settle::give_back(&held).await?;
        }
        self.shards.step_back(shard, false).await
    }

    /// Finishes what is begun. The connection is then dropped, not closed: an orderly close would hand our messages on while
    /// an upload may still be under way.
    async fn leave(&mut self) -> Result<Left, AmqpError> {
        let all: BTreeSet<u16> = self.floor.busy_shards();
        let uploads = if self.floor.is_begun() {
            "finishing the uploads in flight"
        } else {
            "nothing is in flight"
        };
        tracing::info!(grace_s = self.setup.grace.as_secs(), "leaving: {uploads}");
        let _ = self.floor.drain(&all);
        let grace = tokio::time::sleep(self.setup.grace);
        tokio::pin!(grace);
        while self.floor.is_begun() {
            tokio::select! {
                news = self.floor.turn() => { news?; }
                () = &mut grace => return Ok(Left::GraceEnded),
                () = self.setup.now.cancelled() => return Ok(Left::GraceEnded),
            }
        }
        self.floor.finish(LAST_WORDS).await;
        Ok(Left::Drained)
    }

    /// Has the parked queues of the shards that fall to us looked at, beside everything else.
    fn look_after_parked(&mut self) {
        let mine = self.members.shards(self.setup.shards, Instant::now());
        if let Some(mut parked) = self.parked.take() {
            let hurried = std::mem::take(&mut self.hurried);
            let paused = self.floor.steering().projects();
            let paused = paused.filter_map(|pause| pause.project.as_ref());
            let paused: BTreeSet<u16> = paused
                .map(|project| shard_of(project, self.setup.shards))
                .collect();
            self.unparking.spawn(async move {
                let looked = parked.look(&mine, &paused, &hurried).await;
                (parked, looked)
            });
        }
    }

    /// Has the shards that fall to us counted, beside everything else.
    fn look_at_queues(&mut self) {
        if !COUNTS {
            return;
        }
        let mine = self.members.shards(self.setup.shards, Instant::now());
        if let Some(queues) = self.queues.take() {
            self.looking.spawn(async move {
                let looked = queues.look(&mine).await;
                (queues, looked)
            });
        }
    }

    fn gauges(&mut self) {
        if !COUNTS {
            return;
        }
        self.floor.count();
        let metrics = &self.setup.metrics;
        metrics.in_hand(self.floor.times());
        let steering = self.floor.steering();
        metrics.paused(steering.projects().count(), steering.all().is_some());
        metrics.shards_held(self.members.shards(self.setup.shards, Instant::now()).len());
        metrics.permits(self.permits.held(), self.permits.waiting());
    }
}

fn words(wish: &SteerEvent) {
    match wish {
        SteerEvent::Cancelled { run, who, .. } => {
            tracing::info!(%run, who, "a run is cancelled: what has not begun of it is settled as cancelled");
        }
        SteerEvent::Paused {
            project: Some(project),
            who,
            ..
        } => tracing::info!(%project, who, "paused: nothing new is begun in this project"),
        SteerEvent::Paused { who, .. } => tracing::info!(who, "paused: nothing new is begun"),
        SteerEvent::Resumed {
            project: Some(project),
            who,
            ..
        } => tracing::info!(%project, who, "resumed: work on this project goes on"),
        SteerEvent::Resumed { who, .. } => tracing::info!(who, "resumed: work goes on"),
        SteerEvent::Mark { .. } => {}
    }
}

fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
