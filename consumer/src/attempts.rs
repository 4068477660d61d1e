//! Announced attempts: which uploads were begun and not decided, by whoever held the shard.
//!
//! Before a body is sent, its attempt is written to a stream and confirmed, on the connection that holds the shard. A consumer
//! that is frozen or cut off gets no confirm, so it sends nothing; one that dies after the confirm leaves an attempt open,
//! and its successor sees it here. In the same stream stands what changes came to that needed no upload, for no manifest tells
//! of it. A reader in the background folds it all; whoever asks first writes a mark and waits
//! until the reader has come to it, so the answer holds everything that was confirmed before the question.

mod log;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use flowlift_azkaban::ProjectName;
use flowlift_common::amqp::{AmqpError, Link, Sender, Start, StreamReader};
use flowlift_common::ledger::{self, Attempt, AttemptEvent};
use flowlift_common::topology::ATTEMPTS;
use flowlift_common::{RunId, Seen};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use uuid::Uuid;

pub use log::AttemptLog;

/// The stream of attempts on one link. After a lost connection it is opened anew; dropping it ends its tasks.
pub struct OpenAttempts {
    shared: Arc<Shared>,
    sender: Sender,
    asks: mpsc::UnboundedSender<oneshot::Sender<()>>,
    _tasks: JoinSet<()>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    log: AttemptLog,
    /// The mark that is waited for, and who is told.
    awaited: Option<(Uuid, oneshot::Sender<()>)>,
    /// Why nothing more is read.
    ended: Option<String>,
}

impl OpenAttempts {
    /// Begins to read.
    ///
    /// # Errors
    /// [`AmqpError`]; the vhost's topology must be declared before.
    pub async fn open(link: &Link) -> Result<Self, AmqpError> {
        let shared = Arc::<Shared>::default();
        let sender = Sender::open(link).await?;
        // all of it: it keeps two days, and no clock has to be right
        let reader = StreamReader::open(link, ATTEMPTS, Start::First).await?;
        let (asks, asked) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        tasks.spawn(read(reader, Arc::clone(&shared)));
        tasks.spawn(mark(asked, sender.clone(), Arc::clone(&shared)));
        Ok(Self {
            shared,
            sender,
            asks,
            _tasks: tasks,
        })
    }

    /// The attempts at a project that were begun before this call and are not ended, and what no manifest tells of its changes.
    ///
    /// # Errors
    /// [`AmqpError::Lost`] when the connection ends before the reader has come so far.
    pub async fn open_for(&self, project: &ProjectName) -> Result<(Vec<Attempt>, Seen), AmqpError> {
        let (ask, answer) = oneshot::channel();
        if self.asks.send(ask).is_err() || answer.await.is_err() {
            return Err(self.shared.lost());
        }
        let state = self.shared.lock();
        Ok((state.log.open_for(project), state.log.seen_for(project)))
    }

    /// These runs were cancelled before this consumer began to read.
    pub fn cancel(&self, runs: impl IntoIterator<Item = RunId>) {
        self.shared.lock().log.cancel(runs);
    }

    /// The runs of which nothing is begun any more. After [`Self::open_for`] these are at least those by which a former holder
    /// settled anything.
    #[must_use]
    pub fn cancelled(&self) -> BTreeSet<RunId> {
        self.shared.lock().log.cancelled().clone()
    }

    /// Writes down that an upload begins; its body may be sent when this returns.
    ///
    /// # Errors
    /// [`AmqpError`]: nothing may be sent.
    pub async fn announce(&self, attempt: &Attempt) -> Result<(), AmqpError> {
        self.write(&AttemptEvent::Begun(attempt.clone())).await
    }

    /// Writes down that an upload is decided.
    pub async fn ended(&self, attempt: &str, project: &ProjectName, landed: bool) -> Result<(), AmqpError> {
        let event = AttemptEvent::Ended {
            attempt: attempt.to_owned(),
            project: project.clone(),
            landed,
        };
        self.write(&event).await
    }

    /// Writes down what changes came to that needed no upload; they may be acknowledged when this returns.
    pub async fn seen(&self, project: &ProjectName, seen: Seen) -> Result<(), AmqpError> {
        let project = project.clone();
        self.write(&AttemptEvent::Seen { project, seen }).await
    }

    async fn write(&self, event: &AttemptEvent) -> Result<(), AmqpError> {
        self.sender.record(ATTEMPTS, &ledger::encode(event)).await
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lost(&self) -> AmqpError {
        let ended = self.lock().ended.clone();
        AmqpError::Lost(ended.unwrap_or_else(|| "the stream of attempts is not read any more".into()))
    }

    fn end(&self, error: &AmqpError) {
        let mut state = self.lock();
        state.ended.get_or_insert_with(|| error.to_string());
        // who waits for a mark hears that none comes
        state.awaited = None;
    }
}

async fn read(mut reader: StreamReader, shared: Arc<Shared>) {
    loop {
        let read = match reader.next().await {
            Ok(read) => read,
            Err(error) => return shared.end(&error),
        };
        let event = match ledger::decode::<AttemptEvent>(&read.body) {
            Ok(event) => event,
            Err(reason) => {
                tracing::warn!(offset = read.offset, %reason, "a record in the stream of attempts cannot be read and is passed over");
                continue;
            }
        };
        let mut state = shared.lock();
        match event {
            AttemptEvent::Mark { nonce } => {
                if let Some((_, seen)) = state.awaited.take_if(|(awaited, _)| *awaited == nonce) {
                    // who asked may have given up
                    let _ = seen.send(());
                }
            }
            event => state.log.take(event, now_ms()),
        }
    }
}

/// Writes marks for those who ask: one mark at a time serves all who asked before it was written.
async fn mark(mut asked: mpsc::UnboundedReceiver<oneshot::Sender<()>>, sender: Sender, shared: Arc<Shared>) {
    while let Some(first) = asked.recv().await {
        let mut asking = vec![first];
        while let Ok(next) = asked.try_recv() {
            asking.push(next);
        }
        if let Err(error) = reach(&sender, &shared).await {
            return shared.end(&error);
        }
        for ask in asking {
            let _ = ask.send(());
        }
    }
}

/// Writes a mark and waits until the reader has come to it.
async fn reach(sender: &Sender, shared: &Shared) -> Result<(), AmqpError> {
    let nonce = Uuid::now_v7();
    let (seen, wait) = oneshot::channel();
    {
        let mut state = shared.lock();
        if state.ended.is_some() {
            drop(state);
            return Err(shared.lost());
        }
        state.awaited = Some((nonce, seen));
    }
    let body = ledger::encode(&AttemptEvent::Mark { nonce });
    sender.record(ATTEMPTS, &body).await?;
    wait.await.map_err(|_| shared.lost())
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
