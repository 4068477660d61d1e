//! What people ask of the work, as it is written: read up to now before anything is begun, then as it comes.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use super::tail::end;
use super::{AmqpError, Link, Sender, Start, StreamReader};
use crate::ledger::{self, AttemptEvent, RunEvent};
use crate::order::RunId;
use crate::steer::{SteerEvent, Steering};
use crate::topology::{ATTEMPTS, RUNS, STEER};

/// How long the own mark may take to come back.
const PATIENCE: Duration = Duration::from_secs(30);

/// Wishes as they are written.
pub struct Wishes {
    events: mpsc::UnboundedReceiver<Result<SteerEvent, AmqpError>>,
    _reader: AbortOnDropHandle<()>,
}

impl Wishes {
    /// Reads all that was written before this call; what comes later is told by [`Self::next`].
    ///
    /// # Errors
    /// [`AmqpError::Lost`] also where the stream is not served in time.
    pub async fn open(link: &Link, sender: &Sender) -> Result<(Steering, Self), AmqpError> {
        let mut reader = StreamReader::open(link, STEER, Start::First).await?;
        let nonce = Uuid::now_v7();
        let marked = sender
            .record(STEER, &ledger::encode(&SteerEvent::Mark { nonce }))
            .await;
        let reading = async {
            match marked {
                Ok(()) => up_to(&mut reader, nonce).await,
                // who may only look finds the end without a mark
                Err(AmqpError::Access { .. }) => up_to_end(link, &mut reader).await,
                Err(error) => Err(error),
            }
        };
        let steering = tokio::time::timeout(PATIENCE, reading)
            .await
            .unwrap_or_else(|_| Err(AmqpError::Lost("the stream of wishes is not served".into())))?;
        let (sender, events) = mpsc::unbounded_channel();
        // a task of its own: dropped between a delivery and its ack, a reader would lose a record
        let reader = AbortOnDropHandle::new(tokio::spawn(pump(reader, sender)));
        Ok((
            steering,
            Self {
                events,
                _reader: reader,
            },
        ))
    }

    /// The next one.
    ///
    /// # Errors
    /// [`AmqpError::Lost`]: the connection is.
    pub async fn next(&mut self) -> Result<SteerEvent, AmqpError> {
        self.events.recv().await.ok_or_else(ended)?
    }
}

/// Writes a wish down; it is heeded within moments, and by whoever starts later.
///
/// # Errors
/// [`AmqpError`].
pub async fn wish(link: &Link, wish: &SteerEvent) -> Result<(), AmqpError> {
    let sender = Sender::open(link).await?;
    sender.record(STEER, &ledger::encode(wish)).await
}

/// Writes down that nothing more of a run is to be begun.
///
/// In the stream of attempts first: by that consumers plan, and whoever takes a shard over reads it up to now. Then where it is
/// remembered for those that start later, and last in the history of runs.
///
/// # Errors
/// [`AmqpError`]: it may be heeded or not; doing it again does no harm.
pub async fn cancel_run(link: &Link, run: RunId, who: &str, at_ms: u64) -> Result<(), AmqpError> {
    let sender = Sender::open(link).await?;
    let who = who.to_owned();
    let attempt = AttemptEvent::Cancelled { run };
    sender.record(ATTEMPTS, &ledger::encode(&attempt)).await?;
    let wish = SteerEvent::Cancelled {
        run,
        who: who.clone(),
        at_ms,
    };
    sender.record(STEER, &ledger::encode(&wish)).await?;
    let event = RunEvent::Cancelled { run, who, at_ms };
    sender.record(RUNS, &ledger::encode(&event)).await
}

impl Wishes {
    /// What has come and was not told yet.
    ///
    /// # Errors
    /// [`AmqpError::Lost`]: the connection is.
    pub fn try_next(&mut self) -> Result<Option<SteerEvent>, AmqpError> {
        match self.events.try_recv() {
            Ok(event) => event.map(Some),
            Err(mpsc::error::TryRecvError::Empty) => Ok(None),
            Err(mpsc::error::TryRecvError::Disconnected) => Err(ended()),
        }
    }
}

fn ended() -> AmqpError {
    AmqpError::Lost("the stream of wishes is not read any more".into())
}

async fn up_to(reader: &mut StreamReader, own: Uuid) -> Result<Steering, AmqpError> {
    let mut steering = Steering::default();
    loop {
        match next(reader).await? {
            Some(SteerEvent::Mark { nonce }) if nonce == own => return Ok(steering),
            Some(event) => steering.take(event),
            None => {}
        }
    }
}

async fn up_to_end(link: &Link, reader: &mut StreamReader) -> Result<Steering, AmqpError> {
    let mut steering = Steering::default();
    let Some(end) = end(link, STEER).await? else {
        return Ok(steering);
    };
    loop {
        let read = reader.next().await?;
        if let Ok(event) = ledger::decode(&read.body) {
            steering.take(event);
        }
        if read.offset >= end {
            return Ok(steering);
        }
    }
}

async fn pump(mut reader: StreamReader, sender: mpsc::UnboundedSender<Result<SteerEvent, AmqpError>>) {
    loop {
        let read = next(&mut reader).await.transpose();
        let ends = matches!(read, Some(Err(_)));
        if let Some(read) = read
            && (sender.send(read).is_err() || ends)
        {
            return;
        }
    }
}

/// The next record that this program understands.
async fn next(reader: &mut StreamReader) -> Result<Option<SteerEvent>, AmqpError> {
    let read = reader.next().await?;
    let event = ledger::decode(&read.body);
    if let Err(reason) = &event {
        tracing::warn!(offset = read.offset, %reason, "a record in the stream of wishes cannot be read and is passed over");
    }
    Ok(event.ok())
}
