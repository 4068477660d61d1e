//! `azkaban-standin --probe`: asks a running stand-in whether it answers. For health checks in images that have no curl.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// It answers from memory; whatever takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(3);
/// More than the first line is long.
const MOST: u64 = 4 * 1024;

/// Asks whoever listens there.
pub(crate) fn answers(listen: SocketAddr) -> Result<(), String> {
    let address = reachable(listen);
    let line = first_line(address).map_err(|error| format!("nobody answers at {address}: {error}"))?;
    if line.split(' ').nth(1) == Some("200") {
        Ok(())
    } else {
        Err(format!("no stand-in answers at {address}, but {line:?}"))
    }
}

fn first_line(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "GET /standin/stats HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = Vec::new();
    stream.take(MOST).read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    Ok(answer.lines().next().unwrap_or_default().to_owned())
}

/// Who listens everywhere is asked on this machine.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        });
    }
    address
}
