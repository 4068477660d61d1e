//! What has to be kept, on its way to the data file. Without a file all of it is dropped.
//!
//! Changes are queued under the lock of what they change, so the file sees them in the order in which they happened; a
//! batch is kept whole or not at all. Before a request is answered, all that was queued until then is in the file.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};

use bytes::Bytes;
use tokio::sync::watch;

/// One row to write or to remove.
#[derive(Debug)]
pub(crate) enum Change {
    Project(i32, Vec<u8>),
    /// Of a project, by number.
    Event(i32, u32, Vec<u8>),
    /// Of a project, by version.
    Version(i32, i32, Vec<u8>),
    Zip(i32, i32, Bytes),
    ZipGone(i32, i32),
    Schedule(i32, Vec<u8>),
    ScheduleGone(i32),
    Execution(i32, Vec<u8>),
    ExecutionNode(i32, u32, Vec<u8>),
    /// Of an execution: attempt, nested id, text.
    ExecutionLog(i32, u32, String, String),
    ExecutionGone(i32),
}

/// Changes that are kept together.
pub(crate) type Batch = Vec<Change>;

/// The way to the data file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Journal(Option<Arc<Open>>);

#[derive(Debug)]
struct Open {
    queue: mpsc::Sender<Batch>,
    queued: AtomicU64,
    kept: watch::Receiver<u64>,
    failed: Arc<AtomicBool>,
}

/// The data file cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the data file cannot be written")]
pub(crate) struct NotKept;

impl Journal {
    /// `kept` tells how many batches are in the file, `failed` that no more will come.
    pub(crate) fn new(
        queue: mpsc::Sender<Batch>,
        kept: watch::Receiver<u64>,
        failed: Arc<AtomicBool>,
    ) -> Self {
        Self(Some(Arc::new(Open {
            queue,
            queued: AtomicU64::new(0),
            kept,
            failed,
        })))
    }

    /// Queues one change, which is made only when there is a file.
    pub(crate) fn write(&self, change: impl FnOnce() -> Change) {
        self.write_all(|| vec![change()]);
    }

    /// Queues changes that belong together.
    pub(crate) fn write_all(&self, changes: impl FnOnce() -> Vec<Change>) {
        let Some(open) = &self.0 else {
            return;
        };
        let changes = changes();
        // Counted before it is queued: whoever waits for the count waits for this one too.
        open.queued.fetch_add(1, Ordering::SeqCst);
        if open.queue.send(changes).is_err() {
            open.failed.store(true, Ordering::SeqCst);
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.0.is_some()
    }

    /// Waits until all that was queued before is in the file.
    pub(crate) async fn settled(&self) -> Result<(), NotKept> {
        let Some(open) = &self.0 else {
            return Ok(());
        };
        let wanted = open.queued.load(Ordering::SeqCst);
        let mut kept = open.kept.clone();
        let reached = kept.wait_for(|&kept| kept >= wanted).await.is_ok();
        if !reached || open.failed.load(Ordering::SeqCst) {
            return Err(NotKept);
        }
        Ok(())
    }
}
