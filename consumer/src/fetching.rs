//! Messages whose body lies in parts: fetched beside everything else, before their project hears of them.
//!
//! While one of a project is fetched, later messages of the same project wait behind it: planned without the file that they
//! need they could be refused. All other projects go on.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use flowlift_azkaban::ProjectName;
use flowlift_common::amqp::{FetchError, Link, fetch_parts};
use flowlift_common::backoff::Backoff;
use flowlift_common::parts::{Damaged, Named, Stored};
use flowlift_common::state::{ConsumerState, PROJECTS, ProjectState, Step};
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinSet};

use crate::held::Held;

/// So many bodies are fetched at the same time: they come through the connection that everything else needs, too.
const AT_ONCE: usize = 1;
/// After parts could not be asked for, or not be written down: the delays before the next try.
const AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// A fetch that has ended.
pub struct Fetched {
    key: String,
    number: u64,
    /// Or why there is none; trying again would not help.
    body: Result<Stored, String>,
}

/// The messages of one project from the one that is fetched on.
struct Lane {
    project: ProjectName,
    shard: u16,
    number: u64,
    task: AbortHandle,
    /// The first one is fetched.
    messages: VecDeque<Held>,
}

/// What comes of a message.
#[derive(Debug)]
pub enum Come {
    /// It can be handed to its project.
    Ready(ProjectName, Held),
    /// It belongs to the dead letters.
    Bad(Held, String),
}

impl Come {
    /// The message.
    #[must_use]
    pub fn held(&self) -> &Held {
        match self {
            Self::Ready(_, held) | Self::Bad(held, _) => held,
        }
    }
}

/// All messages that are fetched or wait for one.
pub struct Fetching {
    link: Arc<Link>,
    lanes: HashMap<String, Lane>,
    slots: Arc<Semaphore>,
    /// Fetches under way.
    pub tasks: JoinSet<Fetched>,
    numbers: u64,
}

impl Fetching {
    /// Nothing is fetched.
    #[must_use]
    pub fn new(link: Arc<Link>) -> Self {
        Self {
            link,
            lanes: HashMap::new(),
            slots: Arc::new(Semaphore::new(AT_ONCE)),
            tasks: JoinSet::new(),
            numbers: 0,
        }
    }

    /// Takes a message; gives it back where nothing has to be fetched before it.
    pub fn pass(&mut self, project: ProjectName, held: Held) -> Option<Come> {
        if let Some(lane) = self.lanes.get_mut(&project.key()) {
            lane.messages.push_back(held);
            return None;
        }
        match held.named() {
            None => Some(Come::Ready(project, held)),
            Some(Err(damaged)) => Some(bad(held, &damaged)),
            Some(Ok(named)) => {
                self.begin(project, named, VecDeque::from([held]));
                None
            }
        }
    }

    /// What a fetch that has ended brings: its message, and those that waited behind it.
    pub fn done(&mut self, fetched: Fetched) -> Vec<Come> {
        let current = self.lanes.get(&fetched.key);
        if current.is_none_or(|lane| lane.number != fetched.number) {
            // its shard was handed over meanwhile
            return Vec::new();
        }
        let Some(mut lane) = self.lanes.remove(&fetched.key) else {
            return Vec::new();
        };
        let mut come = Vec::new();
        if let Some(held) = lane.messages.pop_front() {
            come.push(finished(&lane.project, held, fetched.body));
        }
        while let Some(held) = lane.messages.pop_front() {
            match held.named() {
                None => come.push(Come::Ready(lane.project.clone(), held)),
                Some(Err(damaged)) => come.push(bad(held, &damaged)),
                Some(Ok(named)) => {
                    lane.messages.push_front(held);
                    self.begin(lane.project, named, lane.messages);
                    break;
                }
            }
        }
        come
    }

    /// The shards that have messages here.
    pub fn shards(&self) -> impl Iterator<Item = u16> {
        self.lanes.values().map(|lane| lane.shard)
    }

