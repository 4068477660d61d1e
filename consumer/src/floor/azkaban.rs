//! When projects may turn to Azkaban, and looks at projects that are not in hand.

use super::{Back, Floor, What, tasks};
use crate::looks::Look;
use crate::project::Event;

impl Floor {
    /// Lets projects turn to Azkaban: all when it works, one when it may be back.
    pub(super) fn admit_waiting(&mut self, now: u64) {
        while !self.kept_waiting.is_empty() && self.breaker.admit(now) {
            let key = self.kept_waiting.remove(0);
            self.want_permit(&key);
        }
    }

    pub(super) fn want_permit(&mut self, key: &str) {
        let Some(room) = self.rooms.get_mut(key) else {
            let now = self.now_ms();
            return self.breaker.gave_up(now);
        };
        room.probing = self.breaker.is_open();
        let permits = self.tools.permits.clone();
        self.run(key, async move {
            permits
                .acquire()
                .await
                .map_or_else(What::Broken, |permit| What::Permit(Box::new(permit)))
        });
    }

    /// Takes note of whether Azkaban answers.
    pub(super) fn watch(&mut self, key: &str, event: &Event, now: u64) {
        match tasks::azkaban_answers(event) {
            Some(true) => {
                if self.breaker.worked() {
                    tracing::info!(
                        waiting = self.kept_waiting.len(),
                        "Azkaban answers again; going on"
                    );
                }
                self.admit_waiting(now);
            }
            Some(false) => {
                if self.breaker.failed(now) {
                    tracing::warn!("Azkaban is away; one project asks for all until it is back");
                }
            }
            None => return,
        }
        if let Some(room) = self.rooms.get_mut(key) {
            room.probing = false;
        }
        self.tools.metrics.breaker(self.breaker.is_open());
    }

    /// Looks whether what was uploaded last is still the newest; if not, the one who holds the shard is asked to see to it.
    pub(super) fn look_again(&mut self, look: Look) {
        let hands = self.hands(&look.project);
        let (permits, sender, shards) = (
            self.tools.permits.clone(),
            self.tools.sender.clone(),
            self.tools.shards,
        );
        let (back, key) = (self.back.clone(), look.project.key());
        self.tasks.spawn(async move {
            let what = match tasks::look_again(&hands, &permits, &sender, &look, shards).await {
                Ok(told) => What::Looked(look, told),
                Err(error) => What::Broken(error),
            };
            let _ = back.send(Back { key, epoch: 0, what });
        });
    }
}
