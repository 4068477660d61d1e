//! What people ask of a night's work while it runs: cancel a run, hold, go on. In a stream of its own that is never trimmed by
//! age, so that it survives restarts of everything.

use std::collections::{BTreeMap, BTreeSet};

use flowlift_azkaban::ProjectName;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::order::RunId;

/// A record in the stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum SteerEvent {
    /// What has not begun of this run is not applied any more.
    Cancelled {
        /// The run.
        run: RunId,
        /// `user@host`.
        who: String,
        /// Their clock, ms since 1970.
        at_ms: u64,
    },
    /// Nothing new is begun.
    Paused {
        /// In this project; none: in all of them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        project: Option<ProjectName>,
        /// `user@host`.
        who: String,
        /// Their clock, ms since 1970.
        at_ms: u64,
    },
    /// Work goes on.
    Resumed {
        /// The project that was paused; none: the pause of all projects ends, and those of single ones stay.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        project: Option<ProjectName>,
        /// `user@host`.
        who: String,
        /// Their clock, ms since 1970.
        at_ms: u64,
    },
    /// Written by a reader that wants to know that it has read up to now.
    Mark {
        /// The reader's own number.
        nonce: Uuid,
    },
}

/// Who paused, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// The project as it was written; none: all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<ProjectName>,
    /// `user@host`.
    pub who: String,
    /// Their clock, ms since 1970.
    pub at_ms: u64,
}

/// What is held, and by whom; what is paused already keeps its first pause.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Steering {
    cancelled: BTreeSet<RunId>,
    all: Option<Pause>,
    projects: BTreeMap<String, Pause>,
}

/// How a project is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Hold {
    /// Not at all.
    #[default]
    No,
    /// Everything is: messages stay where they are.
    Everything,
    /// This project is: its messages must not hold the window of their shard.
    Project,
}

impl Steering {
    /// Takes a record.
    pub fn take(&mut self, event: SteerEvent) {
        match event {
            SteerEvent::Cancelled { run, .. } => {
                self.cancelled.insert(run);
            }
            SteerEvent::Paused { project, who, at_ms } => {
                let key = project.as_ref().map(ProjectName::key);
                let pause = Pause { project, who, at_ms };
                match key {
                    Some(key) => {
                        self.projects.entry(key).or_insert(pause);
                    }
                    None => {
                        self.all.get_or_insert(pause);
                    }
                }
            }
            SteerEvent::Resumed { project: None, .. } => self.all = None,
            SteerEvent::Resumed {
                project: Some(project),
                ..
            } => {
                self.projects.remove(&project.key());
            }
            SteerEvent::Mark { .. } => {}
        }
    }

    /// How a project is held.
    #[must_use]
    pub fn hold(&self, project: &ProjectName) -> Hold {
        if self.projects.contains_key(&project.key()) {
            Hold::Project
        } else if self.all.is_some() {
            Hold::Everything
        } else {
            Hold::No
        }
    }

    /// The cancelled runs.
    #[must_use]
    pub fn cancelled(&self) -> &BTreeSet<RunId> {
        &self.cancelled
    }

    /// The pause of everything.
    #[must_use]
    pub fn all(&self) -> Option<&Pause> {
        self.all.as_ref()
    }

    /// The pauses of single projects.
    pub fn projects(&self) -> impl Iterator<Item = &Pause> {
        self.projects.values()
    }

    /// The pause of a single project.
    #[must_use]
    pub fn project(&self, project: &ProjectName) -> Option<&Pause> {
        self.projects.get(&project.key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> ProjectName {
        ProjectName::new(text).unwrap()
    }

    fn paused(project: Option<&str>, at_ms: u64) -> SteerEvent {
        SteerEvent::Paused {
            project: project.map(name),
            who: "me@here".into(),
            at_ms,
        }
    }

    fn resumed(project: Option<&str>) -> SteerEvent {
        SteerEvent::Resumed {
            project: project.map(name),
            who: "me@here".into(),
            at_ms: 9,
        }
    }

    #[test]
    fn a_pause_of_all_and_pauses_of_projects_end_each_by_itself() {
        let mut steering = Steering::default();
        let holds = |steering: &Steering| [steering.hold(&name("a")), steering.hold(&name("b"))];
        steering.take(paused(Some("A"), 1));
        assert_eq!(holds(&steering), [Hold::Project, Hold::No], "whatever its case");
        steering.take(paused(None, 2));
        assert_eq!(holds(&steering), [Hold::Project, Hold::Everything]);
        steering.take(resumed(None));
        assert_eq!(holds(&steering), [Hold::Project, Hold::No]);
        steering.take(resumed(Some("a")));
        assert_eq!(holds(&steering), [Hold::No, Hold::No]);
    }

    #[test]
    fn whoever_paused_first_is_named() {
        let mut steering = Steering::default();
        steering.take(paused(None, 1));
        steering.take(paused(None, 2));
        assert_eq!(steering.all().map(|pause| pause.at_ms), Some(1));
    }
}