    /// Adds what is fetched, or waits for it, to what a consumer says of itself: it is in hand.
    pub fn tell(&self, state: &mut ConsumerState) {
        for lane in self.lanes.values() {
            let messages = lane.messages.len() as u64;
            let changes = lane.messages.iter().map(Held::changes);
            let since = lane.messages.front().map(|held| held.since.elapsed());
            let for_ms = u64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(u64::MAX);
            let deadlines = lane.messages.iter().filter_map(|held| held.deadline_ms);
            state.messages += messages;
            state.changes = changes.fold(state.changes, u64::saturating_add);
            state.oldest_ms = state.oldest_ms.max(for_ms);
            state.deadline_ms = deadlines.chain(state.deadline_ms).min();
            let mut projects = state.projects.iter_mut();
            if let Some(there) = projects.find(|one| one.project.key() == lane.project.key()) {
                there.messages += messages;
            } else if state.projects.len() < PROJECTS {
                state.projects.push(ProjectState {
                    project: lane.project.clone(),
                    shard: lane.shard,
                    messages,
                    step: Step::Planning,
                    for_ms,
                    flows: 0,
                    zip_bytes: 0,
                });
            } else {
                state.more_projects += 1;
            }
        }
    }

    /// Fetches nothing more for a shard; its messages, to be given back.
    pub fn forget(&mut self, shard: u16) -> Vec<Held> {
        let lanes = self.lanes.extract_if(|_, lane| lane.shard == shard);
        let lanes = lanes.inspect(|(_, lane)| lane.task.abort());
        lanes.flat_map(|(_, lane)| lane.messages).collect()
    }

    fn begin(&mut self, project: ProjectName, named: Named, messages: VecDeque<Held>) {
        self.numbers += 1;
        let (key, number) = (project.key(), self.numbers);
        let (link, slots) = (Arc::clone(&self.link), Arc::clone(&self.slots));
        let fetch = {
            let key = key.clone();
            async move {
                let _slot = slots.acquire().await;
                let body = fetch(&link, &named).await;
                Fetched { key, number, body }
            }
        };
        let lane = Lane {
            project,
            shard: messages.front().map_or(0, |held| held.shard),
            number,
            task: self.tasks.spawn(fetch),
            messages,
        };
        self.lanes.insert(key, lane);
    }
}

fn bad(held: Held, damaged: &Damaged) -> Come {
    Come::Bad(held, format!("unreadable message: {damaged}"))
}

fn finished(project: &ProjectName, mut held: Held, body: Result<Stored, String>) -> Come {
    match body {
        Ok(stored) => held.has_body(stored),
        Err(why) => {
            // the manifest tells whether it was applied before they went
            let why = format!("unreadable message: {why}{}", held.published());
            if let Err(why) = held.has_no_body(why) {
                return Come::Bad(held, why);
            }
        }
    }
    Come::Ready(project.clone(), held)
}

/// Tries until there is a body, or certainly none. A connection that broke ends this with its session.
async fn fetch(link: &Link, named: &Named) -> Result<Stored, String> {
    let backoff = Backoff::new(AGAIN.0, AGAIN.1);
    let mut attempt = 0;
    loop {
        let fetched = match tempfile::tempfile() {
            Ok(file) => fetch_parts(link, named, file).await,
            Err(error) => Err(error.into()),
        };
        match fetched {
            Ok(stored) => return Ok(stored),
            Err(error @ (FetchError::Gone(_) | FetchError::Damaged(_))) => return Err(error.to_string()),
            Err(error @ (FetchError::File(_) | FetchError::Amqp(_))) => {
                tracing::warn!(run = %named.run, change = named.seq, "{error}; its project waits, trying again");
                tokio::time::sleep(backoff.delay(attempt, rand::random())).await;
                attempt += 1;
            }
        }
    }
}
