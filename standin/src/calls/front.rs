//! The front door of all servlets: who is asking, logging in and out, and what a lost session is told.

use std::sync::Arc;

use hyper::{HeaderMap, Method, header};
use uuid::Uuid;

use crate::calls::{Answered, Servlet, executor, index, manager, method_not_allowed, schedule};
use crate::options::User;
use crate::server::Server;
use crate::state::sessions::Session;
use crate::wire::answer::{Answer, Outcome};
use crate::wire::failure::Failure;
use crate::wire::json::{HashMapJson, Json};
use crate::wire::request::{Fields, Request};

/// The cookie that carries a session.
pub(super) const COOKIE: &str = "azkaban.browser.session.id";
/// The parameter, or multipart field, that carries a session.
const PARAM: &str = "session.id";

pub(super) async fn answer(server: &Arc<Server>, request: &Request, servlet: Servlet) -> Answered {
    match request.method {
        Method::GET | Method::HEAD | Method::DELETE => get(server, request, servlet).await,
        Method::POST => post(server, request, servlet).await,
        Method::OPTIONS => {
            Ok(Answer::empty().header(header::ALLOW, "GET, HEAD, POST, DELETE, TRACE, OPTIONS"))
        }
        _ => Ok(method_not_allowed(&request.method, &request.path)),
    }
}

/// A cookie comes before a parameter, even when its session is gone.
fn session(server: &Server, request: &Request) -> Option<Session> {
    let cookie = request.cookie(COOKIE).filter(|id| !id.is_empty());
    server.sessions.find(cookie.or_else(|| request.param(PARAM))?)
}

async fn get(server: &Arc<Server>, request: &Request, servlet: Servlet) -> Answered {
    let session = session(server, request);
    if request.has("logout") {
        session.inspect(|session| server.sessions.close(&session.id));
        return Ok(Answer::redirect(&format!("{}/", request.base())));
    }
    let Some(session) = session else {
        return Ok(match request.has("ajax") {
            true => Answer::json(&Json::bean([("error", "session".into())])).outcome(Outcome::Login),
            false => login_page(),
        });
    };
    if request.method == Method::DELETE {
        return Ok(Answer::empty());
    }
    match servlet {
        Servlet::Index => index::get(server, request, &session).await,
        Servlet::Manager => manager::get(server, request, &session).await,
        Servlet::Schedule => schedule::get(server, request, &session).await,
        Servlet::Executor => executor::get(server, request, &session).await,
        Servlet::Page => Ok(page("")),
        Servlet::Redirect => Ok(Answer::redirect(&format!("{}/index", request.base()))),
    }
}

async fn post(server: &Arc<Server>, request: &Request, servlet: Servlet) -> Answered {
    if request.query.contains("password=") {
        return Ok(login_text(
            "Login error. Must pass username and password in request body",
        ));
    }
    let session = session(server, request);
    if let Some(fields) = request.multipart() {
        return post_multipart(server, request, servlet, session, &fields?).await;
    }
    if request.param("action") == Some("login") {
        return Ok(login(server, request));
    }
    let session = match session {
        Some(session) => session,
        None => match once(server, request.param("username"), request.param("password")) {
            Some(Ok(session)) => session,
            // Azkaban goes on without a user and fails, but these words are already on their way.
            Some(Err(error)) => return Ok(login_text(format!("Login error: {error}"))),
            None => return Ok(lost_session(request)),
        },
    };
    match servlet {
        Servlet::Manager => manager::post(server, request, &session).await,
        Servlet::Schedule => schedule::post(server, request, &session).await,
        Servlet::Executor => executor::post(server, request, &session).await,
        Servlet::Index | Servlet::Page => Ok(Answer::empty()),
        Servlet::Redirect => Ok(Answer::redirect(&format!("{}/index", request.base()))),
    }
}

/// A session may also come as a field, or user and password for this one request.
async fn post_multipart(
    server: &Arc<Server>,
    request: &Request,
    servlet: Servlet,
    session: Option<Session>,
    fields: &Fields,
) -> Answered {
    let session = match session {
        Some(session) => Some(session),
        None => fields.text(PARAM)?.and_then(|id| server.sessions.find(&id)),
    };
    let session = match session {
        Some(session) => session,
        None => match once(
            server,
            fields.text("username")?.as_deref(),
            fields.text("password")?.as_deref(),
        ) {
            Some(Ok(session)) => session,
            Some(Err(error)) => return Ok(login_text(format!("Login error: {error}"))),
            None => return Ok(login_text("Login error. Need username and password")),
        },
    };
    match servlet {
        Servlet::Manager => manager::post_multipart(server, request, &session, fields).await,
        _ => Ok(Answer::empty()),
    }
}

