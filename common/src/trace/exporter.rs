//! Hands finished spans over, beside the work: nobody waits for a collector, and none that is down or slow stops anything.

use std::time::Duration;

use super::Span;
use crate::config::SettingsError;
use queue::Queue;

#[cfg(not(feature = "traces"))]
#[path = "exporter/none.rs"]
mod queue;
#[cfg(feature = "traces")]
#[path = "exporter/otlp.rs"]
mod queue;

/// Where finished spans go; nowhere, unless somebody set an address.
#[derive(Debug, Clone, Default)]
pub struct Traces {
    queue: Option<Queue>,
}

impl Traces {
    /// Begins to hand spans of this service over to the collector at `url`, a background task; `None`: to nobody.
    ///
    /// Has to be called within a runtime.
    ///
    /// # Errors
    /// [`SettingsError`] where the surroundings do not allow it.
    pub fn start(url: Option<&str>, service: &'static str) -> Result<Self, SettingsError> {
        let queue = url.map(|url| Queue::start(url, service)).transpose();
        let queue = queue.map_err(|reason| SettingsError::Traces { reason })?;
        Ok(Self { queue })
    }

    /// Whether anybody wants to know.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.queue.is_some()
    }

    /// Tells of a span. Where too many wait to be handed over already, it is dropped.
    pub fn tell(&self, span: Span) {
        if let Some(queue) = &self.queue {
            queue.put(span);
        }
    }

    /// Waits until all that was told is handed over, at most so long.
    pub async fn flush(&self, at_most: Duration) {
        if let Some(queue) = &self.queue {
            queue.flush(at_most).await;
        }
    }
}
