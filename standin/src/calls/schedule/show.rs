//! What schedules there are, and removing one.

use jiff::Timestamp;

use crate::calls::schedule::error;
use crate::server::Server;
use crate::state::permission::Right;
use crate::state::schedules::Schedule;
use crate::state::sessions::Session;
use crate::wire::failure::Failure;
use crate::wire::json::{HashMapJson, Json};
use crate::wire::request::Request;

pub(super) async fn remove(
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
pub(super) fn all(server: &Server, ret: &mut HashMapJson) {
    let now = Timestamp::now().to_zoned(server.options.time_zone.clone());
    let item = |schedule: Schedule| {
        let period = schedule.period.map_or(0, |period| period.length_ms(&now));
        HashMapJson::new()
            .with("scheduleId", schedule.id)
            .with("flowname", schedule.flow)
            .with("projectname", schedule.project_name)
            .with("time", schedule.first_ms)
            .with("cron", schedule.cron)
            .with("period", period)
            .with("history", false)
            .json()
    };
    let items: Vec<Json> = server.world.schedules.all().into_iter().map(item).collect();
    if !items.is_empty() {
        ret.put("items", Json::List(items));
    }
}

/// No rights are asked for, and an unknown flow has no schedule.
pub(super) fn one(server: &Server, request: &Request, ret: &mut HashMapJson) -> Result<(), Failure> {
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
        .with(
            "period",
            schedule
                .period
                .map_or_else(|| "null".to_owned(), |period| period.words()),
        )
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
