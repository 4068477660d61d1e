//! Looks to be taken a while after an upload was settled: an abandoned one may have landed over it meanwhile. Pure.

use std::collections::{BTreeSet, HashMap};

use flowlift_azkaban::ProjectName;

/// What to look at, and when.
#[derive(Debug, Default)]
pub struct Looks {
    due: BTreeSet<(u64, String)>,
    at: HashMap<String, Look>,
}

/// A project, and the attempt that should be its newest upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// The project.
    pub project: ProjectName,
    /// The attempt.
    pub attempt: String,
}

impl Looks {
    /// Notes a look; whatever is looked at for this project later is compared with the newest attempt noted.
    pub fn put(&mut self, at_ms: u64, look: Look) {
        let key = look.project.key();
        self.due.insert((at_ms, key.clone()));
        self.at.insert(key, look);
    }

    /// When the next one is due.
    #[must_use]
    pub fn next_ms(&self) -> Option<u64> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Takes one that is due.
    pub fn take(&mut self, now_ms: u64) -> Option<Look> {
        let (at, key) = self.due.first()?.clone();
        if at > now_ms {
            return None;
        }
        self.due.pop_first();
        let look = self.at.get(&key).cloned();
        if !self.due.iter().any(|(_, other)| *other == key) {
            self.at.remove(&key);
        }
        look
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(project: &str, attempt: &str) -> Look {
        Look {
            project: ProjectName::new(project).unwrap(),
            attempt: attempt.into(),
        }
    }

    #[test]
    fn each_look_is_taken_once_and_compares_with_the_newest_attempt() {
        let mut looks = Looks::default();
        looks.put(10, look("p", "one"));
        looks.put(20, look("q", "other"));
        looks.put(30, look("P", "two"));
        assert_eq!((looks.next_ms(), looks.take(9)), (Some(10), None));
        assert_eq!(looks.take(10).unwrap().attempt, "two");
        assert_eq!(looks.take(99), Some(look("q", "other")));
        assert_eq!(looks.take(99), Some(look("P", "two")));
        assert!(looks.take(99).is_none() && looks.at.is_empty());
    }
}
