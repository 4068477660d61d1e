//! `flowlift-consumer --probe`: asks a running consumer whether it is ready. For health checks in images that have no curl.
//!
//! Needs no settings but the address, so no password either, and no threads: a health check runs every few seconds.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use crate::http::{DEFAULT_HOST, DEFAULT_PORTS, Listen};

/// The consumer answers from memory; whatever takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(3);
/// More than any reason is long.
const MOST: u64 = 64 * 1024;

/// Why a consumer counts as not ready.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// Nobody answers there.
    #[error("no consumer answers at {address}: {reason}")]
    Silent {
        /// The address that was asked.
        address: String,
        /// The system's words.
        reason: io::Error,
    },
    /// It says so itself.
    #[error("not ready: {0}")]
    Unready(String),
}

/// Asks `/readyz` of the consumer that listens as told.
///
/// # Errors
/// [`ProbeError`] says why it is not ready.
pub fn ready(listen: &Listen) -> Result<(), ProbeError> {
    let address = match listen {
        Listen::FirstFree => format!("{DEFAULT_HOST}:{}", DEFAULT_PORTS.start()),
        Listen::At(address) => address.clone(),
    };
    let answer = ask(&address).map_err(|reason| ProbeError::Silent { address, reason })?;
    judge(&answer)
}

fn ask(address: &str) -> io::Result<String> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for place in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&reachable(place), PATIENCE) {
            Ok(stream) => return exchange(stream, address),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn exchange(mut stream: TcpStream, address: &str) -> io::Result<String> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.take(MOST).read_to_string(&mut answer)?;
    Ok(answer)
}

/// Who listens everywhere is asked on this machine.
fn reachable(mut place: SocketAddr) -> SocketAddr {
    if place.ip().is_unspecified() {
        place.set_ip(match place {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        });
    }
    place
}

fn judge(answer: &str) -> Result<(), ProbeError> {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
    match head.split(' ').nth(1) {
        Some("200") => Ok(()),
        Some("503") => Err(ProbeError::Unready(body.trim().to_owned())),
        _ => Err(ProbeError::Unready(format!(
            "unexpected answer {:?}",
            head.lines().next().unwrap_or_default()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{Health, serve};
    use crate::metrics::Metrics;
    use std::sync::Arc;

    async fn probed(address: SocketAddr) -> Result<(), String> {
        let listen = Listen::At(address.to_string());
        let probe = tokio::task::spawn_blocking(move || ready(&listen));
        probe.await.unwrap().map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn a_probe_says_what_readyz_says() {
        let health = Health::default();
        let everywhere = Listen::At("0.0.0.0:0".into());
        let address = serve(&everywhere, Arc::new(Metrics::new()), health.clone())
            .await
            .unwrap();
        assert_eq!(probed(address).await, Err("not ready: starting".into()));
        health.ready();
        assert_eq!(probed(address).await, Ok(()));
        health.waiting("RabbitMQ is away");
        assert_eq!(probed(address).await, Err("not ready: RabbitMQ is away".into()));
    }

    #[tokio::test]
    async fn where_nobody_listens_no_consumer_is_ready() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        drop(taken);
        let said = probed(address).await.unwrap_err();
        let begin = format!("no consumer answers at {address}: Connection refused");
        assert!(said.starts_with(&begin), "{said}");
    }

    #[test]
    fn what_is_no_consumer_is_not_ready() {
        assert!(judge("HTTP/1.1 200 OK\r\n\r\nready\n").is_ok());
        for other in ["", "SSH-2.0-x\r\n", "HTTP/1.1 404 Not Found\r\n\r\n"] {
            let said = judge(other).unwrap_err().to_string();
            assert!(said.starts_with("not ready: unexpected answer"), "{said}");
        }
    }
}
