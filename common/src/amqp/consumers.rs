//! Asks the consumers of a vhost how they are.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use lapin::Consumer;

use super::{AmqpError, Link, Sender, own_queue};
use crate::ledger;
use crate::state::{Ask, ConsumerState};
use crate::topology::HELLO;

/// After so long without another answer all have answered.
const QUIET: Duration = Duration::from_millis(400);
/// A consumer that has not answered for so long is gone, or busy beyond measure.
const GONE_AFTER: Duration = Duration::from_secs(5);
/// A question is of no use later.
const ASK_TTL_MS: u32 = 2_000;

/// Asks consumers and remembers their last answers.
pub struct Consumers {
    sender: Sender,
    queue: String,
    answers: Consumer,
    known: BTreeMap<String, (Instant, ConsumerState)>,
}

impl Consumers {
    /// Opens a queue for the answers; it goes with the connection.
    ///
    /// # Errors
    /// [`AmqpError`].
    pub async fn open(link: &Link) -> Result<Self, AmqpError> {
        let sender = Sender::open(link).await?;
        let (queue, answers) = own_queue(link, None).await?;
        Ok(Self {
            sender,
            queue,
            answers,
            known: BTreeMap::new(),
        })
    }

    /// Asks all, and waits until no more answers come; in order of their names.
    ///
    /// # Errors
    /// [`AmqpError`].
    pub async fn ask(&mut self) -> Result<Vec<ConsumerState>, AmqpError> {
        let ask = Ask {
            ask_to: self.queue.clone(),
        };
        let body = serde_json::to_vec(&ask).unwrap_or_default();
        self.sender.broadcast(HELLO, &body, ASK_TTL_MS).await?;
        loop {
            let answer = match tokio::time::timeout(QUIET, self.answers.next()).await {
                Ok(Some(answer)) => answer?.data,
                Ok(None) => return Err(AmqpError::Lost("the broker ended the reading of answers".into())),
                Err(_) => break,
            };
            match ledger::decode::<ConsumerState>(&answer) {
                Ok(state) => {
                    self.known.insert(state.name.clone(), (Instant::now(), state));
                }
                Err(reason) => tracing::debug!(reason, "an answer that cannot be read"),
            }
        }
        self.known.retain(|_, (heard, _)| heard.elapsed() < GONE_AFTER);
        Ok(self.known.values().map(|(_, state)| state.clone()).collect())
    }
}
