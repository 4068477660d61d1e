//! The running server: what all requests share, and the road of one request from its connection and back.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::{Response, StatusCode};
use tokio_util::task::TaskTracker;

use crate::calls;
use crate::exec::Workshop;
use crate::exec::table::Executions;
use crate::life::Life;
use crate::options::{Options, User};
use crate::state::faults::FaultBoard;
use crate::state::journal::Journal;
use crate::state::project::Project;
use crate::state::sessions::Sessions;
use crate::state::stats::{Counters, Sizes, Stats};
use crate::state::world::World;
use crate::wire::answer::{Answer, Outcome};
use crate::wire::failure::Failure;
use crate::wire::request::Request;

/// What all requests share.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) options: Options,
    pub(crate) users: Vec<Arc<User>>,
    pub(crate) sessions: Sessions,
    pub(crate) world: World,
    pub(crate) executions: Executions,
    pub(crate) workshop: Arc<Workshop>,
    pub(crate) journal: Journal,
    pub(crate) faults: FaultBoard,
    pub(crate) counters: Counters,
    /// Where this program is installed.
    pub(crate) path: String,
    /// Requests under way; they go on when their client leaves.
    pub(crate) tasks: TaskTracker,
    pub(crate) life: Life,
}

impl Server {
    pub(crate) fn new(options: Options, journal: Journal) -> Self {
        let path = std::env::current_exe().map_or_else(|_| String::new(), |path| path.display().to_string());
        Self {
            users: options.users.iter().cloned().map(Arc::new).collect(),
            sessions: Sessions::new(options.session_idle, options.max_sessions),
            world: World::new(journal.clone()),
            executions: Executions::new(
                options.flow_threads.max(1),
                options.keep_executions,
                journal.clone(),
            ),
            workshop: Arc::new(Workshop::new(options.zip)),
            journal,
            faults: FaultBoard::new(&options),
            counters: Counters::default(),
            path,
            tasks: TaskTracker::new(),
            life: Life::new(),
            options,
        }
    }

    /// An active project; only for unknown names Azkaban asks its database.
    pub(crate) async fn project(&self, name: &str) -> Option<Arc<Project>> {
        let found = self.world.project(name);
        if found.is_none() {
            self.faults.database().await;
            return self.world.project(name);
        }
        found
    }

    pub(crate) fn restart(&self) {
        self.sessions.lose_all();
        self.life.restart();
    }

    pub(crate) fn stats(&self) -> Stats {
        let (projects, flows) = self.world.sizes();
        let (schedules, sessions) = (self.world.schedules.count(), self.sessions.count());
        let (executions, executions_running) = self.executions.counts();
        self.counters.snapshot(Sizes {
            projects,
            flows,
            schedules,
            sessions,
            executions,
            executions_running,
        })
    }

    /// Reads a request whole, then answers it in a task of its own: like a servlet's thread it does not notice that the
    /// client has left. `held` is kept until then. An error cuts the connection.
    pub(crate) async fn handle<T: Send + 'static>(
        self: Arc<Self>,
        request: hyper::Request<Incoming>,
        client: IpAddr,
        held: T,
    ) -> Result<Response<Full<Bytes>>, Cut> {
        let (parts, mut body) = request.into_parts();
        if let Some(answer) = calls::form_too_large(&parts.headers, parts.uri.path()) {
            // Jetty looks at the length when the first piece is there.
            body.frame().await;
            self.leave_unread(body);
            return Ok(answer.into_response());
        }
        let body = match collect(body, self.options.body_max).await? {
            Some(body) => body,
            None => return Ok(too_large().into_response()),
        };
        let request = Request::new(parts, body, client);
        let mut waiting = Waiting {
            server: Arc::clone(&self),
            answered: false,
        };
        let answering = self.tasks.spawn(Arc::clone(&self).answer(request, held));
        let answer = answering.await;
        waiting.answered = true;
        match answer {
            Ok(Some(answer)) if !answer.cut => Ok(answer.into_response()),
            Ok(_) => Err(Cut),
            Err(panic) => {
                tracing::error!(%panic, "a request panicked");
                Err(Cut)
            }
        }
    }

    /// Answers go out, but the rest of the body is not read: a client that first sends all of it hangs, as with Jetty.
    fn leave_unread(self: &Arc<Self>, body: Incoming) {
        let server = Arc::clone(self);
        let ends = self.life.token();
        self.tasks.spawn(async move {
            tokio::select! {
                () = tokio::time::sleep(server.options.connection_idle) => {}
                () = ends.cancelled() => {}
            }
            drop(body);
        });
    }

    /// `None` when the server stops or restarts meanwhile.
    async fn answer<T>(self: Arc<Self>, request: Request, held: T) -> Option<Answer> {
        let ends = self.life.token();
        let call = calls::call_name(&request);
        let answering = async {
            pause(self.faults.get().ms_per_request).await;
            self.faults.pass(call).await;
            let answer = calls::answer(&self, &request).await;
            match self.journal.settled().await {
                Ok(()) => answer,
                Err(error) => {
                    Failure::exception("java.io.IOException", error.to_string()).answer(&request.path)
                }
            }
        };
        let answer = tokio::select! {
            answer = answering => answer,
            () = ends.cancelled() => return None,
        };
        self.counters
            .answered(call, answer.status.as_u16(), answer.outcome);
        tracing::debug!(
            call,
            path = request.path,
            status = answer.status.as_u16(),
            outcome = answer.outcome.code(),
            "answered"
        );
        drop(held);
        Some(answer)
    }
}

/// Counts clients that left before their answer.
struct Waiting {
    server: Arc<Server>,
    answered: bool,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if !self.answered {
            self.server.counters.abandoned();
        }
    }
}

/// Sleeps so many milliseconds; none costs nothing.
pub(crate) async fn pause(ms: f64) {
    if ms > 0.0 {
        tokio::time::sleep(Duration::from_secs_f64(ms / 1000.0)).await;
    }
}

/// The connection is cut without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the connection is cut")]
pub(crate) struct Cut;

/// Reads a body whole; `None` when it is larger than allowed, an error when the client left in the middle.
async fn collect(mut body: Incoming, max: usize) -> Result<Option<Bytes>, Cut> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > max {
        return Ok(None);
    }
    let mut whole = BytesMut::with_capacity(announced);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Cut)?.into_data() else {
            continue;
        };
        if whole.len() + data.len() > max {
            return Ok(None);
        }
        whole.extend_from_slice(&data);
    }
    Ok(Some(whole.freeze()))
}

/// Azkaban takes any size; this is the stand-in's own limit.
fn too_large() -> Answer {
    Answer::text("the body is larger than this stand-in takes\n")
        .status(StatusCode::PAYLOAD_TOO_LARGE)
        .outcome(Outcome::Failed)
}
