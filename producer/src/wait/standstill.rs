//! Why nothing moves, as far as it can be told from outside.

use flowlift_azkaban::ProjectName;
use flowlift_common::amqp::{AmqpError, Link, depth};
use flowlift_common::state::ConsumerState;
use flowlift_common::steer::Steering;
use flowlift_common::topology::{parked_queue, shard_of, shard_queue};
use jiff::tz::TimeZone;

use crate::status::Ears;
use crate::steer::by;
use crate::words::some;

/// What is known while a run stands still.
#[derive(Debug, Default)]
pub struct Facts {
    /// Messages that lie in the queues of the projects.
    pub queued: u64,
    /// Whether somebody is subscribed to any of these queues.
    pub consumed: bool,
    /// What people ask of the work.
    pub steering: Steering,
    /// The consumers that answered.
    pub consumers: Vec<ConsumerState>,
}

/// A reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standstill {
    /// Changes lie there, and nobody takes them.
    Nobody,
    /// Somebody paused it; the words say what, since when and who.
    Paused(String),
    /// Azkaban counts as away for these consumers.
    Away(Vec<String>),
    /// Nothing is queued or in hand any more, and no outcome tells of it.
    Gone,
}

impl Facts {
    /// Asks RabbitMQ and the consumers; `ears` are opened with the first look on a connection.
    ///
    /// # Errors
    /// [`AmqpError`]: it cannot be told.
    pub async fn of(
        link: &Link,
        ears: &mut Option<Ears>,
        projects: &[ProjectName],
        shards: u16,
    ) -> Result<Self, AmqpError> {
        let (mut queued, mut consumed) = (0, false);
        for project in projects {
            let shard = shard_of(project, shards);
            let depth_of_shard = depth(link, &shard_queue(shard)).await?;
            queued += u64::from(depth_of_shard.waiting);
            queued += u64::from(depth(link, &parked_queue(shard)).await?.waiting);
            consumed |= depth_of_shard.consumers > 0;
        }
        let ears = match ears {
            Some(ears) => ears,
            None => ears.insert(Ears::open(link).await?),
        };
        let (steering, consumers) = ears.hear().await?;
        Ok(Self {
            queued,
            consumed,
            steering,
            consumers,
        })
    }

    /// The reason, if there is one to be seen. Pure.
    #[must_use]
    pub fn reason(&self, projects: &[ProjectName], zone: &TimeZone) -> Option<Standstill> {
        if self.queued > 0 && !self.consumed {
            return Some(Standstill::Nobody);
        }
        if let Some(pause) = self.steering.all() {
            return Some(Standstill::Paused(format!(
                "everything is paused {}",
                by(pause, zone)
            )));
        }
        if let Some((project, pause)) = projects
            .iter()
            .find_map(|project| Some((project, self.steering.project(project)?)))
        {
            let text = format!("project {project} is paused {}", by(pause, zone));
            return Some(Standstill::Paused(text));
        }
        let away = self.consumers.iter().filter(|state| state.breaker_open);
        let away: Vec<String> = away.map(|state| state.name.clone()).collect();
        if !away.is_empty() {
            return Some(Standstill::Away(away));
        }
        // who has more in hand than it names, or does not answer, may have these changes
        let named = self.consumers.iter().all(|state| state.more_projects == 0);
        let answered = !self.consumed || !self.consumers.is_empty();
        let in_hand = |project: &ProjectName| {
            let mut all = self.consumers.iter().flat_map(|state| &state.projects);
            all.any(|one| one.project.key() == project.key())
        };
        let gone = self.queued == 0 && named && answered && !projects.iter().any(in_hand);
        gone.then_some(Standstill::Gone)
    }
}

impl Standstill {
    /// For people.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Nobody => {
                "nobody is consuming these changes: start flowlift-consumer on this RabbitMQ (they wait in their queues until then)"
                    .to_owned()
            }
            Self::Paused(text) => format!("{text}; `flowlift resume` has it go on"),
            Self::Away(names) => format!(
                "Azkaban counts as away for {}: the changes wait, and go on by themselves when it is back",
                some(names, 3)
            ),
            Self::Gone => {
                "none of these changes is queued or in hand any more, and RabbitMQ no longer keeps what became of them; `flowlift list` shows what is in Azkaban"
                    .to_owned()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use flowlift_common::state::{ProjectState, Rate, Step};
    use flowlift_common::steer::SteerEvent;

    use super::*;

    fn name(text: &str) -> ProjectName {
        ProjectName::new(text).unwrap()
    }

    fn consumer(project: &str) -> ConsumerState {
        ConsumerState {
            name: "c-1".into(),
            version: "1".into(),
            since_ms: 0,
            at_ms: None,
            shards: vec![0],
            messages: 1,
            changes: 1,
            oldest_ms: 0,
            deadline_ms: None,
            projects: vec![ProjectState {
                project: name(project),
                shard: 0,
                messages: 1,
                step: Step::Uploading,
                for_ms: 60_000,
                flows: 1,
                zip_bytes: 1,
            }],
            more_projects: 0,
            breaker_open: false,
            permits_held: 0,
            permits_waiting: 0,
            lately: Rate::default(),
        }
    }

    fn reason(facts: &Facts) -> Option<Standstill> {
        facts.reason(&[name("p")], &TimeZone::UTC)
    }

    #[test]
    fn an_upload_that_takes_long_is_no_standstill() {
        let mut facts = Facts {
            queued: 0,
            consumed: true,
            consumers: vec![consumer("P")],
            ..Facts::default()
        };
        assert_eq!(reason(&facts), None);
        facts.consumers = vec![consumer("other")];
        assert_eq!(reason(&facts), Some(Standstill::Gone));
        facts.consumers[0].more_projects = 1;
        assert_eq!(reason(&facts), None, "it may be among those that are not named");
        facts.consumers.clear();
        assert_eq!(
            reason(&facts),
            None,
            "a consumer that does not answer may have it"
        );
    }

    #[test]
    fn each_reason_is_told_apart() {
        let mut facts = Facts {
            queued: 3,
            ..Facts::default()
        };
        assert_eq!(reason(&facts), Some(Standstill::Nobody));
        facts.consumed = true;
        facts.consumers = vec![ConsumerState {
            breaker_open: true,
            ..consumer("p")
        }];
        assert_eq!(reason(&facts), Some(Standstill::Away(vec!["c-1".into()])));
        facts.steering.take(SteerEvent::Paused {
            project: Some(name("P")),
            who: "me@here".into(),
            at_ms: 1_764_000_000_000,
        });
        let paused = "project p is paused since 2025-11-24 16:00 by me@here".to_owned();
        assert_eq!(reason(&facts), Some(Standstill::Paused(paused)));
    }
}
