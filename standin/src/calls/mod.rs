//! The calls: which servlet answers a request, who is asking, and what each call does.

mod control;
mod download;
mod execute;
mod executions;
mod executor;
mod flows;
mod front;
mod index;
mod install;
mod manager;
mod names;
mod options;
mod overrides;
mod permissions;
mod projects;
mod schedule;
mod status;
mod upload;

use std::sync::Arc;

use hyper::{Method, StatusCode};

use crate::server::Server;
use crate::wire::answer::{Answer, Outcome};
use crate::wire::failure::Failure;
use crate::wire::request::Request;

pub(crate) use front::form_too_large;
pub(crate) use names::call_name;

/// What a call gives: an answer, or an exception that becomes Jetty's error page.
pub(crate) type Answered = Result<Answer, Failure>;

/// Answers a request that was read whole.
pub(crate) async fn answer(server: &Arc<Server>, request: &Request) -> Answer {
    let answered = match request.path.as_str() {
        "/status" => status::answer(server, request).await,
        path if path.starts_with("/standin/") => control::answer(server, request),
        path if is_static(path) => {
            Ok(Answer::error_page(StatusCode::NOT_FOUND, path, "NOT_FOUND", "").reason("Not Found"))
        }
        path => front::answer(server, request, Servlet::of(path)).await,
    };
    answered.unwrap_or_else(|failure| failure.answer(&request.path))
}

/// Files of the web pages, which the stand-in has none of.
fn is_static(path: &str) -> bool {
    ["/css/", "/js/", "/images/", "/fonts/"]
        .iter()
        .any(|folder| path.starts_with(folder))
        || path == "/favicon.ico"
}

/// What stands behind a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Servlet {
    Index,
    Manager,
    Schedule,
    Executor,
    /// Pages for people that have no calls.
    Page,
    /// Everything else leads to `/index`.
    Redirect,
}

impl Servlet {
    fn of(path: &str) -> Self {
        match path {
            "/index" => Self::Index,
            "/manager" => Self::Manager,
            "/schedule" => Self::Schedule,
            "/executor" => Self::Executor,
            "/triggers"
            | "/flowtrigger"
            | "/flowtriggerinstance"
            | "/history"
            | "/jmx"
            | "/stats"
            | "/notes" => Self::Page,
            _ => Self::Redirect,
        }
    }
}

/// Jetty's answer to a method a servlet does not know; a page only where it read the body.
fn method_not_allowed(method: &Method, path: &str) -> Answer {
    let (status, reason) = match *method {
        Method::DELETE => (405, format!("Http method {method} is not supported by this URL")),
        Method::POST | Method::PUT => (405, format!("HTTP method {method} is not supported by this URL")),
        _ => (
            501,
            format!("Method {method} is not defined in RFC 2068 and is not supported by the Servlet API "),
        ),
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::METHOD_NOT_ALLOWED);
    if *method == Method::POST {
        return Answer::error_page(status, path, &reason, "");
    }
    Answer::empty()
        .status(status)
        .reason(&reason)
        .outcome(Outcome::Failed)
}
