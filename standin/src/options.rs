//! What can be set when the stand-in starts.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use flowlift_azkaban::archive::ZipLimits;
use jiff::tz::TimeZone;

/// How many times dearer a flow is in Flow 2.0 than in 1.0, as measured on 4.0.0 (2.2 ms against 0.6 ms).
const V2_FACTOR: f64 = 2.2 / 0.6;

/// A person who may log in.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// The name, compared with case.
    pub name: String,
    /// The password.
    pub password: String,
    /// Groups that project permissions may name.
    pub groups: Vec<String>,
    /// Has the role `admin`: may do everything everywhere.
    pub admin: bool,
}

impl User {
    /// A user with the role `admin`, as `azkaban` is on a fresh server.
    #[must_use]
    pub fn admin(name: impl Into<String>, password: impl Into<String>) -> Self {
        Self {
            admin: true,
            ..Self::plain(name, password)
        }
    }

    /// A user without any role: sees and does only what projects grant.
    #[must_use]
    pub fn plain(name: impl Into<String>, password: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            password: password.into(),
            groups: Vec::new(),
            admin: false,
        }
    }
}

/// Passwords stay out of logs.
impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User")
            .field("name", &self.name)
            .field("admin", &self.admin)
            .finish_non_exhaustive()
    }
}

/// Settings of one stand-in; the default is a fresh Azkaban on a free port of 127.0.0.1 without artificial latency.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Who may log in.
    pub users: Vec<User>,
    /// Milliseconds an upload takes per flow of the whole zip, Flow 1.0.
    pub ms_per_flow: f64,
    /// The same for Flow 2.0; without a value in the proportion measured on 4.0.0.
    pub ms_per_flow_v2: Option<f64>,
    /// Milliseconds added to every request.
    pub ms_per_request: f64,
    /// Threads of the web server, the acceptor's included: one less connection can be open.
    pub max_threads: usize,
    /// How long a connection may be idle before it is closed.
    pub connection_idle: Duration,
    /// How long a session lives after its last use.
    pub session_idle: Duration,
    /// Sessions kept; the least recently used one goes first.
    pub max_sessions: usize,
    /// Sessions one user may have from one address; without a value as many as there is room for.
    pub sessions_per_user: Option<usize>,
    /// May only administrators create projects?
    pub lockdown_create: bool,
    /// May only administrators upload?
    pub lockdown_upload: bool,
    /// The largest body taken, in bytes (Azkaban has no limit).
    pub body_max: usize,
    /// How much a project zip may hold (Azkaban has no limit).
    pub zip: ZipLimits,
    /// How many versions before the current one keep their zips.
    pub retention: i32,
    /// The server's time zone: cron expressions and times in answers.
    pub time_zone: TimeZone,
    /// How often schedules are looked at.
    pub scan_interval: Duration,
    /// How long an execution that has ended still counts as running.
    pub afterglow: Duration,
    /// Executions that run at one time; others wait.
    pub flow_threads: usize,
    /// Executions that are remembered after they have ended.
    pub keep_executions: usize,
    /// File that keeps all but sessions; without one all is gone at the end.
    pub data: Option<PathBuf>,
    /// May faults be set over HTTP?
    pub allow_faults: bool,
}

impl Options {
    /// Latency of one flow of Flow 2.0, in milliseconds.
    #[must_use]
    pub fn v2_ms(&self) -> f64 {
        self.ms_per_flow_v2.unwrap_or(self.ms_per_flow * V2_FACTOR)
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
            users: vec![User::admin("azkaban", "azkaban")],
            ms_per_flow: 0.0,
            ms_per_flow_v2: None,
            ms_per_request: 0.0,
            max_threads: 25,
            connection_idle: Duration::from_secs(200),
            session_idle: Duration::from_secs(10 * 3600),
            max_sessions: 10_000,
            sessions_per_user: None,
            lockdown_create: false,
            lockdown_upload: false,
            body_max: 512 << 20,
            zip: ZipLimits::default(),
            retention: 3,
            time_zone: TimeZone::UTC,
            scan_interval: Duration::from_secs(60),
            afterglow: Duration::from_secs(1),
            flow_threads: 30,
            keep_executions: 10_000,
            data: None,
            allow_faults: false,
        }
    }
}
