//! Handing shards over and leaving: nothing new is begun, what is begun goes on to its end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::{Floor, News};
use crate::held::Held;
use crate::project::Event;

impl Floor {
    /// Begins nothing new on these shards; [`News::Quiet`] follows for each, at once where nothing is begun.
    pub fn drain(&mut self, shards: &BTreeSet<u16>) -> Vec<News> {
        self.draining.extend(shards);
        let keys = self.keys_of(|of| shards.contains(&of));
        let mut news: Vec<News> = keys.iter().flat_map(|key| self.hear(key, Event::Drain)).collect();
        for shard in shards {
            news.extend(self.quiet(*shard));
        }
        news
    }

    /// Waits for records that are still on their way, for example that an upload is decided.
    pub async fn finish(&mut self, at_most: Duration) {
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(at_most, all).await.is_err() {
            tracing::debug!("left with records on their way");
        }
    }

    /// The shards that have messages in hand.
    #[must_use]
    pub fn busy_shards(&self) -> BTreeSet<u16> {
        self.per_shard
            .iter()
            .filter(|(_, count)| **count > 0)
            .map(|(shard, _)| *shard)
            .collect()
    }

    /// Whether some upload is being decided.
    #[must_use]
    pub fn is_begun(&self) -> bool {
        self.rooms.values().any(|room| room.heart.is_begun())
    }

    /// Tells once that a draining shard is quiet, and takes its messages out.
    pub(super) fn quiet(&mut self, shard: u16) -> Option<News> {
        if !self.draining.contains(&shard) {
            return None;
        }
        if self
            .rooms
            .values()
            .any(|room| room.shard == shard && !room.heart.is_quiet())
        {
            return None;
        }
        self.draining.remove(&shard);
        Some(News::Quiet(shard, self.forget_shard(shard)))
    }

    /// Drops all that is known of a shard, tasks included; returns its messages.
    pub fn forget_shard(&mut self, shard: u16) -> Vec<Arc<Held>> {
        let keys = self.keys_of(|of| of == shard);
        for key in keys {
            self.kept_waiting.retain(|waiting| *waiting != key);
            if let Some(room) = self.rooms.remove(&key) {
                if room.probing {
                    let now = self.now_ms();
                    self.breaker.gave_up(now);
                }
                if let Some(running) = room.running {
                    running.abort();
                }
                if let Some(timer) = room.timer {
                    self.timers.remove(&(timer, key));
                }
            }
        }
        self.draining.remove(&shard);
        self.per_shard.remove(&shard);
        let receipts: Vec<u64> = self
            .held
            .values()
            .filter(|held| held.shard == shard)
            .map(|held| held.receipt)
            .collect();
        let mut by_receipt: BTreeMap<u64, Arc<Held>> = BTreeMap::new();
        for receipt in receipts {
            by_receipt.extend(self.held.remove(&receipt).map(|held| (receipt, held)));
        }
        by_receipt.into_values().collect()
    }
}
