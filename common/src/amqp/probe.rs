//! Asks a broker for its version. lapin keeps the greeting to itself, so the first frame is read here, before it connects.

use std::sync::Arc;
use std::time::Duration;

use flowlift_azkaban::tls::Trouble;
use lapin::uri::AMQPUri;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::AmqpError;

const LIMIT: Duration = Duration::from_secs(10);
/// What an alert of TLS begins with: the server was spoken to without it.
const ALERT: [u8; 2] = [0x15, 0x03];

/// The broker's version, from the server properties of its greeting; over TLS where its settings are given.
pub(super) async fn version(
    uri: &AMQPUri,
    broker: &str,
    tls: Option<&Arc<ClientConfig>>,
) -> Result<Option<String>, AmqpError> {
    let host = bare(&uri.authority.host);
    let greeting = tokio::time::timeout(LIMIT, greeting(host, uri.authority.port, tls)).await;
    match greeting {
        Ok(Ok(frame)) => Ok(find(&frame)),
        Ok(Err(error)) => Err(judged(&error, broker, host)),
        Err(_) => Err(AmqpError::Unreachable {
            broker: broker.to_owned(),
            reason: format!("no answer within {} s", LIMIT.as_secs()),
        }),
    }
}

/// What an error on the way to a broker means.
pub(super) fn judged(error: &std::io::Error, broker: &str, host: &str) -> AmqpError {
    let broker = broker.to_owned();
    match Trouble::of(error) {
        None => AmqpError::Unreachable {
            broker,
            reason: error.to_string(),
        },
        Some(trouble) => {
            let reason = trouble.words(host, "--amqp-ca-file");
            if trouble == Trouble::OursRefused {
                AmqpError::Access { broker, reason }
            } else {
                AmqpError::Untrusted { broker, reason }
            }
        }
    }
}

/// An IPv6 address without its brackets.
pub(super) fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

async fn greeting(host: &str, port: u16, tls: Option<&Arc<ClientConfig>>) -> std::io::Result<Vec<u8>> {
    let stream = TcpStream::connect((host, port)).await?;
    let Some(tls) = tls else {
        return greet(stream).await;
    };
    let name = ServerName::try_from(host.to_owned()).map_err(std::io::Error::other)?;
    greet(TlsConnector::from(Arc::clone(tls)).connect(name, stream).await?).await
}

async fn greet(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> std::io::Result<Vec<u8>> {
    stream.write_all(b"AMQP\x00\x00\x09\x01").await?;
    stream.flush().await?;
    let mut head = [0; 7];
    stream.read_exact(&mut head).await?;
    if head.starts_with(&ALERT) {
        return Err(std::io::Error::other(
            "it speaks TLS: the address begins with amqps:// then",
        ));
    }
    let size = u32::from_be_bytes([head[3], head[4], head[5], head[6]]).min(65_536);
    let mut frame = vec![0; size as usize];
    stream.read_exact(&mut frame).await?;
    Ok(frame)
}

/// Finds the long string under the key `version` in the table of server properties.
fn find(frame: &[u8]) -> Option<String> {
    const KEY: &[u8] = b"\x07versionS";
    let at = frame.windows(KEY.len()).position(|window| window == KEY)? + KEY.len();
    let size = u32::from_be_bytes(frame.get(at..at + 4)?.try_into().ok()?) as usize;
    String::from_utf8(frame.get(at + 4..at + 4 + size)?.to_vec()).ok()
}

/// Major and minor number of a version.
pub(super) fn parse(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split(['.', '-', '+']);
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number() {
        assert!(parse("3.13.7").unwrap() < (4, 0));
        assert!(parse("4.0.5").unwrap() >= (4, 0));
        assert!(parse("4.10.0-rc.1").unwrap() > (4, 2));
        assert_eq!(parse("unknown"), None);
    }

    #[test]
    fn the_version_is_found_in_a_greeting() {
        let frame = b"\x00\x0a\x00\x0a\x00\x09\x00\x00\x00\x30\x07productS\x00\x00\x00\x08RabbitMQ\x07versionS\x00\x00\x00\x053.9.1";
        assert_eq!(find(frame).as_deref(), Some("3.9.1"));
        assert_eq!(find(b"HTTP/1.1 400 Bad Request"), None);
    }
}
