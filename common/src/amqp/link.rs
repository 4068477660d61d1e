//! One connection to RabbitMQ, and what can be wrong with it.

use std::sync::Arc;

use flowlift_azkaban::tls::PlainWarning;
use futures_util::future::join_all;
use lapin::protocol::AMQPErrorKind;
use lapin::tcp::{AMQPUriTcpExt as _, RustlsConnector};
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{Channel, Connection, ConnectionProperties, ErrorKind};
use rustls::ClientConfig;

use super::address::{Address, label, without_secret};
use super::{probe, standing, tls};
use crate::topology::Disagreement;

static PLAIN: PlainWarning = PlainWarning::new("RabbitMQ", "amqps");

/// The oldest RabbitMQ whose quorum queues honour consumer priorities with a single active consumer.
const OLDEST: (u32, u32) = (4, 0);
/// Seconds between signs of life, unless the address says otherwise. The broker's own 60 would leave the messages of a
/// consumer on a cut-off machine with it for minutes.
const HEARTBEAT_S: u16 = 20;
/// How long a broker may take to let somebody in.
const CONNECTING: std::time::Duration = std::time::Duration::from_secs(30);
/// How long a broker may take to answer that a connection is closed.
const CLOSING: std::time::Duration = std::time::Duration::from_secs(2);

/// Why RabbitMQ cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AmqpError {
    /// The address is not one.
    #[error("{text:?} is not an AMQP address, expected amqp://user:password@host:port/vhost ({reason})")]
    BadUrl {
        /// The address without its password.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Nobody answers there.
    #[error("RabbitMQ at {broker} cannot be reached: {reason}")]
    Unreachable {
        /// host:port/vhost.
        broker: String,
        /// The system's words.
        reason: String,
    },
    /// A file for TLS is missing or not what it should be (exit code 78).
    #[error("{0}")]
    File(String),
    /// The server's certificate does not prove that it is our broker, or it speaks no TLS at all. Exit code 69 as if nobody
    /// had answered; a command does not wait for it to change, a consumer does.
    #[error("RabbitMQ at {broker} cannot be trusted: {reason}")]
    Untrusted {
        /// host:port/vhost.
        broker: String,
        /// What is wrong with it.
        reason: String,
    },
    /// None of several addresses led to a broker.
    #[error("RabbitMQ cannot be reached at any of {}", reasons(tried))]
    Nowhere {
        /// Why not, for each of them in the order they were tried.
        tried: Vec<AmqpError>,
    },
    /// User, password, virtual host or rights are refused.
    #[error("RabbitMQ at {broker} refuses access: {reason}")]
    Access {
        /// host:port/vhost.
        broker: String,
        /// The broker's words.
        reason: String,
    },
    /// An old broker.
    #[error(
        "RabbitMQ at {broker} is version {version}, 4.0 or newer is needed: older ones ignore consumer priorities"
    )]
    TooOld {
        /// host:port/vhost.
        broker: String,
        /// Its version.
        version: String,
    },
    /// This vhost was set up differently.
    #[error(transparent)]
    Disagreement(#[from] Disagreement),
    /// A queue stands there with other arguments.
    #[error("queue {queue} stands in this vhost with other arguments: {reason}")]
    Arguments {
        /// The queue.
        queue: String,
        /// The broker's words.
        reason: String,
    },
    /// The broker took a message and could not place it.
    #[error("RabbitMQ did not take a message for {queue}: {reason}")]
    NotTaken {
        /// Where it was to go.
        queue: String,
        /// Why.
        reason: String,
    },
    /// A queue does not stand any more.
    #[error("queue {queue} is missing in RabbitMQ: {reason}")]
    Missing {
        /// The queue.
        queue: String,
        /// The broker's words.
        reason: String,
    },
    /// The connection or a channel ended; connect anew.
    #[error("the connection to RabbitMQ was lost: {0}")]
    Lost(String),
}

