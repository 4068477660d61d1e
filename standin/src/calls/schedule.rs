//! `/schedule`: cron schedules of flows.

use flowlift_azkaban::cron;
use jiff::{Timestamp, Zoned};

use crate::calls::options::{self, Asked, Disabling, admin_parameters};
use crate::calls::{Answered, front};
use crate::server::Server;
use crate::state::permission::Right;
use crate::state::schedules::Schedule;
use crate::state::sessions::Session;
use crate::wire::answer::Answer;
use crate::wire::failure::Failure;
use crate::wire::json::{HashMapJson, Json};
use crate::wire::request::Request;

/// Schedules without an end end with the year 2049.
const END_MS: i64 = 2_524_608_000_000;

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
        Some("scheduleCronFlow") => schedule(server, request, session, &mut ret).await?,
        Some("removeSched") => remove(server, request, session, &mut ret).await?,
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
        "fetchSchedules" | "loadFlow" => all(server, &mut ret),
        "fetchSchedule" => one(server, request, &mut ret)?,
        "scheduleCronFlow" => schedule(server, request, session, &mut ret).await?,
        _ => {}
    }
    Ok(Answer::json(&ret.json()))
}

fn error(ret: &mut HashMapJson, message: String) {
    ret.put("message", message);
    ret.put("status", "error");
}

/// Checks in Azkaban's order, then adds or replaces the flow's schedule.
async fn schedule(
    server: &Server,
    request: &Request,
    session: &Session,
    ret: &mut HashMapJson,
) -> Result<(), Failure> {
    let (name, flow) = (request.need("projectName")?, request.need("flow")?);
    let Some(project) = server.project(name).await else {
        error(ret, format!("Project {name} does not exist"));
        return Ok(());
    };
    if !project.allows(&session.user, Right::Schedule) {
        error(ret, format!("Permission denied. Cannot execute {flow}"));
        return Ok(());
    }
    if project.read().flows.get(flow).is_none() {
        error(ret, format!("Flow {flow} cannot be found in project {name}"));
        return Ok(());
    }
    if project.read().locks.contains_key(flow) {
        error(ret, format!("Flow {flow} in project {name} is locked."));
        return Ok(());
    }
    let now = Timestamp::now().to_zoned(server.options.time_zone.clone());
    let next = match request.param("cronExpression") {
        Some(cron) => match next_after(cron, &now) {
            Some(next) => Some((cron.to_owned(), next)),
            None => {
                ret.put(
                    "error",
                    format!("This expression <{cron}> can not be parsed to quartz cron."),
                );
                return Ok(());
            }
        },
        None => {
            ret.put("error", "Cron expression must exist.");
            None
        }
    };
    let options = match options::read(request) {
        Ok(Asked {
            disabled: Disabling::Null,
            ..
        }) => return Err(Failure::null("java.util.List.stream()", "disabledJobs")),
        Ok(asked) => asked.options,
        Err(failure) => return Err(without_options(server, project.id, flow, failure)),
    };
    if let Err(error) = admin_parameters(request)
        && session.user.admin
    {
        ret.put("error", error);
    }
    server.faults.database().await;
    let text = describe(
        name,
        flow,
        project.id,
        &now,
        next.as_ref().map(|(cron, _)| cron.as_str()),
    );
    let id = match next {
        Some((cron, next)) => server.world.schedules.set(Schedule {
            id: -1,
            project: project.id,
            project_name: name.to_owned(),
            flow: flow.to_owned(),
            cron,
            user: session.user.name.clone(),
            first_ms: now.timestamp().as_millisecond(),
            next_ms: next.timestamp().as_millisecond(),
            end_ms: request
                .param("endSchedTime")
                .and_then(|end| end.parse().ok())
                .unwrap_or(END_MS),
            ended: false,
            options: Some(options),
            text: text.clone(),
        }),
        None => -1,
    };
    project.log(
        &session.user.name,
        "SCHEDULE",
        Some(format!("Schedule {text} has been added.")),
    );
    ret.put("status", "success");
    ret.put("scheduleId", id);
    ret.put("message", format!("{name}.{flow} scheduled."));
    Ok(())
}

