//! A client to Azkaban whose answers are types.
//!
//! [`Client`] is cheap to clone and holds a pool of sessions; [`ClientError`] says by its class what a caller can do.
//! Layers: `answer` judges (pure), `wire` sends one request, `session` keeps the login, `calls` and `transfer` put them
//! together. A call whose session was lost is repeated once with a new one; nothing else is repeated in here.

mod answer;
mod body;
mod calls;
mod error;
mod listing;
mod session;
mod transfer;
mod types;
mod verdict;
mod wire;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{RequestBuilder, Response};
use secrecy::SecretString;

pub use body::BodyState;
pub use error::{ClientError, ErrorClass, Result};
pub use types::{
    Created, Download, FlowGraph, FlowList, GraphNode, JobInfo, LogEntry, ProjectId, ProjectInfo, Schedule,
    ScheduleId, ServerStatus, Uploaded, uploaded_file,
};
pub use verdict::{Doubt, InstallCause};

use crate::name::ProjectName;
use answer::Answer;
use wire::Wire;

/// The largest zip a client takes unless told otherwise: a project of 10,000 flows has about 2 MB.
pub const DOWNLOAD_LIMIT: usize = 256 << 20;

/// How to reach Azkaban.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// Its address, for example `http://azkaban.example:8081`, without user and password.
    pub url: String,
    /// The user.
    pub user: String,
    /// The password; it leaves this value only in the body of a login.
    pub password: SecretString,
    /// Requests, and so connections, at the same time; at least 1.
    pub sessions: usize,
    /// The limit for everything but uploads, 60 s by default.
    pub request_timeout: Duration,
    /// The limit for making a connection.
    pub connect_timeout: Duration,
    /// The certificates (PEM) that count for https, in place of those this machine knows.
    pub ca_file: Option<PathBuf>,
    /// Hears how long each request took.
    pub watch: Option<Watch>,
}

/// Hears of each request by its call, and how long it took, whether it was answered or not.
#[derive(Clone)]
pub struct Watch(Arc<dyn Fn(&'static str, Duration) + Send + Sync>);

impl Watch {
    /// Calls this each time; it must not block.
    pub fn new(hear: impl Fn(&'static str, Duration) + Send + Sync + 'static) -> Self {
        Self(Arc::new(hear))
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watch")
    }
}

impl ClientConfig {
    /// The usual settings: 4 sessions, 60 s for a request, 10 s for a connection.
    #[must_use]
    pub fn new(url: impl Into<String>, user: impl Into<String>, password: impl Into<SecretString>) -> Self {
        Self {
            url: url.into(),
            user: user.into(),
            password: password.into(),
            sessions: 4,
            request_timeout: Duration::from_secs(60),
            connect_timeout: Duration::from_secs(10),
            ca_file: None,
            watch: None,
        }
    }
}

/// A client to one Azkaban; clones share the sessions.
#[derive(Clone)]
pub struct Client {
    wire: Wire,
    pool: session::Pool,
    user: Arc<str>,
    download_limit: usize,
}

impl Client {
    /// A client for this Azkaban. Nothing is sent yet; see [`Client::login_check`].
    pub fn new(config: ClientConfig) -> Result<Self> {
        if config.sessions == 0 {
            return Err(ClientError::Setup(
                "the number of Azkaban sessions must be at least 1".into(),
            ));
        }
        let wire = Wire::new(&config)?;
        let user = config.user.as_str().into();
        let door = session::Door::new(wire.clone(), config.user, config.password);
        let pool = session::Pool::builder(door)
            .max_size(config.sessions)
            .build()
            .map_err(|error| ClientError::Setup(error.to_string()))?;
        Ok(Self {
            wire,
            pool,
            user,
            download_limit: DOWNLOAD_LIMIT,
        })
    }

    /// The same client with another limit for the size of a downloaded zip, 256 MiB by default.
    #[must_use]
    pub fn with_download_limit(self, bytes: usize) -> Self {
        Self {
            download_limit: bytes,
            ..self
        }
    }

    /// Azkaban's address without a trailing slash.
    #[must_use]
    pub fn url(&self) -> &str {
        self.wire.url()
    }

    /// The user it logs in as; the project log says who did what.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// A reading call about a project.
    async fn read(&self, ajax: &'static str, project: &ProjectName, more: &[(&str, &str)]) -> Result<Answer> {
        self.with_session(ajax, |wire, session| {
            let query = [
                ("ajax", ajax),
                ("project", project.as_str()),
                ("session.id", session),
            ];
            wire.get("/manager", &query).query(more)
        })
        .await
    }

    /// A call that changes something, as a form.
    async fn change(&self, call: &'static str, path: &str, form: &[(&str, &str)]) -> Result<Answer> {
        self.with_session(call, |wire, session| {
            let mut fields = form.to_vec();
            fields.push(("session.id", session));
            wire.post(path).form(&fields)
        })
        .await
    }

    async fn with_session(
        &self,
        call: &'static str,
        request: impl Fn(&Wire, &str) -> RequestBuilder,
    ) -> Result<Answer> {
        self.with_session_up_to(call, wire::ANSWER_LIMIT, request).await
    }

    /// Sends a request with a session, once more with a new one if Azkaban does not know it.
    async fn with_session_up_to(
        &self,
        call: &'static str,
        limit: usize,
        request: impl Fn(&Wire, &str) -> RequestBuilder,
    ) -> Result<Answer> {
        match self.begin_with_session(call, limit, request).await? {
            (answer, None) => Ok(answer),
            (_, Some(_)) => Err(ClientError::TooLarge { call, limit }),
        }
    }

    /// The same; of an answer longer than `upto` the rest is to be read yet.
    async fn begin_with_session(
        &self,
        call: &'static str,
        upto: usize,
        request: impl Fn(&Wire, &str) -> RequestBuilder,
    ) -> Result<(Answer, Option<Response>)> {
        for _ in 0..2 {
            let slot = session::take(&self.pool).await?;
            let request = request(&self.wire, slot.id());
            let (answer, rest) = self.wire.begin(call, request, upto).await?;
            if !session::judge(&self.pool, slot, &answer) {
                return Ok((answer, rest));
            }
        }
        Err(ClientError::SessionLost { call })
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("url", &self.wire.url())
            .finish_non_exhaustive()
    }
}

/// An error's words without the address, which may show a session id.
fn text_of(error: &reqwest::Error) -> String {
    match error.url() {
        Some(url) => error.to_string().replace(url.as_str(), "it"),
        None => error.to_string(),
    }
}
