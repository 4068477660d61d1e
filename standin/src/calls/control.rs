//! The stand-in's own pages, which no Azkaban has: what it has done, and what is to go wrong. No login.

use std::sync::Arc;
use std::time::Duration;

use hyper::header::{self, CONTENT_TYPE, HeaderName};
use hyper::{Method, StatusCode};
use serde_json::Value;

use crate::calls::{Answered, method_not_allowed};
use crate::server::Server;
use crate::wire::answer::Answer;
use crate::wire::request::Request;

pub(super) fn answer(server: &Arc<Server>, request: &Request) -> Answered {
    let get = matches!(request.method, Method::GET | Method::HEAD);
    Ok(match request.path.as_str() {
        "/standin/stats" if get => stats(server, request),
        "/standin/faults" if get => json(StatusCode::OK, &serde_json::json!(server.faults.get())),
        "/standin/faults" if request.method == Method::PUT => set_faults(server, request),
        "/standin/restart" if request.method == Method::POST => restart(server),
        "/standin/stats" | "/standin/faults" | "/standin/restart" => {
            method_not_allowed(&request.method, &request.path)
        }
        path => Answer::error_page(StatusCode::NOT_FOUND, path, "NOT_FOUND", "").reason("Not Found"),
    })
}

fn json(status: StatusCode, value: &Value) -> Answer {
    Answer::text(format!("{value:#}\n"))
        .status(status)
        .header(CONTENT_TYPE, "application/json")
}

/// JSON, or Prometheus' text when `Accept` or `format` asks for it.
fn stats(server: &Server, request: &Request) -> Answer {
    let stats = server.stats();
    let accept = request.header(header::ACCEPT).unwrap_or_default();
    let text = match request.param("format") {
        Some(format) => format == "prometheus",
        None => accept.contains("text/plain") || accept.contains("openmetrics"),
    };
    if text {
        return Answer::text(stats.prometheus())
            .header(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8");
    }
    json(StatusCode::OK, &serde_json::json!(stats))
}

/// Restarts the server a moment after this answer.
fn restart(server: &Arc<Server>) -> Answer {
    if !server.options.allow_faults {
        return not_allowed();
    }
    let restarting = Arc::clone(server);
    server.tasks.spawn(async move {
        tokio::time::sleep(Duration::from_millis(20)).await;
        restarting.restart();
    });
    json(StatusCode::ACCEPTED, &serde_json::json!({ "restarting": true }))
}

fn not_allowed() -> Answer {
    refuse(StatusCode::FORBIDDEN, "started without --allow-faults")
}

fn refuse(status: StatusCode, why: &str) -> Answer {
    json(status, &serde_json::json!({ "error": why }))
}

/// Changes the fields that are named. `sessions_lost: true` forgets all sessions at once.
fn set_faults(server: &Server, request: &Request) -> Answer {
    if !server.options.allow_faults {
        return not_allowed();
    }
    let Ok(Value::Object(mut changes)) = serde_json::from_slice(&request.body) else {
        return refuse(StatusCode::BAD_REQUEST, "the body is no JSON object");
    };
    let sessions_lost = changes
        .remove("sessions_lost")
        .is_some_and(|lost| lost == Value::Bool(true));
    match server.faults.get().changed(Value::Object(changes)) {
        Ok(faults) => server.faults.set(faults),
        Err(error) => return refuse(StatusCode::BAD_REQUEST, &error),
    }
    if sessions_lost {
        server.sessions.lose_all();
    }
    json(StatusCode::OK, &serde_json::json!(server.faults.get()))
        .header(HeaderName::from_static("cache-control"), "no-store")
}