impl AmqpError {
    /// Whether trying again later can help without anybody doing anything.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        // a queue that somebody deleted is declared anew with the next connection
        match self {
            Self::Nowhere { tried } => tried.iter().any(Self::is_transient),
            Self::Unreachable { .. } | Self::Lost(_) | Self::NotTaken { .. } | Self::Missing { .. } => true,
            _ => false,
        }
    }

    /// Whether a program that runs for ever waits for somebody to put this right: what is transient, and certificates.
    #[must_use]
    pub fn is_worth_waiting(&self) -> bool {
        let untrusted = match self {
            Self::Nowhere { tried } => tried.iter().any(Self::is_worth_waiting),
            other => matches!(other, Self::Untrusted { .. }),
        };
        untrusted || self.is_transient()
    }

    /// The exit code that cli.md gives this.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Unreachable { .. }
            | Self::Untrusted { .. }
            | Self::Nowhere { .. }
            | Self::Lost(_)
            | Self::NotTaken { .. }
            | Self::Missing { .. } => 69,
            Self::Access { .. } => 77,
            Self::BadUrl { .. }
            | Self::File(_)
            | Self::TooOld { .. }
            | Self::Disagreement(_)
            | Self::Arguments { .. } => 78,
        }
    }
}

impl From<lapin::Error> for AmqpError {
    fn from(error: lapin::Error) -> Self {
        Self::Lost(error.to_string())
    }
}

/// One connection.
pub struct Link {
    connection: Connection,
    broker: String,
    version: Option<String>,
}

impl Link {
    /// Connects under a name that RabbitMQ's pages show, to the first node of the address that answers; which one is asked
    /// first is drawn, so that many programs spread over a cluster.
    ///
    /// # Errors
    /// [`AmqpError::BadUrl`], [`AmqpError::Unreachable`], [`AmqpError::Nowhere`], [`AmqpError::Access`],
    /// [`AmqpError::TooOld`].
    pub async fn connect(url: &str, name: &str) -> Result<Self, AmqpError> {
        let (address, tls) = read(url)?;
        let mut tried = Vec::new();
        for node in address.from(rand::random::<u32>() as usize) {
            match Self::connect_to(node.clone(), name, tls.as_ref()).await {
                Err(error @ (AmqpError::Unreachable { .. } | AmqpError::Untrusted { .. })) => {
                    tried.push(error);
                }
                // what one node refuses, all refuse
                ended => return ended,
            }
        }
        match tried.pop() {
            Some(only) if tried.is_empty() => Err(only),
            last => {
                tried.extend(last);
                Err(AmqpError::Nowhere { tried })
            }
        }
    }

    /// Asks each node of an address for its greeting: how many nodes it names, and why those are of no use that give none.
    ///
    /// # Errors
    /// [`AmqpError::BadUrl`], or what is wrong with the files for TLS.
    pub async fn greetings(url: &str) -> Result<(usize, Vec<AmqpError>), AmqpError> {
        let (address, tls) = read(url)?;
        let asking = address.from(0).map(async |node| {
            let broker = label(node);
            probe::version(node, &broker, tls.as_ref()).await.err()
        });
        let answers = join_all(asking).await;
        Ok((answers.len(), answers.into_iter().flatten().collect()))
    }

    async fn connect_to(
        mut uri: AMQPUri,
        name: &str,
        tls: Option<&Arc<ClientConfig>>,
    ) -> Result<Self, AmqpError> {
        uri.query.heartbeat.get_or_insert(HEARTBEAT_S);
        let broker = label(&uri);
        let version = probe::version(&uri, &broker, tls).await?;
        if let Some(version) = &version
            && probe::parse(version).is_some_and(|found| found < OLDEST)
        {
            let version = version.clone();
            return Err(AmqpError::TooOld { broker, version });
        }
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        if tls.is_none() {
            PLAIN.give(&uri.authority.host);
        }
        // lapin asks for the address of a host without brackets
        let host = probe::bare(&uri.authority.host).to_owned();
        uri.authority.host.clone_from(&host);
        let connecting = over(uri, properties, tls.cloned());
        let connection = match tokio::time::timeout(CONNECTING, connecting).await {
            Ok(connected) => connected.map_err(|error| refused(&error, &broker, &host))?,
            Err(_) => {
                let reason = format!("no answer within {} s", CONNECTING.as_secs());
                return Err(AmqpError::Unreachable { broker, reason });
            }
        };
        Ok(Self {
            connection,
            broker,
            version,
        })
    }

    /// Opens a channel.
    ///
    /// lapin 4.12 keeps the error that closed a channel under the channel's number. Numbers come again after 2,047 channels,
    /// and then a new channel fails with that old error, once per number: the next number is free of it.
    pub async fn channel(&self) -> Result<Channel, AmqpError> {
        self.standing(self.open_channel()).await
    }

