//! Azkaban's sessions, pooled.
//!
//! A slot of the pool is the right to one request at a time; together they bound our connections. All slots use one
//! login, because Azkaban serves a session to any number of requests and may limit how many a user has. The login has a
//! generation: whoever finds it lost retires that generation, the first to come logs in anew, the others wait and use
//! what it got, be it a session or a refusal. So ten callers never make ten logins.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use deadpool::managed::{self, Metrics, Object, PoolError, RecycleError, RecycleResult};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;
use tracing::{debug, info};

use super::answer::{Answer, login};
use super::error::{ClientError, Result};
use super::wire::{ANSWER_LIMIT, Wire};

/// How long a login may lie unused before it is renewed unasked. Azkaban forgets it after 10 hours by default; the
/// end of an upload of many megabytes is a costly moment to find that out.
const IDLE: Duration = Duration::from_secs(30 * 60);

/// A pool of slots over one login.
pub(super) type Pool = managed::Pool<Door>;
/// A slot taken from the pool.
pub(super) type Slot = Object<Door>;

/// What a slot holds: one login, shared.
#[derive(Clone)]
pub(super) struct Session {
    id: Arc<SecretString>,
    generation: u64,
}

impl Session {
    /// The id, for a request's parameter and nowhere else.
    pub(super) fn id(&self) -> &str {
        self.id.expose_secret()
    }
}

/// Where sessions come from.
pub(super) struct Door {
    wire: Wire,
    user: String,
    password: SecretString,
    state: Mutex<State>,
    /// Held during a login: the others wait here.
    gate: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    current: Option<(Session, Instant)>,
    /// Logins tried so far; also the generation of the next session.
    tries: u64,
    /// How the last one failed.
    failure: Option<ClientError>,
}

impl Door {
    pub(super) fn new(wire: Wire, user: String, password: SecretString) -> Self {
        Self {
            wire,
            user,
            password,
            state: Mutex::default(),
            gate: tokio::sync::Mutex::new(()),
        }
    }

    /// The shared session, made if there is none.
    async fn enter(&self) -> Result<Session> {
        let seen = self.state().tries;
        if let Some(session) = self.current() {
            return Ok(session);
        }
        let _held = self.gate.lock().await;
        if let Some(session) = self.current() {
            return Ok(session);
        }
        {
            let state = self.state();
            // a try that ended while we waited speaks for us too: one wrong password is one refused login
            if let (true, Some(failure)) = (state.tries != seen, &state.failure) {
                return Err(failure.clone());
            }
        }
        let outcome = self.login().await;
        let mut state = self.state();
        state.tries += 1;
        match outcome {
            Ok(id) => {
                let session = Session {
                    id: Arc::new(id),
                    generation: state.tries,
                };
                state.current = Some((session.clone(), Instant::now()));
                state.failure = None;
                Ok(session)
            }
            Err(error) => {
                state.failure = Some(error.clone());
                Err(error)
            }
        }
    }

    async fn login(&self) -> Result<SecretString> {
        debug!(url = self.wire.url(), user = self.user, "logging in to Azkaban");
        let form = [
            ("action", "login"),
            ("username", &self.user),
            ("password", self.password.expose_secret()),
        ];
        let answer = self
            .wire
            .ask("login", self.wire.post("/").form(&form), ANSWER_LIMIT)
            .await?;
        login::login(&answer, &self.user).map(SecretString::from)
    }

    fn current(&self) -> Option<Session> {
        let state = self.state();
        let (session, used) = state.current.as_ref()?;
        (used.elapsed() < IDLE).then(|| session.clone())
    }

    /// Notes that Azkaban took the session just now.
    pub(super) fn used(&self, session: &Session) {
        if let Some((current, used)) = &mut self.state().current
            && current.generation == session.generation
        {
            *used = Instant::now();
        }
    }

    /// Retires a session that Azkaban does not know; a newer one stays.
    fn lose(&self, session: &Session) {
        let current = &mut self.state().current;
        if current
            .as_ref()
            .is_some_and(|(current, _)| current.generation == session.generation)
        {
            info!(
                url = self.wire.url(),
                "Azkaban does not know our session any more, logging in again"
            );
            *current = None;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // never held across code that can panic, and whole after each statement anyhow
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl managed::Manager for Door {
    type Type = Session;
    type Error = ClientError;

    async fn create(&self) -> Result<Session> {
        self.enter().await
    }

    async fn recycle(&self, session: &mut Session, _: &Metrics) -> RecycleResult<ClientError> {
        match self.current() {
            Some(current) if current.generation == session.generation => Ok(()),
            _ => Err(RecycleError::message("the session is old or lost")),
        }
    }
}

/// Takes a slot; waits while all are in use.
pub(super) async fn take(pool: &Pool) -> Result<Slot> {
    pool.get().await.map_err(|error| match error {
        PoolError::Backend(error) => error,
        other => ClientError::Setup(format!("no session from the pool: {other}")),
    })
}

/// Looks whether the answer says the session is lost. If so the slot is not returned, and the next one logs in.
pub(super) fn judge(pool: &Pool, slot: Slot, answer: &Answer) -> bool {
    let lost = answer.lost_session();
    if lost {
        pool.manager().lose(&Object::take(slot));
    } else {
        pool.manager().used(&slot);
    }
    lost
}
