//! Sessions: in memory, gone some hours after their last use, the least recently used ones first when there are too many.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use crate::options::User;
use crate::state::lock;

/// Who is asking.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) user: Arc<User>,
}

impl Session {
    /// A session that is not kept: one request with user and password.
    pub(crate) fn once(user: Arc<User>) -> Self {
        Self {
            id: Uuid::new_v4().to_string(),
            user,
        }
    }
}

/// All sessions that live.
#[derive(Debug)]
pub(crate) struct Sessions {
    idle: Duration,
    max: usize,
    live: Mutex<HashMap<String, Live>>,
}

#[derive(Debug)]
struct Live {
    user: Arc<User>,
    client: IpAddr,
    used: Instant,
}

impl Sessions {
    pub(crate) fn new(idle: Duration, max: usize) -> Self {
        Self {
            idle,
            max,
            live: Mutex::default(),
        }
    }

    /// Opens one more session; older ones of the same user live on.
    pub(crate) fn open(&self, user: Arc<User>, client: IpAddr) -> Session {
        let session = Session::once(user);
        tracing::debug!(user = %session.user.name, %client, "logged in");
        let mut live = lock(&self.live);
        let idle = self.idle;
        live.retain(|_, session| session.used.elapsed() < idle);
        if live.len() >= self.max {
            let oldest = live
                .iter()
                .min_by_key(|(_, session)| session.used)
                .map(|(id, _)| id.clone());
            oldest.and_then(|id| live.remove(&id));
        }
        live.insert(
            session.id.clone(),
            Live {
                user: Arc::clone(&session.user),
                client,
                used: Instant::now(),
            },
        );
        session
    }

    /// How many sessions a user has from an address.
    pub(crate) fn count_of(&self, user: &User, client: IpAddr) -> usize {
        let live = lock(&self.live);
        let same = live.values().filter(|session| {
            session.client == client && session.user.name == user.name && session.used.elapsed() < self.idle
        });
        same.count()
    }

    /// Finds a session that has not expired, and counts this as a use of it.
    pub(crate) fn find(&self, id: &str) -> Option<Session> {
        let mut live = lock(&self.live);
        let found = live.get_mut(id)?;
        if found.used.elapsed() >= self.idle {
            live.remove(id);
            return None;
        }
        found.used = Instant::now();
        Some(Session {
            id: id.to_owned(),
            user: Arc::clone(&found.user),
        })
    }

    pub(crate) fn close(&self, id: &str) {
        lock(&self.live).remove(id);
    }

    /// Forgets all sessions, as a restart does.
    pub(crate) fn lose_all(&self) {
        lock(&self.live).clear();
    }

    pub(crate) fn count(&self) -> usize {
        lock(&self.live).len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sessions(max: usize) -> (Sessions, Arc<User>, IpAddr) {
        let sessions = Sessions::new(Duration::from_secs(36_000), max);
        (
            sessions,
            Arc::new(User::admin("azkaban", "azkaban")),
            IpAddr::from([127, 0, 0, 1]),
        )
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_expires_ten_hours_after_its_last_use() {
        let (sessions, user, client) = sessions(10);
        let id = sessions.open(user, client).id;
        tokio::time::advance(Duration::from_secs(35_999)).await;
        assert!(sessions.find(&id).is_some());
        tokio::time::advance(Duration::from_secs(35_999)).await;
        assert!(sessions.find(&id).is_some(), "the first use counts");
        tokio::time::advance(Duration::from_secs(36_000)).await;
        assert!(sessions.find(&id).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn the_least_recently_used_session_makes_room() {
        let (sessions, user, client) = sessions(2);
        let first = sessions.open(Arc::clone(&user), client).id;
        tokio::time::advance(Duration::from_secs(1)).await;
        let second = sessions.open(Arc::clone(&user), client).id;
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(sessions.find(&first).is_some());
        let third = sessions.open(user, client).id;
        assert_eq!(
            [first, second, third].map(|id| sessions.find(&id).is_some()),
            [true, false, true]
        );
        sessions.lose_all();
        assert_eq!(sessions.count(), 0);
    }
}
