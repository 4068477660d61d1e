//! Who else is there. Consumers say hello on a fanout when they have subscribed, and a word of life every few seconds.
//!
//! It is a hint that makes hand-overs quick and the gauge of held shards true; which consumer is served the broker decides.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use flowlift_common::amqp::{AmqpError, Link, Sender, own_queue};
use flowlift_common::state::Ask;
use flowlift_common::topology::HELLO;
use futures_util::StreamExt as _;
use lapin::Consumer;
use serde::{Deserialize, Serialize};

use crate::rendezvous;

/// How often a word of life is said.
pub const EVERY: Duration = Duration::from_secs(3);
/// A consumer not heard for this long is gone.
const GONE_AFTER: Duration = Duration::from_secs(10);
/// A hello is of no use later.
const HELLO_TTL_MS: u32 = 3_000;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Word {
    name: String,
    joined: bool,
}

/// The living consumers, as heard of.
#[derive(Debug)]
pub struct Members {
    me: String,
    others: BTreeMap<String, Instant>,
}

impl Members {
    /// Only oneself.
    #[must_use]
    pub fn new(me: &str) -> Self {
        Self {
            me: me.to_owned(),
            others: BTreeMap::new(),
        }
    }

    /// Takes a word; returns the name of a consumer that has just joined.
    pub fn hear(&mut self, body: &[u8], now: Instant) -> Option<String> {
        let word: Word = serde_json::from_slice(body).ok()?;
        if word.name == self.me {
            return None;
        }
        self.others.insert(word.name.clone(), now);
        word.joined.then_some(word.name)
    }

    /// The shards that fall to oneself among those alive.
    pub fn shards(&mut self, shards: u16, now: Instant) -> Vec<u16> {
        self.others
            .retain(|_, heard| now.duration_since(*heard) < GONE_AFTER);
        let names = || self.others.keys().map(String::as_str).chain([self.me.as_str()]);
        (0..shards)
            .filter(|shard| rendezvous::winner(names(), *shard) == Some(self.me.as_str()))
            .collect()
    }
}

/// Listens to what consumers say.
pub async fn listen(link: &Link) -> Result<Consumer, AmqpError> {
    Ok(own_queue(link, Some(HELLO)).await?.1)
}

/// Whether a word is a question how this consumer is; then the queue that the answer goes to.
#[must_use]
pub fn asked(body: &[u8]) -> Option<String> {
    serde_json::from_slice::<Ask>(body).ok().map(|ask| ask.ask_to)
}

/// Says a word: `joined` right after subscribing.
pub async fn say(sender: &Sender, name: &str, joined: bool) -> Result<(), AmqpError> {
    let word = Word {
        name: name.to_owned(),
        joined,
    };
    let body = serde_json::to_vec(&word).unwrap_or_default();
    sender.broadcast(HELLO, &body, HELLO_TTL_MS).await
}

/// The next word; an error when the subscription is gone.
pub async fn next(consumer: &mut Consumer) -> Result<Vec<u8>, AmqpError> {
    match consumer.next().await {
        Some(delivery) => Ok(delivery?.data),
        None => Err(AmqpError::Lost(
            "the broker ended the subscription to hellos".into(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_shared_among_those_heard_of_lately() {
        let mut members = Members::new("a");
        let now = Instant::now();
        assert_eq!(members.shards(256, now).len(), 256);
        assert_eq!(
            members.hear(br#"{"name":"b","joined":true}"#, now).as_deref(),
            Some("b")
        );
        assert_eq!(members.hear(br#"{"name":"b","joined":false}"#, now), None);
        assert_eq!(members.hear(br#"{"name":"a","joined":true}"#, now), None);
        let shared = members.shards(256, now).len();
        assert!((90..170).contains(&shared), "{shared}");
        assert_eq!(members.shards(256, now + GONE_AFTER).len(), 256);
    }
}
