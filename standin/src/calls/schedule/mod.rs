//! `/schedule`: schedules of flows.

mod first;
mod set;
mod show;

use crate::calls::{Answered, front};
use crate::server::Server;
use crate::state::sessions::Session;
use crate::wire::answer::Answer;
use crate::wire::json::{HashMapJson, Json};
use crate::wire::request::Request;

pub(super) async fn get(server: &Server, request: &Request, session: &Session) -> Answered {
    match request.has("ajax") {
        true => ajax(server, request, session).await,
        false => Ok(front::page("")),
    }
}

/// `action` works like `ajax` for scheduling, and is the only way to remove; its message also stands in a cookie.
pub(super) async fn post(server: &Server, request: &Request, session: &Session) -> Answered {
    if request.has("ajax") {
        return ajax(server, request, session).await;
    }
    let mut ret = HashMapJson::new();
    match request.param("action") {
        Some("scheduleFlow") => set::first(server, request, session, &mut ret).await?,
        Some("scheduleCronFlow") => set::cron(server, request, session, &mut ret).await?,
        Some("removeSched") => show::remove(server, request, session, &mut ret).await?,
        _ => {}
    }
    let success = ret.get("status") == Some(&Json::from("success"));
    let cookie = if success {
        "azkaban.success.message"
    } else {
        "azkaban.failure.message"
    };
    let message = match ret.get("message") {
        Some(Json::Text(message)) => message.clone().into_owned(),
        _ => String::new(),
    };
    Ok(Answer::json(&ret.json()).cookie(cookie, &message))
}

async fn ajax(server: &Server, request: &Request, session: &Session) -> Answered {
    let mut ret = HashMapJson::new();
    match request.need("ajax")? {
        "fetchSchedules" | "loadFlow" => show::all(server, &mut ret),
        "fetchSchedule" => show::one(server, request, &mut ret)?,
        "scheduleFlow" => set::first(server, request, session, &mut ret).await?,
        "scheduleCronFlow" => set::cron(server, request, session, &mut ret).await?,
        _ => {}
    }
    Ok(Answer::json(&ret.json()))
}

fn error(ret: &mut HashMapJson, message: String) {
    ret.put("message", message);
    ret.put("status", "error");
}