/// A session for one request; `None` when a name or password is not there at all.
fn once(
    server: &Server,
    name: Option<&str>,
    password: Option<&str>,
) -> Option<Result<Session, &'static str>> {
    Some(check(server, name?, password?).map(Session::once))
}

/// Finds a user, or says why not in Azkaban's words.
fn check(server: &Server, name: &str, password: &str) -> Result<Arc<User>, &'static str> {
    if name.trim().is_empty() {
        return Err("Username is empty.");
    }
    if password.trim().is_empty() {
        return Err("Password is empty.");
    }
    let user = server
        .users
        .iter()
        .find(|user| user.name == name && user.password == password);
    user.cloned().ok_or("Username/Password not found.")
}

fn login(server: &Server, request: &Request) -> Answer {
    let error = |text: String| Answer::json(&Json::bean([("error", text.into())])).outcome(Outcome::Login);
    let (Some(name), Some(password)) = (request.param("username"), request.param("password")) else {
        return error("Incorrect Login.".to_owned());
    };
    match check(server, name, password) {
        Ok(user) => {
            let full = |max: &usize| server.sessions.count_of(&user, request.client) >= *max;
            if let Some(max) = server.options.sessions_per_user.filter(full) {
                return error(format!(
                    "Potential DDoS found, the number of sessions for this user and IP reached allowed limit ({max})."
                ))
                .cookie(COOKIE, &Uuid::new_v4().to_string());
            }
            let id = server.sessions.open(user, request.client).id;
            let json = HashMapJson::new()
                .with("status", "success")
                .with("session.id", id.clone())
                .json();
            Answer::json(&json).cookie(COOKIE, &id)
        }
        Err(why) => error(format!("Incorrect Login. {why}")),
    }
}

fn login_text(text: impl Into<String>) -> Answer {
    Answer::text(text.into()).outcome(Outcome::Login)
}

/// What a form without a session is told.
fn lost_session(request: &Request) -> Answer {
    if request.header("x-requested-with") != Some("XMLHttpRequest") {
        return login_page();
    }
    let json = HashMapJson::new()
        .with("status", "error")
        .with("message", "Invalid Session. Need to re-login")
        .with("action", "login");
    Answer::text(json.json().compact()).outcome(Outcome::Login)
}

fn login_page() -> Answer {
    frame(
        "<form id=\"login-form\" role=\"form\">\n<input type=\"text\" class=\"form-control\" name=\"username\" id=\"username\">\n\
         <input type=\"password\" class=\"form-control\" name=\"password\" id=\"password\">\n</form>",
    ).outcome(Outcome::Login)
}

/// A page for people who are logged in, of which only the frame is there. It takes back the cookies with messages.
pub(super) fn page(message: &str) -> Answer {
    let names = [
        "azkaban.failure.message",
        "azkaban.warn.message",
        "azkaban.success.message",
    ];
    names
        .into_iter()
        .fold(frame(message), |page, name| page.cookie(name, ""))
}

/// Every page opens a session of the web server itself, which nothing uses.
fn frame(message: &str) -> Answer {
    let html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>Azkaban Web Client\n</title>\n\
         </head>\n<body>{message}</body>\n</html>\n"
    );
    Answer::page(html).cookie("JSESSIONID", &Uuid::new_v4().simple().to_string())
}

/// Does the session come from a cookie? Then calls that change permissions want a token that only pages carry.
pub(super) fn needs_token(request: &Request) -> bool {
    request.cookie(COOKIE).is_some_and(|id| !id.is_empty())
}

/// The largest form is 10 MiB; more is refused without reading it.
pub(crate) fn form_too_large(headers: &HeaderMap, path: &str) -> Option<Answer> {
    let length = headers
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse::<usize>()
        .ok()?;
    let max = crate::wire::request::FORM_MAX;
    let too_large = crate::wire::request::is_form(headers) && length > max;
    let failure = || {
        Failure::exception(
            "java.lang.IllegalStateException",
            format!("Form too large{length}>{max}"),
        )
    };
    too_large.then(|| failure().answer(path))
}