    async fn open_channel(&self) -> Result<Channel, AmqpError> {
        loop {
            match self.connection.create_channel().await {
                Ok(channel) => return Ok(channel),
                Err(error) if self.is_of_old(&error) => {
                    tracing::debug!(%error, "the number of a channel that was closed with this error came again");
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Opening a channel cannot fail with a channel's error as long as the connection stands.
    fn is_of_old(&self, error: &lapin::Error) -> bool {
        let soft = matches!(error.kind(), ErrorKind::ProtocolError(amqp) if matches!(amqp.kind(), AMQPErrorKind::Soft(_)));
        soft && self.connection.status().connected()
    }

    /// Runs something on this connection; see [`standing()`].
    ///
    /// # Errors
    /// The work's own, and [`AmqpError::Lost`].
    pub async fn standing<T, E: From<AmqpError>>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        standing(self.connection.status(), work).await
    }

    /// The connection itself, for its events and its state.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// host:port/vhost.
    #[must_use]
    pub fn broker(&self) -> &str {
        &self.broker
    }

    /// The broker's version, where it told.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// Whether the broker holds publishers back: its memory or its disk is short.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        self.connection.status().blocked()
    }

    /// The heartbeat both sides agreed on.
    #[must_use]
    pub fn heartbeat(&self) -> std::time::Duration {
        std::time::Duration::from_secs(u64::from(self.connection.configuration().heartbeat()))
    }

    /// Closes in order; channels in use elsewhere end with it. Dropping is not enough: each channel keeps its connection.
    ///
    /// A consumer that leaves with messages held ends its process instead: an orderly close would hand them to the next
    /// holder while an upload may still be under way.
    pub async fn close(&self) {
        let closing = self.connection.close(200, "done".into());
        match tokio::time::timeout(CLOSING, closing).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "the connection was gone before it was closed"),
            Err(_) => tracing::debug!("the broker did not answer the closing of the connection"),
        }
    }
}

/// An address and, where it wants TLS, the settings for it.
fn read(url: &str) -> Result<(Address, Option<Arc<ClientConfig>>), AmqpError> {
    let address = Address::parse(url).map_err(|reason| AmqpError::BadUrl {
        text: without_secret(url),
        reason,
    })?;
    let tls = match url.starts_with("amqps:") {
        true => Some(tls::client(address.files())?),
        false => None,
    };
    Ok((address, tls))
}

/// What was tried, each with its reason: `3 addresses: a:5672/: ...; b:5672/: ...`.
fn reasons(tried: &[AmqpError]) -> String {
    let each = tried.iter().map(|error| match error {
        AmqpError::Unreachable { broker, reason } | AmqpError::Untrusted { broker, reason } => {
            format!("{broker}: {reason}")
        }
        other => other.to_string(),
    });
    format!(
        "{} addresses: {}",
        tried.len(),
        each.collect::<Vec<_>>().join("; ")
    )
}

/// lapin's own way to TLS trusts an own CA and all that the machine knows, and fails where the machine knows nobody.
async fn over(
    uri: AMQPUri,
    properties: ConnectionProperties,
    tls: Option<Arc<ClientConfig>>,
) -> lapin::Result<Connection> {
    let runtime = lapin::runtime::default_runtime()?;
    let connector = tls.map(RustlsConnector::from);
    let connect = async move |uri: AMQPUri, runtime| {
        let host = uri.authority.host.clone();
        let plain = AMQPUri {
            scheme: AMQPScheme::AMQP,
            ..uri
        };
        let stream = plain.connect_async(&runtime).await?;
        Ok(match &connector {
            Some(connector) => stream.into_rustls(connector, &host).await?,
            None => stream,
        })
    };
    Connection::connector(uri, runtime, connect, properties).await
}

fn refused(error: &lapin::Error, broker: &str, host: &str) -> AmqpError {
    if let ErrorKind::IOError(error) = error.kind() {
        return probe::judged(error, broker, host);
    }
    let broker = broker.to_owned();
    let reason = match error.kind() {
        ErrorKind::ProtocolError(amqp) => amqp.get_message().to_string(),
        _ => error.to_string(),
    };
    match error.kind() {
        ErrorKind::ProtocolError(_) | ErrorKind::AuthProviderError(_) => AmqpError::Access { broker, reason },
        _ => AmqpError::Unreachable { broker, reason },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_reaches_an_error() {
        let error = AmqpError::BadUrl {
            text: without_secret("amqp://a:s3cret@b:port"),
            reason: "x".into(),
        };
        assert!(!error.to_string().contains("s3cret"));
    }
}
