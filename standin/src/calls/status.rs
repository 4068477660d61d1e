//! `/status`: is the server up, and its database? No login.

use hyper::Method;

use crate::calls::{Answered, method_not_allowed};
use crate::server::Server;
use crate::wire::answer::Answer;
use crate::wire::json::Json;
use crate::wire::request::Request;

/// The heap that `start-solo.sh` gives a real one.
const XMX: i64 = 512 << 20;

pub(super) async fn answer(server: &Server, request: &Request) -> Answered {
    if !matches!(request.method, Method::GET | Method::HEAD) {
        return Ok(method_not_allowed(&request.method, &request.path));
    }
    server.faults.database().await;
    let executor = Json::bean([
        ("id", 1.into()),
        ("host", "localhost".into()),
        ("port", 12321.into()),
        ("isActive", true.into()),
    ]);
    let json = Json::bean([
        ("version", "4.0.0".into()),
        ("pid", server.life.pid().to_string().into()),
        ("installationPath", server.path.clone().into()),
        ("usedMemory", used_memory().into()),
        ("xmx", XMX.into()),
        ("isDatabaseUp", true.into()),
        ("executorStatusMap", Json::bean([("1", executor)])),
    ]);
    Ok(Answer::json(&json).push("\r\n"))
}

/// Resident memory in bytes; 0 where the system does not tell.
fn used_memory() -> i64 {
    let pages = std::fs::read_to_string("/proc/self/statm").ok();
    let resident = pages.and_then(|text| text.split(' ').nth(1)?.parse::<i64>().ok());
    resident.unwrap_or(0) * 4096
}
