//! How the floor is, for whoever asks.

use flowlift_common::state::{ConsumerState, PROJECTS, ProjectState};

use super::Floor;

impl Floor {
    /// What is in hand, and what was done lately; the rest is for the session to say.
    pub fn state(&mut self, shards: Vec<u16>) -> ConsumerState {
        let now = self.now_ms();
        let mut projects: Vec<ProjectState> = Vec::new();
        for room in self.rooms.values() {
            let messages = room.heart.receipts().count() as u64;
            if messages == 0 {
                continue;
            }
            let work = room.hands.work();
            let planned = work.prepared.as_ref();
            projects.push(ProjectState {
                project: room.hands.project.clone(),
                shard: room.shard,
                messages,
                step: room.heart.step(),
                for_ms: u64::try_from(room.heart.in_phase_for(now).as_millis()).unwrap_or(u64::MAX),
                flows: planned.map_or(0, |planned| planned.expected.len() as u64),
                zip_bytes: planned.map_or(0, |planned| planned.zip.len() as u64),
            });
        }
        projects.sort_by(|a, b| b.for_ms.cmp(&a.for_ms).then_with(|| a.project.cmp(&b.project)));
        let more_projects = projects.len().saturating_sub(PROJECTS) as u64;
        projects.truncate(PROJECTS);
        let times = self.times();
        let oldest = times.since_published.or(times.since_received).unwrap_or_default();
        ConsumerState {
            name: self.tools.consumer.to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            since_ms: 0,
            at_ms: None,
            shards,
            messages: self.held.len() as u64,
            changes: self
                .held
                .values()
                .map(|held| held.changes())
                .fold(0, u64::saturating_add),
            oldest_ms: u64::try_from(oldest.as_millis()).unwrap_or(u64::MAX),
            deadline_ms: times.deadline_ms,
            projects,
            more_projects,
            breaker_open: self.breaker.is_open(),
            permits_held: 0,
            permits_waiting: 0,
            lately: self.rates.lately(now),
        }
    }
}
