//! Asks a broker for its version. lapin keeps the greeting to itself, so the first frame is read here, before it connects.

use std::time::Duration;

use lapin::uri::{AMQPScheme, AMQPUri};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::AmqpError;

const LIMIT: Duration = Duration::from_secs(10);

/// The broker's version, from the server properties of its greeting; `None` over TLS, where declaring tells it.
pub(super) async fn version(uri: &AMQPUri, broker: &str) -> Result<Option<String>, AmqpError> {
    if matches!(uri.scheme, AMQPScheme::AMQPS) {
        return Ok(None);
    }
    let unreachable = |reason: String| AmqpError::Unreachable {
        broker: broker.to_owned(),
        reason,
    };
    let greeting = tokio::time::timeout(LIMIT, greeting(&uri.authority.host, uri.authority.port)).await;
    match greeting {
        Ok(Ok(frame)) => Ok(find(&frame)),
        Ok(Err(error)) => Err(unreachable(error.to_string())),
        Err(_) => Err(unreachable(format!("no answer within {} s", LIMIT.as_secs()))),
    }
}

async fn greeting(host: &str, port: u16) -> std::io::Result<Vec<u8>> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let mut stream = TcpStream::connect((host, port)).await?;
    stream.write_all(b"AMQP\x00\x00\x09\x01").await?;
    let mut head = [0; 7];
    stream.read_exact(&mut head).await?;
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
