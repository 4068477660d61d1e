//! Setting a flow's schedule: by a cron expression, or the old way by a first time and a period.

use std::sync::Arc;

use flowlift_azkaban::cron;
use jiff::{Timestamp, Zoned};

use crate::calls::options::{self, Asked, Disabling};
use crate::calls::schedule::error;
use crate::calls::schedule::first::first_time;
use crate::server::Server;
use crate::state::period::Period;
use crate::state::permission::Right;
use crate::state::project::Project;
use crate::state::schedules::Schedule;
use crate::state::sessions::Session;
use crate::wire::failure::Failure;
use crate::wire::json::HashMapJson;
use crate::wire::request::Request;

/// Schedules without an end end with the year 2049.
const END_MS: i64 = 2_524_608_000_000;

/// When a flow is to run.
struct When {
    first: Zoned,
    cron: Option<String>,
    period: Option<Period>,
}

/// `scheduleCronFlow`: checks in Azkaban's order, then adds or replaces the flow's schedule.
pub(super) async fn cron(
    server: &Server,
    request: &Request,
    session: &Session,
    ret: &mut HashMapJson,
) -> Result<(), Failure> {
    let (name, flow) = (request.need("projectName")?, request.need("flow")?);
    let found = server.project(name).await;
    let Some(project) = permitted(found, name, flow, session, ret) else {
        return Ok(());
    };
    if project.read().locks.contains_key(flow) {
        error(ret, format!("Flow {flow} in project {name} is locked."));
        return Ok(());
    }
    let now = Timestamp::now().to_zoned(server.options.time_zone.clone());
    let cron = request.param("cronExpression");
    match cron {
        Some(cron) if next_after(cron, &now).is_none() => {
            let text = format!("This expression <{cron}> can not be parsed to quartz cron.");
            ret.put("error", text);
            return Ok(());
        }
        Some(_) => {}
        None => ret.put("error", "Cron expression must exist."),
    }
    let when = When {
        first: now,
        cron: cron.map(str::to_owned),
        period: None,
    };
    set(server, request, session, &project, when, ret).await
}

/// `scheduleFlow`, the old way: the project is found by its number, and locks do not matter.
pub(super) async fn first(
    server: &Server,
    request: &Request,
    session: &Session,
    ret: &mut HashMapJson,
) -> Result<(), Failure> {
    let (name, flow) = (request.need("projectName")?, request.need("flow")?);
    let found = server.world.project_by_id(request.need_int("projectId")?);
    let Some(project) = permitted(found, name, flow, session, ret) else {
        return Ok(());
    };
    let (time, date) = (request.need("scheduleTime")?, request.need("scheduleDate")?);
    let now = Timestamp::now().to_zoned(server.options.time_zone.clone());
    let Some(first) = first_time(date, time, &now) else {
        ret.put("error", format!("Invalid date and/or time '{date} {time}"));
        return Ok(());
    };
    let period = match request.param("is_recurring") {
        Some("on") => request
            .need("period")
            .map_err(|failure| failure.message().to_owned())
            .and_then(Period::parse),
        _ => Ok(None),
    };
    let period = period.unwrap_or_else(|error| {
        ret.put("error", error);
        None
    });
    let when = When {
        first,
        cron: None,
        period,
    };
    set(server, request, session, &project, when, ret).await
}

/// The project, if the flow is there and may be scheduled; else an error is told.
fn permitted(
    project: Option<Arc<Project>>,
    name: &str,
    flow: &str,
    session: &Session,
    ret: &mut HashMapJson,
) -> Option<Arc<Project>> {
    let Some(project) = project else {
        error(ret, format!("Project {name} does not exist"));
        return None;
    };
    if !project.allows(&session.user, Right::Schedule) {
        error(ret, format!("Permission denied. Cannot execute {flow}"));
        return None;
    }
    if project.read().flows.get(flow).is_none() {
        error(ret, format!("Flow {flow} cannot be found in project {name}"));
        return None;
    }
    Some(project)
}

/// Stores it, unless it is never due: success is said all the same.
async fn set(
    server: &Server,
    request: &Request,
    session: &Session,
    project: &Project,
    when: When,
    ret: &mut HashMapJson,
) -> Result<(), Failure> {
    let (name, flow) = (request.need("projectName")?, request.need("flow")?);
    let asked = options::read(request).map(|mut asked| {
        if let Err(error) = options::admins_only(&session.user, &mut asked.options) {
            ret.put("error", error);
        }
        asked
    });
    if let Err(failure) = &asked {
        ret.put("error", failure.message().to_owned());
    }
    server.faults.database().await;
    let zone = &server.options.time_zone;
    let start = joda(&when.first.with_time_zone(zone.clone()));
    let text = format!(
        "{name}.{flow} ({}) to be run at (starting) {start} {}",
        project.id,
        how(&when)
    );
    let id = match next_of(&when)? {
        None => -1,
        Some(next_ms) => {
            let options = match asked {
                Ok(Asked {
                    disabled: Disabling::Null,
                    ..
                }) => return Err(Failure::null("java.util.List.stream()", "disabledJobs")),
                Ok(asked) => asked.options,
                Err(_) => return Err(without_options(server, project.id, flow)),
            };
            server.world.schedules.set(Schedule {
                id: -1,
                project: project.id,
                project_name: name.to_owned(),
                flow: flow.to_owned(),
                utc: when.first.time_zone().iana_name() == Some("UTC"),
                cron: when.cron,
                period: when.period,
                user: session.user.name.clone(),
                first_ms: when.first.timestamp().as_millisecond(),
                next_ms,
                end_ms: request
                    .param("endSchedTime")
                    .and_then(|end| end.parse().ok())
                    .unwrap_or(END_MS),
                ended: false,
                options: Some(options),
                text: text.clone(),
            })
        }
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
fn without_options(server: &Server, project: i32, flow: &str) -> Failure {
    if let Some(old) = server.world.schedules.of_flow(project, flow) {
        server.world.schedules.set(Schedule { options: None, ..old });
    }
    Failure::null(
        "azkaban.executor.ExecutionOptions.getSlaOptions()",
        "this.executionOptions",
    )
}

/// When it is due next; `None` for what is over already.
fn next_of(when: &When) -> Result<Option<i64>, Failure> {
    let now = Timestamp::now().to_zoned(when.first.time_zone().clone());
    let next = match (&when.cron, when.period) {
        (Some(cron), _) => next_after(cron, &now),
        (None, Some(period)) => period
            .next_after(&when.first, &now)
            .map_err(|error| Failure::exception("java.lang.IllegalStateException", error.to_string()))?,
        (None, None) => Some(when.first.clone()).filter(|first| *first > now),
    };
    Ok(next.map(|next| next.timestamp().as_millisecond()))
}

/// When the cron expression is due next; `None` when Quartz refuses it or it is never due again.
fn next_after(expression: &str, now: &Zoned) -> Option<Zoned> {
    cron::check_cron(expression).ok()?;
    cron::next_after(expression, now)
}

/// Azkaban's words for how often a flow runs.
fn how(when: &When) -> String {
    match (&when.cron, when.period) {
        (Some(cron), _) => {
            let zone = when.first.time_zone().iana_name().unwrap_or("UTC");
            format!("with CronExpression {{{cron}}} and timezone {zone}")
        }
        (None, Some(period)) => format!("with precurring period of {}", period.code()),
        (None, None) => "non-recurring".to_owned(),
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