/// Azkaban notes what is wrong with the options, goes on, and falls over what it did not get. By then the flow's old
/// schedule has lost its options.
fn without_options(server: &Server, project: i32, flow: &str, failure: Failure) -> Failure {
    if failure.is_null() {
        return failure;
    }
    if let Some(old) = server.world.schedules.of_flow(project, flow) {
        server.world.schedules.set(Schedule { options: None, ..old });
    }
    Failure::null(
        "azkaban.executor.ExecutionOptions.getSlaOptions()",
        "this.executionOptions",
    )
}

/// When the cron expression is due next; `None` when Quartz refuses it or it is never due again.
fn next_after(expression: &str, now: &Zoned) -> Option<Zoned> {
    cron::check_cron(expression).ok()?;
    cron::next_after(expression, now)
}

/// Azkaban's words for a schedule in the project log.
fn describe(project: &str, flow: &str, id: i32, first: &Zoned, cron: Option<&str>) -> String {
    let start = format!("{project}.{flow} ({id}) to be run at (starting) {}", joda(first));
    match cron {
        None => format!("{start} non-recurring"),
        Some(cron) => {
            let zone = first.time_zone().iana_name().unwrap_or("UTC");
            format!("{start} with CronExpression {{{cron}}} and timezone {zone}")
        }
    }
}

/// `2026-11-23T13:32:26.178Z`, or with an offset like `+01:00`.
fn joda(time: &Zoned) -> String {
    let offset = if time.offset().is_zero() {
        "Z".to_owned()
    } else {
        time.strftime("%:z").to_string()
    };
    format!("{}{offset}", time.strftime("%Y-%m-%dT%H:%M:%S.%3f"))
}

async fn remove(
    server: &Server,
    request: &Request,
    session: &Session,
    ret: &mut HashMapJson,
) -> Result<(), Failure> {
    let id = request.need_int("scheduleId")?;
    let Some(schedule) = server.world.schedules.get(id) else {
        error(ret, format!("Schedule with ID {id} does not exist"));
        return Ok(());
    };
    let Some(project) = server.world.project_by_id(schedule.project) else {
        error(ret, format!("Project {} does not exist", schedule.project));
        return Ok(());
    };
    if !project.allows(&session.user, Right::Schedule) {
        error(
            ret,
            format!("Permission denied. Cannot remove schedule with id {id}"),
        );
        return Ok(());
    }
    server.faults.database().await;
    server.world.schedules.remove(id);
    project.log(
        &session.user.name,
        "SCHEDULE",
        Some(format!("Schedule {} has been removed.", schedule.text)),
    );
    ret.put("status", "success");
    ret.put(
        "message",
        format!("flow {} removed from Schedules.", schedule.flow),
    );
    Ok(())
}

/// All schedules of all projects; nothing at all when there are none.
fn all(server: &Server, ret: &mut HashMapJson) {
    let item = |schedule: Schedule| {
        HashMapJson::new()
            .with("scheduleId", schedule.id)
            .with("flowname", schedule.flow)
            .with("projectname", schedule.project_name)
            .with("time", schedule.first_ms)
            .with("cron", schedule.cron)
            .with("period", 0)
            .with("history", false)
            .json()
    };
    let items: Vec<Json> = server.world.schedules.all().into_iter().map(item).collect();
    if !items.is_empty() {
        ret.put("items", Json::List(items));
    }
}

/// No rights are asked for, and an unknown flow has no schedule.
fn one(server: &Server, request: &Request, ret: &mut HashMapJson) -> Result<(), Failure> {
    let (project, flow) = (request.need_int("projectId")?, request.need("flowId")?);
    let Some(schedule) = server.world.schedules.of_flow(project, flow) else {
        return Ok(());
    };
    let time = |ms: i64| {
        let zoned = Timestamp::from_millisecond(ms)
            .unwrap_or_default()
            .to_zoned(server.options.time_zone.clone());
        zoned.strftime("%Y-%m-%d %H:%M:%S").to_string()
    };
    let json = HashMapJson::new()
        .with("scheduleId", schedule.id.to_string())
        .with("submitUser", schedule.user)
        .with("firstSchedTime", time(schedule.first_ms))
        .with("nextExecTime", time(schedule.next_ms))
        .with("period", "null")
        .with("cronExpression", schedule.cron)
        .with(
            "executionOptions",
            schedule
                .options
                .as_ref()
                .map_or(Json::Null, |options| options.json()),
        );
    ret.put("schedule", json);
    Ok(())
}
