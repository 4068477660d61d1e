//! Builds the rooms, keeps a session alive, and stops in order.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use flowlift_azkaban::client::{Client, ClientConfig, ClientError, Watch};
use flowlift_common::amqp::{AmqpError, Link};
use flowlift_common::backoff::Backoff;
use flowlift_common::config::SettingsError;
use flowlift_common::shutdown::Shutdown;
use flowlift_common::trace::Traces;

use crate::config::Config;
use crate::http::{self, Health, ListenError};
use crate::looks::Looks;
use crate::metrics::Metrics;
use crate::names::{self, Name, NameError};
use crate::project::Limits;
use crate::session::{self, Left, Setup};

/// Delays between tries to reach RabbitMQ.
const RECONNECT: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));
/// How long a collector may take for the last traces when leaving.
const LAST_TRACES: Duration = Duration::from_secs(2);
/// Sessions kept for Azkaban; the permits bound what is used of them.
const SESSIONS: usize = 64;

/// Why the program ends, with its exit code (cli.md).
#[derive(Debug, thiserror::Error)]
pub enum Fatal {
    /// RabbitMQ cannot be used as it is.
    #[error(transparent)]
    Amqp(#[from] AmqpError),
    /// The name is another's or unusable.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Azkaban refuses the login, or its address is none.
    #[error(transparent)]
    Azkaban(#[from] ClientError),
    /// No password, or its file is missing.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The port for metrics is taken.
    #[error(transparent)]
    Listen(#[from] ListenError),
}

impl Fatal {
    /// Its exit code.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Amqp(error) => error.exit_code(),
            Self::Name(error) => error.exit_code(),
            Self::Azkaban(ClientError::LoginRefused { .. }) => 77,
            Self::Azkaban(_) | Self::Settings(_) | Self::Listen(_) => 78,
        }
    }
}

/// Runs until stopped: 0 after a full drain, 75 when the grace time ended first.
///
/// # Errors
/// [`Fatal`] where waiting cannot help.
pub async fn run(config: Config, shutdown: Shutdown) -> Result<u8, Fatal> {
    let traces = Traces::start(config.settings.traces.as_deref(), "flowlift-consumer")?;
    let ended = sessions(config, shutdown, traces.clone()).await;
    traces.flush(LAST_TRACES).await;
    ended
}

async fn sessions(config: Config, shutdown: Shutdown, traces: Traces) -> Result<u8, Fatal> {
    let metrics = Arc::new(Metrics::with_projects(config.metrics_projects));
    let health = Health::default();
    let _alive = health.alive();
    http::serve(&config.metrics_listen, Arc::clone(&metrics), health.clone()).await?;
    let settings = &config.settings;
    let password = settings.password()?;
    let azkaban = ClientConfig::new(
        settings.azkaban_url.clone(),
        settings.azkaban_user.clone(),
        password,
    );
    let counting = Arc::clone(&metrics);
    let client = Client::new(ClientConfig {
        sessions: SESSIONS,
        ca_file: settings.azkaban_ca_file.clone(),
        watch: Some(Watch::new(move |call, took| counting.azkaban_called(call, took))),
        ..azkaban
    })?;
    let house = House {
        client,
        metrics,
        traces,
        health,
        looks: (Arc::default(), Instant::now()),
        logged_in: Arc::default(),
    };
    let mut name: Option<Name> = None;
    let mut failures = 0;
    loop {
        house.health.waiting("connecting to RabbitMQ");
        let tried = one_session(&config, &shutdown, &house, &mut name, &mut failures).await;
        house.metrics.amqp_connected(false);
        let error = match tried {
            Ok(Left::Drained) => return Ok(0),
            Ok(Left::GraceEnded) => return Ok(75),
            // in Azkaban's own words, unless it has changed its mind meanwhile
            Ok(Left::LoginRefused) => match house.client.login_check().await {
                Err(error @ (ClientError::LoginRefused { .. } | ClientError::Setup(_))) => {
                    return Err(error.into());
                }
                _ => continue,
            },
            Err(Fatal::Amqp(error)) if error.is_worth_waiting() => error,
            Err(Fatal::Name(NameError::Amqp(error))) if error.is_worth_waiting() => error,
            Err(fatal) => return Err(fatal),
        };
        let delay = Backoff::new(RECONNECT.0, RECONNECT.1).delay(failures, rand::random());
        failures = failures.saturating_add(1);
        tracing::warn!("{error}; next try in {:.1} s", delay.as_secs_f64());
        house.health.waiting(&error.to_string());
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            () = shutdown.stop.cancelled() => return Ok(0),
        }
    }
}

/// What outlives a session.
struct House {
    client: Client,
    metrics: Arc<Metrics>,
    traces: Traces,
    health: Health,
    looks: (Arc<Mutex<Looks>>, Instant),
    logged_in: Arc<AtomicBool>,
}

async fn one_session(
    config: &Config,
    shutdown: &Shutdown,
    house: &House,
    name: &mut Option<Name>,
    failures: &mut u32,
) -> Result<Left, Fatal> {
    let House {
        client,
        metrics,
        traces,
        health,
        looks,
        logged_in,
    } = house;
    let url = config.settings.amqp_url();
    let connecting = Link::connect(url, "flowlift-consumer");
    let link = tokio::select! {
        link = connecting => Arc::new(link?),
        () = shutdown.stop.cancelled() => return Ok(Left::Drained),
    };
    metrics.amqp_connected(true);
    let claimed = match name.take() {
        Some(before) => names::claim_again(&link, &before, link.heartbeat() * 2).await?,
        None => names::claim(&link, config.name.as_deref(), &config.host).await?,
    };
    tracing::info!(consumer = %claimed.text, broker = link.broker(), azkaban = client.url(), "connected");
    *name = Some(claimed.clone());
    *failures = 0;
    let setup = Setup {
        name: claimed.text,
        client: client.clone(),
        metrics: Arc::clone(metrics),
        traces: traces.clone(),
        shards: config.settings.shards,
        retention: config.settings.retention.clone(),
        permits: config.azkaban_connections,
        stop: shutdown.stop.clone(),
        now: shutdown.now.clone(),
        grace: config.grace,
        limits: Limits::default(),
        looks: looks.clone(),
        logged_in: Arc::clone(logged_in),
    };
    let work = session::run(&link, &setup, |ready| {
        if ready {
            health.ready();
        } else {
            health.waiting("leaving");
        }
    });
    let left = link.standing(work).await;
    match left {
        Ok(Left::LoginRefused) => {
            link.close().await;
            Ok(Left::LoginRefused)
        }
        // the socket ends with the process; closing in order would hand messages on too early
        Ok(left) => {
            std::mem::forget(link);
            Ok(left)
        }
        // what was begun stays announced: whoever gets the messages next waits for it
        Err(error) => {
            link.close().await;
            Err(error.into())
        }
    }
}
