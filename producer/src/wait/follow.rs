//! Reads the streams of runs and outcomes at once.

use flowlift_common::amqp::{AmqpError, Link, Start, StreamReader};
use flowlift_common::ledger::{self, RunEvent, Settled};
use flowlift_common::order::RunId;
use flowlift_common::topology::{OUTCOMES, RUNS};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use crate::runs::read::begin;

/// Records read and not yet folded.
const AHEAD: usize = 256;

/// A record.
#[derive(Debug)]
pub enum Heard {
    /// About a run.
    Run(RunEvent),
    /// Outcomes.
    Settled(Settled),
}

/// Both streams; dropping it ends reading.
pub struct Follow {
    heard: mpsc::Receiver<Result<Heard, AmqpError>>,
    _readers: [AbortOnDropHandle<()>; 2],
}

impl Follow {
    /// Begins a day before the run was made.
    ///
    /// # Errors
    /// [`AmqpError`].
    pub async fn open(link: &Link, run: RunId) -> Result<Self, AmqpError> {
        Self::from(link, begin(run.made_at_ms())).await
    }

    /// Begins with what is written from now on.
    ///
    /// # Errors
    /// [`AmqpError`].
    pub async fn from_now(link: &Link) -> Result<Self, AmqpError> {
        Self::from(link, Start::Next).await
    }

    async fn from(link: &Link, from: Start) -> Result<Self, AmqpError> {
        let (sender, heard) = mpsc::channel(AHEAD);
        let runs = StreamReader::open(link, RUNS, from).await?;
        let outcomes = StreamReader::open(link, OUTCOMES, from).await?;
        // a reader is a task of its own: dropped between a delivery and its ack it would lose a record
        let readers = [
            tokio::spawn(pump(runs, sender.clone(), Heard::Run)),
            tokio::spawn(pump(outcomes, sender, Heard::Settled)),
        ];
        Ok(Self {
            heard,
            _readers: readers.map(AbortOnDropHandle::new),
        })
    }

    /// The next record of either stream.
    pub async fn next(&mut self) -> Result<Heard, AmqpError> {
        let ended = || AmqpError::Lost("reading the streams ended".into());
        self.heard.recv().await.ok_or_else(ended)?
    }
}

async fn pump<T: DeserializeOwned>(
    mut reader: StreamReader,
    sender: mpsc::Sender<Result<Heard, AmqpError>>,
    wrap: fn(T) -> Heard,
) {
    loop {
        let read = match reader.next().await {
            Ok(read) => match ledger::decode::<T>(&read.body) {
                Ok(record) => Ok(wrap(record)),
                // a record of a newer form is nothing this program can count
                Err(reason) => {
                    tracing::debug!(offset = read.offset, reason, "unreadable record");
                    continue;
                }
            },
            Err(error) => Err(error),
        };
        let ends = read.is_err();
        if sender.send(read).await.is_err() || ends {
            return;
        }
    }
}
